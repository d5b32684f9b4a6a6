// Releases: how far each process's ring is on disk. A frame says nothing of that by itself, so up to where
// the rings were taken is noted with the last frame of each pass. Archiver; not thread safe.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <vector>

#include "shm/format/layout.h"
#include "shm/journal/ring_merger.h"
#include "shm/segment.h"

namespace memento {

class Releases {
 public:
  /// What was taken from the rings so far is in frames up to this one.
  void note(std::uint64_t frame, const RingMerger& rings) {
    Place& place = places_.emplace_back();
    place.frame = frame;
    for (std::uint32_t i = 0; i < kProcessLimit; ++i) place.taken[i] = rings.taken(i);
  }

  /// All frames up to this one are on disk. True: that says something new.
  bool advance(std::uint64_t frame) {
    bool is_news = false;
    for (; !places_.empty() && places_.front().frame <= frame; places_.pop_front()) {
      synced_ = places_.front().taken;
      is_news = true;
    }
    return is_news;
  }

  /// Up to where this ring is on disk.
  std::uint64_t synced(std::uint32_t ring) const { return synced_[ring]; }
  bool has_reached(const std::vector<std::uint64_t>& tails) const {
    for (std::size_t ring = 0; ring < tails.size(); ++ring) {
      if (synced_[ring] < tails[ring]) return false;
    }
    return true;
  }

  /// Tells the rings' owners.
  void tell(Segment& segment) const {
    for (std::uint32_t i = 0; i < segment.process_count(); ++i)
      segment.process(i).journal.durable.store(synced_[i], std::memory_order_release);
  }

 private:
  struct Place {
    std::uint64_t frame;
    std::array<std::uint64_t, kProcessLimit> taken;
  };
  std::deque<Place> places_;
  std::array<std::uint64_t, kProcessLimit> synced_{};
};

}  // namespace memento
