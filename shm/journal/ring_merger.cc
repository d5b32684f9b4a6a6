// See ring_merger.h.
#include "shm/journal/ring_merger.h"

#include <algorithm>
#include <cassert>
#include <map>

#include "shm/commit/journal_heads.h"
#include "shm/commit/journal_rings.h"
#include "shm/format/entry.h"
#include "shm/os/cpu_clock.h"
#include "shm/segment.h"

namespace memento {
namespace {

constexpr std::uint64_t kUnseen = UINT64_MAX;

}  // namespace

RingMerger::RingMerger(Segment& segment, std::uint32_t consumer)
    : segment_(segment), consumer_(consumer), rings_(kProcessLimit) {
  complete_heads(segment, consumer);
  note_new_rings();
  note_bases();
}

// Records that came into use begin at their heads.
void RingMerger::note_new_rings() {
  for (; ring_count_ < segment_.process_count(); ++ring_count_) {
    rings_[ring_count_].next =
        segment_.process(ring_count_).journal.heads[consumer_].load(std::memory_order_acquire);
  }
}

void RingMerger::look_at_tails() {
  for (std::uint32_t i = 0; i < ring_count_; ++i)
    rings_[i].tail = segment_.process(i).journal.tail.load(std::memory_order_acquire);
}

// The lowest position that each slot has in the rings is its first. Of slots that are in there as far as the
// tails were first, all is there up to the tails as they are then.
void RingMerger::note_bases() {
  look_at_tails();
  std::vector<std::uint64_t> first_tails(ring_count_);
  for (std::uint32_t i = 0; i < ring_count_; ++i) first_tails[i] = rings_[i].tail;
  look_at_tails();
  std::map<SlotId, std::uint64_t> bases;  // of slots in front of the first tails
  const auto each_base = [&](std::uint32_t ring, std::uint64_t end, auto&& visit) {
    const std::uint64_t begin = rings_[ring].next;
    const char* const bytes = bytes_of(ring);
    if (begin == end || bytes == nullptr || end - begin > ring_bytes()) return;  // pass() says what is wrong
    each_record({bytes + (begin & (ring_bytes() - 1)), end - begin},
                [&](const RecordView& record) { return each_move(segment_, record, visit); });
  };
  for (std::uint32_t i = 0; i < ring_count_; ++i) {
    each_base(i, first_tails[i], [&](SlotId slot, std::uint64_t base, std::uint64_t) {
      return bases.try_emplace(slot, base), true;
    });
  }
  for (std::uint32_t i = 0; i < ring_count_; ++i) {
    each_base(i, rings_[i].tail, [&](SlotId slot, std::uint64_t base, std::uint64_t) {
      if (const auto found = bases.find(slot); found != bases.end())
        found->second = std::min(found->second, base);
      return true;
    });
  }
  for (const auto& [slot, base] : bases) see(slot, base);
}

std::uint64_t RingMerger::ring_bytes() const {
  return segment_.header().journal_ring_bytes.load(std::memory_order_relaxed);
}

// nullptr: its file is missing.
const char* RingMerger::bytes_of(std::uint32_t ring) {
  if (rings_[ring].bytes == nullptr) rings_[ring].bytes = segment_.journal_rings().bytes(ring, ring_bytes());
  return rings_[ring].bytes;
}

bool RingMerger::fail(std::uint32_t ring, const char* what) {
  error_ =
      "the journal's ring " + std::to_string(ring) + " at " + std::to_string(rings_[ring].next) + ": " + what;
  return false;
}

// False: there is something that is no record.
bool RingMerger::read_front(std::uint32_t index) {
  Ring& ring = rings_[index];
  ring.front.reset();
  if (ring.next == ring.tail) return true;
  if (bytes_of(index) == nullptr) return fail(index, "its file is missing");
  if (ring.tail - ring.next > ring_bytes()) return fail(index, "more bytes than it holds");
  ring.front = read_record({ring.bytes + (ring.next & (ring_bytes() - 1)), ring.tail - ring.next});
  return ring.front.has_value() || fail(index, "no record of this version");
}

RecordView RingMerger::resolved(RecordView record) const {
  if (record.header.kind != RecordKind::kPutRun) return record;
  const Extent run{record.number_at(0)};
  const Entry entry = Entry::parse(segment_.base() + entry_of_run(run.offset()));
  record.header.kind = RecordKind::kPut;
  record.rest = {entry.value(),
                 record.header.value_bytes()};  // what has grown behind it has a record of its own
  record.header.bytes = static_cast<std::uint32_t>(record_bytes(record.key.size(), record.rest.size()));
  return record;
}

std::string_view members_of(Segment& segment, const RecordView& group) {
  if (group.header.kind != RecordKind::kGroup) return {};
  const bool in_run = (group.number_at(0) >> 32 & kGroupInRun) != 0;
  if (!in_run) return group.rest.substr(8, group.header.value_bytes());
  const Extent run{group.number_at(8)};
  return {segment.base() + entry_of_run(run.offset()), group.header.value_bytes()};
}

bool RingMerger::follows(SlotId slot, std::uint64_t base) const {
  const std::vector<std::uint64_t>& seen = seen_[database_of(slot).value];
  if (seen.empty()) return true;
  const std::uint64_t before = seen[hash_slot(slot).value];
  return before == kUnseen || before == base;
}

void RingMerger::see(SlotId slot, std::uint64_t position) {
  std::vector<std::uint64_t>& seen = seen_[database_of(slot).value];
  if (seen.empty()) seen.assign(kSlotCount + 1, kUnseen);
  seen[hash_slot(slot).value] = position;
}

// A group is there as a whole, and each of its slots' first records says whether they all fit.
bool RingMerger::fits(const RecordView& record) const {
  SlotId last = kSlotEnd;
  return each_move(segment_, record, [&](SlotId slot, std::uint64_t base, std::uint64_t) {
    return std::exchange(last, slot) == slot || follows(slot, base);
  });
}

void RingMerger::note(const RecordView& record) {
  each_move(segment_, record,
            [&](SlotId slot, std::uint64_t, std::uint64_t position) { return see(slot, position), true; });
}

bool RingMerger::pass(const Take& take) {
  const std::uint64_t begin = cpu_ticks();
  std::atomic_thread_fence(std::memory_order_seq_cst);
  note_new_rings();
  look_at_tails();
  const std::uint32_t count = ring_count_;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (!read_front(i)) return false;
  }
  for (;;) {
    // Of the records that fit, the one with the lowest stamp: mostly the first that is looked at.
    std::uint32_t best = count;
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::optional<RecordView>& front = rings_[i].front;
      if (!front || front->header.stamp >= begin) continue;
      if (best < count && rings_[best].front->header.stamp <= front->header.stamp) continue;
      if (fits(*front)) best = i;
    }
    if (best == count) return true;
    Ring& ring = rings_[best];
    const RecordView record = *ring.front;
    const bool is_run = record.header.kind == RecordKind::kPutRun;
    const std::string_view bytes(ring.bytes + (ring.next & (ring_bytes() - 1)), record.header.bytes);
    const Taken taken{best, ring.next, resolved(record), is_run ? std::string_view() : bytes,
                      members_of(segment_, record)};
    note(record);
    ring.next += record.header.bytes;
    if (!take(taken)) return true;
    if (!read_front(best)) return false;
  }
}

void RingMerger::publish() {
  note_new_rings();
  move_heads(segment_, consumer_, [this](std::uint32_t i) { return rings_[i].next; });
}

std::uint64_t RingMerger::taken_bytes() const {
  std::uint64_t bytes = 0;
  for (std::uint32_t i = 0; i < ring_count_; ++i) bytes += rings_[i].next;
  return bytes;
}

std::uint64_t RingMerger::waiting_bytes() const {
  std::uint64_t bytes = 0;
  for (std::uint32_t i = 0; i < ring_count_; ++i)
    bytes += segment_.process(i).journal.tail.load(std::memory_order_acquire) - rings_[i].next;
  return bytes;
}

}  // namespace memento
