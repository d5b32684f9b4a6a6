// See history.h.
#include "tests/cluster/history.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <utility>

namespace memento::testing {
namespace {

class Search {
 public:
  explicit Search(std::vector<Operation> history)
      : history_(std::move(history)), done_(history_.size(), false) {
    std::ranges::sort(history_, {}, &Operation::begin_ns);
    for (const Operation& operation : history_) required_ += operation.end_ns != kNever;
  }

  /// Depth first, with a stack of its own: a history may be longer than the process's stack is deep.
  bool run() {
    std::vector<Step> steps;
    if (!enter(0, 0, "", &steps)) return required_ == 0;
    while (!steps.empty()) {
      Step& step = steps.back();
      if (step.taken != kNone) done_[std::exchange(step.taken, kNone)] = false;
      const std::size_t next = next_of(&step);
      if (next == kNone) {
        steps.pop_back();
        continue;
      }
      const Operation& operation = history_[next];
      done_[next] = true;
      step.taken = next;
      const std::size_t required_done = step.required_done + (operation.end_ns != kNever ? 1 : 0);
      if (required_done == required_) return true;
      // A copy: enter() may move the steps.
      const std::string value = operation.kind == Operation::Kind::kRead ? step.value : operation.value;
      enter(step.front, required_done, value, &steps);
    }
    return false;
  }

 private:
  static constexpr std::size_t kNone = SIZE_MAX;

  struct Step {
    std::size_t front;  ///< everything before it is done
    std::size_t required_done;
    std::string value;
    std::int64_t first_end;  ///< what begins later than this cannot be the next
    std::size_t candidate;   ///< to be looked at next
    std::size_t taken = kNone;
  };

  // Which operations are done, and the value, is what has been tried. False: this was, or nothing is left to
  // do.
  bool enter(std::size_t front, std::size_t required_done, const std::string& value,
             std::vector<Step>* steps) {
    if (required_done == required_) return false;
    while (front < history_.size() && done_[front]) ++front;
    if (!tried_.insert(state_of(front, value)).second) return false;
    std::int64_t first_end = kNever;
    for (std::size_t i = front; i < history_.size(); ++i) {
      if (!done_[i]) first_end = std::min(first_end, history_[i].end_ns);
    }
    steps->push_back({front, required_done, value, first_end, front});
    return true;
  }

  // The next operation that may follow; kNone: there is none more.
  std::size_t next_of(Step* step) const {
    for (std::size_t& i = step->candidate; i < history_.size() && history_[i].begin_ns <= step->first_end;
         ++i) {
      const bool is_read = history_[i].kind == Operation::Kind::kRead;
      if (done_[i] || (is_read && history_[i].value != step->value)) continue;
      return i++;
    }
    return kNone;
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
