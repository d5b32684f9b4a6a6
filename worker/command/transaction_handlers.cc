// MULTI, EXEC, DISCARD, WATCH, UNWATCH. What stands between MULTI and EXEC is executed as one change: nobody sees part of
// it, and a worker that dies in it leaves all or nothing.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "shm/os/cpu_clock.h"
#include "worker/command/command_meter.h"
#include "worker/command/handler_support.h"
#include "worker/command/handlers.h"
#include "worker/message_hub.h"

namespace memento::handlers {
namespace {

// The queued requests as calls, and all keys they and WATCH name.
struct Execution {
  std::vector<std::vector<std::string_view>> words;
  std::vector<Call> calls;
  std::vector<HashedKey> keys;
  bool needs_all_keys = false;

  Execution(Keyspace& keyspace, const Transaction& transaction, const WatchedKeys& watched) {
    for (const QueuedCall& queued : transaction.queue) {
      words.emplace_back(queued.words.begin(), queued.words.end());
      Call call{words.back(), {}};
      const Command& command = *queued.command;
      needs_all_keys |= command.has(kAllKeys);
      if (command.keys.first != 0) {
        const auto first = static_cast<std::size_t>(command.keys.first);
        for (std::size_t i = first; i <= command.last_key(call.count()); i += static_cast<std::size_t>(command.keys.step)) {
          keys.push_back(keyspace.hash(call[i]));
          if (i == first) call.key = keys.back();
        }
      }
      calls.push_back(call);
    }
    for (const auto& [key, mark] : watched) keys.push_back(keyspace.hash(key));
  }
};

// What a command inside EXEC took, and its reply when that is an error.
struct Measured {
  std::uint64_t ticks = 0;
  std::string error;
};

// False: it took too long while others wait.
bool execute_all(CommandContext& context, const Transaction& transaction, const std::vector<Call>& calls,
                 std::vector<Measured>* measured) {
  measured->resize(calls.size());
  context.reply.begin_array(calls.size());
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const std::uint64_t begin_ticks = cpu_ticks();
    const ReplyWriter::Mark before = context.reply.mark();
    transaction.queue[i].command->handler(context, calls[i]);
    const bool failed = context.reply.mark().error_count != before.error_count;
    (*measured)[i].error = failed ? context.reply.since(before.size) : std::string_view();
    (*measured)[i].ticks += cpu_ticks() - begin_ticks;
    if (context.keyspace.must_stop()) return false;
  }
  context.reply.end();
  return true;
}

void count_all(CommandContext& context, const Transaction& transaction, const std::vector<Call>& calls,
               const std::vector<Measured>& measured) {
  CommandMeter meter(context.services, context.client);
  for (std::size_t i = 0; i < calls.size(); ++i) {
    meter.add_call(*transaction.queue[i].command, calls[i].args, measured[i].ticks, measured[i].error);
    if (!measured[i].error.empty()) context.counted_errors = true;
  }
}

// What was executed is told once, now that it is done.
void tell_others(CommandContext& context, const Transaction& transaction, const std::vector<Call>& calls) {
  MessageHub& hub = context.services.hub;
  carry_out(context, std::exchange(context.plan, {}));
  if (hub.has_monitors()) {
    for (std::size_t i = 0; i < calls.size(); ++i)
      hub.show(context.client, *transaction.queue[i].command, calls[i].args);
  }
  if (!hub.watches_keys()) return;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const Command& command = *transaction.queue[i].command;
    if (!command.has(kWrite) || command.keys.first == 0 || command.group == CommandGroup::kExpiry) continue;
    for (auto k = static_cast<std::size_t>(command.keys.first); k <= command.last_key(calls[i].count()); k += static_cast<std::size_t>(command.keys.step)) {
      hub.publish_value(context.keyspace.hash(calls[i][k]));
    }
  }
}

}  // namespace

void multi(CommandContext& context, const Call&) {
  if (context.client.transaction != nullptr) return context.reply.error("ERR MULTI calls can not be nested");
  context.client.transaction = std::make_unique<Transaction>();
  context.reply.ok();
}

void discard(CommandContext& context, const Call&) {
  if (context.client.transaction == nullptr) return context.reply.error("ERR DISCARD without MULTI");
  context.client.transaction.reset();
  context.client.watched.clear();
  context.reply.ok();
}

void watch(CommandContext& context, const Call& call) {
  if (context.client.transaction != nullptr) return context.reply.error("ERR WATCH inside MULTI is not allowed");
  WatchedKeys& watched = context.client.watched;
  for (std::size_t i = 1; i < call.count(); ++i) {
    if (watched.contains(call[i])) continue;
    const std::optional<ChangeMark> mark = context.keyspace.mark(context.keyspace.hash(call[i]));
    if (!mark) return context.reply.out_of_memory();
    watched.emplace(call[i], *mark);
  }
  context.reply.ok();
}

void unwatch(CommandContext& context, const Call&) {
  context.client.watched.clear();
  context.reply.ok();
}

void exec(CommandContext& context, const Call&) {
  if (context.client.transaction == nullptr) return context.reply.error("ERR EXEC without MULTI");
  const auto asks = [](const QueuedCall& call) { return call.command->has(kAsksOthers); };
  if (!context.client.transaction->is_broken &&
      std::ranges::any_of(context.client.transaction->queue, asks) &&
      !context.services.hub.clients().know_others(context.client)) {
    context.parks = true;
    return;
  }
  const std::unique_ptr<Transaction> transaction = std::move(context.client.transaction);
  const WatchedKeys watched = std::exchange(context.client.watched, {});
  if (transaction->is_broken) {
    return context.reply.error("EXECABORT Transaction discarded because of previous errors.");
  }
  Keyspace& keyspace = context.keyspace;
  const Execution execution(keyspace, *transaction, watched);
  const ClientTraits traits = context.client;
  const ReplyWriter::Mark begin = context.reply.mark();
  const auto is_as_watched = [&](const auto& key_and_mark) {
    return keyspace.is_unchanged(keyspace.hash(key_and_mark.first), key_and_mark.second);
  };
  bool conflicts = false;
  std::vector<Measured> measured;
  const auto body = [&] {
    context.reply.roll_back(begin);
    context.plan = {};
    static_cast<ClientTraits&>(context.client) = traits;
    context.reply.set_protocol(traits.protocol);
    conflicts = !std::ranges::all_of(watched, is_as_watched);
    if (conflicts) return false;
    const bool is_whole = execute_all(context, *transaction, execution.calls, &measured);
    context.is_repeated = true;
    return is_whole;
  };
  context.in_exec = true;
  const WriteStatus status = execution.needs_all_keys ? keyspace.transact_all(body) : keyspace.transact(execution.keys, body);
  context.in_exec = context.is_repeated = false;
  context.client.others.reset();
  if (status == WriteStatus::kOutOfMemory || status == WriteStatus::kBusy || conflicts) {
    context.reply.roll_back(begin);
    static_cast<ClientTraits&>(context.client) = traits;
    context.reply.set_protocol(traits.protocol);
    context.plan = {};
  }
  if (status == WriteStatus::kOutOfMemory) {
    context.reply.error("EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.");
  } else if (status == WriteStatus::kBusy) {
    context.reply.error("EXECABORT Transaction discarded because of: BUSY its keys change faster than it runs");
  } else if (conflicts) {
    context.reply.nil_array();
  } else {
    count_all(context, *transaction, execution.calls, measured);
    tell_others(context, *transaction, execution.calls);
  }
}

}  // namespace memento::handlers
