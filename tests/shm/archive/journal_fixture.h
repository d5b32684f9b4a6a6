// TestJournal: a journal in a folder, written as an archiver does, that knows what was written and what of it
// was synced; and a disk that loses what was not. What is read is compared with what was written.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "shm/archive/frame_bytes.h"
#include "shm/archive/journal_folder.h"
#include "shm/archive/journal_reader.h"
#include "tests/integration/test_server.h"

namespace memento::testing {

inline std::string bytes_of_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return "";
  std::string bytes(static_cast<std::size_t>(file.tellg()), '\0');
  file.seekg(0);
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}

inline void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

/// A record with this key and literal, for a kind whose literal's length is free.
inline std::string record_of(RecordKind kind, std::uint32_t ring, std::string_view key,
                             std::string_view literal, std::uint8_t flags = 0) {
  RecordHeader header{};
  header.bytes = static_cast<std::uint32_t>(record_bytes(key.size(), literal.size()));
  header.kind = kind;
  header.flags = flags;
  header.slot = 7;
  header.position = position_of(1, 1);
  header.created_and_key = RecordHeader::created_and_key_of(1, key.size());
  const std::size_t head_bytes = kind == RecordKind::kPiece ? kPieceHeadBytes : 0;
  header.value_and_origin = RecordHeader::value_and_origin_of(literal.size() - head_bytes, 0, ring);
  header.expiry_ms = kNoExpiry;
  std::string bytes(header.bytes, '\0');
  std::memcpy(bytes.data(), &header, sizeof header);
  key.copy(bytes.data() + sizeof header, key.size());
  literal.copy(bytes.data() + sizeof header + key.size(), literal.size());
  return bytes;
}

inline std::string word_bytes(std::uint64_t word) {
  return std::string(reinterpret_cast<const char*>(&word), sizeof word);
}

/// A frame: its records as "key=value", and whether it is part of a group.
struct WrittenFrame {
  std::vector<std::string> records;
  bool is_open = false;
  bool continues = false;
  bool operator==(const WrittenFrame&) const = default;
};

inline std::vector<std::string> texts_of(const std::vector<FrameRecord>& records) {
  std::vector<std::string> texts;
  for (const FrameRecord& one : records)
    texts.push_back(std::string(one.record.key) + "=" + std::string(one.record.value()));
  return texts;
}

/// Of the first frames that were written those that count: without groups that an archiver died in.
inline std::vector<WrittenFrame> frames_that_count(const std::vector<WrittenFrame>& written,
                                                   std::size_t count) {
  std::vector<WrittenFrame> frames;
  for (std::size_t i = 0; i < count;) {
    std::size_t end = i + 1;  // of the group, or of one frame
    while (end < count && written[end - 1].is_open && written[end].continues) ++end;
    const bool is_abandoned = written[end - 1].is_open && end < written.size() && !written[end].continues;
    if (!is_abandoned)
      frames.insert(frames.end(), written.begin() + static_cast<std::ptrdiff_t>(i),
                    written.begin() + static_cast<std::ptrdiff_t>(end));
    i = end;
  }
  return frames;
}

struct ReadJournal {
  std::uint64_t first_number = 0;
  std::vector<WrittenFrame> frames;
  JournalEnd end;
};

/// All that a reader gives. The numbers must grow.
inline ReadJournal read_all(JournalReader& reader) {
  ReadJournal read;
  for (;;) {
    const Result<const JournalFrame*> frame = reader.next();
    if (!frame) {
      ADD_FAILURE() << frame.error().message;
      return read;
    }
    if (*frame == nullptr) break;
    const FrameHeader& header = (*frame)->frame.header;
    if (read.frames.empty()) read.first_number = header.number;
    EXPECT_GE(header.number, read.first_number + read.frames.size());
    read.frames.push_back({texts_of((*frame)->records), header.is_open(), header.continues()});
  }
  read.end = reader.end();
  return read;
}

class TestJournal {
 public:
  static constexpr std::uint64_t kMemoryId = 0x99;

  explicit TestJournal(std::uint64_t file_bytes = 64 << 10)
      : file_bytes_(file_bytes), journal_(std::move(*JournalFolder::open(folder_.path() + "/data"))) {}

  /// Adds a put, which gets the next place in its ring.
  void put(std::string_view key, std::string_view value, std::uint32_t ring = 1) {
    const std::string record = record_of(RecordKind::kPut, ring, key, value);
    builder_.add(record, tails_[ring]);
    tails_[ring] += record.size();
  }
  FrameBuilder& builder() { return builder_; }
  /// The archiver dies; its successor knows nothing of a group that was open.
  void replace_builder() { builder_ = FrameBuilder(); }
  std::uint64_t& tail(std::uint32_t ring) { return tails_[ring]; }

  /// Begins a file behind all frames; those that are not known to be on disk are written there again.
  void begin_file(std::uint64_t first_needed = 0) {
    JournalHead head;
    head.number = journal_.numbers()->empty() ? 1 : journal_.numbers()->back() + 1;
    head.seed = random_();
    head.former_file = file_ ? file_->head().number : former_;
    head.former_end = known_;
    Result<JournalFile> file = journal_.begin(head, file_bytes_, first_needed);
    ASSERT_TRUE(file) << file.error().message;
    if (!first_head_) first_head_ = head;
    newest_ = head.number;
    file_.emplace(std::move(*file));
    offset_ = kJournalHeadBytes;
    note_synced();
    if (unsynced_.empty()) return;
    seal_frames(unsynced_, {known_ + 1, known_, kMemoryId, head.seed});
    write_bytes(std::string_view(unsynced_.data(), unsynced_.size()));
  }

  /// Writes what was added. REQUIRES: a file was begun.
  void write() {
    const std::span<char> frames = builder_.frames();
    seal_frames(frames, {next_, known_, kMemoryId, file_->head().seed});
    for (std::string_view left(frames.data(), frames.size()); !left.empty();) {
      const std::optional<FrameView> frame = read_frame(left, file_->head().seed);
      ASSERT_TRUE(frame);
      std::vector<FrameRecord> records;
      ASSERT_EQ(read_frame_records(*frame, records), "");
      written_.push_back({texts_of(records), frame->header.is_open(), frame->header.continues()});
      left.remove_prefix(frame->header.frame_bytes());
    }
    next_ += builder_.frame_count();
    unsynced_.insert(unsynced_.end(), frames.begin(), frames.end());
    write_bytes(std::string_view(frames.data(), frames.size()));
    builder_.clear();
  }
  void put_alone(std::string_view key, std::string_view value, std::uint32_t ring = 1) {
    put(key, value, ring);
    write();
  }

  void sync() {
    const Outcome synced = file_->sync();
    ASSERT_TRUE(synced) << synced.error().message;
    known_ = next_ - 1;
    unsynced_.clear();
    note_synced();
  }

  /// Loses the machine's power: of each page that was not synced it is drawn whether it reached the disk.
  void lose_power(std::mt19937_64& random) {
    constexpr std::size_t kPage = 4096;
    const Result<std::vector<std::uint64_t>> numbers = journal_.numbers();
    for (const std::uint64_t number : *numbers) {
      const std::string path = journal_.path_of(number);
      std::string now = bytes_of_file(path);
      const auto synced = synced_.find(number);
      if (synced == synced_.end()) continue;
      for (std::size_t begin = 0; begin < now.size(); begin += kPage) {
        const std::size_t count = std::min(kPage, now.size() - begin);
        std::string old = begin < synced->second.size() ? synced->second.substr(begin, count) : "";
        old.resize(count);
        if (random() % 2 == 0) now.replace(begin, count, old);
      }
      write_file(path, now);
      synced_[number] = now;
    }
  }

  /// All that the files hold is on disk.
  void all_is_synced() {
    const Result<std::vector<std::uint64_t>> numbers = journal_.numbers();
    for (const std::uint64_t number : *numbers) synced_[number] = bytes_of_file(journal_.path_of(number));
  }

  /// What recovery does: the end becomes the end of what was written, and the next file follows there.
  void go_on_behind(const JournalEnd& end) {
    written_.resize(end.frame - 1);
    next_ = end.frame;
    known_ = end.frame - 1;
    former_ = end.file;
    unsynced_.clear();
    file_.reset();
    replace_builder();
  }

  Result<JournalReader> reader() const {
    return JournalReader::open(journal_.fd(), journal_.path(), bounds());
  }
  ReadJournal read() const {
    Result<JournalReader> opened = reader();
    if (!opened) {
      ADD_FAILURE() << opened.error().message;
      return {};
    }
    return read_all(*opened);
  }
  JournalBounds bounds() const {
    if (!first_head_) return {};
    return {first_head_->number, first_head_->seed, first_head_->former_end + 1, newest_, 0};
  }

  const std::vector<WrittenFrame>& written() const { return written_; }
  std::uint64_t known() const { return known_; }
  std::uint64_t next() const { return next_; }
  std::uint64_t offset() const { return offset_; }
  JournalFolder& folder() { return journal_; }
  const std::string& path() const { return journal_.path(); }
  JournalFile& file() { return *file_; }
  std::uint64_t newest_file() const { return newest_; }
  std::string file_path() const { return file_->path(); }
  bool has_room(std::uint64_t bytes) const { return file_->has_room(offset_, bytes); }
  /// The journal begins with this file's frames from now on.
  void forget_before_this_file() { first_head_ = file_->head(); }

 private:
  void write_bytes(std::string_view bytes) {
    const Outcome written = file_->write(offset_, bytes);
    ASSERT_TRUE(written) << written.error().message;
    offset_ += bytes.size();
  }
  void note_synced() { synced_[file_->head().number] = bytes_of_file(file_->path()); }

  const TemporaryFolder folder_;
  const std::uint64_t file_bytes_;
  JournalFolder journal_;
  std::mt19937_64 random_{1};
  FrameBuilder builder_;
  std::map<std::uint32_t, std::uint64_t> tails_;
  std::optional<JournalFile> file_;
  std::optional<JournalHead> first_head_;
  std::uint64_t newest_ = 0;
  std::uint64_t former_ = 0;
  std::uint64_t offset_ = 0;
  std::uint64_t next_ = 1;
  std::uint64_t known_ = 0;
  std::vector<char> unsynced_;
  std::vector<WrittenFrame> written_;  ///< by frame number, from 1 on
  std::map<std::uint64_t, std::string> synced_;
};

/// What was read is what was written up to some frame, with all that was synced, in whole groups; and it ends
/// by right. `skipped_count`: frames in front of the first file.
inline void expect_prefix(const ReadJournal& read, const TestJournal& journal,
                          std::uint64_t skipped_count = 0) {
  const std::vector<WrittenFrame>& written = journal.written();
  EXPECT_NE(read.end.kind, JournalEnd::Kind::kCorrupt) << read.end.text;
  ASSERT_GT(read.end.frame, skipped_count);
  ASSERT_LE(read.end.frame, written.size() + 1);
  const std::vector<WrittenFrame> behind_skipped(written.begin() + static_cast<std::ptrdiff_t>(skipped_count),
                                                 written.end());
  EXPECT_EQ(read.frames, frames_that_count(behind_skipped, read.end.frame - 1 - skipped_count));
  EXPECT_TRUE(read.frames.empty() || !read.frames.back().is_open);
  std::uint64_t whole = journal.known();  // an open group goes, even when some of it was synced
  while (whole > skipped_count && written[whole - 1].is_open) --whole;
  EXPECT_GT(read.end.frame, whole) << read.end.text;
}

}  // namespace memento::testing
