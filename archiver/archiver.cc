// See archiver.h. One thread takes, writes and decides, another one syncs.
#include "archiver/archiver.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <optional>
#include <string>

#include "archiver/archiver_wakeups.h"
#include "archiver/data_manifest.h"
#include "archiver/disk_health.h"
#include "archiver/group_commit.h"
#include "archiver/journal_output.h"
#include "archiver/journal_switch.h"
#include "archiver/loading.h"
#include "archiver/releases.h"
#include "archiver/rings_at_start.h"
#include "archiver/snapshots.h"
#include "archiver/sync_thread.h"
#include "shm/archive/ring_frames.h"
#include "shm/commit/journal_heads.h"
#include "shm/messages/journal_wakeup.h"
#include "shm/os/child_process.h"
#include "shm/os/clock.h"

namespace memento {
namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr std::int64_t kNsPerS = 1000 * kNsPerMs;
constexpr std::uint32_t kDiskConsumer = 0;
constexpr std::uint64_t kPassBytes = 1 << 20;
constexpr std::uint64_t kUnsyncedLimitBytes = 64 << 20;  // more is not taken from the rings: writers wait
constexpr std::uint64_t kSyncBytes = 32 << 20;           // are synced without waiting for the time
constexpr std::int64_t kLazySyncNs = 30 * kNsPerS;       // without a policy
constexpr std::int64_t kBusyPauseMs = 5;
constexpr std::int64_t kIdlePauseMs = 100;

class Archiver {
 public:
  Archiver(ArchiverProcess& process, ArchiverWakeups& wakeups)
      : process_(process), disk_(process_.segment.header().disk), wakeups_(wakeups) {}

  enum class End { kServer, kJournal, kFailed };
  /// kServer: on a signal; kJournal: it was turned off; kFailed: see status().
  End run();
  ExitStatus status() const { return status_; }

 private:
  Outcome open();
  bool is_to_end();
  bool turn_off();
  bool turn();
  bool takes_more() const;
  void gather();
  bool pass();
  bool write(std::span<char> frames);
  void begin_file();
  Outcome begin_manifest();
  void become_ready();
  bool is_in_database_change();
  void begin_snapshot_when_due();
  void look_at_snapshot();
  void prepare_next_file();
  void take_sync_answer();
  void end_sync(const Outcome& answer);
  void count_sync();
  void sync_if_due();
  bool is_sync_due() const;
  void release(std::uint64_t frame);
  void publish();
  void on_disk_error(const Error& error);
  void tell_status();
  bool is_drained();
  int pause_ms(bool has_moved);
  void sleep(bool has_moved);
  void close();
  SyncPolicy wanted_policy() const {
    return static_cast<SyncPolicy>(process_.settings.sync_policy.load(std::memory_order_relaxed));
  }
  void check(const Outcome& outcome) {
    if (!outcome) on_disk_error(outcome.error());
  }

  ArchiverProcess& process_;
  DiskState& disk_;
  ArchiverWakeups& wakeups_;
  std::optional<DataManifest> manifest_;
  std::optional<UnsyncedFrames> unsynced_;
  std::optional<JournalOutput> output_;
  std::optional<RingFrames> rings_;
  std::optional<RingsAtStart> at_start_;
  Releases releases_;
  GroupCommit groups_;
  std::uint64_t synced_bytes_ = 0;  ///< taken from the rings when the last sync began
  std::optional<Snapshots> snapshots_;
  DiskHealth health_;
  SyncThread sync_;
  FrameBuilder frames_;      ///< that were taken from the rings
  bool has_frames_ = false;  ///< and are not kept yet
  bool needs_file_ = true;   ///< there is none, it failed, or has no room for these
  bool has_next_file_ = false;
  std::vector<std::uint64_t> off_tails_;  ///< where the rings ended when it was to be turned off
  bool begins_snapshot_ = false;          ///< with the next file
  std::int64_t unsynced_since_ns_ = 0;
  std::int64_t sync_began_ns_ = 0;
  bool was_late_ = false;  ///< a sync was due while one was under way
  ExitStatus status_ = ExitStatus::kOk;
};

Outcome Archiver::open() {
  Result<ManifestFile> manifest = ManifestFile::open(process_.folder.fd(), process_.folder.path());
  if (!manifest) return manifest.error();
  manifest_.emplace(std::move(*manifest), process_.segment);
  disk_.process.store(process_.process);
  for (Word& asked : disk_.asked_ns) asked.store(0);  // a dead predecessor's
  if (disk_.is_loading()) {
    const Outcome loaded =
        load_data(process_, *manifest_, [this] { return wakeups_.take_signals(), !wakeups_.ends(); });
    if (!loaded) return loaded;
  }
  Result<UnsyncedFrames> unsynced = UnsyncedFrames::open(process_.segment.path(), disk_);
  if (!unsynced) return unsynced.error();
  unsynced_.emplace(std::move(*unsynced));
  output_.emplace(process_.folder, process_.state_folder, *unsynced_, process_.segment.header());
  rings_.emplace(process_.segment, kDiskConsumer);
  at_start_.emplace(process_.segment);
  synced_bytes_ = rings_->merger().taken_bytes();
  snapshots_.emplace(process_, *manifest_);
  releases_.note(output_->last_frame(), rings_->merger());
  begin_file();
  return Done{};
}

Archiver::End Archiver::run() {
  const auto fail = [&](const std::string& message, ExitStatus status) {
    if (!wakeups_.ends()) process_.log.error(message);
    status_ = status;
    return End::kFailed;
  };
  if (sync_.descriptor() < 0)
    return fail("setting up: " + std::string(std::strerror(errno)), ExitStatus::kSystem);
  if (const Outcome opened = open(); !opened) return fail(opened.error().message, opened.error().status);
  while (!is_to_end()) {
    if (process_.ready_pipe && !disk_.is_loading()) tell_ready(std::move(process_.ready_pipe));
    if (disk_.is_off.load() != 0 && !wakeups_.ends() && turn_off()) return End::kJournal;
    const bool has_moved = turn();
    if (!rings_->merger().error().empty()) {
      disk_.status.store(static_cast<std::uint64_t>(DiskStatus::kFailed) | EIO << 8);
      return fail(rings_->merger().error() + "; the journal cannot go on", ExitStatus::kRuntime);
    }
    sleep(has_moved);
    if (wakeups_.nobody_writes()) snapshots_->hurry();
  }
  close();
  return End::kServer;
}

bool Archiver::is_to_end() { return wakeups_.ends() && (is_drained() || !health_.works()); }

// What was changed before is on disk first, if that works. False: not yet, or MANIFEST cannot be written,
// which is tried again.
bool Archiver::turn_off() {
  if (off_tails_.empty()) off_tails_ = ring_tails(process_.segment);
  if (health_.works() && !releases_.has_reached(off_tails_)) return false;
  if (sync_.is_running() || disk_.is_loading() || !health_.may_try(monotonic_time_ns())) return false;
  snapshots_->cancel();
  if (const Outcome off = turn_journal_off(process_, *manifest_); !off) {
    on_disk_error(off.error());
    return false;
  }
  unsynced_->clear();
  wake_waiting(process_.segment, wakeups_.fifo());
  process_.log.info("the journal is off: " + process_.folder.path() + " has the data up to now");
  return true;
}

// True: something was taken from the rings, and there may be more.
bool Archiver::turn() {
  if (disk_.is_off.load() == 0) off_tails_.clear();
  take_sync_answer();
  const bool may_leave_file = output_->unsynced_bytes() == 0 || !health_.works();
  if (needs_file_ && !sync_.is_running() && may_leave_file && health_.may_try(monotonic_time_ns()))
    begin_file();
  const bool is_ready = disk_.is_ready.load() != 0;
  if (!needs_file_ && is_ready && manifest_->policy() != wanted_policy()) {
    check(manifest_->follow(wanted_policy()));
    wake_waiting(process_.segment, wakeups_.fifo());
  }
  begin_snapshot_when_due();
  gather();
  const bool has_moved = pass();
  sync_if_due();
  prepare_next_file();
  look_at_snapshot();
  tell_status();
  return has_moved;
}

// With a new file, in front of which nothing is open.
void Archiver::begin_snapshot_when_due() {
  const bool is_time = !wakeups_.ends() || (wakeups_.nobody_writes() && snapshots_->is_first_missing());
  if (!is_time || needs_file_ || has_frames_ || !snapshots_->is_due(monotonic_time_ns())) return;
  if (is_in_database_change()) return;
  needs_file_ = begins_snapshot_ = true;
}

bool Archiver::is_in_database_change() {
  if (const std::optional<bool> is_in = rings_->ends_in_database_change()) return *is_in;
  return at_start_->may_be_in_database_change(rings_->merger());
}

void Archiver::look_at_snapshot() {
  const std::uint64_t answered = disk_.saves_done.load();
  const Result<bool> is_new = snapshots_->turn(releases_, output_->known_frame());
  if (disk_.saves_done.load() != answered) wake_waiting(process_.segment, wakeups_.fifo());
  if (!is_new) return on_disk_error(is_new.error());
  if (*is_new && disk_.is_ready.load() == 0) become_ready();
}

// From now on the folder's files are the data, and may be served.
void Archiver::become_ready() {
  disk_.is_ready.store(1);
  disk_.load.store(static_cast<std::uint64_t>(LoadState::kNone));
  check(manifest_->follow(wanted_policy()));
  releases_.tell(process_.segment);
  wake_waiting(process_.segment, wakeups_.fifo());
}

// The first one, behind one that is full and synced, or behind one that failed.
void Archiver::begin_file() {
  has_next_file_ = false;
  if (const Outcome sure = manifest_->make_sure(); !sure) return on_disk_error(sure.error());
  if (const Outcome begun = output_->begin_file(manifest_->newest().first_file, frames_.bytes()); !begun)
    return on_disk_error(begun.error());
  if (const Outcome begun = begin_manifest(); !begun) return on_disk_error(begun.error());
  if (std::exchange(begins_snapshot_, false)) snapshots_->begin(output_->file()->head());
  if (!health_.works()) process_.log.info("the journal goes on in " + output_->file()->path());
  health_.recover();
  publish();  // of what a failed file did not take
  needs_file_ = false;
  release(output_->known_frame());
}

// A folder's first file, when nothing was there before it, or one of a folder that goes on.
Outcome Archiver::begin_manifest() {
  if (manifest_->is_void() && !manifest_->begins_with_nothing()) return Done{};  // but for a snapshot
  const Outcome begun =
      manifest_->is_void() ? manifest_->begin_with(0, output_->file()->head()) : manifest_->go_on();
  if (begun && disk_.is_ready.load() == 0) become_ready();
  return begun;
}

void Archiver::prepare_next_file() {
  if (has_next_file_ || needs_file_ || !output_->is_half_full()) return;
  has_next_file_ = true;  // or it is tried again when it is needed
  if (const Outcome prepared = output_->prepare_next(manifest_->newest().first_file); !prepared)
    process_.log.warning(prepared.error().message +
                         "; when the journal's newest file is full no data can be changed");
}

bool Archiver::takes_more() const { return !needs_file_ && output_->unsynced_bytes() <= kUnsyncedLimitBytes; }

// In front of a group that replies wait for.
void Archiver::gather() {
  if (wanted_policy() != SyncPolicy::kAlways || has_frames_ || !takes_more()) return;
  groups_.gather([this] { return rings_->merger().waiting_bytes(); });
}

bool Archiver::pass() {
  if (!has_frames_ && takes_more()) {
    frames_.clear();
    if (!rings_->fill(kPassBytes, &frames_)) return false;
    has_frames_ = !frames_.frames().empty();
  }
  if (!has_frames_ || needs_file_) return false;
  const std::span<char> frames = frames_.frames();
  if (output_->has_room(frames.size())) return write(frames);
  needs_file_ = true;
  return false;
}

bool Archiver::write(std::span<char> frames) {
  if (const Outcome kept = output_->keep(frames); !kept) {
    if (output_->unsynced_bytes() == 0) on_disk_error(kept.error());  // else there is room soon
    return false;
  }
  has_frames_ = false;
  if (unsynced_since_ns_ == 0) unsynced_since_ns_ = monotonic_time_ns();
  releases_.note(output_->last_frame(), rings_->merger());
  if (const Outcome written = output_->write_kept(frames); !written) {
    on_disk_error(written.error());
    return false;
  }
  publish();
  return true;
}

// What was taken is where a successor finds it. Who waits is woken, unless a sync follows that will do so.
void Archiver::publish() {
  rings_->merger().publish();
  const bool sync_follows = wanted_policy() == SyncPolicy::kAlways && disk_.is_ready.load() != 0;
  if (needs_file_ || !sync_follows) wake_waiting(process_.segment, wakeups_.fifo());
}

bool Archiver::is_sync_due() const {
  if (wanted_policy() == SyncPolicy::kAlways || needs_file_ || wakeups_.ends() || manifest_->is_settling() ||
      snapshots_->needs_sync() || !off_tails_.empty())
    return true;
  const std::int64_t patience_ns = wanted_policy() == SyncPolicy::kNo ? kLazySyncNs : kNsPerS;
  return output_->unsynced_bytes() >= kSyncBytes || monotonic_time_ns() - unsynced_since_ns_ >= patience_ns;
}

void Archiver::sync_if_due() {
  if (!health_.works() || output_->unsynced_bytes() == 0 || !is_sync_due()) return;
  if (sync_.is_running()) {
    const bool is_late = wanted_policy() != SyncPolicy::kAlways && !std::exchange(was_late_, true);
    if (is_late) disk_.delayed_syncs.fetch_add(1);
    return;
  }
  was_late_ = false;
  sync_began_ns_ = monotonic_time_ns();
  disk_.asked_ns[DiskCall::kSync].store(static_cast<std::uint64_t>(sync_began_ns_));
  output_->begin_sync();
  unsynced_since_ns_ = 0;
  // With `always` the rings collect the next group meanwhile, and a thread of its own would cost two more
  // wake-ups a group; else the rings may fill while a disk takes its time.
  if (wanted_policy() == SyncPolicy::kAlways) return end_sync(output_->file()->sync());
  sync_.begin(*output_->file());
}

void Archiver::take_sync_answer() {
  if (const std::optional<Outcome> answer = sync_.take_answer()) end_sync(*answer);
}

void Archiver::end_sync(const Outcome& answer) {
  disk_.asked_ns[DiskCall::kSync].store(0);
  if (!answer) return on_disk_error(answer.error());
  count_sync();
  const std::uint64_t bytes = rings_->merger().taken_bytes();
  groups_.note(bytes - std::exchange(synced_bytes_, bytes), monotonic_time_ns() - sync_began_ns_);
  release(output_->end_sync());
}

void Archiver::count_sync() {
  const auto took_us = static_cast<std::uint64_t>((monotonic_time_ns() - sync_began_ns_) / 1000);
  const auto power = static_cast<std::size_t>(std::bit_width(took_us | 1) - 1);
  disk_.sync_times[std::min(power, disk_.sync_times.size() - 1)].fetch_add(1);
  disk_.last_sync_us.store(took_us);
  disk_.last_sync_ms.store(static_cast<std::uint64_t>(wall_time_ms()));
  disk_.syncs.fetch_add(1);
}

// All frames up to this one are on disk. While MANIFEST does not say that they count, nothing is.
void Archiver::release(std::uint64_t frame) {
  if (!releases_.advance(frame) || disk_.is_ready.load() == 0) return;
  releases_.tell(process_.segment);
  wake_waiting(process_.segment, wakeups_.fifo());
  check(manifest_->settle());
}

void Archiver::on_disk_error(const Error& error) {
  needs_file_ = true;
  switch (health_.fail(error, monotonic_time_ns())) {
    case DiskHealth::Step::kTryAtOnce:
      return process_.log.warning(error.message + "; the journal goes on in a new file");
    case DiskHealth::Step::kTryLater:
      return process_.log.error(error.message + "; it is tried again each second");
    case DiskHealth::Step::kTryStill:
      return;
  }
}

// With replies that wait for the disk all are told at once, and else when it has lasted.
void Archiver::tell_status() {
  const std::int64_t patience_ns =
      wanted_policy() == SyncPolicy::kAlways ? 0 : process_.settings.disk_timeout_ms * kNsPerMs;
  const std::uint64_t status =
      health_.has_failed_for(patience_ns, monotonic_time_ns()) ? health_.status() : 0;
  if (disk_.status.exchange(status) != status) wake_waiting(process_.segment, wakeups_.fifo());
}

// With nobody to write any more it also makes the snapshot without which the folder would be of no use.
bool Archiver::is_drained() {
  if (wakeups_.nobody_writes() && snapshots_->is_first_missing()) return false;
  return !has_frames_ && rings_->merger().waiting_bytes() == 0 && output_->unsynced_bytes() == 0 &&
         !sync_.is_running();
}

int Archiver::pause_ms(bool has_moved) {
  const std::int64_t now_ns = monotonic_time_ns();
  if (needs_file_ && !sync_.is_running() && health_.may_try(now_ns)) return 0;
  if (wakeups_.ends() && !sync_.is_running() && !snapshots_->is_under_way())
    return health_.works() ? 0 : kIdlePauseMs;
  const bool is_busy = has_moved || sync_.is_running() || disk_.save_began_ms.load() != 0;
  return is_busy ? kBusyPauseMs : kIdlePauseMs;
}

// Whoever has something for it wakes it while `sleeps` is set. While a sync that replies wait for runs, the
// rings collect what the next one is for.
void Archiver::sleep(bool has_moved) {
  int timeout_ms = pause_ms(has_moved);
  const bool is_always = wanted_policy() == SyncPolicy::kAlways;
  if (takes_more() && !(is_always && sync_.is_running())) {
    announce_sleep(disk_.sleeps);
    if (is_always && rings_->merger().waiting_bytes() != 0) timeout_ms = 0;
  }
  wakeups_.sleep(timeout_ms, sync_.descriptor());
}

void Archiver::close() {
  snapshots_->cancel();
  if (!is_drained()) {
    return process_.log.warning("the disk fails, so " +
                                std::to_string(output_->unsynced_bytes() + rings_->merger().waiting_bytes()) +
                                " bytes of changes are in memory only; the next start writes them, if the "
                                "machine runs until then");
  }
  if (!wakeups_.nobody_writes() || output_->file() == nullptr) return;
  Outcome ended = output_->trim();
  if (ended) ended = manifest_->end_clean();
  if (!ended) process_.log.warning(ended.error().message);
}

}  // namespace

int run_archiver(ArchiverProcess process) {
  ArchiverWakeups wakeups(process.segment, process.process, process.log);
  if (!wakeups.works()) {
    process.log.error("setting up: " + std::string(std::strerror(errno)));
    return static_cast<int>(ExitStatus::kSystem);
  }
  while (!wakeups.ends()) {
    if (is_journal_off(process.segment)) {
      if (process.ready_pipe) tell_ready(std::move(process.ready_pipe));
      wait_until_on(process, wakeups);
      continue;
    }
    Archiver archiver(process, wakeups);
    if (archiver.run() != Archiver::End::kJournal) return static_cast<int>(archiver.status());
  }
  return static_cast<int>(ExitStatus::kOk);
}

}  // namespace memento
