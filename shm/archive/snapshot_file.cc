// See snapshot_file.h.
#include "shm/archive/snapshot_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cassert>
#include <charconv>
#include <cstring>
#include <memory>

#include "shm/format/limits.h"
#include "shm/os/file.h"
#include "shm/os/private_file.h"
#include "shm/os/random.h"
#include "shm/os/synced_file.h"

namespace memento {
namespace {

constexpr std::string_view kPrefix = "snapshot-";
constexpr std::size_t kDigits = 10;
constexpr std::uint64_t kWriteBytes = 256 << 10;   // at once, about
constexpr std::uint64_t kWindowBytes = 256 << 10;  // read ahead
constexpr std::uint64_t kHandOnBytes = 8 << 20;    // to the disk, at once

struct CloseFolder {
  void operator()(DIR* folder) const { closedir(folder); }
};

template <class Struct>
std::uint64_t checksum_of(const Struct& bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(&bytes, offsetof(Struct, checksum), seed);
}

std::uint64_t index_checksum(const std::vector<SnapshotIndexEntry>& index, std::uint64_t seed) {
  return XXH3_64bits_withSeed(index.data(), index.size() * sizeof(SnapshotIndexEntry), seed);
}

}  // namespace

std::string snapshot_file_name(std::uint64_t number) {
  std::string digits = std::to_string(number);
  if (digits.size() < kDigits) digits.insert(0, kDigits - digits.size(), '0');
  return std::string(kPrefix) + digits;
}

std::uint64_t snapshot_file_number(std::string_view name) {
  if (!name.starts_with(kPrefix)) return 0;
  const std::string_view digits = name.substr(kPrefix.size());
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return error == std::errc() && snapshot_file_name(number) == name ? number : 0;
}

Outcome remove_snapshots_but(const Fd& folder, const std::string& path, std::uint64_t number) {
  const int copy = openat(folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, CloseFolder> entries(copy < 0 ? nullptr : fdopendir(copy));
  if (!entries) return system_error("opendir(" + path + ")");
  std::vector<std::string> names;
  for (errno = 0; const dirent* entry = readdir(entries.get()); errno = 0) {
    const std::uint64_t found = snapshot_file_number(entry->d_name);
    if (found != 0 && found != number) names.emplace_back(entry->d_name);
  }
  if (errno != 0) return system_error("readdir(" + path + ")");
  for (const std::string& name : names) {
    if (unlinkat(folder.get(), name.c_str(), 0) != 0)
      return system_error("unlink(" + path + "/" + name + ")");
  }
  return Done{};
}

Result<SnapshotWriter> SnapshotWriter::begin(const Fd& folder, const std::string& path, SnapshotHead head,
                                             std::uint64_t memory_id) {
  SnapshotWriter writer;
  const std::string name = snapshot_file_name(head.number);
  writer.folder_ = &folder;
  writer.folder_path_ = path;
  writer.path_ = path + "/" + name;
  Result<Fd> file = open_private_file(folder, name, O_RDWR | O_CREAT | O_TRUNC, writer.path_);
  if (!file) return file.error();
  writer.file_ = std::move(*file);
  head.seed = random_number();
  head.checksum = checksum_of(head, 0);
  writer.head_ = head;
  writer.memory_id_ = memory_id;
  std::string bytes(kSnapshotHeadBytes, '\0');
  std::memcpy(bytes.data(), &head, sizeof head);
  if (!write_at(writer.file_.get(), 0, bytes.data(), bytes.size()))
    return system_error("pwrite(" + writer.path_ + ") of its head");
  writer.offset_ = kSnapshotHeadBytes;
  return writer;
}

void SnapshotWriter::begin_slot(SlotId slot) {
  assert(!open_);
  builder_.frames();
  open_ = SnapshotIndexEntry{slot.value, offset_ + builder_.bytes(), 0};
}

Outcome SnapshotWriter::add(std::string_view records) {
  while (!records.empty()) {
    RecordHeader header;
    assert(records.size() >= sizeof header);
    std::memcpy(&header, records.data(), sizeof header);
    const std::string_view record = records.substr(0, header.bytes);
    builder_.add(record, next_place_);
    next_place_ += record.size();
    records.remove_prefix(record.size());
  }
  return builder_.bytes() < kWriteBytes ? Outcome(Done{}) : write_frames();
}

void SnapshotWriter::end_slot(std::uint64_t entries) {
  open_->entries = entries;
  index_.push_back(*open_);
  open_.reset();
}

void SnapshotWriter::forget(DatabaseId database) {
  std::erase_if(index_, [&](const SnapshotIndexEntry& entry) {
    return database_of(SlotId(static_cast<std::uint32_t>(entry.slot))) == database;
  });
}

std::uint64_t SnapshotWriter::entry_count() const {
  std::uint64_t count = 0;
  for (const SnapshotIndexEntry& entry : index_) count += entry.entries;
  return count;
}

Outcome SnapshotWriter::write_frames() {
  const std::span<char> frames = builder_.frames();
  if (frames.empty()) return Done{};
  next_frame_ += seal_frames(frames, {next_frame_, 0, memory_id_, head_.seed});
  if (!write_at(file_.get(), offset_, frames.data(), frames.size()))
    return system_error("pwrite(" + path_ + ") of " + std::to_string(frames.size()) + " bytes at " +
                        std::to_string(offset_));
  offset_ += frames.size();
  builder_.clear();
  if (offset_ - handed_on_ >= kHandOnBytes) {  // so that the sync at the end finds little left to do
    (void)sync_file_range(file_.get(), static_cast<off_t>(handed_on_),
                          static_cast<off_t>(offset_ - handed_on_), SYNC_FILE_RANGE_WRITE);
    handed_on_ = offset_;
  }
  return Done{};
}

Outcome SnapshotWriter::finish(std::uint64_t last_frame) {
  assert(!open_);
  if (Outcome written = write_frames(); !written) return written;
  std::ranges::sort(index_, {}, &SnapshotIndexEntry::slot);
  SnapshotFooter footer;
  footer.slot_count = index_.size();
  footer.index_offset = offset_;
  footer.entry_count = entry_count();
  footer.last_frame = last_frame;
  footer.index_checksum = index_checksum(index_, head_.seed);
  std::string bytes(reinterpret_cast<const char*>(index_.data()), index_.size() * sizeof(SnapshotIndexEntry));
  bytes += snapshot_footer_bytes(footer, head_.seed);
  if (!write_at(file_.get(), offset_, bytes.data(), bytes.size()))
    return system_error("pwrite(" + path_ + ") of its index");
  offset_ += bytes.size();
  if (Outcome synced = sync_data(file_, path_); !synced) return synced;
  return sync_all(*folder_, folder_path_);
}

std::string snapshot_footer_bytes(SnapshotFooter footer, std::uint64_t seed) {
  footer.checksum = checksum_of(footer, seed);
  return std::string(reinterpret_cast<const char*>(&footer), sizeof footer);
}

Result<SnapshotReader> SnapshotReader::open(const Fd& folder, const std::string& path, std::uint64_t number) {
  SnapshotReader reader;
  const std::string name = snapshot_file_name(number);
  reader.path_ = path + "/" + name;
  Result<Fd> file = open_private_file(folder, name, O_RDONLY, reader.path_);
  if (!file) return file.error();
  reader.file_ = std::move(*file);
  if (Outcome read = reader.read_ends(number); !read) return read.error();
  return reader;
}

Error SnapshotReader::damaged(std::uint64_t offset, const std::string& what) const {
  return Error{ExitStatus::kSystem, 0,
               path_ + ", offset " + std::to_string(offset) + ": " + what +
                   ". Without it the data cannot be recovered; put a backup of the folder in its place"};
}

Outcome SnapshotReader::read_ends(std::uint64_t number) {
  const std::optional<std::uint64_t> size_bytes = file_size_bytes(file_.get());
  if (!size_bytes) return system_error("fstat(" + path_ + ")");
  size_bytes_ = *size_bytes;
  if (size_bytes_ < kSnapshotHeadBytes + sizeof footer_) return damaged(0, "it is cut off");
  const std::uint64_t footer_offset = size_bytes_ - sizeof footer_;
  if (!read_at(file_.get(), 0, &head_, sizeof head_) ||
      !read_at(file_.get(), footer_offset, &footer_, sizeof footer_))
    return system_error("read(" + path_ + ")");
  if (head_.magic != SnapshotHead::kMagic || head_.checksum != checksum_of(head_, 0) ||
      head_.number != number)
    return damaged(0, "it has no head of snapshot " + std::to_string(number));
  if (head_.version != SnapshotHead::kVersion) {
    return Error{ExitStatus::kSystem, 0,
                 path_ + " is of version " + std::to_string(head_.version) +
                     " of snapshots; this program reads version " + std::to_string(SnapshotHead::kVersion)};
  }
  const bool is_footer =
      footer_.magic == SnapshotFooter::kMagic && footer_.checksum == checksum_of(footer_, head_.seed);
  constexpr std::uint64_t kSlotLimit = kDatabaseLimit * kDatabaseStride;
  if (!is_footer || footer_.slot_count > kSlotLimit || footer_.index_offset > footer_offset ||
      footer_offset - footer_.index_offset != footer_.slot_count * sizeof(SnapshotIndexEntry))
    return damaged(footer_offset, "it has no footer; it is cut off or damaged");
  index_.resize(footer_.slot_count);
  if (!read_at(file_.get(), footer_.index_offset, index_.data(), footer_offset - footer_.index_offset))
    return system_error("read(" + path_ + ") of its index");
  if (index_checksum(index_, head_.seed) != footer_.index_checksum)
    return damaged(footer_.index_offset, "its index is damaged");
  for (const SnapshotIndexEntry& entry : index_) {
    const bool is_slot = entry.slot % kDatabaseStride < kSlotCount || entry.slot == kTextSlot.value;
    if (entry.slot >= kSlotLimit || !is_slot || entry.offset < kSnapshotHeadBytes ||
        entry.offset >= footer_.index_offset)
      return damaged(footer_.index_offset, "its index names what there is not");
  }
  return Done{};
}

Result<const std::vector<FrameRecord>*> SnapshotReader::read_frame_at(std::uint64_t* offset) {
  const Result<std::string_view> front = bytes_at(*offset, sizeof(FrameHeader));
  if (!front) return front.error();
  const std::optional<FrameHeader> header = read_frame_header(*front);
  if (!header) return damaged(*offset, "a frame is missing or damaged");
  const Result<std::string_view> bytes = bytes_at(*offset, header->frame_bytes());
  if (!bytes) return bytes.error();
  const std::optional<FrameView> frame = read_frame(*bytes, head_.seed);
  if (!frame) return damaged(*offset, "a frame is damaged");
  const std::string fault = read_frame_records(*frame, records_);
  if (!fault.empty()) return damaged(*offset, fault);
  *offset += header->frame_bytes();
  return &records_;
}

// Up to `count` bytes; less: the frames end there.
Result<std::string_view> SnapshotReader::bytes_at(std::uint64_t offset, std::uint64_t count) {
  if (offset >= footer_.index_offset) return std::string_view();
  count = std::min(count, footer_.index_offset - offset);
  if (offset < window_begin_ || offset + count > window_begin_ + window_.size()) {
    window_.resize(std::min(std::max(count, kWindowBytes), footer_.index_offset - offset));
    window_begin_ = offset;
    if (!read_at(file_.get(), offset, window_.data(), window_.size())) {
      window_.clear();
      return system_error("pread(" + path_ + ") at " + std::to_string(offset));
    }
  }
  return std::string_view(window_).substr(offset - window_begin_, count);
}

}  // namespace memento
