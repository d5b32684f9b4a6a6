// JournalWriter: a process's end of the journal. Whoever changes data stages, in front of the change and in
// the same redo list, the slot's next position and, while somebody reads the rings, a record of the change
// behind the ring's tail and the tail's new place. So record and change are one: a process that dies before
// the commit leaves bytes behind the tail that are nobody's; behind it, whoever repairs stores the same
// words.
//
// In front, because a reader without a lock that sees the new cell must see the new position too, or it would
// answer with a value that no wait for the disk holds back.
//
// Consumers are turned on and off at any time: writers look under the slot's lock. A ring is never
// overwritten unread: has_room() is asked, under the slot's lock, before anything is staged. spare_bytes() of
// each ring are only for changes of whole databases, which whoever comes next has to finish.
//
// REQUIRES, of all but is_on() and make_ring(): the locks of the slots named, until the list is committed or
// abandoned. Writers of the keyspace; not thread safe.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "shm/commit/redo_list.h"
#include "shm/format/entry.h"
#include "shm/format/journal_record.h"
#include "shm/format/layout.h"
#include "shm/os/cpu_clock.h"

namespace memento {

class JournalRings;
class Segment;

class JournalWriter {
 public:
  /// The longest literal of a record whose bytes stand in the ring, and the longest group.
  static constexpr std::uint64_t kLiteralLimitBytes = 64 << 10;
  /// A change of all databases takes 6.4 MiB.
  static constexpr std::uint64_t spare_bytes(std::uint64_t ring_bytes) {
    return std::min<std::uint64_t>(ring_bytes / 2, 13 << 19);
  }
  static constexpr std::uint64_t group_limit_bytes(std::uint64_t ring_bytes) { return ring_bytes / 4; }

  JournalWriter(Segment& segment, std::uint32_t process, RedoList& redo);
  JournalWriter(const JournalWriter&) = delete;
  JournalWriter& operator=(const JournalWriter&) = delete;

  /// Slots count positions; records may be wanted too.
  bool is_on() const { return header_.journal.load(std::memory_order_relaxed) != 0; }
  bool writes_records() const {
    return (header_.journal.load(std::memory_order_relaxed) & kJournalConsumers) != 0;
  }

  /// Makes and maps this process's ring if it has to write records. False: the tmpfs is full.
  bool make_ring();

  /// Whether records of so many bytes may be written now; always while nobody reads them.
  bool has_room(std::uint64_t bytes) const {
    return !writes_records() || (ring_ != nullptr && bytes <= room_bytes(spare_bytes(ring_bytes_)));
  }
  /// The same for what finishes a change of a whole database.
  bool has_spare_room(std::uint64_t bytes) const {
    return !writes_records() || (ring_ != nullptr && bytes <= room_bytes(0));
  }

  /// What a record says of a key.
  struct KeyChange {
    SlotId slot;
    RecordKind kind;
    std::uint8_t flags = 0;
    std::string_view key = {};
    std::uint64_t created = 0;
    std::uint64_t value_bytes = 0;  ///< of the result
    TimeMs expiry_ms = kNoExpiry;
  };
  static KeyChange of_entry(SlotId slot, RecordKind kind, const Entry& entry) {
    return {
        slot, kind, 0, {entry.key(), entry.key_bytes}, entry.created, entry.value_bytes, entry.expiry_ms()};
  }

  /// One change of one slot, staged whole. REQUIRES: has_room() for it.
  void stage(const KeyChange& change, std::string_view literal = {});
  /// The key has this entry; `run`: the run that it is in, or kNoOffset.
  void stage_put(SlotId slot, const Entry& entry, Offset run);
  /// What stage_put() of such an entry needs room for.
  static std::uint64_t put_bytes(const Entry& entry, bool is_run) {
    return record_bytes(entry.key_bytes, is_run ? sizeof(Word) : entry.value_bytes);
  }

  /// What stage() stages, for who commits it by RedoList::commit_words(): in front of all others, in this
  /// order.
  struct Words {
    RedoList::Change position, tail, last_at;
  };
  /// A put of an entry that is in a block, as stage_put() has it. REQUIRES: writes_records(), has_room().
  [[gnu::always_inline]] Words write_put(SlotId slot, const Entry& entry) {
    SlotJournal& words = slot_journal(slot);
    const std::uint64_t position = next_position(words.position.load(std::memory_order_relaxed));
    const std::uint64_t tail = state_.tail.load(std::memory_order_relaxed);
    const KeyChange change = of_entry(slot, RecordKind::kPut, entry);
    const RecordHeader header = header_of(change, position, entry.value_bytes);
    write(at(tail), header, change.key, {entry.value(), entry.value_bytes});
    return {{words.position, position},
            {state_.tail, tail + header.bytes},
            {words.last_at, ring_place(process_, tail + header.bytes)}};
  }

  /// Records of several changes that are one. They are written as they come, slot by slot.
  void begin_group();
  /// For one record, which is no group.
  void begin_single();
  /// The records go into a run of this process, which the group's record names. REQUIRES: it takes them all.
  void begin_group_in(Offset run);
  void add(const KeyChange& change, std::string_view literal = {});
  void add_put(KeyChange change, std::string_view value, Offset run);
  /// That two databases' slots exchange what they hold; stages both slots' words.
  void add_swap(SlotId slot, SlotId other);
  /// Stages the slot's words, in front of its cells. Nothing was added: does nothing.
  void end_slot();
  /// Stages that the group is in the ring. False: it has no record, or none are wanted.
  bool end_group();
  static constexpr std::uint64_t group_bytes(std::uint64_t bytes_of_records) {
    return sizeof(RecordHeader) + 8 + bytes_of_records;
  }
  static constexpr std::uint64_t kGroupInRunBytes = sizeof(RecordHeader) + 16;

  /// That a change of whole databases begins, or ends: DatabaseChanges' word.
  void stage_event(std::uint64_t change_word);

  SlotJournal& slot_journal(SlotId slot) const { return slots_[slot.value]; }
  static constexpr std::uint64_t next_position(std::uint64_t position) {
    return position == 0 ? position_of(1, 1) : position + 1;
  }
  std::uint64_t ring_bytes() const { return ring_bytes_; }
  /// Of Plant::kRecordBehindCommit.
  void publish_late();

 private:
  std::uint64_t room_bytes(std::uint64_t kept_bytes) const;
  RunHead& run_head(Offset run) const;
  std::uint64_t extent_of(Offset run) const;
  std::uint64_t place_in_group() const;
  void stage_tail(std::uint64_t bytes);
  [[gnu::always_inline]] RecordHeader header_of(const KeyChange& change, std::uint64_t position,
                                                std::uint64_t literal_bytes) const {
    return {static_cast<std::uint32_t>(record_bytes(change.key.size(), literal_bytes)),
            change.kind,
            change.flags,
            static_cast<std::uint16_t>(hash_slot(change.slot).value),
            position,
            cpu_ticks_in_order(),
            RecordHeader::created_and_key_of(change.created, change.key.size()),
            RecordHeader::value_and_origin_of(change.value_bytes, database_of(change.slot).value, process_),
            change.expiry_ms};
  }
  char* at(std::uint64_t ring_position) const { return ring_ + (ring_position & (ring_bytes_ - 1)); }
  /// Returns where the next one goes.
  [[gnu::always_inline]] static char* write(char* to, const RecordHeader& header, std::string_view key,
                                            std::string_view literal) {
    const std::uint64_t zero = 0;
    std::memcpy(to + header.bytes - sizeof zero, &zero, sizeof zero);  // the padding; the rest goes over it
    std::memcpy(to, &header, sizeof header);
    copy_bytes(to + sizeof header, key);
    copy_bytes(to + sizeof header + key.size(), literal);
    return to + header.bytes;
  }

  Segment& segment_;
  Header& header_;
  const std::uint32_t process_;
  JournalState& state_;
  RedoList& redo_;
  SlotJournal* const slots_;
  char* ring_ = nullptr;
  std::uint64_t ring_bytes_ = 0;
  std::uint64_t late_tail_ = 0;  ///< of publish_late()

  // Of the group that is being written.
  char* group_ = nullptr;   ///< its first byte; nullptr: no records are wanted
  char* next_ = nullptr;    ///< where its next record goes
  Offset group_run_;        ///< in which it is, or kNoOffset
  bool is_single_ = false;  ///< its only record stands by itself
  std::uint32_t group_count_ = 0;
  SlotId group_slot_;
  std::uint64_t group_position_ = 0;  ///< of its last record; 0: none of that slot
};

}  // namespace memento
