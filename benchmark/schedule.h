// Schedule: when requests fall due in an open loop, whatever the replies do. Evenly spaced; pure, no clock.
//
// Arrival k of all threads together is due at begin + k * interval. Thread t of T has the arrivals t, t+T,
// t+2T, ...; it counts its own from 0.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace memento {

class Schedule {
 public:
  Schedule(std::int64_t begin_ns, double arrivals_per_s, std::size_t thread, std::size_t thread_count)
      : begin_ns_(begin_ns),
        interval_ns_(1e9 / arrivals_per_s),
        thread_(static_cast<double>(thread)),
        thread_count_(static_cast<double>(thread_count)) {}

  /// When this thread's arrival `index` is due.
  std::int64_t due_ns(std::uint64_t index) const {
    return begin_ns_ + std::llround((static_cast<double>(index) * thread_count_ + thread_) * interval_ns_);
  }

 private:
  std::int64_t begin_ns_;
  double interval_ns_;
  double thread_;
  double thread_count_;
};

}  // namespace memento
