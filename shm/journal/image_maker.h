// ImageMaker: one slot's content as records, copied in steps while others write it. A step copies what it
// does under the slot's lock, at one position of the slot, which its parts bear: for a quarter of a MiB or
// 100 us at most, but for a value of a block more. Between steps the slot changes as it likes: what was
// copied is true as of its part's position, and the slot's records say the rest.
//
//   kBegin     at the slot's position then
//   kPart      keys by ascending tags (table.h): a place that no growth of a table moves, so that a table may
//              be rebuilt meanwhile
//   kPiece     of long values, with kRecordOfPart. A run is pinned in the step that finds it, which keeps its
//              bytes as they are, and copied without the lock
//   kComplete  at the last step's position
//
// The texts of scripts and libraries are an image too, of kTextSlot, at one position.
//
// Whoever consumes the journal; one object for a thread, which has no other LockOwner and no Keyspace while
// it lives. Its process record's read pin and redo list are this object's.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shm/commit/redo_list.h"
#include "shm/commit/robust_lock.h"
#include "shm/format/entry.h"
#include "shm/format/journal_record.h"
#include "shm/format/layout.h"
#include "shm/format/table.h"
#include "shm/texts/text_store.h"

namespace memento {

class Segment;

class ImageMaker {
 public:
  static constexpr std::uint64_t kStepBytes = 256 << 10;
  static constexpr std::uint64_t kPieceBytes = 128 << 10;
  static constexpr std::int64_t kStepNs = 100'000;

  ImageMaker(Segment& segment, std::uint32_t process);
  ~ImageMaker() { unpin(); }
  ImageMaker(const ImageMaker&) = delete;
  ImageMaker& operator=(const ImageMaker&) = delete;

  /// The databases, a bit each, that had a SWAPDB since this was called last, or since the segment was made.
  /// Later ones are told of by step().
  std::uint32_t take_swapped();

  /// From now on step() is about this slot; an image under way is given up.
  void begin(SlotId slot, std::uint64_t number);
  enum class Step {
    kMore,     ///< more is to come
    kDone,     ///< the image is whole
    kNothing,  ///< the slot never had data: it needs no image
    kBusy,     ///< somebody has the lock, or changes whole databases; later
    kSwapped,  ///< its database had a SWAPDB: this image and others, by take_swapped(), do not fit together
  };
  /// Appends whole records. `waits`: for the lock, however long.
  Step step(std::string* records, bool waits = false);

  /// In place of begin() and step(): the texts that are kept, at once.
  Step copy_texts(TextStore& texts, std::uint64_t number, std::string* records);

  /// A long value is pinned between two steps. Who replaces it may have to wait for us.
  bool holds_value() const { return value_.has_value(); }
  /// Parts of the image so far.
  std::uint64_t entry_count() const { return entry_count_; }
  /// How long the last step held the lock.
  std::int64_t locked_ns() const { return locked_ns_; }

 private:
  static constexpr std::uint64_t kTagEnd = 1ull << 24;
  struct Found {
    std::uint64_t tag;
    Offset offset;
  };
  /// A part that is being copied.
  struct Value {
    std::string key;
    Entry entry;
    std::int64_t expiry_ms;
    std::uint64_t offset = 0;  ///< of what is left
  };

  bool is_swapped(DatabaseId database) const;
  bool lock(Slot& slot, bool waits);
  bool note_begin(Slot& slot, std::string* records);
  void copy_slot(const Slot& slot, std::string* records);
  std::uint64_t gather(Extent table);
  bool copy_found(std::uint64_t end_tag, std::int64_t begin_ns, std::uint64_t begin_bytes,
                  std::string* records);
  bool is_run(Offset offset) const;
  void copy_value(std::string* records);
  void append_entry(const Entry& entry, std::string* records);
  void append_piece(std::string* records);
  void append_text(std::string_view key, std::string_view text, std::string* records);
  void append_mark(RecordKind kind, std::string* records);
  static void append(RecordHeader header, std::string_view key, std::string_view literal,
                     std::string_view bytes, std::string* records);
  RecordHeader header_of(RecordKind kind, const Entry& entry, std::int64_t expiry_ms,
                         std::uint64_t value_bytes) const;
  void unpin();

  char* const base_;
  Header& header_;
  const SlotArray slots_;
  SlotJournal* const journals_;
  const std::uint32_t process_;
  ProcessRecord& record_;
  LockOwner owner_;
  RedoList redo_;
  std::array<std::uint64_t, kDatabaseLimit> swaps_{};

  SlotId slot_;
  std::uint64_t number_ = 0;
  std::uint64_t place_ = 0;  ///< tag of what comes next
  bool has_begun_ = false;
  std::uint64_t position_ = 0;  ///< of the step
  std::uint64_t entry_count_ = 0;
  std::int64_t locked_ns_ = 0;
  std::vector<Found> found_;
  std::optional<Value> value_;
};

}  // namespace memento
