// MULTI, EXEC, DISCARD, WATCH, UNWATCH. What stands between MULTI and EXEC is executed as one change: nobody
// sees part of it, and a worker that dies in it leaves all or nothing.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "worker/clients/message_hub.h"
#include "worker/handlers/handler_support.h"
#include "worker/handlers/handlers.h"
#include "worker/handlers/invoke.h"
#include "worker/script/script_engine.h"
#include "worker/stats/command_meter.h"

namespace memento::handlers {
namespace {

// The queued requests as calls, and all keys they and WATCH name.
struct Execution {
  std::vector<Call> calls;
  std::vector<HashedKey> keys;

  Execution(Keyspace& keyspace, const CallQueue& queue, const WatchedKeys& watched) {
    calls.reserve(queue.size());
    keys.reserve(queue.size() + watched.size());
    for (std::size_t i = 0; i < queue.size(); ++i) {
      const Call& call = calls.emplace_back(Call{queue.words(i), queue.key(i)});
      bool is_first = true;
      queue.command(i).each_key(call.args, [&](std::string_view key) {
        keys.push_back(std::exchange(is_first, false) ? call.key : keyspace.hash(key));
      });
    }
    for (const auto& [key, mark] : watched) keys.push_back(key.hashed(keyspace));
  }
};

// What a command inside EXEC took, and its reply when that is an error.
struct Measured {
  std::uint64_t ticks = 0;
  std::string error;
};

// False: it took too long while others wait, or a request refuses all.
bool execute_all(CommandContext& context, const CallQueue& queue, const std::vector<Call>& calls,
                 std::vector<Measured>* measured) {
  measured->resize(calls.size());
  context.reply.begin_array(calls.size());
  for (std::size_t i = 0; i < calls.size(); ++i) {
    // A SELECT in front of it may have chosen another database than when it was queued.
    context.exec.place = i;
    const HashedKey key = Keyspace::in_database(context.keyspace.database(), calls[i].key);
    const Invocation done = invoke(context, queue.command(i), {calls[i].args, key});
    (*measured)[i].error = done.is_error ? done.reply : std::string_view();
    (*measured)[i].ticks += done.ticks;
    if (context.keyspace.must_stop() || !context.exec.refusal.empty()) return false;
  }
  context.reply.end();
  return true;
}

void count_all(CommandContext& context, const CallQueue& queue, const std::vector<Call>& calls,
               const std::vector<Measured>& measured) {
  CommandMeter& meter = context.meter;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    meter.add_call(queue.command(i), calls[i].args, measured[i].ticks, measured[i].error);
    if (!measured[i].error.empty()) context.counted_errors = true;
  }
}

// What was executed is told once, now that it is done.
void tell_others(CommandContext& context, const CallQueue& queue, const std::vector<Call>& calls) {
  MessageHub& hub = context.services.hub;
  carry_out(context, std::exchange(context.exec.plan, {}));
  if (hub.has_monitors()) {
    for (std::size_t i = 0; i < calls.size(); ++i) {
      hub.show(context.client, queue.command(i), calls[i].args);
      for (const ScriptedLines::Line& scripted : context.exec.scripted_lines.lines) {
        if (scripted.exec_place == i) hub.show_line(scripted.text);
      }
    }
  }
  context.exec.scripted_lines.clear();
}

// What its replies tell of; a conflict tells of what was watched.
void note_reads(CommandContext& context, const CallQueue& queue, const std::vector<HashedKey>& keys) {
  DiskWaits& disk = context.services.hub.disk();
  if (queue.has_any(kAllKeys | kSeesOthers | kSelects)) return disk.note_all(context.client);
  for (const HashedKey& key : keys) disk.note_slot(context.client, key.slot);
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
  if (context.client.transaction != nullptr)
    return context.reply.error("ERR WATCH inside MULTI is not allowed");
  WatchedKeys& watched = context.client.watched;
  for (std::size_t i = 1; i < call.count(); ++i) {
    const WatchedKey key{context.keyspace.database(), std::string(call[i])};
    if (watched.contains(key)) continue;
    const std::optional<ChangeMark> mark = context.keyspace.mark(key.hashed(context.keyspace));
    if (!mark) return context.reply.out_of_memory();
    watched.emplace(key, *mark);
  }
  context.reply.ok();
}

void unwatch(CommandContext& context, const Call&) {
  context.client.watched.clear();
  context.reply.ok();
}

void exec(CommandContext& context, const Call&) {
  if (context.client.transaction == nullptr) return context.reply.error("ERR EXEC without MULTI");
  if (context.client.transaction->queue.has_any(kAsksOthers) &&
      !context.services.hub.clients().know_others(context.client)) {
    context.parks = true;
    return;
  }
  std::unique_ptr<Transaction> transaction = std::move(context.client.transaction);
  WatchedKeys watched = std::exchange(context.client.watched, {});
  if (transaction->is_broken) {
    return context.reply.error("EXECABORT Transaction discarded because of previous errors.");
  }
  Keyspace& keyspace = context.keyspace;
  const CallQueue& queue = transaction->queue;
  const Execution execution(keyspace, queue, watched);
  const ClientTraits traits = context.client;
  const ReplyWriter::Mark begin = context.reply.mark();
  const auto begin_anew = [&] {
    context.reply.roll_back(begin);
    static_cast<ClientTraits&>(context.client) = traits;
    context.reply.set_protocol(traits.protocol);
    keyspace.select(traits.database);
    if (!context.exec.plan.library_changes.empty())
      context.services.scripts->functions().take_back(context.exec.plan.library_changes);
    context.exec.plan = {};
    context.exec.refusal.clear();
    context.exec.scripted_lines.clear();
  };
  const auto is_as_watched = [&](const auto& key_and_mark) {
    return keyspace.is_unchanged(key_and_mark.first.hashed(keyspace), key_and_mark.second);
  };
  bool conflicts = false;
  std::vector<Measured> measured;
  const auto body = [&] {
    begin_anew();
    conflicts = !std::ranges::all_of(watched, is_as_watched);
    if (conflicts) return false;
    const bool is_whole = execute_all(context, queue, execution.calls, &measured);
    context.is_repeated = true;
    return is_whole;
  };
  context.in_exec = true;
  context.exec.time_us.reset();
  context.exec.finds_room = !queue.has_any(kScript) || keyspace.finds_room();
  WriteStatus status{};
  try {
    status = queue.has_any(kAllKeys) ? keyspace.transact_all(body) : keyspace.transact(execution.keys, body);
  } catch (const JournalFull&) {  // nothing was done: it will be executed again
    begin_anew();
    context.in_exec = context.is_repeated = false;
    context.client.transaction = std::move(transaction);
    context.client.watched = std::move(watched);
    throw;
  }
  context.in_exec = context.is_repeated = false;
  if (context.services.hub.disk().holds_replies()) [[unlikely]]
    note_reads(context, queue, execution.keys);
  context.client.others.reset();
  const std::string refusal = std::exchange(context.exec.refusal, {});
  if (status == WriteStatus::kOutOfMemory || status == WriteStatus::kBusy || conflicts || !refusal.empty())
    begin_anew();
  if (status == WriteStatus::kOutOfMemory) {
    context.reply.error(
        "EXECABORT Transaction discarded because of: OOM command not allowed when used memory > "
        "'maxmemory'.");
  } else if (status == WriteStatus::kBusy) {
    context.reply.error(
        "EXECABORT Transaction discarded because of: BUSY its keys change faster than it runs");
  } else if (conflicts) {
    context.reply.nil_array();
  } else if (!refusal.empty()) {
    context.reply.error("EXECABORT Transaction discarded because of: " + refusal);
  } else {
    count_all(context, queue, execution.calls, measured);
    tell_others(context, queue, execution.calls);
  }
}

}  // namespace memento::handlers
