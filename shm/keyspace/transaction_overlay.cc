// A transaction's overlay: what its body has written so far, and what it reads. See transaction.h. All of it
// runs while the body does, so it changes nothing in the segment but what reading counts.
#include <algorithm>
#include <cstring>
#include <utility>

#include "shm/keyspace/transaction.h"

namespace memento {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr std::size_t kFoundExpiredLimit = 1000;

}  // namespace

Keyspace::Transaction::Write* Keyspace::Transaction::find(const HashedKey& key) {
  const std::uint64_t* place = index_.find(key.hash, [&](std::uint64_t at) {
    return writes_[at].slot == key.slot && writes_[at].key == key.bytes;
  });
  return place != nullptr ? &writes_[*place] : nullptr;
}

Keyspace::Transaction::Write& Keyspace::Transaction::writable(const HashedKey& key) {
  if (Write* found = find(key)) return *found;
  if (is_locked_) note_read(key.slot);
  if (write_count_ == writes_.size()) writes_.emplace_back();
  Write& write = writes_[write_count_];
  write.key.assign(key.bytes);
  write.slot = key.slot;
  write.hash = key.hash;
  if (index_.is_full()) {
    index_.prepare(4 * write_count_);
    for (std::size_t i = 0; i < write_count_; ++i) index_.insert(writes_[i].hash, i);
  }
  index_.insert(key.hash, write_count_++);
  return write;
}

bool Keyspace::Transaction::read(const HashedKey& key, CopyFunction copy, void* context) {
  if (const Write* write = find(key)) {
    if (!is_there(*write)) return false;
    copy(context, EntryView{write->value, static_cast<TimeMs>(write->created + impl_.header.time_base_ms),
                            write->expiry_ms});
    return true;
  }
  if (is_flushed(key.slot)) return false;
  note_read_of(key);
  if (has_strayed_) return false;
  if (!is_locked_) {
    auto measured = [&](const EntryView& view) {
      longest_read_bytes_ =
          std::max(longest_read_bytes_, Arena::bytes_for(view.value.size() + key.bytes.size()));
      copy(context, view);
    };
    return impl_.read(
        key, [](void* to, const EntryView& view) { (*static_cast<decltype(measured)*>(to))(view); },
        &measured);
  }
  const std::optional<Entry> entry = impl_.find_locked(impl_.slots[key.slot], generation_, key);
  if (entry) copy(context, view_of(*entry, impl_.header));
  impl_.count(entry ? Counter::kHits : Counter::kMisses, 1);
  return entry.has_value();
}

// Each once, and no more than a few: the sweep finds what is left.
void Keyspace::Transaction::note_expired(const HashedKey& key) noexcept {
  const auto is_noted = [&](const RemovedKey& noted) {
    return noted.hash == key.hash && noted.slot == key.slot && noted.bytes == key.bytes;
  };
  if (found_expired_.size() >= kFoundExpiredLimit || std::ranges::any_of(found_expired_, is_noted)) return;
  try {
    found_expired_.push_back({std::string(key.bytes), key.slot, key.hash, false});
  } catch (const std::bad_alloc&) {  // the sweep will find it
  }
}

WriteStatus Keyspace::Transaction::set(const HashedKey& key, std::string_view value,
                                       const SetOptions& options) {
  bool is_there = false;
  TimeMs expiry_ms = options.expiry_ms;
  const bool is_conditional = options.condition != SetCondition::kAlways || options.keep_expiry;
  if (is_conditional || impl_.tells(kNewKeyEvents)) {
    auto note = [&](const EntryView& view) {
      if (options.keep_expiry) expiry_ms = view.expiry_ms;
    };
    is_there = read(
        key, [](void* to, const EntryView& view) { (*static_cast<decltype(note)*>(to))(view); }, &note);
    if (is_there == (options.condition == SetCondition::kIfAbsent) &&
        options.condition != SetCondition::kAlways) {
      return WriteStatus::kUnchanged;
    }
  }
  put(key, Change{Change::Action::kReplace, {value}, expiry_ms}, now());
  impl_.made_key = !is_there;
  return WriteStatus::kDone;
}

WriteStatus Keyspace::Transaction::update(const HashedKey& key, DecideFunction decide, void* context) {
  EntryView old;
  auto note = [&](const EntryView& view) {
    old = view;
    // Without a lock the bytes are not going to stay where they are.
    if (!is_locked_ && find(key) == nullptr) {
      scratch_.assign(view.value);
      old.value = scratch_;
    }
  };
  const bool is_there = read(
      key, [](void* to, const EntryView& view) { (*static_cast<decltype(note)*>(to))(view); }, &note);
  const Change change = decide(context, is_there ? &old : nullptr);
  return apply(key, change, is_there ? &old : nullptr);
}

WriteStatus Keyspace::Transaction::apply(const HashedKey& key, const Change& change, const EntryView* old) {
  const std::uint64_t created =
      old != nullptr ? static_cast<std::uint64_t>(old->created_ms) - impl_.header.time_base_ms : now();
  const Write* const before = find(key);
  const bool is_first = before == nullptr || before->sets_expiry;
  impl_.made_key = change.action == Change::Action::kReplace && old == nullptr;
  switch (change.action) {
    case Change::Action::kKeep:
      return WriteStatus::kUnchanged;
    case Change::Action::kErase:
      if (old == nullptr) return WriteStatus::kUnchanged;
      writable(key).is_put = false;
      return WriteStatus::kDone;
    case Change::Action::kSetExpiry:
      if (old == nullptr) return WriteStatus::kUnchanged;
      put(key, Change{Change::Action::kReplace, {old->value}, change.expiry_ms}, created);
      writable(key).sets_expiry = is_first;
      return WriteStatus::kDone;
    case Change::Action::kReplace:
      put(key, change, created);
      return WriteStatus::kDone;
  }
  return WriteStatus::kUnchanged;
}

// Pieces may point into what the key's write holds now.
void Keyspace::Transaction::put(const HashedKey& key, const Change& change, std::uint64_t created) {
  Write& write = writable(key);
  const std::uint64_t value_bytes = change.value_bytes();
  const bool is_patched = write.is_put && value_bytes == write.value.size() && patch(change, &write.value);
  if (!is_patched) {
    built_.resize(value_bytes);
    copy_pieces(built_.data(), change);
    std::swap(write.value, built_);
  }
  write.is_put = true;
  write.sets_expiry = false;
  write.expiry_ms = change.expiry_ms;
  write.created = created;
}

// Changes what is not where it was already. False: a piece comes from elsewhere in the value.
bool Keyspace::Transaction::patch(const Change& change, std::string* value) {
  const auto is_inside = [&](std::string_view piece) {
    return piece.data() != nullptr && piece.data() + piece.size() > value->data() &&
           piece.data() < value->data() + value->size();
  };
  std::size_t position = 0;
  for (const std::string_view piece : change.pieces) {
    if (!piece.empty() && is_inside(piece) && piece.data() != value->data() + position) return false;
    position += piece.size();
  }
  char* to = value->data();
  for (const std::string_view piece : change.pieces) {
    if (piece.data() == nullptr) {
      std::memset(to, 0, piece.size());
    } else if (!piece.empty() && piece.data() != to) {
      std::memcpy(to, piece.data(), piece.size());
    }
    to += piece.size();
  }
  return true;
}

void Keyspace::Transaction::flush(std::uint32_t databases) {
  has_strayed_ |= is_locked_ && !is_whole_;
  flushed_ |= databases;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < write_count_; ++i) {
    if ((databases >> database_of(writes_[i].slot).value & 1) == 0) std::swap(writes_[kept++], writes_[i]);
  }
  write_count_ = kept;
  index_.clear();
  for (std::size_t i = 0; i < write_count_; ++i) index_.insert(writes_[i].hash, i);
  forget_places();
}

std::int64_t Keyspace::Transaction::key_count_change() {
  std::int64_t change = 0;
  for (std::size_t i = 0; i < write_count_; ++i) {
    const Write& write = writes_[i];
    if (database_of(write.slot) != impl_.database) continue;
    Entry entry;
    Word* cell = nullptr;
    const Slot& slot = impl_.slots[write.slot];
    const bool is_there =
        !is_flushed(write.slot) && impl_.is_current(slot) &&
        impl_.find(Extent{slot.table.load(kRelaxed)}, write.hashed(), &entry, &cell) == Impl::Search::kHit;
    change += static_cast<int>(write.is_put) - static_cast<int>(is_there);
  }
  return change;
}

// Walks over slots: what the body has changed so far is part of what they see.

// Its writes by their places. Those noted before are never taken back while the body runs.
void Keyspace::Transaction::note_places() {
  for (; noted_places_ < write_count_; ++noted_places_) {
    const Write& write = writes_[noted_places_];
    by_place_.insert({write.slot, Cell::tag_of_hash(write.hash), noted_places_});
  }
}

void Keyspace::Transaction::forget_places() {
  by_place_.clear();
  noted_places_ = 0;
}

std::optional<std::string> Keyspace::Transaction::written_key(std::uint64_t number) const {
  const Write& write = writes_[number];
  if (!is_there(write) || database_of(write.slot) != impl_.database) return std::nullopt;
  return write.key;
}

bool Keyspace::Transaction::is_there(const Write& write) const {
  return write.is_put && (write.expiry_ms == kNoExpiry || write.expiry_ms > impl_.now_ms);
}

void Keyspace::Transaction::read_piece(SlotId slot, Impl::ScanRequest wanted, Impl::ScanPiece* piece) {
  note_places();
  const auto own = by_place_.lower_bound({slot, wanted.begin, 0});
  std::uint64_t own_count = 0;
  std::uint64_t last_tag = wanted.begin;
  for (auto at = own; at != by_place_.end() && at->slot == slot; ++at) {
    if (++own_count > wanted.keys && at->tag != last_tag) {
      wanted.end = at->tag;
      break;
    }
    last_tag = at->tag;
  }
  piece->clear(wanted.end);
  if (!is_flushed(slot)) {
    note_read(slot);
    if (has_strayed_) return;
    impl_.read_piece(slot, wanted, piece);
  }
  if (write_count_ == 0) return;
  Impl::ScanPiece seen;
  seen.clear(piece->end);
  seen.steps = piece->steps + own_count;
  for (std::size_t i = 0; i < piece->key_count(); ++i) {
    const HashedKey key{piece->key(i), slot, hash_in_slot(piece->key(i), impl_.header.hash_seed)};
    if (find(key) == nullptr) seen.add(key.bytes);
  }
  for (auto at = own; at != by_place_.end() && at->slot == slot && at->tag < seen.end; ++at) {
    if (is_there(writes_[at->index])) seen.add(writes_[at->index].key);
  }
  std::swap(*piece, seen);
}

}  // namespace memento
