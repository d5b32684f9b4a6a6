// See command_meter.h.
#include "worker/stats/command_meter.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <string>

#include "worker/clients/client_info.h"
#include "worker/command/command_table.h"
#include "worker/command/shown_words.h"

namespace memento {
namespace {

constexpr std::size_t kSlowArguments = 32;
constexpr std::size_t kSlowArgumentBytes = 128;
constexpr auto kRelaxed = std::memory_order_relaxed;

void clear(WorkerStatistics& record) {
  for (StatisticsWord& word : record.errors) word.store(0, kRelaxed);
  for (CommandStatistics& command : record.commands) {
    if (command.calls.load(kRelaxed) + command.rejected.load(kRelaxed) == 0) continue;
    for (StatisticsWord* word : {&command.calls, &command.nanoseconds, &command.rejected, &command.failed})
      word->store(0, kRelaxed);
    for (StatisticsWord& word : command.buckets) word.store(0, kRelaxed);
  }
  record.rejected_connections.store(0, kRelaxed);
}

// The code of an error in either protocol; nothing when the reply is not one (an array with an error in it).
std::string_view error_code(std::string_view reply) {
  if (reply.starts_with("(")) {
    if (reply.starts_with("(Out of memory)")) return "OOM";
    reply.remove_prefix(std::min<std::size_t>(reply.size(), 8));
  } else if (reply.starts_with("-")) {
    reply.remove_prefix(1);
  }
  const std::string_view word = reply.substr(0, reply.find_first_of(" \r"));
  return std::ranges::find(kErrorCodes, word) != std::end(kErrorCodes) ? word : "ERR";
}

}  // namespace

std::uint64_t statistics_layout() {
  std::string names;
  for (const auto rows : {all_commands(), all_subcommands()}) {
    for (const Command& command : rows) names.append(command.name).push_back('\n');
  }
  for (const std::string_view code : kErrorCodes) names.append(code).push_back('\n');
  std::uint64_t layout = sizeof(WorkerStatistics);
  for (const char byte : names)
    layout = (layout ^ static_cast<unsigned char>(byte)) * 0x100000001b3;  // FNV-1a
  return layout;
}

CommandMeter::CommandMeter(LiveSettings& settings, std::uint32_t process, const ClientState& client)
    : settings_(settings), record_(settings.statistics[process]), client_(&client) {
  begin_anew(settings_, record_);
  const std::int64_t slow_us = settings_.slow_after_us.load(kRelaxed);
  const std::int64_t latency_us = settings_.latency_after_ms.load(kRelaxed) * 1000;
  std::int64_t least_us = slow_us;
  if (latency_us > 0 && (least_us < 0 || latency_us < least_us)) least_us = latency_us;
  times_each_ = least_us >= 0 && least_us < kExactBelowUs;
  slow_ticks_ = least_us < 0
                    ? ~0ull
                    : static_cast<std::uint64_t>(static_cast<double>(least_us) * 1000 * ticks_per_ns());
  begin_ticks_ = cpu_ticks();
}

void CommandMeter::begin_anew(LiveSettings& settings, WorkerStatistics& record) {
  const std::uint64_t generation = settings.statistics->generation.load(kRelaxed);
  if (record.generation.load(kRelaxed) == generation) return;
  clear(record);
  record.generation.store(generation, kRelaxed);
}

void CommandMeter::note_error(std::string_view reply, bool was_rejected) {
  const Command*& command = run_[count_ - 1];
  count_error(*command, reply, was_rejected);
  if (was_rejected) command = &kNotExecuted;
}

void CommandMeter::count_error(const Command& command, std::string_view reply, bool was_rejected) {
  const auto place = std::ranges::find(kErrorCodes, error_code(reply)) - std::begin(kErrorCodes);
  add_to(record_.errors[static_cast<std::size_t>(place)], 1);
  if (&command == &kNotExecuted) return;
  CommandStatistics& statistics = record_.commands[command.number];
  add_to(was_rejected ? statistics.rejected : statistics.failed, 1);
}

void CommandMeter::end_run(std::span<const std::string_view> words, bool was_long) {
  if (count_ == 0) return;
  const std::uint64_t now = cpu_ticks();
  const std::uint64_t ticks = now - begin_ticks_;
  begin_ticks_ = now;
  finish_run(ticks, words, was_long);
}

void CommandMeter::end_turn(std::span<const std::string_view> words) {
  const std::uint64_t now = cpu_ticks();
  const std::uint64_t ticks = now - begin_ticks_;
  begin_ticks_ = now;
  if (ticks >= slow_ticks_) [[unlikely]]
    return finish_run(ticks, words, false);
  earlier_ticks_ += ticks;
  earlier_count_ = count_;
}

void CommandMeter::end_turns() {
  assert(count_ == earlier_count_);
  if (count_ > 0) finish_run(0, {}, false);
}

void CommandMeter::add_call(const Command& command, std::span<const std::string_view> words,
                            std::uint64_t ticks, std::string_view error) {
  if (!error.empty()) count_error(command, error, false);
  const std::uint64_t ns = ticks_to_ns(ticks);
  count_calls(command, 1, ns);
  if (ticks >= slow_ticks_ && !command.has(kEndsMulti)) [[unlikely]]
    log(command, words, "", ns / 1000);
}

void CommandMeter::count_calls(const Command& command, std::uint64_t count, std::uint64_t share_ns) {
  const auto bucket =
      std::min<std::size_t>(static_cast<std::size_t>(std::bit_width(share_ns / 1000)), kLatencyBuckets - 1);
  CommandStatistics& statistics = record_.commands[command.number];
  add_to(statistics.calls, count);
  add_to(statistics.nanoseconds, count * share_ns);
  add_to(statistics.buckets[bucket], count);
}

void CommandMeter::finish_run(std::uint64_t ticks, std::span<const std::string_view> words, bool was_long) {
  if (earlier_count_ > 0) book(0, earlier_count_, earlier_ticks_);
  if (count_ > earlier_count_) book(earlier_count_, count_, ticks);
  if (ticks >= slow_ticks_) [[unlikely]]
    log_run(ticks_to_ns(ticks) / 1000, words, was_long);
  count_ = earlier_count_ = 0;
  earlier_ticks_ = 0;
}

// Of the run those from `begin` to `end`, which took so long together.
void CommandMeter::book(std::size_t begin, std::size_t end, std::uint64_t ticks) {
  const std::uint64_t share_ns = ticks_to_ns(ticks) / (end - begin);
  for (std::size_t i = begin, next = 0; i < end; i = next) {
    next = i + 1;
    while (next < end && run_[next] == run_[i]) ++next;
    if (run_[i] != &kNotExecuted) count_calls(*run_[i], next - i, share_ns);
  }
}

// EXEC is not logged: what is in it is.
void CommandMeter::log_run(std::uint64_t duration_us, std::span<const std::string_view> words,
                           bool was_long) {
  const Command* const last = run_[count_ - 1];
  const std::size_t count = count_ - earlier_count_;
  if (count == 1 || was_long) {
    if (last != &kNotExecuted && !last->has(kEndsMulti)) log(*last, words, "", duration_us);
    return;
  }
  const std::string remark = "(one of " + std::to_string(count) + " that took so long)";
  if (last != &kNotExecuted) return log(*last, words, remark, duration_us);
  // The words of those before the last are gone, their names are not.
  for (std::size_t i = count_ - 1; i-- > earlier_count_;) {
    if (run_[i] != &kNotExecuted) return log(*run_[i], {&run_[i]->name, 1}, remark, duration_us);
  }
}

// The line is found by its number, which is taken away first and given back last.
void CommandMeter::log(const Command& command, std::span<const std::string_view> words,
                       std::string_view remark, std::uint64_t duration_us) {
  const std::int64_t latency_ms = settings_.latency_after_ms.load(kRelaxed);
  if (latency_ms > 0 && duration_us >= static_cast<std::uint64_t>(latency_ms) * 1000)
    sample(command, duration_us / 1000);
  const std::int64_t slow_us = settings_.slow_after_us.load(kRelaxed);
  if (slow_us < 0 || duration_us < static_cast<std::uint64_t>(slow_us)) return;
  const std::uint64_t count = record_.slow_count.load(kRelaxed);
  SlowLine& line = record_.slow_lines[count % kSlowLineLimit];
  line.number.store(0, kRelaxed);
  std::atomic_thread_fence(std::memory_order_release);
  std::size_t used = 0;
  const auto put = [&](std::string_view bytes) {
    const std::size_t kept = std::min(bytes.size(), kSlowTextBytes - used - 2);
    const auto length = static_cast<std::uint16_t>(kept);
    std::memcpy(line.text.data() + used, &length, 2);
    std::memcpy(line.text.data() + used + 2, bytes.data(), kept);
    used += 2 + kept;
  };
  put(peer_address(*client_));
  put(std::string_view(client_->name).substr(0, kSlowArgumentBytes));
  std::uint64_t arguments = 0;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = shown_word(command, words, i);
    if (arguments == kSlowArguments || used + 2 > kSlowTextBytes) break;
    if (word.size() <= kSlowArgumentBytes) {
      put(word);
    } else {
      put(std::string(word.substr(0, kSlowArgumentBytes)) + "... (" +
          std::to_string(word.size() - kSlowArgumentBytes) + " more bytes)");
    }
    ++arguments;
  }
  if (!remark.empty() && used + 2 <= kSlowTextBytes) {
    put(remark);
    ++arguments;
  }
  line.time_s = static_cast<std::uint64_t>(client_->active_ms / 1000);
  line.duration_us = duration_us;
  line.text_bytes = used;
  line.argument_count = arguments;
  record_.slow_count.store(count + 1, kRelaxed);
  line.number.store(settings_.statistics->slow_next.fetch_add(1, kRelaxed) + 1, std::memory_order_release);
}

void CommandMeter::sample(const Command& command, std::uint64_t duration_ms) {
  const std::size_t place = command.has(kFast) ? 1 : 0;
  LatencyEvent& event = record_.latency[place];
  const std::uint64_t generation = settings_.statistics->latency_generations[place].load(kRelaxed);
  if (event.generation.load(kRelaxed) != generation) {
    event.count.store(0, kRelaxed);
    event.most_ms.store(0, kRelaxed);
    event.generation.store(generation, kRelaxed);
  }
  const std::uint64_t count = event.count.load(kRelaxed);
  const std::uint64_t most = std::min<std::uint64_t>(duration_ms, ~0u);
  event.samples[count % kLatencySampleLimit].store(
      static_cast<std::uint64_t>(client_->active_ms / 1000) << 32 | most, kRelaxed);
  if (event.most_ms.load(kRelaxed) < most) event.most_ms.store(most, kRelaxed);
  event.count.store(count + 1, std::memory_order_release);
}

}  // namespace memento
