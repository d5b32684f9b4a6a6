// See journal_writer.h.
#include "shm/commit/journal_writer.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "shm/commit/journal_rings.h"
#include "shm/segment.h"

namespace memento {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

std::string_view bytes_of(const std::uint64_t& word) {
  return {reinterpret_cast<const char*>(&word), sizeof word};
}

}  // namespace

JournalWriter::JournalWriter(Segment& segment, std::uint32_t process, RedoList& redo)
    : segment_(segment),
      header_(segment.header()),
      process_(process),
      state_(segment.process(process).journal),
      redo_(redo),
      slots_(segment.slot_journals()) {}

RunHead& JournalWriter::run_head(Offset run) const {
  return *reinterpret_cast<RunHead*>(segment_.base() + run);
}

std::uint64_t JournalWriter::extent_of(Offset run) const {
  return Extent::make(run, run_head(run).units.load(kRelaxed), Extent::kRun).word;
}

// Consumers take whole groups, so that who has passed this place has passed the record's, or the group's,
// end.
std::uint64_t JournalWriter::place_in_group() const {
  return ring_place(process_, state_.tail.load(kRelaxed) + 8);
}

bool JournalWriter::make_ring() {
  if (ring_ != nullptr || !writes_records()) return true;
  const std::uint64_t bytes = header_.journal_ring_bytes.load(kRelaxed);
  if (!segment_.journal_rings().make(process_, bytes)) return false;
  ring_bytes_ = bytes;
  ring_ = segment_.journal_rings().bytes(process_, bytes);
  return true;
}

std::uint64_t JournalWriter::room_bytes(std::uint64_t kept_bytes) const {
  const std::uint64_t journal = header_.journal.load(kRelaxed);
  const std::uint64_t tail = state_.tail.load(kRelaxed);
  std::uint64_t unread = 0;
  for (std::uint32_t consumer = 0; consumer < kJournalConsumerLimit; ++consumer) {
    if ((journal >> consumer & 1) != 0)
      unread = std::max(unread, tail - state_.heads[consumer].load(std::memory_order_acquire));
  }
  if (planted(Plant::kRingOverwritten)) unread = 0;
  return ring_bytes_ - std::min(ring_bytes_, unread + kept_bytes);
}

void JournalWriter::stage(const KeyChange& change, std::string_view literal) {
  SlotJournal& slot = slot_journal(change.slot);
  const std::uint64_t position = next_position(slot.position.load(kRelaxed));
  if (!planted(Plant::kPositionNotStaged)) redo_.stage(slot.position, position);
  if (!writes_records()) return;
  const std::uint64_t tail = state_.tail.load(kRelaxed);
  const RecordHeader header = header_of(change, position, literal.size());
  write(at(tail), header, change.key, literal);
  stage_tail(header.bytes);
  redo_.stage(slot.last_at, ring_place(process_, tail + header.bytes));
}

void JournalWriter::stage_put(SlotId slot, const Entry& entry, Offset run) {
  if (run == kNoOffset) {
    return stage(of_entry(slot, RecordKind::kPut, entry), {entry.value(), entry.value_bytes});
  }
  const std::uint64_t extent = extent_of(run);
  if (writes_records()) run_head(run).record.store(place_in_group(), kRelaxed);
  stage(of_entry(slot, RecordKind::kPutRun, entry), bytes_of(extent));
}

void JournalWriter::begin_group() {
  group_run_ = kNoOffset;
  is_single_ = false;
  group_ = writes_records() ? at(state_.tail.load(kRelaxed)) : nullptr;
  next_ = group_ + group_bytes(0);
  group_count_ = 0;
  group_position_ = 0;
}

void JournalWriter::begin_single() {
  begin_group();
  is_single_ = true;
  next_ = group_;
}

void JournalWriter::begin_group_in(Offset run) {
  begin_group();
  assert(run.value != 0);
  group_run_ = run;
  if (group_ != nullptr) next_ = segment_.base() + entry_of_run(run);
}

void JournalWriter::add(const KeyChange& change, std::string_view literal) {
  assert(group_position_ == 0 || group_slot_ == change.slot);
  if (group_position_ == 0) {
    group_slot_ = change.slot;
    group_position_ = slot_journal(change.slot).position.load(kRelaxed);
  }
  group_position_ = next_position(group_position_);
  ++group_count_;
  if (group_ != nullptr) {
    next_ = write(next_, header_of(change, group_position_, literal.size()), change.key, literal);
  }
}

void JournalWriter::add_put(KeyChange change, std::string_view value, Offset run) {
  change.value_bytes = value.size();
  if (run == kNoOffset) return add(change, value);
  change.kind = RecordKind::kPutRun;
  const std::uint64_t extent = extent_of(run);
  if (group_ != nullptr) run_head(run).record.store(place_in_group(), kRelaxed);
  add(change, bytes_of(extent));
}

void JournalWriter::add_swap(SlotId slot, SlotId other) {
  SlotJournal& words = slot_journal(other);
  const std::uint64_t database = database_of(other).value;
  const std::uint64_t literal[2] = {database, next_position(words.position.load(kRelaxed))};
  add({slot, RecordKind::kSwap}, {reinterpret_cast<const char*>(literal), sizeof literal});
  end_slot();
  redo_.stage(words.position, literal[1]);
  if (group_ != nullptr) redo_.stage(words.last_at, place_in_group());
}

void JournalWriter::end_slot() {
  if (group_position_ == 0) return;
  SlotJournal& slot = slot_journal(group_slot_);
  redo_.stage(slot.position, group_position_);
  if (group_ != nullptr) redo_.stage(slot.last_at, place_in_group());
  if (group_ != nullptr && is_single_) stage_tail(static_cast<std::uint64_t>(next_ - group_));
  group_position_ = 0;
}

bool JournalWriter::end_group() {
  assert(group_position_ == 0 && (!is_single_ || group_count_ <= 1));
  if (group_ == nullptr || group_count_ == 0) return false;
  if (is_single_) return true;
  const bool in_run = group_run_ != kNoOffset;
  const char* const records = in_run ? segment_.base() + entry_of_run(group_run_) : group_ + group_bytes(0);
  const auto bytes = static_cast<std::uint64_t>(next_ - records);
  struct {
    std::uint32_t count;
    std::uint32_t flags;
    std::uint64_t extent;
  } literal{group_count_, in_run ? kGroupInRun : 0u, in_run ? extent_of(group_run_) : 0};
  KeyChange change{SlotId(), RecordKind::kGroup};
  change.value_bytes = bytes;
  RecordHeader header = header_of(change, 0, in_run ? sizeof literal : 8 + bytes);
  std::memcpy(group_, &header, sizeof header);
  std::memcpy(group_ + sizeof header, &literal, in_run ? sizeof literal : 8);
  if (in_run) run_head(group_run_).record.store(place_in_group(), kRelaxed);
  stage_tail(header.bytes);
  return true;
}

void JournalWriter::stage_tail(std::uint64_t bytes) {
  const std::uint64_t tail = state_.tail.load(kRelaxed) + bytes;
  if (planted(Plant::kTailBeforeCommit)) state_.tail.store(tail);
  if (planted(Plant::kRecordBehindCommit)) {
    late_tail_ = tail;
    return;
  }
  redo_.stage(state_.tail, tail);
}

void JournalWriter::publish_late() {
  if (late_tail_ != 0) state_.tail.store(late_tail_);
}

void JournalWriter::stage_event(std::uint64_t change_word) {
  if (!writes_records()) return;
  const std::uint64_t tail = state_.tail.load(kRelaxed);
  const RecordHeader header = header_of({SlotId(), RecordKind::kDatabaseChange}, 0, sizeof change_word);
  write(at(tail), header, {}, bytes_of(change_word));
  stage_tail(header.bytes);
}

}  // namespace memento
