// ValueHistory: the last values of some keys, for TAIL; which outlive workers, upgrades and restarts. A file
// beside the segment, `tails`, which each worker maps when it first needs it.
//
//   0       front: magic, version, whose keys they are
//   4096    index: a word for each record: 0, erased, or a hash of its key; open addressing
//   12288   records of 64 KiB: state, the newest value's version, the key, and a ring of values
//
// Whoever changes a record, or reads its values, holds flock(2) on the file, which a dead process lets go of;
// nobody waits long for one that is stopped, and then leaves the value out. A value becomes visible by one
// store of the ring's tail; what it overwrites is given up before, by one store of the ring's head. So
// whoever dies at any instruction leaves whole values. The index is read without a lock: that is a hint.
// clear() needs no lock: it counts up a generation, and a record whose values are of an older one has none.
//
// Bounded: kKeyLimit keys, of at most kKeyBytes; of each as many of the last values as have room together in
// its record, without those above kValueLimitBytes. The memory of a record is granted with its key and given
// back with it. It is not part of the segment's limit. Not thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shm/os/fd.h"
#include "shm/os/mapping.h"

namespace memento {

class ValueHistory {
 public:
  static constexpr std::uint32_t kKeyLimit = 512;
  static constexpr std::size_t kKeyBytes = 1024;
  static constexpr std::size_t kValueLimitBytes = 16 * 1024;
  static constexpr std::size_t kValueLimit = 100;  ///< of one key that last() gives

  enum class Keep {
    kDone,
    kTooMany,   ///< kKeyLimit keys are kept
    kNoMemory,  ///< for its record
    kBusy       ///< another process has been writing for long: nothing was changed
  };

  /// Beside the segment at this path; empty: without a name, for one process. `owner` tells segments apart:
  /// what belongs to another one is dropped.
  ValueHistory(std::string segment_path, std::uint64_t owner);
  ValueHistory(const ValueHistory&) = delete;
  ValueHistory& operator=(const ValueHistory&) = delete;

  /// From now on the values that add() gives for the key are kept. REQUIRES: key.size() <= kKeyBytes.
  Keep keep(std::string_view key);
  enum class Forget { kDone, kNotKept, kBusy };
  /// No longer. An erased place of the index is free again when no other key's way leads over it.
  Forget forget(std::string_view key);
  /// Cheaply: the key's values may be kept.
  bool may_keep(std::string_view key);
  /// How often all were cleared: to be asked before the value is read that is given to add().
  std::uint64_t generation();
  /// Of a key that is kept: one more value, unless one of this version or a later one was added, or all were
  /// cleared since the generation.
  void add(std::string_view key, std::uint64_t version, std::string_view value, std::uint64_t generation);
  /// The values of all keys go; they go on being kept.
  void clear();
  /// Up to `count`, the oldest first. Nothing: the key is not kept.
  std::optional<std::vector<std::string>> last(std::string_view key, std::size_t count);

 private:
  struct Front;
  struct Record;

  bool open();
  Front& front() const;
  bool is_in_order() const;
  void free_erased_places();
  void drop_cleared(Record& kept) const;
  void format();
  std::atomic<std::uint64_t>& index(std::uint32_t place) const;
  Record& record(std::uint32_t place) const;
  template <class IsIt>
  std::optional<std::uint32_t> probe(std::string_view key, IsIt&& is_it) const;
  std::optional<std::uint32_t> find(std::string_view key) const;

  const std::string path_;
  const std::uint64_t owner_;
  Fd file_;
  Mapping memory_;
};

}  // namespace memento
