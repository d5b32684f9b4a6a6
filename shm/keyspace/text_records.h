// TextRecords: changes of texts go into the journal as those of a slot of their own (kTextSlot), by the
// keyspace's ring. Not thread safe.
#pragma once

#include "shm/keyspace/keyspace.h"
#include "shm/texts/text_store.h"

namespace memento {

class TextRecords final : public TextJournal {
 public:
  explicit TextRecords(Keyspace& keyspace) : keyspace_(keyspace) {}

  bool has_room(std::uint64_t count, std::uint64_t bytes) override {
    return keyspace_.has_text_room(count, bytes);
  }
  void record(RecordKind kind, std::string_view key, std::string_view text) override {
    keyspace_.record_text(kind, key, text);
  }

 private:
  Keyspace& keyspace_;
};

}  // namespace memento
