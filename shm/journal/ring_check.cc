// See ring_check.h.
#include "shm/journal/ring_check.h"

#include <algorithm>
#include <map>

#include "shm/commit/journal_rings.h"
#include "shm/format/journal_record.h"
#include "shm/format/layout.h"
#include "shm/journal/ring_merger.h"
#include "shm/segment.h"

namespace memento {
namespace {

class RingCheck {
 public:
  explicit RingCheck(Segment& segment)
      : segment_(segment),
        journal_(segment.header().journal.load()),
        ring_bytes_(segment.header().journal_ring_bytes.load()),
        slots_(segment.slot_journals()) {}

  std::vector<std::string> run() {
    if ((journal_ & kJournalConsumers) == 0) return {};
    for (std::uint32_t ring = 0; ring < segment_.process_count(); ++ring) check_ring(ring);
    if (!is_missing_) {
      for (auto& [slot, positions] : positions_) check_slot(slot, &positions);
    }
    return std::move(errors_);
  }

 private:
  void fail(std::uint32_t ring, const std::string& what) {
    errors_.push_back("the journal's ring " + std::to_string(ring) + ": " + what);
  }

  void check_ring(std::uint32_t ring) {
    const JournalState& state = segment_.process(ring).journal;
    const std::uint64_t tail = state.tail.load();
    std::uint64_t head = tail;
    for (std::uint32_t consumer = 0; consumer < kJournalConsumerLimit; ++consumer) {
      if ((journal_ >> consumer & 1) == 0) continue;
      const bool moves = (segment_.header().journal_heads_move.load() >> consumer & 1) != 0;
      head = std::min(head, (moves ? state.next_heads : state.heads)[consumer].load());
    }
    if (head == tail) return;
    const char* const bytes = segment_.journal_rings().bytes(ring, ring_bytes_);
    if (bytes == nullptr) {
      is_missing_ = true;
      return;
    }
    if (tail - head > ring_bytes_) return fail(ring, "it was overwritten before it was read");
    const std::string_view unread(bytes + head % ring_bytes_, tail - head);
    if (!each_record(unread, [&](const RecordView& record) { return check_record(ring, record); }))
      fail(ring,
           "between " + std::to_string(head) + " and " + std::to_string(tail) + " is what is no record");
  }

  bool check_record(std::uint32_t ring, const RecordView& record) {
    if (record.header.ring() != ring) fail(ring, "a record of ring " + std::to_string(record.header.ring()));
    if (record.header.kind == RecordKind::kGroup) {
      return each_record(members_of(segment_, record),
                         [&](const RecordView& member) { return check_record(ring, member); });
    }
    return each_move(segment_, record, [&](SlotId slot, std::uint64_t, std::uint64_t position) {
      return positions_[slot].push_back(position), true;
    });
  }

  void check_slot(SlotId slot, std::vector<std::uint64_t>* positions) {
    std::ranges::sort(*positions);
    const std::string name = "the journal of slot " + std::to_string(slot.value);
    for (std::size_t i = 1; i < positions->size(); ++i) {
      if ((*positions)[i] == (*positions)[i - 1] + 1) continue;
      errors_.push_back(name + ": " + std::to_string((*positions)[i]) + " behind " +
                        std::to_string((*positions)[i - 1]));
    }
    const std::uint64_t position = slots_[slot.value].position.load();
    if (positions->back() != position)
      errors_.push_back(name + ": it is at " + std::to_string(position) + ", its last record at " +
                        std::to_string(positions->back()));
  }

  Segment& segment_;
  const std::uint64_t journal_;
  const std::uint64_t ring_bytes_;
  const SlotJournal* const slots_;
  std::map<SlotId, std::vector<std::uint64_t>> positions_;  // of all rings
  std::vector<std::string> errors_;
  bool is_missing_ = false;
};

}  // namespace

std::vector<std::string> check_rings(Segment& segment) { return RingCheck(segment).run(); }

}  // namespace memento
