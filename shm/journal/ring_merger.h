// RingMerger: a consumer's end of the journal. Takes the records of all processes' rings in an order in which
// the slots' positions follow one another, and in which whatever was answered before another change began
// stands before it, over all keys: what a consumer has at any moment is a prefix of what happened.
//
// A pass reads the clock, then all tails, and takes of each ring what is stamped before that; merged by
// stamp. A record stays where it is, and its ring behind it, until its slot has come to its base: numbers are
// given under the slot's lock and the tail is moved before the unlock, so that what is waited for is in a
// ring already, and the next pass finds it. A merger that begins takes the lowest position that a slot has in
// the rings for its first; of a slot that is in none, the first record that comes.
//
// Values and groups may lie in runs, which the record names. A run stays as it is until the
// consumer's head is behind the record: so publish() comes when what was taken is safe.
//
// One object for each consumer, in one process. Not thread safe.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shm/format/journal_record.h"
#include "shm/format/layout.h"

namespace memento {

class Segment;

/// Calls visit(RecordView) for each record of these bytes until it says no. False: it did, or they are not
/// whole records.
template <class Visit>
bool each_record(std::string_view bytes, Visit&& visit) {
  while (!bytes.empty()) {
    const std::optional<RecordView> record = read_record(bytes);
    if (!record || !visit(*record)) return false;
    bytes.remove_prefix(record->header.bytes);
  }
  return true;
}

/// A group's records, one behind the other; of other records nothing.
std::string_view members_of(Segment& segment, const RecordView& group);

/// Calls visit(slot, base, position) for each slot that the record moves on, a group's one after the other,
/// until it says no. False: it did, or the group is not whole.
template <class Visit>
bool each_move(Segment& segment, const RecordView& record, Visit&& visit) {
  const RecordHeader& header = record.header;
  if (header.kind == RecordKind::kGroup) {
    return each_record(members_of(segment, record),
                       [&](const RecordView& member) { return each_move(segment, member, visit); });
  }
  if (header.position == 0) return true;
  const std::uint64_t base =
      header.kind == RecordKind::kReign ? record.number_at(0) : base_of(header.position);
  if (!visit(header.slot_in_database(), base, header.position)) return false;
  return header.kind != RecordKind::kSwap ||
         visit(record.other_slot(), base_of(record.other_position()), record.other_position());
}

class RingMerger {
 public:
  struct Taken {
    std::uint32_t ring;
    std::uint64_t position;    ///< of its first byte in that ring
    RecordView record;         ///< resolved()
    std::string_view bytes;    ///< the record's as they are in the ring; empty: its value lies elsewhere
    std::string_view members;  ///< of a group: its records, one behind the other, not yet resolved
  };
  /// Returns whether to go on.
  using Take = std::function<bool(const Taken&)>;

  /// Begins at the heads of this consumer (0 for the disk, 1 for nodes).
  RingMerger(Segment& segment, std::uint32_t consumer);
  RingMerger(const RingMerger&) = delete;
  RingMerger& operator=(const RingMerger&) = delete;

  /// Gives what is there, in order; the one for which `take` said no is given, and is the last. False: a ring
  /// holds what is no record, which error() names.
  bool pass(const Take& take);
  const std::string& error() const { return error_; }

  /// The record, with its value if that lies in a run: then it is a kPut.
  RecordView resolved(RecordView record) const;

  /// Says to the writers that what was taken so far is not needed any more.
  void publish();
  /// Up to where the ring was taken.
  std::uint64_t taken(std::uint32_t ring) const { return rings_[ring].next; }
  /// From all rings, since ever.
  std::uint64_t taken_bytes() const;
  /// Bytes that wait in the rings.
  std::uint64_t waiting_bytes() const;

 private:
  struct Ring {
    std::uint64_t next = 0;  ///< where the first record that was not taken begins
    std::uint64_t tail = 0;  ///< as seen in this pass
    const char* bytes = nullptr;
    std::optional<RecordView> front;  ///< the record at `next`
  };

  void note_new_rings();
  void look_at_tails();
  void note_bases();
  std::uint64_t ring_bytes() const;
  const char* bytes_of(std::uint32_t ring);
  bool read_front(std::uint32_t ring);
  bool fits(const RecordView& record) const;
  void note(const RecordView& record);
  bool follows(SlotId slot, std::uint64_t base) const;
  void see(SlotId slot, std::uint64_t position);
  bool fail(std::uint32_t ring, const char* what);

  Segment& segment_;
  const std::uint32_t consumer_;
  std::vector<Ring> rings_;
  std::uint32_t ring_count_ = 0;  ///< of those whose `next` is set
  /// By database, once a record of it was seen, and slot: its last position; kUnseen.
  std::array<std::vector<std::uint64_t>, kDatabaseLimit> seen_;
  std::string error_;
};

}  // namespace memento
