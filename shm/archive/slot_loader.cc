// See slot_loader.h. What comes from the journal; images are in slot_loader_images.cc.
#include "shm/archive/slot_loader.h"

#include <algorithm>

#include "shm/commit/database_change.h"
#include "shm/journal/ring_merger.h"
#include "shm/segment.h"

namespace memento {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

std::string text_of(std::uint64_t position) {
  return std::to_string(number_of(position)) + " of epoch " + std::to_string(epoch_of(position));
}

bool has_key(RecordKind kind) {
  return kind == RecordKind::kPut || kind == RecordKind::kSplice || kind == RecordKind::kErase ||
         kind == RecordKind::kExpire || kind == RecordKind::kPart || kind == RecordKind::kPiece;
}

bool is_of_image(const RecordHeader& header) {
  return (header.flags & kRecordOfImage) != 0 || header.kind == RecordKind::kBegin ||
         header.kind == RecordKind::kPart || header.kind == RecordKind::kComplete ||
         header.kind == RecordKind::kFree;
}

}  // namespace

bool LoadedDatabases::open(DatabaseId database) {
  Header& header = segment_.header();
  if (header.is_open(database)) [[likely]]
    return true;
  const std::lock_guard guard(mutex_);
  const std::uint64_t begin = header.slots_offset + sizeof(Slot) * first_slot(database).value;
  if (!segment_.commit_memory(begin, begin + sizeof(Slot) * kSlotCount) ||
      !segment_.commit_slot_journals(database.value))
    return false;
  header.open_databases.fetch_or(1ull << database.value, std::memory_order_release);
  return true;
}

SlotLoader::SlotLoader(Segment& segment, std::uint32_t process, Share share, LoadedDatabases& databases)
    : header_(segment.header()),
      share_(share),
      databases_(databases),
      store_(segment, process),
      journals_(segment.slot_journals()),
      has_extra_(kDatabaseLimit * kDatabaseStride) {}

bool SlotLoader::fail(std::string text) {
  fault_ = std::move(text);
  return false;
}

bool SlotLoader::fail(const RecordView& record, const std::string& what) {
  const RecordHeader& header = record.header;
  return fail("a record of kind " + std::to_string(static_cast<int>(header.kind)) + ", slot " +
              std::to_string(header.slot) + " of database " + std::to_string(header.database()) +
              ", position " + text_of(header.position) + ": " + what);
}

bool SlotLoader::out_of_memory() {
  is_out_of_memory_ = true;
  return fail("out of memory");
}

bool SlotLoader::add(const JournalFrame& frame) {
  const std::uint64_t memory_id = frame.frame.header.memory_id;
  for (const FrameRecord& at : frame.records) {
    const RecordHeader& header = at.record.header;
    if (header.kind == RecordKind::kPad) continue;
    if (header.kind == RecordKind::kGroup) {
      if (!add_group(memory_id, at)) return false;
    } else if (header.kind == RecordKind::kDatabaseChange) {
      if (!duplicates_.has(memory_id, at) && !add_change(at.record)) return false;
    } else if (share_.has(SlotId(header.slot))) {
      if (duplicates_.has(memory_id, at)) {
        ++dropped_count_;
      } else if (!queue(at.record)) {
        return false;
      }
    }
  }
  return run_queue();
}

bool SlotLoader::add_group(std::uint64_t memory_id, const FrameRecord& at) {
  if (duplicates_.has(memory_id, at)) return ++dropped_count_, true;
  constexpr std::size_t kHeadBytes = 8;
  const RecordView& group = at.record;
  const std::uint64_t head = group.number_at(0);
  if (head >> 32 != 0) return fail(group, "its flags are " + std::to_string(head >> 32));
  if (group.header.value_bytes() > group.rest.size() - kHeadBytes)
    return fail(group, "its records are cut off");
  std::uint64_t count = 0;
  const bool is_whole =
      each_record(group.rest.substr(kHeadBytes, group.header.value_bytes()), [&](const RecordView& member) {
        ++count;
        const RecordKind kind = member.header.kind;
        if (kind == RecordKind::kGroup || kind == RecordKind::kPiece || kind == RecordKind::kDatabaseChange)
          return fail(member, "it stands in a group");
        const bool moves_change = kind == RecordKind::kFlush || kind == RecordKind::kSwap;
        if (open_change_ != 0 && moves_change && member.header.slot < kSlotCount)
          open_change_ = DatabaseChanges::word_behind(open_change_, member.header.slot_in_database());
        return kind == RecordKind::kPad || !share_.has(SlotId(member.header.slot)) || queue(member);
      });
  if (!fault_.empty()) return false;
  if (!is_whole || count != head) return fail(group, "it does not hold the records that it says");
  return true;
}

// Whose records follow, and nobody else's between, until it has ended.
bool SlotLoader::add_change(const RecordView& record) {
  const std::uint64_t word = record.number_at(0);
  if (word != 0 && !DatabaseChanges::is_begin(word))
    return fail(record, "no change of databases is called " + std::to_string(word));
  if (share_.index != 0) return true;
  open_change_ = word;
  bool are_open = true;
  if (word != 0) {
    DatabaseChanges::each_named(word, [&](DatabaseId database) { are_open &= databases_.open(database); });
  }
  return are_open || out_of_memory();
}

// Whether the record can be one; its key, hashed.
bool SlotLoader::check(const RecordView& record, HashedKey* key) {
  const RecordHeader& header = record.header;
  const DatabaseId database(header.database());
  if (header.slot >= kSlotCount) return fail(record, "this program reads no such slot");
  if (header.kind == RecordKind::kPutRun) return fail(record, "it belongs into rings only");
  if (header.kind == RecordKind::kSwap &&
      (record.number_at(0) >= kDatabaseLimit || record.number_at(0) == database.value))
    return fail(record, "it exchanges with database " + std::to_string(record.number_at(0)));
  if (!databases_.open(database)) return out_of_memory();
  if (header.kind == RecordKind::kSwap && !databases_.open(database_of(record.other_slot())))
    return out_of_memory();
  key->slot = header.slot_in_database();
  if (!has_key(header.kind)) return true;
  if (record.key.size() > kKeyLimitBytes)
    return fail(record, "its key has " + std::to_string(record.key.size()) + " bytes");
  hash_key_into(record.key, header_.hash_seed, first_slot(database), key);
  return key->slot == header.slot_in_database() || fail(record, "its key is of another slot");
}

bool SlotLoader::add_text(const RecordView& record) {
  const std::string what = record.header.database() == 0 ? texts_.add(record) : "texts are in database 0";
  if (!what.empty()) return fail(record, what);
  position_of(kTextSlot).store(texts_.position(), kRelaxed);
  ++record_count_;
  return true;
}

bool SlotLoader::queue(const RecordView& record) {
  if (SlotId(record.header.slot) == kTextSlot) return add_text(record);
  if (queued_ == kBatch && !run_queue()) return false;
  Queued& place = queue_[queued_];
  place.record = record;
  if (!check(record, &place.key)) return false;
  store_.prefetch_slot(place.key.slot);
  __builtin_prefetch(&journals_[place.key.slot.value]);
  ++queued_;
  return true;
}

bool SlotLoader::run_queue() {
  const std::size_t count = std::exchange(queued_, 0);
  for (std::size_t i = 0; i < count; ++i) store_.prefetch_table(queue_[i].key);
  for (std::size_t i = 0; i < count; ++i) store_.prefetch_entry(queue_[i].key);
  for (std::size_t i = 0; i < count; ++i) {
    if (!apply(queue_[i])) return false;
  }
  return true;
}

bool SlotLoader::apply(const Queued& queued) {
  const RecordView& record = queued.record;
  const RecordHeader& header = record.header;
  if (is_of_image(header)) [[unlikely]]
    return apply_to_image(queued);
  const SlotId slot = queued.key.slot;
  const std::uint64_t now = position_of(slot).load(kRelaxed);
  Extra* const extra = extra_of(slot);
  if (header.position <= now || (extra != nullptr && extra->is_partial)) {
    ++dropped_count_;
    const bool is_half = header.kind == RecordKind::kSwap &&
                         record.other_position() > position_of(record.other_slot()).load(kRelaxed);
    return !is_half || fail(record, "only one of its slots has it already");
  }
  const std::uint64_t base =
      header.kind == RecordKind::kReign ? record.number_at(0) : base_of(header.position);
  if (base != now) return fail(record, "its slot is at " + text_of(now) + ", records between are missing");
  if (extra != nullptr || header.kind == RecordKind::kPiece) [[unlikely]]
    return apply_beside(queued, make_extra(slot));
  if (!change(queued, nullptr)) return false;
  position_of(slot).store(header.position, kRelaxed);
  ++record_count_;
  return true;
}

// A record of a slot that is not as most are.
bool SlotLoader::apply_beside(const Queued& queued, Extra& extra) {
  const RecordHeader& header = queued.record.header;
  if (header.kind == RecordKind::kPiece) {
    bool is_whole = false;
    if (!add_piece(queued, extra, &is_whole)) return false;
    if (!is_whole) return true;
  } else {
    if (extra.value) store_.drop(&extra.value->filling);  // its server died before it was whole
    extra.value.reset();
    const CopiedRange* const range = has_key(header.kind) ? copied_range(extra, queued.key) : nullptr;
    if ((range == nullptr || range->position < header.position) && !change(queued, &extra)) return false;
  }
  position_of(queued.key.slot).store(header.position, kRelaxed);
  ++record_count_;
  if (extra.copied_end <= header.position) {
    extra.copied.clear();
    extra.copied_end = 0;
  }
  return true;
}

// `extra`: nullptr: the slot has none.
bool SlotLoader::change(const Queued& queued, Extra* extra) {
  const RecordView& record = queued.record;
  const RecordHeader& header = record.header;
  switch (header.kind) {
    case RecordKind::kPut:
      return store_.put(queued.key, {record.value(), header.created(), header.expiry_ms}) || out_of_memory();
    case RecordKind::kReign:
      return true;
    case RecordKind::kFlush:
      return flush(queued.key.slot, header.position, extra);
    case RecordKind::kSwap:
      return swap(queued, extra);
    case RecordKind::kErase:
    case RecordKind::kExpire:
    case RecordKind::kSplice:
      break;
    default:
      return fail(record, "this program applies no such records");
  }
  const std::optional<Entry> old = store_.find(queued.key);
  if (!old) return (extra != nullptr && extra->copied_end != 0) || fail(record, "its key is not there");
  if (header.kind == RecordKind::kErase) return store_.erase(queued.key), true;
  if (header.kind == RecordKind::kSplice) return splice(queued, *old);
  if (header.value_bytes() != old->value_bytes)
    return fail(record, "its key's value has " + std::to_string(old->value_bytes) + " bytes");
  return store_.set_expiry(queued.key, header.expiry_ms) || out_of_memory();
}

bool SlotLoader::splice(const Queued& queued, const Entry& old) {
  SpliceParts parts;
  if (!read_splice(queued.record, old.value_bytes, &parts))
    return fail(queued.record, "it splices what is not there");
  return store_.splice(queued.key, parts.kept, parts.tail, parts.added, queued.record.header.expiry_ms) ||
         out_of_memory();
}

bool SlotLoader::add_piece(const Queued& queued, Extra& extra, bool* is_whole) {
  const RecordView& piece = queued.record;
  const RecordHeader& header = piece.header;
  const std::uint64_t offset = piece.number_at(8);
  const std::uint64_t total_bytes = piece.number_at(16);
  std::optional<LongValue>& value = extra.value;
  if (offset == 0) {
    if (value) store_.drop(&value->filling);
    if (total_bytes > RecordHeader::kLow40) return fail(piece, "of a value that is too long");
    value = LongValue{std::string(piece.key), header.position, total_bytes, {}, {}};
    const SlotStore::Value rest{{}, header.created(), header.expiry_ms};
    if (SlotStore::is_long(total_bytes) &&
        !store_.begin_filling(queued.key, rest, total_bytes, &value->filling))
      return out_of_memory();
  }
  const bool follows = value && value->key == piece.key && value->position == header.position &&
                       value->total_bytes == total_bytes && value->filled_bytes() == offset;
  if (!follows) return fail(piece, "a piece that does not follow the one before");
  if (piece.piece().size() > total_bytes - offset) return fail(piece, "a piece beyond its value's end");
  if (SlotStore::is_long(total_bytes)) {
    store_.fill(&value->filling, piece.piece());
  } else {
    value->bytes.append(piece.piece());
  }
  if ((header.flags & kRecordLastPiece) == 0) return true;
  if (value->filled_bytes() != total_bytes) return fail(piece, "a last piece, and some are missing");
  *is_whole = true;
  const bool is_part = (header.flags & kRecordOfPart) != 0;
  const CopiedRange* const range = is_part ? nullptr : copied_range(extra, queued.key);
  bool is_put = true;
  if (range != nullptr && range->position >= header.position) {
    store_.drop(&value->filling);
  } else if (SlotStore::is_long(total_bytes)) {
    is_put = store_.put(queued.key, &value->filling);
  } else {
    is_put = store_.put(queued.key, {value->bytes, header.created(), header.expiry_ms});
  }
  value.reset();
  return is_put || out_of_memory();
}

// What a step of the image has copied later stays.
bool SlotLoader::flush(SlotId slot, std::uint64_t position, Extra* extra) {
  if (extra == nullptr || extra->copied.empty()) return store_.empty(slot), true;
  std::vector<std::string> gone;
  store_.each_entry(slot, [&](const Entry& entry) {
    const std::string_view bytes(entry.key(), entry.key_bytes);
    const CopiedRange* const range = copied_range(*extra, {bytes, slot, 0});
    if (range == nullptr || range->position < position) gone.emplace_back(bytes);
  });
  for (const std::string& bytes : gone)
    store_.erase(HashedKey{bytes, slot, hash_in_slot(bytes, header_.hash_seed)});
  return true;
}

bool SlotLoader::swap(const Queued& queued, Extra* extra) {
  const RecordView& record = queued.record;
  const SlotId other = record.other_slot();
  Word& other_position = position_of(other);
  Extra* const other_extra = extra_of(other);
  if (other_position.load(kRelaxed) != base_of(record.other_position()))
    return fail(record, "the other database's slot is at " + text_of(other_position.load(kRelaxed)));
  for (Extra* one : {extra, other_extra}) {
    if (one == nullptr) continue;
    if (one->copied_end != 0 || one->is_partial || one->image)
      return fail(record, "what it exchanges is not whole");
    if (one->value) store_.drop(&one->value->filling);
    one->value.reset();
  }
  store_.swap(queued.key.slot, other);
  other_position.store(record.other_position(), kRelaxed);
  return true;
}

bool SlotLoader::finish(bool checks) {
  for (auto& [slot, extra] : extras_) {
    if (extra.value) {
      ++lost_value_count_;
      store_.drop(&extra.value->filling);
      extra.value.reset();
    }
    lost_image_count_ += extra.image ? 1 : 0;
    extra.image.reset();
    partial_slot_count_ += extra.is_partial ? 1 : 0;
    const std::uint64_t position = position_of(SlotId(slot)).load(kRelaxed);
    if (checks && extra.copied_end > position) {
      return fail("slot " + std::to_string(hash_slot(SlotId(slot)).value) + " of database " +
                  std::to_string(database_of(SlotId(slot)).value) +
                  ": the snapshot was taken with records up to position " + text_of(extra.copied_end) +
                  ", and the journal ends at " + text_of(position));
    }
  }
  return true;
}

}  // namespace memento
