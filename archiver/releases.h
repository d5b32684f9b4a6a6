// Releases: how far each process's ring is on disk. A frame says nothing of that by itself, so up to where
// the rings were taken is noted with the last frame of each pass, and told to all when that frame is known to
// be on disk. Archiver; not thread safe.
#pragma once

#include <array>
#include <cstdint>
#include <deque>

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

  /// All frames up to this one are on disk. True: that tells the rings' owners something.
  bool release(Segment& segment, std::uint64_t frame) {
    bool is_news = false;
    for (; !places_.empty() && places_.front().frame <= frame; places_.pop_front()) {
      is_news = true;
      if (places_.size() > 1 && places_[1].frame <= frame) continue;
      for (std::uint32_t i = 0; i < segment.process_count(); ++i)
        segment.process(i).journal.durable.store(places_.front().taken[i], std::memory_order_release);
    }
    return is_news;
  }

 private:
  struct Place {
    std::uint64_t frame;
    std::array<std::uint64_t, kProcessLimit> taken;
  };
  std::deque<Place> places_;
};

}  // namespace memento
