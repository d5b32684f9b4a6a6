// BurstQueue: the batches that one connection awaits replies to, oldest first. Allocates only when made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace memento {

/// Requests sent together.
struct Burst {
  std::int64_t due_ns = 0;  ///< when it should have been sent; in a closed loop, when it was
  std::int64_t sent_ns = 0;
  std::size_t awaited_count = 0;  ///< replies still to come
  bool is_measured = false;
};

class BurstQueue {
 public:
  explicit BurstQueue(std::size_t limit) : bursts_(limit) {}

  bool is_empty() const { return count_ == 0; }
  bool is_full() const { return count_ == bursts_.size(); }
  /// REQUIRES: !is_empty().
  Burst& front() { return bursts_[first_]; }
  void pop() {
    first_ = first_ + 1 == bursts_.size() ? 0 : first_ + 1;
    --count_;
  }
  /// REQUIRES: !is_full().
  void push(const Burst& burst) {
    const std::size_t place = first_ + count_;
    bursts_[place < bursts_.size() ? place : place - bursts_.size()] = burst;
    ++count_;
  }

 private:
  std::vector<Burst> bursts_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
};

}  // namespace memento
