// See script_run.h.
#include "worker/handlers/script/script_run.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory_resource>
#include <new>
#include <utility>
#include <vector>

#include "bus/core/cluster_state.h"
#include "conf/log.h"
#include "worker/clients/message_hub.h"
#include "worker/command/command_table.h"
#include "worker/command/shown_words.h"
#include "worker/dispatch/admission.h"
#include "worker/handlers/handler_support.h"
#include "worker/handlers/invoke.h"
#include "worker/stats/command_meter.h"
#include "worker/text/number_text.h"

namespace memento::handlers {
namespace {

constexpr std::uint64_t kLongAfterMs = 50;  // from then on others see it, and may kill it
constexpr std::uint64_t kServeEveryMs = 10;
constexpr std::uint64_t kLooksPerVersionCheck = 100;

constexpr const char* kKilled = "ERR Script killed by user with SCRIPT KILL.";
constexpr const char* kFunctionKilled = "ERR Script killed by user with FUNCTION KILL.";
constexpr const char* kOutOfMemory = "OOM command not allowed when used memory > 'maxmemory'.";
constexpr const char* kTellsTooMuch = "OOM what the script tells others takes more than 67108864 bytes";
constexpr const char* kConflict =
    "BUSY the keys of this script change faster than it runs; nothing was changed";
constexpr const char* kNoRoom =
    "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'";
constexpr const char* kServerEnds = "ERR the server is ending; nothing was changed";

std::uint64_t now_ms() { return static_cast<std::uint64_t>(monotonic_time_ms()); }

// One command that the script has called: for the statistics.
struct Measured {
  const Command* command;
  std::uint64_t ticks;
  std::string error;
};

// EXEC would have the beginning of what the script did: nothing of EXEC is to be done then.
void refuse_exec(CommandContext& context, std::string_view error) {
  if (error.starts_with("ERR ")) error.remove_prefix(4);
  context.exec.refusal = error;
}

class ScriptRun : public ScriptHost {
 public:
  ScriptRun(CommandContext& context, Interpreter& interpreter, Interpreter::Chunk chunk,
            const ScriptCall& call, const ScriptTraits& traits)
      : context_(context),
        interpreter_(interpreter),
        chunk_(chunk),
        call_(call),
        traits_(traits),
        long_word_(context.services.settings.long_scripts[context.services.facts.process]),
        begin_(context.reply.mark()),
        random_state_(interpreter.random_state()) {}
  ~ScriptRun() override {
    if (is_long_) long_word_.store(0, std::memory_order_release);
    context_.services.is_busy = false;
  }
  ScriptRun(const ScriptRun&) = delete;
  ScriptRun& operator=(const ScriptRun&) = delete;

  void run();

  std::string_view call(std::span<const std::string_view> words, Protocol protocol) override;
  bool has_command(std::span<const std::string_view> words) override;
  void log(ScriptLogLevel level, std::string_view text) override;
  const char* stop_reason() noexcept override;

 private:
  void hash_keys();
  HashedKey hashed(std::string_view word) const;
  bool run_once();
  void select(DatabaseId database);
  void execute(std::span<const std::string_view> words);
  const char* refusal(const Command* command, const Call& call);
  void leave();
  void finish(WriteStatus status);
  void note_line(const Command& command, std::span<const std::string_view> words);
  const char* look_at_time() noexcept;
  void tell_others() noexcept;

  CommandContext& context_;
  Interpreter& interpreter_;
  const Interpreter::Chunk chunk_;
  const ScriptCall& call_;
  const ScriptTraits& traits_;
  std::atomic<std::uint64_t>& long_word_;
  const ReplyWriter::Mark begin_;  // of the reply
  const DatabaseId database_ = context_.client.database;
  const std::uint64_t random_state_;
  std::uint64_t begin_ms_ = 0;        // when it was looked at first, which few scripts live to see
  std::array<std::byte, 512> front_;  // of a few commands and keys
  std::pmr::monotonic_buffer_resource memory_{front_.data(), front_.size()};
  std::pmr::vector<Measured> measured_{&memory_};
  std::pmr::vector<HashedKey> keys_{&memory_};  // that it declares; none in EXEC
  std::uint64_t looks_ = 0;
  std::uint64_t served_ms_ = 0;
  bool is_long_ = false;
  bool is_out_of_memory_ = false;  // of the worker
  bool tells_too_much_ = false;    // and the script is stopped
  std::string disk_refusal_;
  bool has_written_ = false;     // from then on memory is not looked at any more: it may have removed keys
  bool does_not_count_ = false;  // the run: it is repeated, or given up as a conflict
  bool server_ends_ = false;
  bool counts_ = false;  // what the last run did
};

// The reply of a command stands where the script's will stand, and is taken back when it was read.
std::string_view ScriptRun::call(std::span<const std::string_view> words, Protocol protocol) {
  context_.reply.roll_back(begin_);
  context_.reply.set_protocol(protocol);
  try {
    execute(words);
  } catch (const std::bad_alloc&) {
    is_out_of_memory_ = true;  // and the script is stopped
    context_.reply.roll_back(begin_);
    return "-OOM out of memory\r\n";
  }
  return context_.reply.since(begin_.size);
}

void ScriptRun::execute(std::span<const std::string_view> words) {
  const Command* const command = resolve_subcommand(find_command(words[0]), words);
  const Call call{words};
  if (const char* const reason = refusal(command, call)) return context_.reply.error(reason);
  const Admission admission = admit(context_.client, command, call);
  if (is_refused(admission)) {
    const auto [code, reason] = refusal_text(admission, command, call);
    return context_.reply.error(std::string(code) + " " + reason);
  }
  const std::size_t first = command->first_key(words);
  const HashedKey key = first != 0 ? hashed(words[first]) : HashedKey{};
  if (context_.services.hub.has_monitors()) [[unlikely]]
    note_line(*command, words);
  const Invocation done = invoke(context_, *command, {words, key});
  tells_too_much_ |= !context_.exec.refusal.empty();
  call_ticks = done.ticks;
  measured_.push_back({command, done.ticks, done.is_error ? std::string(done.reply) : std::string()});
}

// Most commands are about the keys that the script declares.
HashedKey ScriptRun::hashed(std::string_view word) const {
  constexpr std::size_t kLooks = 4;
  for (const HashedKey& key : std::span(keys_).first(std::min(kLooks, keys_.size()))) {
    if (key.bytes == word)
      return Keyspace::in_database(context_.keyspace.database(), {word, key.slot, key.hash});
  }
  return context_.keyspace.hash(word);
}

// The request's first key has been hashed with it.
void ScriptRun::hash_keys() {
  keys_.reserve(call_.keys.size());
  for (const std::string_view key : call_.keys) {
    const HashedKey& first = traits_.request.key;
    const bool is_known =
        keys_.empty() && first.bytes.data() == key.data() && first.bytes.size() == key.size();
    keys_.push_back(is_known ? Keyspace::in_database(database_, first) : context_.keyspace.hash(key));
  }
}

// What scripts are refused before it is looked at as a client's command would be; nullptr: nothing.
const char* ScriptRun::refusal(const Command* command, const Call& call) {
  if (command == nullptr || (command->has(kContainer) && call.count() > 1))
    return "ERR Unknown Redis command called from script";
  if (!command->accepts(call.count())) return "ERR Wrong number of args calling Redis command from script";
  if (command->has(kNoScript)) return "ERR This Redis command is not allowed from script";
  if (traits_.is_read_only && command->has(kWrite | kPublishes | kMayReplicate))
    return "ERR Write commands are not allowed from read-only scripts.";
  if (command->has(kDenyOom) && context_.services.denies_growth && !traits_.allows_oom && !has_written_)
    return kOutOfMemory;
  if (command->has(kWrite) && context_.services.hub.disk().refuses_writes()) {
    disk_refusal_ = context_.services.hub.disk().write_refusal();
    return disk_refusal_.c_str();
  }
  has_written_ |= command->has(kWrite);
  if (context_.services.cluster != nullptr) [[unlikely]] {
    const ClusterState& state = *context_.services.cluster;
    bool is_own = true;
    command->each_key(
        call.args, [&](std::string_view key) { is_own &= state.owner_of(slot_of_key(key)) == state.self; });
    if (!is_own) return "ERR Script attempted to access a non local key in a cluster node";
  }
  return nullptr;
}

// As Redis shows it: of no client, but of `lua`.
void ScriptRun::note_line(const Command& command, std::span<const std::string_view> words) {
  if (command.has(kAdmin) || !context_.exec.scripted_lines.has_room()) return;
  context_.exec.scripted_lines.add(
      context_.exec.place, monitor_line(wall_time_us(), context_.client.database, "lua", command, words,
                                        ScriptedLines::kLimitBytes + 1));
}

bool ScriptRun::has_command(std::span<const std::string_view> words) {
  return resolve_subcommand(find_command(words[0]), words) != nullptr;
}

// As with Redis's usual level, what is below a notice is dropped. A run that does not count has logged all
// the same: a log is for people who look for what happened.
void ScriptRun::log(ScriptLogLevel level, std::string_view text) {
  Log* const log = context_.services.log;
  if (log == nullptr) return;
  if (level == ScriptLogLevel::kNotice) log->info(text);
  if (level == ScriptLogLevel::kWarning) log->warning(text);
}

const char* ScriptRun::stop_reason() noexcept {
  if (is_out_of_memory_) return kOutOfMemory;
  if (tells_too_much_) return kTellsTooMuch;
  if (context_.keyspace.must_stop() ||
      (++looks_ % kLooksPerVersionCheck == 0 && !context_.keyspace.may_still_hold())) {
    does_not_count_ = true;
    return kConflict;
  }
  return look_at_time();
}

const char* ScriptRun::look_at_time() noexcept {
  const std::uint64_t now = now_ms();
  if (begin_ms_ == 0) begin_ms_ = now;
  if (now - begin_ms_ < kLongAfterMs) return nullptr;
  if (!std::exchange(is_long_, true)) tell_others();
  const bool is_due = now - served_ms_ >= kServeEveryMs &&
                      static_cast<std::int64_t>(now - begin_ms_) >=
                          context_.services.settings.busy_after_ms.load(std::memory_order_relaxed);
  if (is_due && context_.services.serve_beside && !context_.keyspace.is_body_locked()) {
    served_ms_ = now;
    context_.services.is_busy = true;
    const DatabaseId database = context_.keyspace.database();  // the other clients have theirs
    server_ends_ = context_.services.serve_beside();
    context_.keyspace.select(database);
  }
  if (server_ends_) return kServerEnds;
  if ((long_word_.load(std::memory_order_acquire) & ScriptWord::kKilled) == 0) return nullptr;
  return traits_.kind == RunKind::kFunction ? kFunctionKilled : kKilled;
}

void ScriptRun::tell_others() noexcept {
  constexpr std::size_t kWordLimit = 8;  // of the request, beside what the script is called
  std::array<std::string_view, kWordLimit + 1> words{call_.name};
  const auto request = traits_.request.args.first(std::min(traits_.request.count(), kWordLimit));
  std::ranges::copy(request, words.begin() + 1);
  write_script_text(context_.services.settings.script_texts[context_.services.facts.process],
                    std::span(words).first(request.size() + 1));
  long_word_.store(ScriptWord::make(traits_.kind, begin_ms_), std::memory_order_release);
}

// A script's SELECT is for the script alone.
void ScriptRun::select(DatabaseId database) {
  context_.client.database = database;
  context_.keyspace.select(database);
}

// Whether what it did is to be committed.
bool ScriptRun::run_once() {
  context_.reply.roll_back(begin_);
  context_.reply.set_protocol(context_.client.protocol);
  select(database_);
  interpreter_.set_random_state(random_state_);
  measured_.clear();
  does_not_count_ = tells_too_much_ = has_written_ = false;
  const Interpreter::End end =
      interpreter_.run(chunk_, call_, *this, context_.reply, context_.client.protocol);
  select(database_);
  if (tells_too_much_ && end != Interpreter::End::kByLimit) {  // it ended before it could be stopped
    context_.reply.roll_back(begin_);
    context_.reply.error(kTellsTooMuch);
    return counts_ = false;
  }
  if (end == Interpreter::End::kByLimit) refuse_exec(context_, interpreter_.limit_error());
  counts_ = !does_not_count_ &&
            (end == Interpreter::End::kWhole || (traits_.is_partial && end == Interpreter::End::kByError));
  return counts_;
}

void ScriptRun::run() {
  if (context_.in_exec) {
    run_once();
    return;
  }
  hash_keys();
  context_.in_exec = true;
  context_.exec.place = 0;
  context_.exec.time_us.reset();
  WriteStatus status{};
  try {
    status = context_.keyspace.transact(keys_, [&] {
      context_.exec.plan = {};
      context_.exec.scripted_lines.clear();
      const bool counts = run_once();
      context_.is_repeated = true;
      return counts;
    });
  } catch (const JournalFull&) {  // nothing was done: it will be run again
    leave();
    context_.exec.plan = {};
    context_.exec.scripted_lines.clear();
    interpreter_.set_random_state(random_state_);
    throw;
  }
  leave();
  finish(status);
}

// The context is as before, also where the run ended without memory.
void ScriptRun::leave() {
  select(database_);
  context_.in_exec = context_.is_repeated = false;
  context_.exec.refusal.clear();
  context_.reply.set_protocol(context_.client.protocol);
}

void ScriptRun::finish(WriteStatus status) {
  const bool is_refused = status == WriteStatus::kOutOfMemory || status == WriteStatus::kBusy;
  if (is_refused) {
    context_.reply.roll_back(begin_);
    context_.reply.error(status == WriteStatus::kBusy ? kConflict : kOutOfMemory);
  }
  for (const Measured& one : measured_)
    context_.meter.add_call(*one.command, {&one.command->name, 1}, one.ticks, one.error);
  const ExecPlan plan = std::exchange(context_.exec.plan, {});
  if (!is_refused && counts_) carry_out(context_, plan);
}

}  // namespace

void run_script(CommandContext& context, Interpreter& interpreter, Interpreter::Chunk chunk,
                const ScriptCall& call, const ScriptTraits& traits) {
  ScriptRun(context, interpreter, chunk, call, traits).run();
}

bool refuse_without_room(CommandContext& context) {
  if (context.in_exec ? context.exec.finds_room : context.keyspace.finds_room()) return false;
  if (context.in_exec) refuse_exec(context, kNoRoom);
  context.reply.error(kNoRoom);
  return true;
}

bool take_keys(CommandContext& context, const Call& call, std::size_t count_at, ScriptCall* script) {
  const std::optional<std::int64_t> given = take_integer(context, call[count_at]);
  if (!given) return false;
  const std::int64_t count = *given;
  const auto rest = call.args.subspan(count_at + 1);
  if (count > static_cast<std::int64_t>(rest.size()))
    return context.reply.error("ERR Number of keys can't be greater than number of args"), false;
  if (count < 0) return context.reply.error("ERR Number of keys can't be negative"), false;
  script->keys = rest.first(static_cast<std::size_t>(count));
  script->arguments = rest.subspan(static_cast<std::size_t>(count));
  return true;
}

void kill_runs(CommandContext& context, RunKind kind) {
  switch (kill_scripts(context.services.settings, kind)) {
    case KillOutcome::kKilled:
      return context.reply.ok();
    case KillOutcome::kNoneRuns:
      return context.reply.error("NOTBUSY No scripts in execution right now.");
    case KillOutcome::kOtherKindRuns:
      return context.reply.error(std::string("BUSY Redis is busy running a script. You can only call ") +
                                 (kind == RunKind::kScript ? "FUNCTION" : "SCRIPT") +
                                 " KILL or SHUTDOWN NOSAVE.");
  }
}

}  // namespace memento::handlers
