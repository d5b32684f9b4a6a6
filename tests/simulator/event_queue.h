// Virtual time: what is to happen, and when. Two things at the same moment happen in the order in which they
// were asked for.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

#include "bus/core/timing.h"

namespace memento::simulator {

using bus::kMillisecondNs;
using bus::TimeNs;

class EventQueue {
 public:
  TimeNs now() const { return now_; }
  std::uint64_t executed() const { return executed_; }

  void after(TimeNs delay_ns, std::function<void()> deed) {
    std::size_t place = deeds_.size();
    if (free_.empty()) {
      deeds_.push_back(std::move(deed));
    } else {
      place = free_.back();
      free_.pop_back();
      deeds_[place] = std::move(deed);
    }
    queue_.push({now_ + delay_ns, next_order_++, place});
  }

  /// The next event, if it is before `end`; false: there is none.
  bool step(TimeNs end) {
    if (queue_.empty() || queue_.top().at >= end) return false;
    const Entry entry = queue_.top();
    queue_.pop();
    now_ = entry.at;
    const std::function<void()> deed = std::move(deeds_[entry.place]);
    free_.push_back(entry.place);
    ++executed_;
    deed();
    return true;
  }

 private:
  struct Entry {
    TimeNs at;
    std::uint64_t order;
    std::size_t place;
    bool operator<(const Entry& other) const {
      return std::pair(at, order) > std::pair(other.at, other.order);  // the earliest is on top
    }
  };

  TimeNs now_ = 0;
  std::uint64_t next_order_ = 0;
  std::uint64_t executed_ = 0;
  std::priority_queue<Entry> queue_;
  std::vector<std::function<void()>> deeds_;
  std::vector<std::size_t> free_;
};

}  // namespace memento::simulator
