// TextLoader: the texts of scripts and libraries as a snapshot and the journal behind it have them, in the
// loader's own memory until they are complete; then they go to the TextStore. Not thread safe.
#pragma once

#include <string>

#include "shm/archive/journal_image.h"
#include "shm/format/journal_record.h"
#include "shm/texts/text_store.h"

namespace memento {

class TextLoader {
 public:
  /// Of a snapshot's image, or of the journal. What is wrong; empty: nothing.
  std::string add_of_snapshot(const RecordView& record);
  std::string add(const RecordView& record);
  /// The snapshot's image is there to its end.
  bool is_whole() const { return is_whole_; }

  /// Of the last record.
  std::uint64_t position() const { return texts_.position(); }
  std::uint64_t count() const { return texts_.items().size(); }
  /// Makes these the store's. False: no memory. REQUIRES: nobody else uses it.
  bool put_all(TextStore& store) const;

 private:
  JournalImage texts_{0, 0, false};
  bool is_whole_ = false;
};

}  // namespace memento
