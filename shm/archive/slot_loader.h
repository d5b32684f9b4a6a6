// SlotLoader: what the records of a snapshot and of a journal make of the slots that one of several loading
// threads has. Records come in the order of their frames; those of other threads' slots pass by.
//
//   a record  stood there before (duplicates.h)             dropped
//             its position is not above the slot's          dropped: it is in already
//             its base is the slot's position               applied
//             else                                          a fault
//
// A slot's image in a snapshot is copied in steps while the slot is written: the parts of a step are true as
// of the position that they bear, and the slot is as of the image's begin. So records up to a part's position
// do nothing to what that step has copied, and until the highest of them keys may be missing. Images in a
// journal are kept aside until they are whole (journal_image.h).
//
// What is read is checked: a record that cannot be, in itself or behind those before it, is a fault, which
// says what is wrong. Not thread safe.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "shm/archive/duplicates.h"
#include "shm/archive/journal_image.h"
#include "shm/archive/journal_reader.h"
#include "shm/archive/slot_store.h"
#include "shm/archive/text_loader.h"
#include "shm/format/journal_record.h"
#include "shm/format/layout.h"

namespace memento {

class Segment;

/// The databases that a load finds something of. Thread safe.
class LoadedDatabases {
 public:
  explicit LoadedDatabases(Segment& segment) : segment_(segment) {}
  /// Opens it when it is not. False: no memory.
  bool open(DatabaseId database);

 private:
  Segment& segment_;
  std::mutex mutex_;
};

class SlotLoader {
 public:
  /// Which slots: those whose number in their database leaves `index` when it is divided by `count`.
  struct Share {
    std::uint32_t index = 0;
    std::uint32_t count = 1;
    bool has(SlotId slot) const { return hash_slot(slot).value % count == index; }
  };
  SlotLoader(Segment& segment, std::uint32_t process, Share share, LoadedDatabases& databases);

  /// A slot's image in a snapshot whose keys were hashed with this seed. False: fault() says why.
  bool begin_image(SlotId slot, std::uint64_t entry_count, std::uint64_t hash_seed);
  bool add_image_records(const std::vector<FrameRecord>& records);
  /// complete was there.
  bool image_is_whole() const { return !image_; }
  /// The texts of scripts and libraries, when this loader's share has their slot.
  const TextLoader& texts() const { return texts_; }

  /// The next frame of the journal. False: fault() says why.
  bool add(const JournalFrame& frame);
  /// The journal has ended: what is not whole goes. False: fault(): `checks`, and a snapshot's image needed
  /// more of it.
  bool finish(bool checks);

  const std::string& fault() const { return fault_; }
  bool is_out_of_memory() const { return is_out_of_memory_; }
  std::uint64_t record_count() const { return record_count_; }
  std::uint64_t dropped_count() const { return dropped_count_; }
  std::uint64_t key_count() const { return store_.entry_count(); }
  /// Of finish(): what was not whole.
  std::uint64_t lost_value_count() const { return lost_value_count_; }
  std::uint64_t lost_image_count() const { return lost_image_count_; }
  std::uint64_t partial_slot_count() const { return partial_slot_count_; }
  /// A change of whole databases that has begun and not ended: DatabaseChanges' word for what is left; 0:
  /// none. Of the thread with index 0.
  std::uint64_t open_change() const { return open_change_; }

 private:
  static constexpr std::size_t kBatch = 32;  ///< records whose memory is fetched at once
  struct Queued {
    RecordView record;
    HashedKey key;
  };
  /// A value that comes in pieces.
  struct LongValue {
    std::string key;
    std::uint64_t position = 0;
    std::uint64_t total_bytes = 0;
    SlotStore::Filling filling;
    std::string bytes;  ///< when it is no long value after all
    std::uint64_t filled_bytes() const {
      return SlotStore::is_long(total_bytes) ? filling.filled_bytes : bytes.size();
    }
  };
  /// Keys of a snapshot's image by their tags: true as of this position.
  struct CopiedRange {
    std::uint64_t first_tag;
    std::uint64_t last_tag;
    std::uint64_t position;
  };
  /// The one of begin_image().
  struct SnapshotImage {
    SlotId slot;
    std::uint64_t hash_seed;
    std::uint64_t number;
    std::uint64_t begin;  ///< its position
    bool has_begun;
  };
  /// What few slots have.
  struct Extra {
    std::optional<LongValue> value;
    std::vector<CopiedRange> copied;  ///< behind the image's begin, ascending
    std::uint64_t copied_end = 0;     ///< the highest of them; 0: none is needed any more
    std::uint64_t hash_seed = 0;      ///< of their tags
    bool is_partial = false;
    std::optional<JournalImage> image;
  };

  bool fail(std::string text);
  bool fail(const RecordView& record, const std::string& what);
  bool out_of_memory();
  Word& position_of(SlotId slot) const { return journals_[slot.value].position; }
  Extra* extra_of(SlotId slot) {
    if (!has_extra_[slot.value]) [[likely]]
      return nullptr;
    return &extras_[slot.value];
  }
  Extra& make_extra(SlotId slot) {
    has_extra_[slot.value] = true;
    return extras_[slot.value];
  }

  bool add_group(std::uint64_t memory_id, const FrameRecord& at);
  bool add_change(const RecordView& record);
  bool queue(const RecordView& record);
  bool add_text(const RecordView& record);
  bool add_image_of_texts(const std::vector<FrameRecord>& records);
  bool run_queue();
  bool check(const RecordView& record, HashedKey* key);

  // Records that are applied to slots (slot_loader.cc).
  bool apply(const Queued& queued);
  bool apply_beside(const Queued& queued, Extra& extra);
  bool change(const Queued& queued, Extra* extra);
  bool splice(const Queued& queued, const Entry& old);
  bool add_piece(const Queued& queued, Extra& extra, bool* is_whole);
  bool swap(const Queued& queued, Extra* extra);
  bool flush(SlotId slot, std::uint64_t position, Extra* extra);

  // Images (slot_loader_images.cc).
  static const CopiedRange* copied_range(const Extra& extra, const HashedKey& key);
  bool apply_to_image(const Queued& queued);
  bool complete_image(const Queued& queued, Extra& extra);
  bool add_part_piece(const Queued& queued);
  bool note_copied(const RecordView& record, const HashedKey& key);

  Header& header_;
  const Share share_;
  LoadedDatabases& databases_;
  SlotStore store_;
  SlotJournal* const journals_;
  Duplicates duplicates_;
  std::vector<bool> has_extra_;
  std::unordered_map<std::uint32_t, Extra> extras_;
  std::array<Queued, kBatch> queue_;
  std::size_t queued_ = 0;

  std::optional<SnapshotImage> image_;
  TextLoader texts_;  ///< of who has kTextSlot

  std::uint64_t open_change_ = 0;
  std::uint64_t record_count_ = 0;
  std::uint64_t dropped_count_ = 0;
  std::uint64_t lost_value_count_ = 0;
  std::uint64_t lost_image_count_ = 0;
  std::uint64_t partial_slot_count_ = 0;
  std::string fault_;
  bool is_out_of_memory_ = false;
};

}  // namespace memento
