// See snapshot_thread.h.
#include "archiver/snapshot_thread.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <utility>

#include "shm/os/clock.h"

namespace memento {
namespace {

constexpr std::int64_t kBusyPauseNs = 1'000'000;
constexpr std::int64_t kLongestPauseNs = 100'000'000;
constexpr double kNsPerS = 1e9;

Error given_up() { return Error{ExitStatus::kRuntime, ECANCELED, "the snapshot was given up"}; }

}  // namespace

SnapshotThread::SnapshotThread(Segment& segment, SnapshotRound::Options options, std::uint64_t bytes_per_s)
    : segment_(segment),
      options_(std::move(options)),
      bytes_per_s_(bytes_per_s),
      thread_([this] { run(); }) {}

SnapshotThread::~SnapshotThread() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ends_ = true;
  }
  told_.notify_one();
  thread_.join();
}

std::optional<std::vector<std::uint64_t>> SnapshotThread::take_needed_tails() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return std::exchange(needed_tails_, std::nullopt);
}

void SnapshotThread::end_at(std::uint64_t last_frame) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    last_frame_ = last_frame;
  }
  told_.notify_one();
}

std::optional<Outcome> SnapshotThread::outcome() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return outcome_;
}

void SnapshotThread::run() {
  Outcome made = make();
  const std::lock_guard<std::mutex> lock(mutex_);
  outcome_ = std::move(made);
}

Outcome SnapshotThread::make() {
  Result<std::unique_ptr<SnapshotRound>> round = SnapshotRound::begin(segment_, options_);
  if (!round) return round.error();
  pace_ns_ = monotonic_time_ns();
  for (;;) {
    const Result<SnapshotRound::Step> step = (*round)->step();
    segment_.header().disk.save_slots.store((*round)->done_slots(), std::memory_order_relaxed);
    bool goes_on = static_cast<bool>(step);
    if (step && *step == SnapshotRound::Step::kNeedsJournal) return end(**round);
    if (step && *step == SnapshotRound::Step::kBusy) goes_on = wait_for(kBusyPauseNs);
    if (step && *step == SnapshotRound::Step::kMore && !(*round)->holds_value()) keep_rate(**round);
    if (goes_on && !ends_) continue;
    const Outcome cancelled = (*round)->cancel();
    return !step ? step.error() : !cancelled ? cancelled.error() : given_up();
  }
}

// The journal is on its way to disk; then index and footer.
Outcome SnapshotThread::end(SnapshotRound& round) {
  std::unique_lock<std::mutex> lock(mutex_);
  needed_tails_ = round.needed_tails();
  told_.wait(lock, [this] { return ends_.load() || last_frame_; });
  const std::optional<std::uint64_t> last_frame = last_frame_;
  lock.unlock();
  if (last_frame) round.end_at(*last_frame);
  while (last_frame) {
    const Result<SnapshotRound::Step> step = round.step();
    if (step && *step == SnapshotRound::Step::kDone) {
      file_bytes_ = round.written_bytes();
      return Done{};
    }
    if (step) continue;
    [[maybe_unused]] const Outcome cancelled = round.cancel();
    return step.error();
  }
  const Outcome cancelled = round.cancel();
  return cancelled ? given_up() : cancelled.error();
}

// False: it is to end.
bool SnapshotThread::wait_for(std::int64_t duration_ns) {
  std::unique_lock<std::mutex> lock(mutex_);
  return !told_.wait_for(lock, std::chrono::nanoseconds(duration_ns), [this] { return ends_.load(); });
}

// Waits until as much time has passed as what was written is worth.
void SnapshotThread::keep_rate(const SnapshotRound& round) {
  const std::uint64_t bytes = round.written_bytes() - std::exchange(paced_bytes_, round.written_bytes());
  const std::uint64_t bytes_per_s = bytes_per_s_.load();
  const std::int64_t now_ns = monotonic_time_ns();
  if (bytes_per_s == 0) {
    pace_ns_ = now_ns;
    return;
  }
  pace_ns_ += std::llround(static_cast<double>(bytes) / static_cast<double>(bytes_per_s) * kNsPerS);
  pace_ns_ = std::max(pace_ns_, now_ns - kLongestPauseNs);  // what was not used by then is not made good
  if (pace_ns_ > now_ns) wait_for(std::min(pace_ns_ - now_ns, kLongestPauseNs));
}

}  // namespace memento
