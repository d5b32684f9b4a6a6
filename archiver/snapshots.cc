// See snapshots.h.
#include "archiver/snapshots.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "shm/archive/snapshot_file.h"
#include "shm/os/clock.h"

namespace memento {
namespace {

constexpr std::int64_t kNsPerS = 1'000'000'000;
constexpr std::int64_t kRetryNs = 30 * kNsPerS;
constexpr std::int64_t kSoonNs = kNsPerS;
constexpr std::size_t kKeptFiles = 1;  // to be used again

// Of the journal's files from this one on, but for the newest, of which little is used.
std::int64_t bytes_in_files(const JournalFolder& folder, std::uint64_t first, std::uint64_t newest) {
  std::int64_t bytes = 0;
  const Result<std::vector<std::uint64_t>> numbers = folder.numbers();
  if (!numbers) return 0;
  for (const std::uint64_t number : *numbers) {
    std::error_code failed;
    const std::uintmax_t size_bytes = std::filesystem::file_size(folder.path_of(number), failed);
    if (!failed && number >= first && number < newest) bytes += static_cast<std::int64_t>(size_bytes);
  }
  return bytes;
}

std::uint64_t now_ms() { return static_cast<std::uint64_t>(wall_time_ms()); }

}  // namespace

Snapshots::Snapshots(const ArchiverProcess& process, DataManifest& manifest)
    : process_(process),
      manifest_(manifest),
      disk_(process.segment.header().disk),
      rate_ns_(monotonic_time_ns()),
      rate_bytes_(disk_.journal_bytes.load()) {
  if (disk_.last_save_ms.load() == 0) note_found_snapshot();
  first_bytes_ = static_cast<std::int64_t>(disk_.journal_bytes.load()) -
                 bytes_in_files(process.folder, manifest.newest().first_file, disk_.file.load());
  disk_.save_began_ms.store(0);  // a predecessor's, which died with it
  disk_.saves_begun.store(disk_.saves_done.load());
}

// One that was there when this segment was made: what came behind it was loaded, not changed.
void Snapshots::note_found_snapshot() {
  const std::string path = process_.folder.path() + "/" + snapshot_file_name(manifest_.newest().snapshot);
  struct stat file {};
  if (manifest_.newest().snapshot == 0 || stat(path.c_str(), &file) != 0) return;
  disk_.last_save_ms.store(static_cast<std::uint64_t>(file.st_mtime) * 1000);
  disk_.snapshot_bytes.store(static_cast<std::uint64_t>(file.st_size));
  disk_.save_changes.store(process_.segment.change_count());
}

bool Snapshots::is_asked_for() const { return disk_.saves_wanted.load() != disk_.saves_done.load(); }

// In bytes.
std::int64_t Snapshots::journal_length() const {
  return static_cast<std::int64_t>(disk_.journal_bytes.load()) - first_bytes_;
}

// Longer than what it makes, or than a file.
bool Snapshots::is_journal_long() const {
  const Header& header = process_.segment.header();
  const std::uint64_t data_bytes = header.used_units.load(std::memory_order_relaxed) * kUnitBytes;
  return journal_length() > static_cast<std::int64_t>(std::max(kJournalFileBytes, data_bytes));
}

bool Snapshots::is_due(std::int64_t now_ns) {
  if (thread_) return false;
  if (is_asked_for()) return true;
  if (now_ns < retry_at_ns_) return false;
  const std::int64_t period_ns = process_.settings.save_s.load(std::memory_order_relaxed) * kNsPerS;
  const std::uint64_t since_ms = now_ms() - std::max(disk_.last_save_ms.load(), start_ms_);
  const bool is_time =
      period_ns != 0 && journal_length() != 0 && static_cast<std::int64_t>(since_ms) * 1'000'000 >= period_ns;
  return is_first_missing() || is_journal_long() || is_time;
}

void Snapshots::begin(const JournalHead& head) {
  head_ = head;
  begun_bytes_ = static_cast<std::int64_t>(disk_.journal_bytes.load());
  began_ns_ = monotonic_time_ns();
  disk_.saves_begun.store(disk_.saves_wanted.load());
  disk_.save_slots.store(0);
  disk_.save_began_ms.store(now_ms());
  begun_changes_ = process_.segment.change_count();
  SnapshotRound::Options options;
  options.folder = &process_.folder.fd();
  options.path = process_.folder.path();
  options.number = manifest_.newest().snapshot + 1;
  options.data_id = process_.segment.header().data_id;
  options.process = process_.process;
  thread_.emplace(process_.segment, std::move(options), rate_limit());
}

// In bytes a second; 0: none.
std::uint64_t Snapshots::rate_limit() const {
  const bool is_hurried = hurries_ || disk_.hurried_save.load() > disk_.saves_done.load();
  return is_hurried ? 0 : static_cast<std::uint64_t>(process_.settings.snapshot_rate_bytes.load());
}

// What a snapshot is made for is to be shorter than what comes meanwhile.
void Snapshots::keep_rate() {
  const std::int64_t now_ns = monotonic_time_ns();
  if (now_ns - rate_ns_ >= kNsPerS) {
    const std::uint64_t bytes = disk_.journal_bytes.load();
    journal_rate_ = (bytes - rate_bytes_) * kNsPerS / static_cast<std::uint64_t>(now_ns - rate_ns_);
    rate_ns_ = now_ns;
    rate_bytes_ = bytes;
  }
  const std::uint64_t limit = rate_limit();
  thread_->set_rate(limit == 0 ? 0 : std::max(limit, 2 * journal_rate_));
}

Result<bool> Snapshots::turn(const Releases& releases, std::uint64_t known_frame) {
  disk_.folder_bytes.store(static_cast<std::uint64_t>(std::max<std::int64_t>(journal_length(), 0)));
  if (!thread_) return false;
  keep_rate();
  if (auto tails = thread_->take_needed_tails()) needed_tails_ = std::move(*tails);
  if (!needed_tails_.empty() && releases.has_reached(needed_tails_)) {
    needed_tails_.clear();
    thread_->end_at(known_frame);
  }
  const std::optional<Outcome> outcome = thread_->outcome();
  if (!outcome) return false;
  if (*outcome) return finish();
  fail(outcome->error());
  return false;
}

void Snapshots::fail(const Error& error) {
  process_.log.error("no snapshot: " + error.message);
  thread_.reset();
  needed_tails_.clear();
  disk_.last_save_errno.store(error.error_number != 0 ? static_cast<std::uint64_t>(error.error_number) : EIO);
  disk_.save_began_ms.store(0);
  disk_.saves_done.store(disk_.saves_begun.load());
  retry_at_ns_ = monotonic_time_ns() + (manifest_.is_void() ? kSoonNs : kRetryNs);
}

Result<bool> Snapshots::finish() {
  const std::uint64_t number = thread_->number();
  const std::uint64_t snapshot_bytes = thread_->file_bytes();
  thread_.reset();
  needed_tails_.clear();
  if (Outcome written = manifest_.begin_with(number, head_); !written) {
    fail(written.error());
    return written.error();
  }
  first_bytes_ = begun_bytes_;
  Outcome removed = remove_snapshots_but(process_.folder.fd(), process_.folder.path(), number);
  if (removed) removed = process_.folder.remove_before(head_.number, kKeptFiles);
  if (!removed) process_.log.warning(removed.error().message);
  const auto took_ms = static_cast<std::uint64_t>((monotonic_time_ns() - began_ns_) / 1'000'000);
  process_.log.info("snapshot " + std::to_string(number) + " is complete, in " + std::to_string(took_ms) +
                    " ms; the journal begins with file " + std::to_string(head_.number));
  disk_.last_save_errno.store(0);
  disk_.last_save_took_ms.store(took_ms);
  disk_.last_save_ms.store(now_ms());
  disk_.save_changes.store(begun_changes_);
  disk_.snapshot_bytes.store(snapshot_bytes);
  disk_.saves.fetch_add(1);
  disk_.save_began_ms.store(0);
  disk_.saves_done.store(disk_.saves_begun.load());
  return true;
}

}  // namespace memento
