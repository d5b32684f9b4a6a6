// See journal_reader.h. What a reader opens and cuts, and the frames in order; where they end is in
// journal_end.cc.
#include "shm/archive/journal_reader.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>

#include "shm/os/file.h"
#include "shm/os/private_file.h"
#include "shm/os/synced_file.h"

namespace memento {
namespace {

constexpr std::uint64_t kWindowBytes = 1 << 20;

Outcome cut_file(const Fd& file, const std::string& path, std::uint64_t size_bytes) {
  if (truncate(path.c_str(), static_cast<off_t>(size_bytes)) != 0)
    return system_error("truncate(" + path + ") to " + std::to_string(size_bytes) + " bytes");
  return sync_all(file, path);
}

}  // namespace

Result<JournalReader> JournalReader::open(const Fd& folder, const std::string& path,
                                          const JournalBounds& bounds) {
  const Result<std::vector<std::uint64_t>> numbers = journal_file_numbers(folder, path);
  if (!numbers) return numbers.error();
  std::vector<File> found;
  for (const std::uint64_t number : *numbers) {
    if (number < bounds.first_file) continue;
    const std::string name = journal_file_name(number);
    Result<Fd> file = open_private_file(folder, name, O_RDONLY, path + "/" + name);
    if (!file) return file.error();
    Result<File> one = open_one(std::move(*file), path + "/" + name, number);
    if (!one) return one.error();
    if (one->head && one->head->number != number) one->head.reset();  // was to be recycled
    found.push_back(std::move(*one));
  }
  JournalReader reader;
  reader.choose_chain(std::move(found), bounds);
  return reader;
}

JournalReader JournalReader::copy() const {
  assert(!end_ && window_file_ == nullptr);
  JournalReader other;
  other.files_ = files_;
  other.later_ = later_;
  other.newest_file_ = newest_file_;
  other.synced_frame_ = synced_frame_;
  other.fault_ = fault_;
  other.place_ = place_;
  return other;
}

Result<JournalReader> JournalReader::open_file(const std::string& path) {
  Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return system_error("open(" + path + ")");
  Result<File> one = open_one(std::move(file), path, 0);
  if (!one) return one.error();
  JournalReader reader;
  if (one->head) {
    one->number = one->head->number;
    reader.place_.number = one->head->former_end + 1;
    reader.files_.push_back(std::move(*one));
  } else {
    reader.fault_ = path + " has no head of a journal's file";
  }
  return reader;
}

Result<JournalReader::File> JournalReader::open_one(Fd fd, std::string path, std::uint64_t number) {
  File file{std::make_shared<const Fd>(std::move(fd)), std::move(path), number, 0, {}};
  const std::optional<std::uint64_t> size_bytes = file_size_bytes(file.fd->get());
  if (!size_bytes) return system_error("fstat(" + file.path + ")");
  file.size_bytes = *size_bytes;
  std::string bytes(std::min<std::uint64_t>(sizeof(JournalHead), *size_bytes), '\0');
  if (!read_at(file.fd->get(), 0, bytes.data(), bytes.size())) return system_error("read(" + file.path + ")");
  file.head = read_journal_head(bytes);
  if (file.head && file.head->version != JournalHead::kVersion) {
    return Error{ExitStatus::kSystem, 0,
                 file.path + " is of version " + std::to_string(file.head->version) +
                     " of the journal's files; this program reads version " +
                     std::to_string(JournalHead::kVersion)};
  }
  return file;
}

void JournalReader::choose_chain(std::vector<File> found, const JournalBounds& bounds) {
  newest_file_ = bounds.newest_file;
  synced_frame_ = bounds.synced_frame;
  const auto with_head = [&](std::uint64_t number) {
    const auto file = std::ranges::lower_bound(found, number, {}, &File::number);
    return file != found.end() && file->number == number && file->head ? &*file : nullptr;
  };
  const File* first = nullptr;
  if (bounds.first_file != 0) {
    place_.number = std::max<std::uint64_t>(bounds.first_frame, 1);
    first = with_head(bounds.first_file);
    const std::string name = journal_file_name(bounds.first_file);
    if (first == nullptr) {
      fault_ = name + ", with which the journal begins, is missing or has no head";
    } else if ((bounds.first_seed != 0 && first->head->seed != bounds.first_seed) ||
               (bounds.first_frame != 0 && first->head->former_end + 1 != bounds.first_frame)) {
      fault_ = name + " is not the file with which the journal began";
    }
  } else {
    for (const File& file : found) first = file.head ? &file : first;
    for (const File* former = first; former != nullptr; former = with_head(former->head->former_file))
      first = former;
  }
  std::vector<std::uint64_t> chain;
  if (first != nullptr && fault_.empty()) {
    place_.number = first->head->former_end + 1;
    for (std::uint64_t number = first->number; number != 0;) {
      chain.push_back(number);
      const auto next = std::find_if(found.rbegin(), found.rend(), [&](const File& file) {
        return file.number > number && file.head && file.head->former_file == number;
      });
      number = next == found.rend() ? 0 : next->number;
    }
  }
  const std::uint64_t last = chain.empty() ? 0 : chain.back();
  for (File& file : found) {
    if (std::ranges::binary_search(chain, file.number)) {
      files_.push_back(std::move(file));
    } else if (file.number > last) {
      later_.push_back(std::move(file));
    }
  }
}

Result<const JournalFrame*> JournalReader::next() {
  if (end_) return nullptr;
  if (files_.empty()) {
    if (Outcome ended = end_at(place_, fault_); !ended) return ended.error();
    return nullptr;
  }
  FrameView frame;
  Result<bool> is_found = find_frame(place_, &frame);
  while (is_found && *is_found && frame.header.is_open() && place_.number > whole_until_) {
    const Place begin = left_out_.value_or(place_);
    const Result<Group> group = look_at_group(&place_);
    if (!group) return group.error();
    if (*group == Group::kAbandoned) left_out_ = begin;
    if (*group == Group::kEnd) return end_in_front_of(begin), nullptr;
    is_found = find_frame(place_, &frame);
  }
  if (!is_found) return is_found.error();
  const std::string fault = *is_found ? read_frame_records(frame, frame_.records) : "";
  if (!*is_found || !fault.empty()) {
    if (Outcome ended = end_at(place_, fault); !ended) return ended.error();
    if (left_out_) end_in_front_of(*left_out_);
    return nullptr;
  }
  left_out_.reset();
  frame_.frame = frame;
  frame_.file = files_[place_.file].number;
  frame_.offset = place_.offset;
  known_frame_ = std::max(known_frame_, frame.header.synced);
  place_.pass(frame.header);
  return &frame_;
}

// Whether the file ends in front of this place because a later one has the frames from there on.
bool JournalReader::leads_on(const Place& place) const {
  return place.file + 1 < files_.size() && place.number == files_[place.file + 1].head->former_end + 1;
}

// The frame at this place, or at the beginning of the file behind it: then the place is moved there.
Result<bool> JournalReader::find_frame(Place& place, FrameView* frame) {
  while (leads_on(place)) place = Place{place.file + 1, kJournalHeadBytes, place.number, 0};
  const File& file = files_[place.file];
  const Result<std::string_view> front = bytes_at(file, place.offset, sizeof(FrameHeader));
  if (!front) return front.error();
  const std::optional<FrameHeader> header = read_frame_header(*front);
  if (!header || header->number != place.number) return false;
  const Result<std::string_view> bytes = bytes_at(file, place.offset, header->frame_bytes());
  if (!bytes) return bytes.error();
  const std::optional<FrameView> whole = read_frame(*bytes, file.head->seed);
  if (!whole) return false;
  *frame = *whole;
  return true;
}

// What becomes of the group that begins at this place: it is whole, up to a frame whose number is kept; or it
// was abandoned, then the place is moved behind it; or the journal ends in front of it.
Result<JournalReader::Group> JournalReader::look_at_group(Place* place) {
  const Place begin = *place;
  for (;;) {
    FrameView frame;
    const Result<bool> is_found = find_frame(*place, &frame);
    if (!is_found) return is_found.error();
    const bool is_first = place->number == begin.number;
    if (*is_found && !is_first && !frame.header.continues()) return Group::kAbandoned;
    const std::string fault = *is_found ? read_frame_records(frame, frame_.records) : "";
    if (!*is_found || !fault.empty()) {
      if (Outcome ended = end_at(*place, fault); !ended) return ended.error();
      break;
    }
    if (!frame.header.is_open()) {
      whole_until_ = place->number;
      *place = begin;
      return Group::kWhole;
    }
    place->pass(frame.header);
  }
  if (!end_->is_corrupt()) end_->kind = JournalEnd::Kind::kOpenGroup;
  return Group::kEnd;
}

// The end that was found is where frames of one change that is not whole are, so it is in front of them.
void JournalReader::end_in_front_of(const Place& begin) {
  end_->text += "; the frames from " + std::to_string(begin.number) + " on are of a change that is not whole";
  if (end_->lost_frames != 0) end_->lost_frames += end_->frame - begin.number;
  end_->file = files_[begin.file].number;
  end_->offset = begin.offset;
  end_->frame = begin.number;
}

// Up to `count` bytes from this offset on; less: the file ends there.
Result<std::string_view> JournalReader::bytes_at(const File& file, std::uint64_t offset,
                                                 std::uint64_t count) {
  if (offset >= file.size_bytes) return std::string_view();
  count = std::min(count, file.size_bytes - offset);
  const bool is_here =
      window_file_ == &file && offset >= window_begin_ && offset + count <= window_begin_ + window_.size();
  if (!is_here) {
    window_file_ = nullptr;
    window_.resize(std::min(std::max(count, kWindowBytes), file.size_bytes - offset));
    if (!read_at(file.fd->get(), offset, window_.data(), window_.size())) {
      return system_error("pread(" + file.path + ") of " + std::to_string(window_.size()) + " bytes at " +
                          std::to_string(offset));
    }
    window_file_ = &file;
    window_begin_ = offset;
  }
  return std::string_view(window_).substr(offset - window_begin_, count);
}

Outcome JournalReader::cut() {
  assert(end_);
  for (std::size_t i = later_.size(); i-- > 0;) {
    if (Outcome cut = cut_file(*later_[i].fd, later_[i].path, 0); !cut) return cut;
  }
  for (std::size_t i = files_.size(); i-- > 0 && files_[i].number > end_->file;) {
    if (Outcome cut = cut_file(*files_[i].fd, files_[i].path, 0); !cut) return cut;
  }
  for (const File& file : files_) {
    if (file.number == end_->file) return cut_file(*file.fd, file.path, end_->offset);
  }
  return Done{};
}

std::uint64_t JournalReader::total_bytes() const {
  std::uint64_t bytes = 0;
  for (const File& file : files_) bytes += file.size_bytes;
  return bytes;
}

std::uint64_t JournalReader::read_bytes() const {
  std::uint64_t bytes = place_.offset;
  for (std::size_t i = 0; i < place_.file; ++i) bytes += files_[i].size_bytes;
  return bytes;
}

}  // namespace memento
