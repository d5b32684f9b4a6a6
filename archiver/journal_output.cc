// See journal_output.h.
#include "archiver/journal_output.h"

#include <algorithm>
#include <cassert>
#include <string>
#include <utility>
#include <vector>

#include "archiver/disk_health.h"
#include "shm/archive/frame_bytes.h"
#include "shm/os/clock.h"
#include "shm/os/random.h"

namespace memento {

Outcome JournalOutput::begin_file(std::uint64_t first, std::uint64_t bytes_ahead) {
  const DiskCall call(disk_, DiskCall::kWrite, monotonic_time_ns());
  const Result<std::vector<std::uint64_t>> numbers = folder_.numbers();
  if (!numbers) return numbers.error();
  JournalHead head;
  head.former_file = disk_.file.load();
  head.former_end = disk_.known_frame.load();
  // A number that was noted as the newest is not used again, whatever became of that file.
  head.number = std::max({disk_.file.load(), newest_noted_, numbers->empty() ? 0 : numbers->back()}) + 1;
  head.data_id = header_.data_id;
  head.seed = random_number();
  const std::uint64_t bytes =
      std::max(kJournalFileBytes, kJournalHeadBytes + unsynced_.bytes() + bytes_ahead);
  Result<JournalFile> file = folder_.begin(head, bytes, first);
  if (!file) return file.error();
  newest_noted_ = head.number;
  if (Outcome noted = state_folder_.write_newest_file(head.number); !noted) {
    folder_.trim(head.number, kJournalHeadBytes);
    return noted;
  }
  // What it has reserved is given back; what is behind the frames that count was noted by nobody.
  if (head.former_file != 0) folder_.trim(head.former_file, disk_.file_end.load());
  // Before any frame in it can be known: the next file follows the one that those are in.
  disk_.file_end.store(0);
  disk_.file.store(head.number);
  if (useless_ != 0) folder_.remove(std::exchange(useless_, 0));
  file_ = std::move(*file);
  offset_ = 0;
  move_offset(kJournalHeadBytes);
  Outcome written = write_unsynced();
  if (!written) be_useless(head);
  return written;
}

// The next file takes its place, also one that a successor begins: so that follows the same file. It gives
// back what it has reserved, or attempts would fill the disk.
void JournalOutput::be_useless(const JournalHead& head) {
  folder_.trim(head.number, kJournalHeadBytes);
  useless_ = head.number;
  disk_.file_end.store(0);
  disk_.file.store(head.former_file);
}

// A predecessor may have died when it knew frames to be on disk, and had not forgotten them yet.
std::size_t JournalOutput::known_bytes(std::string_view frames) const {
  std::size_t bytes = 0;
  while (bytes < frames.size()) {
    const std::optional<FrameHeader> header = read_frame_header(frames.substr(bytes));
    if (!header || header->number > disk_.known_frame.load()) break;
    bytes += header->frame_bytes();
  }
  return bytes;
}

Outcome JournalOutput::write_unsynced() {
  next_frame_ = disk_.known_frame.load() + 1;
  if (unsynced_.empty()) return Done{};
  Result<std::string> kept = unsynced_.read();
  if (!kept) return kept.error();
  const std::span<char> frames = std::span(*kept).subspan(known_bytes(*kept));
  const std::uint64_t count =
      seal_frames(frames, {next_frame_, disk_.known_frame.load(), header_.memory_id, file_->head().seed});
  if (Outcome written = file_->write(offset_, {frames.data(), frames.size()}); !written) return written;
  if (Outcome synced = file_->sync(); !synced) return synced;
  move_offset(frames.size());
  next_frame_ += count;
  disk_.known_frame.store(next_frame_ - 1);
  unsynced_.clear();
  return Done{};
}

Outcome JournalOutput::keep(std::span<char> frames) {
  assert(file_);
  const std::uint64_t count =
      seal_frames(frames, {next_frame_, disk_.known_frame.load(), header_.memory_id, file_->head().seed});
  if (Outcome kept = unsynced_.add({frames.data(), frames.size()}); !kept) return kept;
  next_frame_ += count;
  return Done{};
}

Outcome JournalOutput::write_kept(std::span<const char> frames) {
  const DiskCall call(disk_, DiskCall::kWrite, monotonic_time_ns());
  if (Outcome written = file_->write(offset_, {frames.data(), frames.size()}); !written) return written;
  move_offset(frames.size());
  disk_.journal_bytes.fetch_add(frames.size());
  return Done{};
}

void JournalOutput::move_offset(std::uint64_t bytes) {
  offset_ += bytes;
  disk_.file_end.store(offset_);
}

void JournalOutput::begin_sync() {
  unsynced_.begin_sync();
  syncing_frame_ = next_frame_ - 1;
}

std::uint64_t JournalOutput::end_sync() {
  disk_.known_frame.store(syncing_frame_);
  unsynced_.end_sync();
  return syncing_frame_;
}

Outcome JournalOutput::trim() { return file_->trim(offset_); }

}  // namespace memento
