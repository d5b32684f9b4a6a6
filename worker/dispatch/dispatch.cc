// See dispatch.h.
#include "worker/dispatch/dispatch.h"

#include <algorithm>
#include <new>
#include <string>

#include "worker/clients/message_hub.h"
#include "worker/dispatch/admission.h"
#include "worker/handlers/invoke.h"
#include "worker/stats/command_meter.h"

namespace memento {
namespace {

// A refused EXEC ends the transaction all the same, and is shown to those in MONITOR.
void abort_transaction(CommandContext& context, const Command& command, const Call& call,
                       const std::string& reason) {
  context.client.transaction.reset();
  context.client.watched.clear();
  context.reply.error("EXECABORT Transaction discarded because of: " + reason);
  MessageHub& hub = context.services.hub;
  if (hub.has_monitors()) hub.show(context.client, command, call.args);
}

// Inside MULTI, then, nothing will be executed. A subcommand that is not there has no row to be counted in.
void refuse(CommandContext& context, Admission admission, const Command* command, const Call& call) {
  const auto [code, reason] = refusal_text(admission, command, call);
  context.was_rejected = true;
  if (admission == Admission::kUnknownSubcommand) context.meter.skip();
  const std::string text = std::string(code) + " " + reason;
  if (command != nullptr && command->has(kEndsMulti))
    return abort_transaction(context, *command, call, code == "ERR" ? reason : text);
  if (context.client.transaction != nullptr) context.client.transaction->break_up();
  if (admission == Admission::kUnknownCommand) return context.reply.unknown_command(text);
  context.reply.error(text);
}

constexpr std::size_t kQueueLimitBytes = 64 << 20;
constexpr const char* kIsLoading = "LOADING memento is loading the dataset in memory";

std::size_t request_bytes(const Call& call) {
  std::size_t bytes = 0;
  for (const std::string_view word : call.args) bytes += word.size();
  return bytes;
}

// What EXEC is to execute may take as much of the worker's memory as the longest values of two requests, or
// kQueueLimitBytes.
void enqueue(CommandContext& context, const Command& command, const Call& call) {
  Transaction& transaction = *context.client.transaction;
  context.meter.skip();
  if (transaction.is_broken) return context.reply.status("QUEUED");  // EXEC refuses them all
  const std::size_t limit_bytes =
      std::max<std::size_t>(2 * context.keyspace.value_limit_bytes(), kQueueLimitBytes);
  bool has_room = transaction.queue.bytes() + request_bytes(call) <= limit_bytes;
  try {
    if (has_room) transaction.queue.add(command, call.args, call.key);
  } catch (const std::bad_alloc&) {
    has_room = false;
  }
  if (has_room) return context.reply.status("QUEUED");
  transaction.break_up();
  context.reply.error("OOM the requests of a transaction may take " + std::to_string(limit_bytes) +
                      " bytes of a worker's memory, or less when it has no more");
}

// Of EXEC: what was queued may need it.
bool may_need_memory(const CommandContext& context, const Command& command) {
  const bool executes = command.has(kEndsMulti) && context.client.transaction != nullptr;
  return executes ? context.client.transaction->queue.has_any(kDenyOom) : command.has(kDenyOom);
}

// As Redis has it, whether or not this one would find memory.
void refuse_growth(CommandContext& context, const Command& command, const Call& call) {
  context.was_rejected = true;
  if (command.has(kEndsMulti))
    return abort_transaction(context, command, call,
                             "OOM command not allowed when used memory > 'maxmemory'.");
  if (context.client.transaction != nullptr) context.client.transaction->break_up();
  context.reply.out_of_memory();
}

// In Redis's order. Empty: nothing of the disk is against it.
std::string disk_refusal(const CommandContext& context, const Command& command) {
  const DiskWaits& disk = context.services.hub.disk();
  const bool executes = command.has(kEndsMulti) && context.client.transaction != nullptr;
  const auto has = [&](std::uint32_t flags) {
    return executes ? context.client.transaction->queue.has_any(flags) : command.has(flags);
  };
  if (disk.refuses_writes() && has(kWrite)) return disk.write_refusal();
  const bool may_load =
      command.has(kLoading) && !command.has(kDebug) && !(executes && has(kWrite | kReadonly | kScript));
  return disk.is_loading() && !may_load ? kIsLoading : "";
}

// Not to be executed now; a transaction is given up.
void refuse_run(CommandContext& context, const Command& command, const Call& call, const std::string& text) {
  context.was_rejected = true;
  context.client.migration.reset();
  if (command.has(kEndsMulti)) return abort_transaction(context, command, call, text);
  if (context.client.transaction != nullptr) context.client.transaction->break_up();
  context.reply.error(text);
}

void carry_on(CommandContext& context, Admission admission, const Command* command, const Call& call) {
  if (context.services.hub.disk().is_restricted() && !is_refused(admission)) [[unlikely]] {
    if (const std::string text = disk_refusal(context, *command); !text.empty())
      return refuse_run(context, *command, call, text);
  }
  if (context.services.denies_growth && !is_refused(admission) && may_need_memory(context, *command))
      [[unlikely]]
    return refuse_growth(context, *command, call);
  if (admission == Admission::kRuns) [[likely]]
    return run_command(context, *command, call);
  if (admission == Admission::kIsQueued) return enqueue(context, *command, call);
  refuse(context, admission, command, call);
}

// A script of this worker runs, in whose transaction nothing else may have a part.
void refuse_beside_script(CommandContext& context) {
  context.was_rejected = true;
  if (context.client.transaction != nullptr) context.client.transaction->break_up();
  context.reply.error(
      "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.");
}

// CLIENT CACHING is for the next command that is none of CLIENT's, or for all of a transaction.
class EndOfCaching {
 public:
  EndOfCaching(ClientState& client, const Command* command) : client_(client), command_(command) {}
  ~EndOfCaching() {
    if (is_taken_back_) return;
    const bool is_of_client = command_ != nullptr && command_->name.starts_with("CLIENT|");
    if (client_.tracking != nullptr && client_.transaction == nullptr && !is_of_client)
      client_.tracking->caching_given = false;
  }
  EndOfCaching(const EndOfCaching&) = delete;
  EndOfCaching& operator=(const EndOfCaching&) = delete;

  /// The command will be executed again.
  void take_back() { is_taken_back_ = true; }

 private:
  bool is_taken_back_ = false;
  ClientState& client_;
  const Command* const command_;
};

}  // namespace

void dispatch(CommandContext& context, const Command* command, const Call& call) {
  ClientState& client = context.client;
  if (context.services.is_busy && (command == nullptr || !command->has(kAllowBusy))) [[unlikely]]
    return refuse_beside_script(context);
  client.last_command = command;
  const Admission admission = admit(client, command, call);
  if (client.is_ordinary()) [[likely]]
    return carry_on(context, admission, command, call);
  EndOfCaching end_of_caching(client, command);
  const bool skips = client.reply_mode == ReplyMode::kSkipNext;
  if (skips) client.reply_mode = ReplyMode::kSkipThis;
  const ReplyWriter::Mark mark = context.reply.mark();
  try {
    carry_on(context, admission, command, call);
  } catch (const JournalFull&) {
    if (skips) client.reply_mode = ReplyMode::kSkipNext;
    end_of_caching.take_back();
    throw;
  }
  if (context.parks) {
    if (skips) client.reply_mode = ReplyMode::kSkipNext;
    return;
  }
  if (client.reply_mode == ReplyMode::kOff || (skips && client.reply_mode != ReplyMode::kOn))
    context.reply.roll_back(mark);
  if (client.reply_mode == ReplyMode::kSkipThis) client.reply_mode = ReplyMode::kOn;
}

}  // namespace memento
