// ChangedKeys: which keys a process has changed and has not told those of yet who track keys. A list in the
// process's own memory, filled under slots' locks right before the commit, read and cleared by the worker.
//
// Invariant: every change that this process commits while Header::trackers is not 0 is in it, by name or
// because it stands for all keys. It allocates nothing after it was made, so that a commit cannot fail on it:
// what does not fit makes it stand for all keys. What is in it dies with the process; others learn of that
// from the record's incarnation.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

#include "shm/keyspace/hash.h"

namespace memento {

/// Who wanted the change: what a command does, or what the server does on its own (expiry, eviction).
enum class ChangeCause : std::uint32_t { kCommand, kServer };

struct ChangedKey {
  std::string_view name;
  std::uint64_t hash;  ///< HashedKey::hash
  ChangeCause cause;
};

class ChangedKeys {
 public:
  static constexpr std::size_t kLimitBytes = 256 << 10;

  ChangedKeys() : bytes_(new char[kLimitBytes]) {}

  bool empty() const { return used_bytes_ == 0 && !is_all_; }
  /// Something came since the last mark_seen().
  bool has_new() const { return used_bytes_ != seen_bytes_ || is_all_; }
  /// Any key may have been changed.
  bool is_all() const { return is_all_; }

  void add(const HashedKey& key, ChangeCause cause) {
    const Head head{key.hash, static_cast<std::uint32_t>(key.bytes.size()), cause};
    if (is_all_ || sizeof head + key.bytes.size() > kLimitBytes - used_bytes_) return add_all();
    std::memcpy(bytes_.get() + used_bytes_, &head, sizeof head);
    if (!key.bytes.empty())
      std::memcpy(bytes_.get() + used_bytes_ + sizeof head, key.bytes.data(), key.bytes.size());
    used_bytes_ += sizeof head + key.bytes.size();
  }
  void add_all() {
    is_all_ = true;
    used_bytes_ = seen_bytes_ = 0;
  }
  void clear() {
    is_all_ = false;
    used_bytes_ = seen_bytes_ = 0;
  }

  /// Calls visit(const ChangedKey&) for each, in the order of the changes. REQUIRES: !is_all().
  template <class Visit>
  void for_each(Visit&& visit) const {
    for_each_from(0, visit);
  }
  /// The same for those that came since the last mark_seen().
  template <class Visit>
  void for_each_new(Visit&& visit) const {
    for_each_from(seen_bytes_, visit);
  }
  void mark_seen() { seen_bytes_ = used_bytes_; }

 private:
  template <class Visit>
  void for_each_from(std::size_t begin, Visit&& visit) const {
    assert(!is_all_);
    for (std::size_t at = begin; at < used_bytes_;) {
      Head head{};
      std::memcpy(&head, bytes_.get() + at, sizeof head);
      at += sizeof head;
      visit(ChangedKey{{bytes_.get() + at, head.name_bytes}, head.hash, head.cause});
      at += head.name_bytes;
    }
  }

  struct Head {
    std::uint64_t hash;
    std::uint32_t name_bytes;
    ChangeCause cause;
  };
  static_assert(sizeof(Head) == 16);

  std::unique_ptr<char[]> bytes_;
  std::size_t used_bytes_ = 0;
  std::size_t seen_bytes_ = 0;  ///< from the front
  bool is_all_ = false;
};

}  // namespace memento
