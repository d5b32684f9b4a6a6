// See image_maker.h.
#include "shm/journal/image_maker.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "shm/commit/database_change.h"
#include "shm/format/page_info.h"
#include "shm/os/clock.h"
#include "shm/segment.h"

namespace memento {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr std::uint64_t kLinesAtOnce = 16;
constexpr std::size_t kLookInterval = 16;  // entries between two looks at the clock
constexpr std::int64_t kEnoughNs = ImageMaker::kStepNs * 2 / 5;

/// The first tag whose home is that line.
constexpr std::uint64_t first_tag(std::uint64_t line, std::uint64_t lines) {
  return ((line << 24) + lines - 1) / lines;
}

}  // namespace

ImageMaker::ImageMaker(Segment& segment, std::uint32_t process)
    : base_(segment.base()),
      header_(segment.header()),
      slots_(base_ + header_.slots_offset),
      journals_(segment.slot_journals()),
      process_(process),
      record_(segment.process(process)),
      owner_(base_, process, segment.master_pipe()),
      redo_(base_, record_) {
  found_.reserve(2 * kLinesAtOnce * kCellsPerLine);
}

std::uint32_t ImageMaker::take_swapped() {
  std::uint32_t databases = 0;
  for (std::size_t i = 0; i < swaps_.size(); ++i) {
    const std::uint64_t now =
        DatabaseChanges::swaps_of(header_.database_changes[i].load(std::memory_order_acquire));
    if (std::exchange(swaps_[i], now) != now) databases |= 1u << i;
  }
  return databases;
}

bool ImageMaker::is_swapped(DatabaseId database) const {
  const Word& changes = header_.database_changes[database.value];
  return swaps_[database.value] != DatabaseChanges::swaps_of(changes.load(std::memory_order_acquire));
}

void ImageMaker::begin(SlotId slot, std::uint64_t number) {
  unpin();
  slot_ = slot;
  number_ = number;
  place_ = 0;
  has_begun_ = false;
  entry_count_ = 0;
}

void ImageMaker::unpin() {
  if (!value_) return;
  value_.reset();
  record_.pins[kReadPin].store(0, std::memory_order_release);
}

// Who changes whole databases holds the gate, has passed each slot's lock, and waits for those who did not
// see that.
bool ImageMaker::lock(Slot& slot, bool waits) {
  if (waits) {
    owner_.lock(slot.lock);
  } else if (!owner_.try_lock(slot.lock)) {
    return false;
  }
  if (header_.exclusive.load(std::memory_order_acquire) == 0) return true;
  owner_.unlock(slot.lock);
  return false;
}

ImageMaker::Step ImageMaker::step(std::string* records, bool waits) {
  locked_ns_ = 0;
  if (value_) {
    copy_value(records);
    if (place_ < kTagEnd || value_) return Step::kMore;
    append_mark(RecordKind::kComplete, records);
    return Step::kDone;
  }
  Slot& slot = slots_[slot_];
  if (!lock(slot, waits)) return Step::kBusy;
  const std::int64_t begin_ns = monotonic_time_ns();
  const bool was_swapped = is_swapped(database_of(slot_));
  const bool is_there = !was_swapped && note_begin(slot, records);
  if (is_there) copy_slot(slot, records);
  owner_.unlock(slot.lock);
  locked_ns_ = monotonic_time_ns() - begin_ns;
  if (was_swapped) return Step::kSwapped;
  if (!is_there) return Step::kNothing;
  if (place_ < kTagEnd || value_) return Step::kMore;
  append_mark(RecordKind::kComplete, records);
  return Step::kDone;
}

// REQUIRES: locked. Where the slot is; data from before journalling began gets the first position. False:
// there is neither.
bool ImageMaker::note_begin(Slot& slot, std::string* records) {
  Word& position = journals_[slot_.value].position;
  const bool has_data = slot.generation.load(kRelaxed) == header_.flush_generation.load(kRelaxed) &&
                        (slot.cells.load(kRelaxed) & 0xffffffff) != 0;
  if (position.load(kRelaxed) == 0) {
    if (!has_data) return false;
    redo_.stage(position, position_of(1, 1));
    redo_.commit();
  }
  position_ = position.load(kRelaxed);
  if (!has_begun_) append_mark(RecordKind::kBegin, records);
  has_begun_ = true;
  if (!has_data) place_ = kTagEnd;
  return true;
}

// REQUIRES: locked, and current.
void ImageMaker::copy_slot(const Slot& slot, std::string* records) {
  const std::int64_t begin_ns = monotonic_time_ns();
  const std::uint64_t begin_bytes = records->size();
  while (place_ < kTagEnd) {
    const std::uint64_t end_tag = gather(Extent{slot.table.load(kRelaxed)});
    if (!copy_found(end_tag, begin_ns, begin_bytes, records)) return;
  }
}

// The entries whose tags have the next few home lines, by their tags; the tag behind them. They lie in these
// lines, and, where those were full, in the ones behind, up to the first that has an empty cell.
std::uint64_t ImageMaker::gather(Extent table) {
  const std::uint64_t lines = table.size();
  const Word* const cells = table_cells(base_, table);
  const std::uint64_t first = home_line(place_, lines);
  const std::uint64_t end = std::min(first + kLinesAtOnce, lines);
  const std::uint64_t end_tag = end < lines ? first_tag(end, lines) : kTagEnd;
  found_.clear();
  for (std::uint64_t n = 1, line = first; n <= lines; ++n, line = line + 1 == lines ? 0 : line + 1) {
    bool has_empty = false;
    for (std::uint32_t i = 0; i < kCellsPerLine; ++i) {
      const std::uint64_t cell = cells[line * kCellsPerLine + i].load(kRelaxed);
      const std::uint64_t tag = Cell::tag(cell);
      has_empty |= cell == 0;
      if (!Cell::live(cell) || tag < place_ || tag >= end_tag) continue;
      __builtin_prefetch(base_ + Cell::offset(cell));
      __builtin_prefetch(base_ + Cell::offset(cell) + kLineBytes);
      found_.push_back({tag, Cell::offset(cell)});
    }
    if (first + n >= end && has_empty) break;
  }
  std::ranges::sort(found_, {}, &Found::tag);
  return end_tag;
}

bool ImageMaker::is_run(Offset offset) const {
  const auto* const infos = reinterpret_cast<const Word*>(base_ + header_.page_infos_offset);
  return PageInfo{infos[(offset.value - header_.arena_offset) / kPageBytes].load(kRelaxed)}.kind() == 0;
}

// Keys of one tag stay together: they are of one position. A run is the last of its step, and where several
// have one tag all but one are copied here. False: the step has done enough.
bool ImageMaker::copy_found(std::uint64_t end_tag, std::int64_t begin_ns, std::uint64_t begin_bytes,
                            std::string* records) {
  for (std::size_t i = 0; i < found_.size();) {
    const std::uint64_t tag = found_[i].tag;
    std::size_t end = i;
    bool has_run = false;
    for (; end < found_.size() && found_[end].tag == tag; ++end) has_run |= is_run(found_[end].offset);
    if (has_run && records->size() > begin_bytes) return place_ = tag, false;
    for (; i < end; ++i) {
      const Entry entry = Entry::parse(base_ + found_[i].offset);
      ++entry_count_;
      if (is_run(found_[i].offset) && !value_) {
        record_.pins[kReadPin].store(found_[i].offset.value, std::memory_order_release);
        value_ = Value{{entry.key(), entry.key_bytes}, entry, entry.expiry_ms(), 0};
      } else {
        append_entry(entry, records);
      }
    }
    place_ = tag + 1;
    if (value_ || records->size() - begin_bytes >= kStepBytes) return false;
    if (i % kLookInterval == 0 && monotonic_time_ns() - begin_ns > kEnoughNs) return false;
  }
  place_ = end_tag;
  return monotonic_time_ns() - begin_ns <= kEnoughNs;
}

void ImageMaker::append_entry(const Entry& entry, std::string* records) {
  const std::string_view key(entry.key(), entry.key_bytes);
  if (entry.value_bytes <= kPieceBytes) {
    const RecordHeader header = header_of(RecordKind::kPart, entry, entry.expiry_ms(), entry.value_bytes);
    return append(header, key, {}, {entry.value(), entry.value_bytes}, records);
  }
  std::optional<Value> pinned = std::move(value_);
  value_ = Value{std::string(key), entry, entry.expiry_ms(), 0};
  while (value_->offset < entry.value_bytes) append_piece(records);
  value_ = std::move(pinned);
}

void ImageMaker::append_piece(std::string* records) {
  const Entry& entry = value_->entry;
  const std::uint64_t bytes = std::min(kPieceBytes, entry.value_bytes - value_->offset);
  const std::uint64_t literal[3] = {0, value_->offset, entry.value_bytes};
  RecordHeader header = header_of(RecordKind::kPiece, entry, value_->expiry_ms, bytes);
  header.flags = kRecordOfPart;
  if (value_->offset + bytes == entry.value_bytes) header.flags |= kRecordLastPiece;
  append(header, value_->key, {reinterpret_cast<const char*>(literal), sizeof literal},
         {entry.value() + value_->offset, bytes}, records);
  value_->offset += bytes;
}

// What is pinned, without the lock: its lengths are those that it had under it.
void ImageMaker::copy_value(std::string* records) {
  const Entry& entry = value_->entry;
  if (entry.value_bytes <= kPieceBytes) {
    const RecordHeader header = header_of(RecordKind::kPart, entry, value_->expiry_ms, entry.value_bytes);
    append(header, value_->key, {}, {entry.value(), entry.value_bytes}, records);
    return unpin();
  }
  for (std::uint64_t copied = 0; copied < kStepBytes; copied += kPieceBytes) {
    append_piece(records);
    if (value_->offset == entry.value_bytes) return unpin();
  }
}

// Who writes texts has the store's lock first, then the slot's.
ImageMaker::Step ImageMaker::copy_texts(TextStore& texts, std::uint64_t number, std::string* records) {
  begin(kTextSlot, number);
  const auto note_position = [&] {
    const LockGuard guard(owner_, slots_[kTextSlot].lock);
    Word& position = journals_[kTextSlot.value].position;
    if (position.load(kRelaxed) == 0 && texts.kept_count() != 0) {
      redo_.stage(position, position_of(1, 1));
      redo_.commit();
    }
    position_ = position.load(kRelaxed);
    append_mark(RecordKind::kBegin, records);
  };
  const bool was_locked =
      texts.each_kept(note_position, [&](TextGroup group, std::string_view name, std::string_view text) {
        ++entry_count_;
        append_text(TextStore::key_of(group, name), text, records);
      });
  if (!was_locked) return Step::kBusy;
  append_mark(RecordKind::kComplete, records);
  return position_ != 0 ? Step::kDone : Step::kNothing;
}

void ImageMaker::append_text(std::string_view key, std::string_view text, std::string* records) {
  Entry entry;
  entry.key_bytes = static_cast<decltype(entry.key_bytes)>(key.size());
  if (text.size() <= kPieceBytes)
    return append(header_of(RecordKind::kPart, entry, kNoExpiry, text.size()), key, {}, text, records);
  for (std::uint64_t offset = 0; offset < text.size(); offset += kPieceBytes) {
    const std::string_view piece = text.substr(offset, kPieceBytes);
    const std::uint64_t literal[3] = {0, offset, text.size()};
    RecordHeader header = header_of(RecordKind::kPiece, entry, kNoExpiry, piece.size());
    header.flags = kRecordOfPart;
    if (offset + piece.size() == text.size()) header.flags |= kRecordLastPiece;
    append(header, key, {reinterpret_cast<const char*>(literal), sizeof literal}, piece, records);
  }
}

RecordHeader ImageMaker::header_of(RecordKind kind, const Entry& entry, std::int64_t expiry_ms,
                                   std::uint64_t value_bytes) const {
  RecordHeader header{};
  header.kind = kind;
  header.slot = static_cast<std::uint16_t>(hash_slot(slot_).value);
  header.position = position_;
  header.created_and_key = RecordHeader::created_and_key_of(entry.created, entry.key_bytes);
  header.value_and_origin =
      RecordHeader::value_and_origin_of(value_bytes, database_of(slot_).value, process_);
  header.expiry_ms = expiry_ms;
  return header;
}

void ImageMaker::append(RecordHeader header, std::string_view key, std::string_view literal,
                        std::string_view bytes, std::string* records) {
  header.bytes = static_cast<std::uint32_t>(record_bytes(key.size(), literal.size() + bytes.size()));
  const std::size_t begin = records->size();
  records->resize(begin + header.bytes);
  char* to = records->data() + begin;
  std::memcpy(to, &header, sizeof header);
  to += sizeof header;
  for (const std::string_view part : {key, literal, bytes}) {
    copy_bytes(to, part);
    to += part.size();
  }
}

void ImageMaker::append_mark(RecordKind kind, std::string* records) {
  Entry none;
  const RecordHeader header = header_of(kind, none, kNoExpiry, 0);
  append(header, {}, {reinterpret_cast<const char*>(&number_), sizeof number_}, {}, records);
}

}  // namespace memento
