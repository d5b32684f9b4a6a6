// See history.h.
#include "tests/cluster/history.h"

#include <algorithm>
#include <set>

namespace memento::testing {
namespace {

class Search {
 public:
  explicit Search(std::vector<Operation> history) : history_(std::move(history)), done_(history_.size(), false) {
    std::ranges::sort(history_, {}, &Operation::begin_ns);
    for (const Operation& operation : history_) required_ += operation.end_ns != kNever;
  }

  bool run() { return go_on(0, 0, ""); }

 private:
  // Everything before `front` is done. Which others are, and the value, is what has been tried.
  bool go_on(std::size_t front, std::size_t required_done, const std::string& value) {
    if (required_done == required_) return true;
    while (front < history_.size() && done_[front]) ++front;
    if (!tried_.insert(state_of(front, value)).second) return false;
    // What begins after the first end of those not done cannot be the next.
    std::int64_t first_end = kNever;
    for (std::size_t i = front; i < history_.size(); ++i) {
      if (!done_[i]) first_end = std::min(first_end, history_[i].end_ns);
    }
    for (std::size_t i = front; i < history_.size() && history_[i].begin_ns <= first_end; ++i) {
      const Operation& next = history_[i];
      const bool is_read = next.kind == Operation::Kind::kRead;
      if (done_[i] || (is_read && next.value != value)) continue;
      done_[i] = true;
      if (go_on(front, required_done + (next.end_ns != kNever), is_read ? value : next.value)) return true;
      done_[i] = false;
    }
    return false;
  }

  std::string state_of(std::size_t front, const std::string& value) const {
    std::string state = std::to_string(front) + ":";
    std::size_t last = done_.size();
    while (last > front && !done_[last - 1]) --last;
    for (std::size_t i = front; i < last; ++i) state += done_[i] ? '1' : '0';
    return state + ":" + value;
  }

  std::vector<Operation> history_;
  std::vector<bool> done_;
  std::size_t required_ = 0;
  std::set<std::string> tried_;
};

}  // namespace

bool is_linear(std::vector<Operation> history) { return Search(std::move(history)).run(); }

std::vector<std::string> Histories::faults() const {
  std::vector<std::string> keys;
  for (const auto& [key, history] : by_key_) {
    if (!is_linear(history)) keys.push_back(key);
  }
  return keys;
}

std::size_t Histories::count() const {
  const std::lock_guard lock(mutex_);
  std::size_t count = 0;
  for (const auto& [key, history] : by_key_) count += history.size();
  return count;
}

}  // namespace memento::testing
