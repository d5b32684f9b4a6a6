// AwaitedPlaces: what has to be on disk before a client's replies leave: of each ring of the journal, up to
// where. Data; runs in workers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "shm/format/layout.h"
#include "shm/segment.h"

namespace memento {

class AwaitedPlaces {
 public:
  /// A place that is not on disk yet (ring_place()).
  void add(std::uint64_t place) {
    const auto same = std::ranges::find(places_, ring_of(place), ring_of);
    if (same == places_.end()) {
      places_.push_back(place);
    } else {
      *same = std::max(*same, place);
    }
  }
  static bool is_durable(Segment& segment, std::uint64_t place) {
    return position_in_ring(place) <=
           segment.process(ring_of(place)).journal.durable.load(std::memory_order_acquire);
  }
  bool are_durable(Segment& segment) const {
    return std::ranges::all_of(places_, [&](std::uint64_t place) { return is_durable(segment, place); });
  }

 private:
  std::vector<std::uint64_t> places_;  // one a ring
};

/// Replies that are held back; of a client that has some.
struct HeldReplies {
  AwaitedPlaces places;
  std::int64_t begin_ms = 0;  ///< monotonic; 0: the requests are being executed still
};

}  // namespace memento
