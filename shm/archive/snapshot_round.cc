// See snapshot_round.h.
#include "shm/archive/snapshot_round.h"

#include <unistd.h>

#include <algorithm>
#include <bit>

#include "shm/commit/journal_heads.h"
#include "shm/format/layout.h"
#include "shm/segment.h"

namespace memento {
namespace {

constexpr std::uint32_t kBusyLimit = 64;  // then the lock is waited for

}  // namespace

Result<std::unique_ptr<SnapshotRound>> SnapshotRound::begin(Segment& segment, const Options& options) {
  SnapshotHead head;
  head.number = options.number;
  head.data_id = options.data_id;
  head.hash_seed = segment.header().hash_seed;
  Result<SnapshotWriter> writer =
      SnapshotWriter::begin(*options.folder, options.path, head, segment.header().memory_id);
  if (!writer) return writer.error();
  return std::unique_ptr<SnapshotRound>(new SnapshotRound(segment, options, std::move(*writer)));
}

SnapshotRound::SnapshotRound(Segment& segment, Options options, SnapshotWriter writer)
    : segment_(segment),
      options_(std::move(options)),
      writer_(std::move(writer)),
      maker_(segment, options_.process),
      texts_(segment.path()) {
  (void)maker_.take_swapped();
  for (DatabaseId database; database < kDatabaseEnd; ++database) add_slots(database);
}

void SnapshotRound::add_slots(DatabaseId database) {
  if (!segment_.header().is_open(database)) return;
  databases_ |= 1u << database.value;
  for (std::uint32_t i = kSlotCount; i-- > 0;) pending_.push_back(first_slot(database) + i);
}

Result<SnapshotRound::Step> SnapshotRound::step() {
  if (is_done_) return Step::kDone;
  if (is_open_ || next_slot()) return image_step();
  if (!has_texts_) return text_step();
  if (needed_tails_.empty()) return note_tails();
  if (!last_frame_) return Step::kNeedsJournal;
  if (Outcome finished = writer_.finish(*last_frame_); !finished) return finished.error();
  is_done_ = true;
  return Step::kDone;
}

bool SnapshotRound::next_slot() {
  if (pending_.empty()) pending_.swap(later_);
  if (pending_.empty()) return false;
  slot_ = pending_.back();
  pending_.pop_back();
  is_open_ = true;
  has_records_ = false;
  maker_.begin(slot_, next_image_++);
  return true;
}

Result<SnapshotRound::Step> SnapshotRound::image_step() {
  records_.clear();
  const ImageMaker::Step made = maker_.step(&records_, busy_count_ >= kBusyLimit);
  if (made == ImageMaker::Step::kSwapped) {
    if (Outcome begun = begin_again(); !begun) return begun.error();
    return Step::kMore;
  }
  if (made == ImageMaker::Step::kBusy) {
    ++busy_count_;
    if (has_records_) return Step::kBusy;  // what it has is of this slot
    later_.push_back(slot_);
    is_open_ = false;
    return pending_.empty() ? Step::kBusy : Step::kMore;
  }
  busy_count_ = 0;
  if (!has_records_ && !records_.empty()) writer_.begin_slot(slot_);
  has_records_ |= !records_.empty();
  if (Outcome added = writer_.add(records_); !added) return added.error();
  if (made == ImageMaker::Step::kMore) return Step::kMore;
  if (made == ImageMaker::Step::kDone) writer_.end_slot(maker_.entry_count());
  is_open_ = false;
  return Step::kMore;
}

// Last, since a SWAPDB makes images of databases again.
Result<SnapshotRound::Step> SnapshotRound::text_step() {
  records_.clear();
  const ImageMaker::Step made = maker_.copy_texts(texts_, next_image_++, &records_);
  if (made == ImageMaker::Step::kBusy) return Step::kBusy;
  has_texts_ = true;
  if (made == ImageMaker::Step::kNothing) return Step::kMore;
  writer_.begin_slot(kTextSlot);
  if (Outcome added = writer_.add(records_); !added) return added.error();
  writer_.end_slot(maker_.entry_count());
  return Step::kMore;
}

// What was copied of databases that had a SWAPDB does not count.
Outcome SnapshotRound::begin_again() {
  if (++restart_count_ > kRestartLimit) {
    return Error{ExitStatus::kRuntime, 0,
                 "snapshot " + std::to_string(options_.number) + " was begun again " +
                     std::to_string(kRestartLimit) + " times because of SWAPDB, and is given up"};
  }
  if (has_records_) writer_.abandon_slot();
  pending_.push_back(slot_);
  is_open_ = false;
  const std::uint32_t swapped = maker_.take_swapped();
  for (std::vector<SlotId>* slots : {&pending_, &later_})
    std::erase_if(*slots, [&](SlotId slot) { return (swapped >> database_of(slot).value & 1) != 0; });
  for (DatabaseId database; database < kDatabaseEnd; ++database) {
    if ((swapped >> database.value & 1) == 0) continue;
    writer_.forget(database);
    add_slots(database);
  }
  return Done{};
}

std::uint64_t SnapshotRound::total_slots() const {
  return static_cast<std::uint64_t>(std::popcount(databases_)) * kSlotCount;
}

SnapshotRound::Step SnapshotRound::note_tails() {
  needed_tails_ = ring_tails(segment_);
  return Step::kNeedsJournal;
}

Outcome SnapshotRound::cancel() {
  is_done_ = true;
  const std::string name = snapshot_file_name(options_.number);
  if (unlinkat(options_.folder->get(), name.c_str(), 0) == 0) return Done{};
  return system_error("unlink(" + options_.path + "/" + name + ")");
}

}  // namespace memento
