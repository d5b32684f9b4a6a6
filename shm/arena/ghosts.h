// Ghosts: fingerprints of keys that were evicted while new, so that one which returns soon is kept longer
// (S3-FIFO: Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023). A table in a run of
// the segment, one place a hash, overwritten without a lock: a lost or false one costs a miss.
#pragma once

#include <atomic>
#include <cstdint>

#include "shm/format/layout.h"

namespace memento {

class Ghosts {
 public:
  Ghosts(char* base, const Header& header) : base_(base), header_(header) {}

  void add(std::uint64_t hash) {
    if (std::atomic<std::uint32_t>* place = place_of(hash))
      place->store(fingerprint(hash), std::memory_order_relaxed);
  }
  /// True when the key was evicted not long ago; forgets it.
  bool take(std::uint64_t hash) {
    std::atomic<std::uint32_t>* place = place_of(hash);
    if (place == nullptr || place->load(std::memory_order_relaxed) != fingerprint(hash)) return false;
    place->store(0, std::memory_order_relaxed);
    return true;
  }

  /// Whether the table reaches into these offsets.
  bool is_within(Offset begin, Offset end) const {
    const Extent run{header_.ghosts.load(std::memory_order_acquire)};
    return run.word != 0 && run.offset() < end && run.offset() + run.size() * kUnitBytes > begin;
  }

 private:
  static std::uint32_t fingerprint(std::uint64_t hash) { return static_cast<std::uint32_t>(hash) | 1; }

  std::atomic<std::uint32_t>* place_of(std::uint64_t hash) const {
    const Extent run{header_.ghosts.load(std::memory_order_acquire)};
    if (run.word == 0) return nullptr;
    const std::uint64_t count = (run.size() * kUnitBytes - sizeof(RunHead)) / sizeof(std::uint32_t);
    const auto index = static_cast<std::uint64_t>(static_cast<unsigned __int128>(hash) * count >> 64);
    return reinterpret_cast<std::atomic<std::uint32_t>*>(base_ + run.offset() + sizeof(RunHead)) + index;
  }

  char* base_;
  const Header& header_;
};

}  // namespace memento
