// What the journal is told of a transaction: its changes as one group of records, slot by slot, or as one
// record when there is one. See journal_writer.h and transaction.h. A group that is too long for the ring
// lies in a run, which is kept like a replaced run until it has been read.
#include "shm/keyspace/transaction.h"

namespace memento {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

}  // namespace

// At most, of the group's records.
std::uint64_t Keyspace::Transaction::journal_bytes() const {
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < write_count_; ++i) {
    const Write& write = writes_[i];
    const bool is_run = write.is_put && write.shape().total_bytes() > kLargestBlockBytes;
    bytes += record_bytes(write.key.size(), is_run ? sizeof(Word) : write.is_put ? write.value.size() : 0);
    if (flushed_ != 0) bytes += record_bytes(0, 0);
  }
  each_slot_only_flushed([&](const Slot&) { bytes += record_bytes(0, 0); });
  return bytes;
}

bool Keyspace::Transaction::groups_in_run() const {
  const bool is_single = write_count_ == 1 && flushed_ == 0;
  return impl_.journal.writes_records() && !is_single &&
         journal_bytes() > JournalWriter::group_limit_bytes(impl_.journal.ring_bytes());
}

// REQUIRES: nothing else needs the held new run until the commit. False: out of memory.
bool Keyspace::Transaction::reserve_journal_run() {
  if (!impl_.journal.is_on() || !groups_in_run() || has_journal_run()) return true;
  impl_.make_room();
  Arena& arena = impl_.arena;
  arena.free_held(kHeldNewRun);
  const std::uint64_t bytes = journal_bytes();
  return impl_.with_room(bytes, [&] { return arena.allocate_run(bytes); });
}

bool Keyspace::Transaction::has_journal_run() const {
  if (!impl_.journal.is_on() || !groups_in_run()) return true;
  const Extent run{impl_.arena.held(kHeldNewRun).load(kRelaxed)};
  return run.word != 0 && run.size() * kUnitBytes - sizeof(RunHead) >= journal_bytes() &&
         impl_.arena.has_room_for_run();
}

// REQUIRES: locked.
bool Keyspace::Transaction::journal_takes() const {
  const JournalWriter& journal = impl_.journal;
  if (!journal.writes_records()) [[likely]]
    return true;
  return journal.has_room(groups_in_run() ? JournalWriter::kGroupInRunBytes
                                          : JournalWriter::group_bytes(journal_bytes()));
}

void Keyspace::Transaction::begin_records() {
  if (!impl_.journal.is_on()) [[likely]]
    return;
  if (write_count_ == 1 && flushed_ == 0) return impl_.journal.begin_single();
  if (!groups_in_run()) return impl_.journal.begin_group();
  impl_.journal.begin_group_in(Extent{impl_.arena.held(kHeldNewRun).load(kRelaxed)}.offset());
}

void Keyspace::Transaction::end_records() {
  if (!impl_.journal.is_on()) [[likely]]
    return;
  if (!impl_.journal.end_group() || !groups_in_run()) return;
  impl_.arena.stage_kept_run(kHeldNewRun);
}

void Keyspace::Transaction::record_flush(SlotId slot) {
  if (impl_.journal.is_on()) impl_.journal.add({slot, RecordKind::kFlush});
}

void Keyspace::Transaction::record_put(const Write& write, Offset entry_offset) {
  if (!impl_.journal.is_on()) [[likely]]
    return;
  const bool is_run = !impl_.arena.is_class_page(entry_offset);
  JournalWriter::KeyChange change{write.slot, RecordKind::kPut, 0, write.key, write.created,
                                  0,          write.expiry_ms};
  impl_.journal.add_put(change, write.value, is_run ? run_of(entry_offset) : kNoOffset);
}

void Keyspace::Transaction::record_erase(const Write& write, bool had_expired) {
  if (!impl_.journal.is_on()) [[likely]]
    return;
  const std::uint8_t flags = had_expired ? kRecordExpired : 0;
  impl_.journal.add({write.slot, RecordKind::kErase, flags, write.key});
}

}  // namespace memento
