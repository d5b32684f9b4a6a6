// See recorder.h. observe() runs in a signal handler between two instructions: it allocates nothing.
#include "tests/crash/recorder.h"

#include <cstring>

#include "shm/format/layout.h"
#include "shm/segment.h"

namespace memento::crash {
namespace {

constexpr std::size_t kStateLimit = 1u << 18;
constexpr std::size_t kChangeLimit = 1u << 19;

}  // namespace

std::vector<Range> used_ranges(Segment& segment) {
  const Header& header = segment.header();
  std::vector<Range> ranges{
      {0, header.slots_offset + (kTextSlot.value + 1) * sizeof(Slot)},
      {header.processes_offset, header.processes_offset + header.process_count * sizeof(ProcessRecord)},
      {header.unit_bitmap_offset, header.arena_offset + header.committed_pages.load() * kPageBytes}};
  for (DatabaseId database(1); database < kDatabaseEnd; ++database) {
    const std::uint64_t begin = header.slots_offset + first_slot(database).value * sizeof(Slot);
    if (header.is_open(database)) ranges.push_back({begin, begin + kSlotCount * sizeof(Slot)});
  }
  for (DatabaseId database; database < kDatabaseEnd && header.journal.load() != 0; ++database) {
    const std::uint64_t begin =
        header.slot_journals_offset + first_slot(database).value * sizeof(SlotJournal);
    if (header.is_open(database)) ranges.push_back({begin, begin + (kSlotCount + 1) * sizeof(SlotJournal)});
  }
  return ranges;
}

Recorder::Recorder(Stepper& stepper, Segment& segment, const robust_list_head* head)
    : stepper_(stepper),
      segment_(segment),
      head_(head),
      base_(segment.base()),
      size_bytes_(segment.mapped_bytes()),
      seen_(size_bytes_) {
  states_.reserve(kStateLimit);
  changes_.reserve(kChangeLimit);
}

void Recorder::sync() {
  for (const Range& range : used_ranges(segment_)) {
    std::memcpy(seen_.data() + range.begin, base_ + range.begin, range.end - range.begin);
  }
}

void Recorder::begin() {
  states_.clear();
  changes_.clear();
  instructions_ = operand_ = 0;
  overflow_ = false;
}

bool Recorder::observe(const greg_t* registers) {
  if (registers[REG_RIP] != last_at_) ++instructions_;  // a repeated string instruction counts once
  last_at_ = registers[REG_RIP];
  bool changed = operand_ != 0 && note_changes(operand_ - 1);
  const std::uint64_t offset = memory_operand(registers) - reinterpret_cast<std::uint64_t>(base_);
  operand_ = offset < size_bytes_ ? offset + 1 : 0;
  const RobustList list = RobustList::read(head_);
  const std::uint64_t first =
      states_.empty() ? reinterpret_cast<std::uint64_t>(&head_->list) : states_.back().list.first;
  const std::uint64_t pending = states_.empty() ? 0 : states_.back().list.pending;
  changed |= list.first != first || list.pending != pending;
  if (!changed) return true;
  if (states_.size() == kStateLimit) {
    overflow_ = true;
  } else {
    states_.push_back({changes_.size(), instructions_, list});
  }
  return true;
}

bool Recorder::note_changes(std::uint64_t operand) {
  bool changed = false;
  const std::uint64_t end = std::min(size_bytes_, operand + kWidestStoreBytes);
  for (std::uint64_t at = operand / 8 * 8; at < end; at += 8) {
    std::uint64_t now, before;
    std::memcpy(&now, base_ + at, 8);
    std::memcpy(&before, seen_.data() + at, 8);
    if (now == before) continue;
    changed = true;
    std::memcpy(seen_.data() + at, &now, 8);
    if (changes_.size() == kChangeLimit) {
      overflow_ = true;
    } else {
      changes_.push_back({at, now});
    }
  }
  return changed;
}

std::string Recorder::finish() {
  if (overflow_) return "too many states to record";
  for (const Range& range : used_ranges(segment_)) {
    for (std::uint64_t at = range.begin; at < range.end; at += 4096) {
      const std::uint64_t bytes = std::min<std::uint64_t>(4096, range.end - at);
      if (std::memcmp(base_ + at, seen_.data() + at, bytes) != 0) {
        return "a store near offset " + std::to_string(at) + " was not seen";
      }
    }
  }
  return "";
}

}  // namespace memento::crash
