// Keyspace::Update: read-modify-write of one key. See keyspace.h for the contract.
//
// Short values are decided on and copied under the slot's lock. A long one (a run) would hold up everybody
// else who wants the slot: it is pinned under the lock, which keeps its bytes as they are, decided on and
// copied without it, and committed under it when the key is still as it was. A change that costs less than a
// copy is made in the run itself:
//
//   expiry   one word
//   patch    a part of a value whose length stays: its words go through the redo list. Who reads a run finds
//   it under
//            the lock and pins it, and what another process has pinned is not patched
//   growth   what comes behind the end goes into the room that the run has left; then one word says so
//
// Whoever is overtaken kTries times in a row keeps the lock for the whole change.
#pragma once

#include <optional>
#include <string>

#include "shm/keyspace/keyspace_scopes.h"

namespace memento {

struct Keyspace::Update {
 public:
  Update(Impl& impl, const HashedKey& key, DecideFunction decide, void* context)
      : impl_(impl), key_(key), slot_(impl.slots[key.slot]), decide_(decide), context_(context) {}

  WriteStatus run();

 private:
  static constexpr int kTries = 3;

  enum class Outcome { kDone, kUnchanged, kAgain, kOutOfMemory, kJournalFull };

  /// What the slot says of the key. REQUIRES: locked and current.
  struct Found {
    Entry entry;
    Word* cell = nullptr;
    bool is_there = false;
    bool is_live = false;  ///< there, and not expired
    Offset offset;
  };
  /// Bytes [begin, end) of the value are to change.
  struct Hull {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
  };
  class HeldSlot {
   public:
    HeldSlot(Impl& impl, Slot& slot) : impl_(impl), slot_(slot) {}
    ~HeldSlot() { impl_.owner.unlock(slot_.lock); }
    HeldSlot(const HeldSlot&) = delete;
    HeldSlot& operator=(const HeldSlot&) = delete;

   private:
    Impl& impl_;
    Slot& slot_;
  };
  bool lock(bool may_insert) { return impl_.lock_for_write(slot_, may_insert); }
  Found find();
  void note_put(const Found& old) {
    impl_.made_key = !old.is_live;
    replaces_expired_ = has_expired_;
  }
  bool is_run(const Found& found) const { return found.is_there && !impl_.arena.is_class_page(found.offset); }
  bool prepare(std::uint64_t bytes);
  Entry shape(const Change& change, const Found& old) const;

  Outcome under_lock();
  Outcome commit_put(const Found& old, Offset offset);
  Outcome commit_erase(const Found& old);
  Outcome commit_expiry(const Found& old, TimeMs expiry_ms);

  Outcome in_steps();
  Outcome apply_in_steps(Change change, const Found& old);
  bool still_is(const Found& old, const Found& now) const;
  Outcome replace_in_steps(const Change& change, const Found& old);
  std::optional<Hull> patch_of(const Change& change, const Found& old) const;
  Outcome patch(const Change& change, const Found& old, Hull hull);
  void stage_patch(const Change& change, const Found& old, Hull hull);
  std::optional<Change> addition_of(const Change& change, const Found& old) const;
  bool grows_in_place(const Change& change, const Found& old) const;
  bool journal_takes_splice(std::uint64_t bytes) const {
    return impl_.journal.has_room(record_bytes(key_.bytes.size(), 2 * sizeof(Word) + bytes));
  }
  std::string splice_of(const Change& change, Hull hull, Hull of_pieces) const;
  void stage_splice(const Entry& old, std::uint64_t value_bytes, TimeMs expiry_ms,
                    const std::string& literal);
  Outcome grow_in_place(const Change& addition, const Found& old);

  Impl& impl_;
  const HashedKey& key_;
  Slot& slot_;
  const DecideFunction decide_;
  void* const context_;

  std::optional<Arena::UseOfReserve> reserve_;
  std::uint64_t prepared_bytes_ = 0;  ///< what a block was made ready for
  std::uint32_t size_class_ = 0;      ///< of that block
  bool may_insert_ = false;
  bool is_long_ = false;
  bool has_expired_ = false;       ///< the key, when it was looked at
  bool replaces_expired_ = false;  ///< and has got a new value
  int overtaken_ = 0;
  std::uint64_t version_ = 0;  ///< of the slot, when it was looked at
  std::string copy_;           ///< of a short old value, while nothing is locked
  Offset freed_offset_;
};

}  // namespace memento
