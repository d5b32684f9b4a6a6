// JournalImage: an image of a slot that a journal holds, in the loader's own memory until it is whole: its
// parts, each true as of the position at which it was copied, and the slot's records that came in between.
// Half an image counts nowhere. Not thread safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "shm/format/journal_record.h"

namespace memento {

class JournalImage {
 public:
  JournalImage(std::uint64_t number, std::uint64_t position, bool is_in_place)
      : number_(number), position_(position), is_in_place_(is_in_place) {}

  struct Item {
    std::string value;
    std::uint64_t created = 0;
    std::int64_t expiry_ms = kNoExpiry;
    std::uint64_t copied_at = 0;  ///< 0: by a record
  };
  using Items = std::map<std::string, Item, std::less<>>;

  std::uint64_t number() const { return number_; }
  /// Of the last record that it has.
  std::uint64_t position() const { return position_; }
  bool is_in_place() const { return is_in_place_; }
  const Items& items() const { return items_; }

  /// A kPart, a record with kRecordOfImage, or a piece of one of them. What is wrong; empty: nothing.
  std::string add(const RecordView& record);

 private:
  std::string add_part(const RecordView& record, std::string_view value);
  std::string add_piece(const RecordView& record);
  std::string apply(const RecordView& record, std::string_view value);
  std::string apply_to_key(const RecordView& record, std::string_view value);

  std::uint64_t number_;
  std::uint64_t position_;
  bool is_in_place_;
  Items items_;
  std::string pieces_;  ///< of the value that is coming
};

/// What the old value becomes by a kSplice. False: that cannot be.
struct SpliceParts {
  std::uint64_t kept;
  std::uint64_t tail;
  std::string_view added;
};
bool read_splice(const RecordView& record, std::uint64_t old_bytes, SpliceParts* parts);

}  // namespace memento
