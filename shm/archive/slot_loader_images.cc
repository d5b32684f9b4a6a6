// SlotLoader: images, of a snapshot and in a journal. See slot_loader.h.
#include <algorithm>

#include "shm/archive/slot_loader.h"

namespace memento {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

}  // namespace

bool SlotLoader::begin_image(SlotId slot, std::uint64_t entry_count, std::uint64_t hash_seed) {
  if (!databases_.open(database_of(slot))) return out_of_memory();
  image_ = SnapshotImage{slot, hash_seed, 0, 0, false};
  if (position_of(slot).load(kRelaxed) != 0)
    return fail("slot " + std::to_string(slot.value) + " is in the snapshot twice");
  return slot == kTextSlot || store_.reserve(slot, entry_count) || out_of_memory();
}

bool SlotLoader::add_image_of_texts(const std::vector<FrameRecord>& records) {
  for (const FrameRecord& at : records) {
    const bool is_text = SlotId(at.record.header.slot) == kTextSlot && at.record.header.database() == 0;
    const std::string what = is_text ? texts_.add_of_snapshot(at.record) : "it is no text's";
    if (!what.empty()) return fail(at.record, what);
    ++record_count_;
  }
  position_of(kTextSlot).store(texts_.position(), kRelaxed);
  if (texts_.is_whole()) image_.reset();
  return true;
}

bool SlotLoader::add_image_records(const std::vector<FrameRecord>& records) {
  if (image_ && image_->slot == kTextSlot) return add_image_of_texts(records);
  for (const FrameRecord& at : records) {
    const RecordView& record = at.record;
    const RecordKind kind = record.header.kind;
    HashedKey key;
    if (!check(record, &key)) return false;
    if (!image_ || key.slot != image_->slot) return fail(record, "it is not of the image it stands in");
    if (image_->has_begun == (kind == RecordKind::kBegin)) return fail(record, "an image begins elsewhere");
    if (kind == RecordKind::kBegin) {
      image_->has_begun = true;
      image_->number = record.number_at(0);
      image_->begin = record.header.position;
      position_of(key.slot).store(image_->begin, kRelaxed);
    } else if (kind == RecordKind::kPart) {
      if (!store_.put(key, {record.value(), record.header.created(), record.header.expiry_ms}))
        return out_of_memory();
      if (!note_copied(record, key)) return false;
    } else if (kind == RecordKind::kPiece && (record.header.flags & kRecordOfPart) != 0) {
      if (!add_part_piece({record, key})) return false;
    } else if (kind == RecordKind::kComplete && record.number_at(0) == image_->number) {
      if (const Extra* extra = extra_of(key.slot); extra != nullptr && extra->value)
        return fail(record, "a value of its image is not whole");
      image_.reset();
    } else {
      return fail(record, "no such record belongs into a snapshot");
    }
    ++record_count_;
  }
  return true;
}

bool SlotLoader::add_part_piece(const Queued& queued) {
  bool is_whole = false;
  if (!add_piece(queued, make_extra(queued.key.slot), &is_whole)) return false;
  return !is_whole || note_copied(queued.record, queued.key);
}

// Parts come by ascending tags, and positions.
bool SlotLoader::note_copied(const RecordView& record, const HashedKey& key) {
  const std::uint64_t position = record.header.position;
  if (position < image_->begin) return fail(record, "it was copied before its image began");
  if (position == image_->begin) return true;
  Extra& extra = make_extra(key.slot);
  extra.hash_seed = image_->hash_seed;
  const std::uint64_t tag = Cell::tag_of_hash(hash_in_slot(key.bytes, extra.hash_seed));
  if (!extra.copied.empty() &&
      (extra.copied.back().last_tag > tag || extra.copied.back().position > position))
    return fail(record, "the image is not in order");
  if (extra.copied.empty() || extra.copied.back().position != position) {
    extra.copied.push_back({tag, tag, position});
  } else {
    extra.copied.back().last_tag = tag;
  }
  extra.copied_end = position;
  return true;
}

// nullptr: no step behind the image's begin has copied where the key stands.
const SlotLoader::CopiedRange* SlotLoader::copied_range(const Extra& extra, const HashedKey& key) {
  if (extra.copied.empty()) return nullptr;
  const std::uint64_t tag = Cell::tag_of_hash(hash_in_slot(key.bytes, extra.hash_seed));
  const auto range = std::ranges::lower_bound(extra.copied, tag, {}, &CopiedRange::last_tag);
  return range != extra.copied.end() && range->first_tag <= tag ? &*range : nullptr;
}

// Of an image in a journal.
bool SlotLoader::apply_to_image(const Queued& queued) {
  const RecordView& record = queued.record;
  const RecordHeader& header = record.header;
  const SlotId slot = queued.key.slot;
  Extra& extra = make_extra(slot);
  Word& position = position_of(slot);
  const std::uint64_t now = position.load(kRelaxed);
  ++record_count_;
  const auto become_partial = [&] {
    store_.empty(slot);
    extra.is_partial = true;
    position.store(header.position, kRelaxed);
  };
  if (header.kind == RecordKind::kFree) {
    if (header.position >= now) become_partial();
    return true;
  }
  if (header.kind == RecordKind::kBegin) {
    extra.image.reset();
    const bool is_in_place = (header.flags & kRecordInPlace) != 0;
    if (is_in_place && header.position < now && !extra.is_partial) return true;
    if (is_in_place) become_partial();
    extra.image.emplace(record.number_at(0), header.position, is_in_place);
    return true;
  }
  if (!extra.image) return true;
  if (header.kind == RecordKind::kComplete) return complete_image(queued, extra);
  const std::string what = extra.image->add(record);
  if (!what.empty()) return fail(record, what);
  if (extra.image->is_in_place() && extra.image->position() > now)
    position.store(extra.image->position(), kRelaxed);
  return true;
}

bool SlotLoader::complete_image(const Queued& queued, Extra& extra) {
  const RecordHeader& header = queued.record.header;
  const SlotId slot = queued.key.slot;
  if (queued.record.number_at(0) != extra.image->number()) return true;
  const JournalImage image = std::move(*extra.image);
  extra.image.reset();
  Word& position = position_of(slot);
  if (header.position <= position.load(kRelaxed) && !extra.is_partial) return true;
  store_.empty(slot);
  if (!store_.reserve(slot, image.items().size())) return out_of_memory();
  for (const auto& [bytes, item] : image.items()) {
    const HashedKey key{bytes, slot, hash_in_slot(bytes, header_.hash_seed)};
    if (!store_.put(key, {item.value, item.created, item.expiry_ms})) return out_of_memory();
  }
  position.store(header.position, kRelaxed);
  extra.is_partial = false;
  extra.copied.clear();
  extra.copied_end = 0;
  if (extra.value) store_.drop(&extra.value->filling);
  extra.value.reset();
  return true;
}

}  // namespace memento
