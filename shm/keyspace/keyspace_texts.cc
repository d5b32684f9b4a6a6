// What the journal is told of texts (shm/texts/text_store.h), which are no keys.
#include <cassert>

#include "shm/keyspace/keyspace_impl.h"

namespace memento {

bool Keyspace::has_text_room(std::uint64_t count, std::uint64_t bytes) {
  JournalWriter& journal = impl_->journal;
  if (!journal.writes_records()) return true;
  if (!journal.make_ring()) throw JournalFull{};
  const std::uint64_t all_bytes = bytes + count * record_bytes(0, sizeof(Word));  // and their padding
  if (all_bytes > JournalWriter::group_limit_bytes(journal.ring_bytes())) return false;
  if (!journal.has_room(all_bytes)) throw JournalFull{};
  return true;
}

// The slot's lock is the last that is taken: under it nothing else is locked.
void Keyspace::record_text(RecordKind kind, std::string_view key, std::string_view text) {
  JournalWriter& journal = impl_->journal;
  if (!journal.is_on()) return;
  const LockGuard guard(impl_->owner, impl_->slots[kTextSlot].lock);
  // Recording was turned on in this moment: the first snapshot has the text.
  if (!journal.has_room(record_bytes(key.size(), text.size()))) return;
  JournalWriter::KeyChange change{kTextSlot, kind, 0, key};
  change.value_bytes = text.size();
  journal.stage(change, text);
  impl_->redo.commit();
}

}  // namespace memento
