// JournalReader: where a journal ends, and whether it ends there by right. See journal_reader.h for the
// rules.
#include <algorithm>
#include <cassert>

#include "shm/archive/journal_reader.h"

namespace memento {
namespace {

std::string frame_text(std::uint64_t number) { return "frame " + std::to_string(number); }

}  // namespace

// Ends the journal in front of the frame at this place. `fault`: why that frame, which is whole, cannot be
// read, or why there is no chain; empty: the frame is not there, or not whole.
Outcome JournalReader::end_at(const Place& missing, const std::string& fault) {
  JournalEnd end;
  end.frame = missing.number;
  const Result<Behind> behind = look_behind(missing);
  if (!behind) return behind.error();
  if (!fault.empty()) {
    end.text = files_.empty() ? fault : "it is whole, but cannot be read: " + fault;
  } else {
    Result<std::string> found = fault_of(missing, *behind);
    if (!found) return found.error();
    if (!found->empty()) end.text = "it is missing or damaged: " + *found;
  }
  if (!end.text.empty()) end.kind = JournalEnd::Kind::kCorrupt;
  if (files_.empty()) {
    if (end.text.empty()) end.text = "there is no journal";
    end_ = std::move(end);
    return Done{};
  }
  const File& file = files_[missing.file];
  const Result<std::string_view> front = bytes_at(file, missing.offset, sizeof(FrameHeader));
  if (!front) return front.error();
  const std::optional<FrameHeader> header = read_frame_header(*front);
  const bool has_begun = header && header->number == missing.number;
  if (!end.is_corrupt() && (behind->highest != 0 || has_begun)) {
    end.kind = JournalEnd::Kind::kTorn;
    end.text = behind->highest == 0 ? "it is not whole"
                                    : "it is not whole, though " + frame_text(behind->highest) + " is there";
    end.text += "; nobody knew that it was on disk";
  }
  if (end.text.empty()) end.text = "nothing is behind the last frame";
  end.file = file.number;
  end.offset = missing.offset;
  end.lost_frames = behind->highest == 0 ? 0 : behind->highest - missing.number + 1;
  end.lost_bytes = behind->bytes;
  end.text = file.path + ", offset " + std::to_string(missing.offset) + ", " + frame_text(missing.number) +
             ": " + end.text;
  end_ = std::move(end);
  return Done{};
}

Outcome JournalReader::end_before_last(const std::string& fault) {
  assert(!end_ && !frame_.frame.header.continues());
  return end_at(Place{place_.file, frame_.offset, frame_.frame.header.number, 0}, fault);
}

// They are in the last file, which was begun when all before it was on disk. Where that file has none that
// was, it may itself have been begun without success: then another one takes its place. MANIFEST names only a
// first file that was begun with success.
Result<UnsureFrames> JournalReader::unsure_frames() {
  UnsureFrames unsure;
  const auto last = std::ranges::find(files_, end_->file, &File::number);
  if (last == files_.end()) return unsure;
  const std::uint64_t begun_behind = last->head->former_end;
  unsure.former_end = std::clamp(known_frame_, begun_behind, end_->frame - 1);
  const bool has_known = unsure.former_end > begun_behind || last == files_.begin();
  unsure.former_file = has_known ? last->number : last->head->former_file;
  std::uint64_t offset = kJournalHeadBytes;
  for (std::uint64_t number = begun_behind + 1; number < end_->frame; ++number) {
    const Result<std::string_view> front = bytes_at(*last, offset, sizeof(FrameHeader));
    if (!front) return front.error();
    const std::optional<FrameHeader> header = read_frame_header(*front);
    assert(header && header->number == number);
    if (number > unsure.former_end) {
      const Result<std::string_view> bytes = bytes_at(*last, offset, header->frame_bytes());
      if (!bytes) return bytes.error();
      unsure.bytes.append(*bytes);
      unsure.memory_id = header->memory_id;
    }
    offset += header->frame_bytes();
  }
  return unsure;
}

// Who knew that the missing frame was on disk; empty: nobody.
Result<std::string> JournalReader::fault_of(const Place& missing, const Behind& behind) {
  if (missing.file + 1 < files_.size()) {
    const File& next = files_[missing.file + 1];
    return next.path + " was begun when " + frame_text(next.head->former_end) + " was on disk";
  }
  if (behind.synced >= missing.number)
    return "a later frame says that " + frame_text(behind.synced) + " was on disk";
  if (synced_frame_ >= missing.number)
    return "the server that wrote it knew that " + frame_text(synced_frame_) + " was on disk";
  return fault_of_later_files(missing.number);
}

// All frames behind a missing one, in its file and in the later ones of the chain.
Result<JournalReader::Behind> JournalReader::look_behind(const Place& missing) {
  Behind all;
  for (std::size_t i = missing.file; i < files_.size(); ++i) {
    const bool is_first = i == missing.file;
    const std::uint64_t begin = is_first ? missing.offset : kJournalHeadBytes;
    const Result<Behind> here = scan_file(files_[i], begin, missing.number, is_first ? missing.memory_id : 0);
    if (!here) return here.error();
    all.highest = std::max(all.highest, here->highest);
    all.synced = std::max(all.synced, here->synced);
    all.bytes += here->bytes;
  }
  return all;
}

// The frames of a file from an offset on that have numbers above this one. They may begin at any multiple of
// 8: where a frame is damaged its length is not known. Values that clients wrote may look like frames, so
// only what has the memory id (0: any) is hashed.
Result<JournalReader::Behind> JournalReader::scan_file(const File& file, std::uint64_t begin,
                                                       std::uint64_t above, std::uint64_t memory_id) {
  Behind behind;
  for (std::uint64_t offset = begin; offset + sizeof(FrameHeader) <= file.size_bytes; offset += 8) {
    const Result<std::string_view> front = bytes_at(file, offset, sizeof(FrameHeader));
    if (!front) return front.error();
    const std::optional<FrameHeader> header = read_frame_header(*front);
    if (!header || header->number <= above || header->synced >= header->number ||
        header->frame_bytes() > file.size_bytes - offset ||
        (memory_id != 0 && header->memory_id != memory_id)) {
      continue;
    }
    const Result<std::string_view> bytes = bytes_at(file, offset, header->frame_bytes());
    if (!bytes) return bytes.error();
    if (!read_frame(*bytes, file.head->seed)) continue;
    behind.highest = std::max(behind.highest, header->number);
    behind.synced = std::max(behind.synced, header->synced);
    behind.bytes = offset + header->frame_bytes() - begin;
    offset += header->frame_bytes() - 8;
  }
  return behind;
}

// What is wrong with the files that are later than the chain's last one; empty: nothing. They were begun and
// not used, or a cut has emptied them.
Result<std::string> JournalReader::fault_of_later_files(std::uint64_t missing_number) {
  for (const File& file : later_) {
    if (file.head) {
      return file.path + " follows " + journal_file_name(file.head->former_file) +
             ", which is missing or has no head";
    }
    if (file.size_bytes == 0) continue;
    if (file.number <= newest_file_) return file.path + " was begun, but has no head";
    const Result<std::string_view> front = bytes_at(file, kJournalHeadBytes, sizeof(FrameHeader));
    if (!front) return front.error();
    const std::optional<FrameHeader> header = read_frame_header(*front);
    if (header && header->number >= missing_number)
      return file.path + " has no head, but begins with " + frame_text(header->number);
  }
  const bool is_there = newest_file_ == 0 || std::ranges::any_of(later_, [&](const File& file) {
                          return file.number >= newest_file_;
                        });
  if (!is_there && (files_.empty() || files_.back().number < newest_file_))
    return journal_file_name(newest_file_) + ", the newest that was begun, is missing";
  return std::string();
}

}  // namespace memento
