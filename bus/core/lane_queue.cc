// See lane_queue.h.
#include "bus/core/lane_queue.h"

#include <algorithm>
#include <cassert>

namespace memento::bus {
namespace {

bool is_of(const FragmentHeader& fragment, const FragmentHeader& request) {
  return fragment.number == request.number && fragment.process == request.process &&
         fragment.generation == request.generation && fragment.link == request.link;
}

}  // namespace

void LaneQueue::add(const FragmentHeader& header, std::uint64_t begin, std::uint64_t end, const Fail& fail) {
  assert(begin < end && (whole_.empty() || whole_.back().end <= begin));
  const bool is_first = (header.flags & kFirstFragment) != 0;
  const bool is_last = (header.flags & kLastFragment) != 0;
  if (is_first && is_last) {
    whole_.push_back({header, begin, end});
  } else if (is_first) {
    open_.push_back({header, begin, 0});
  } else if (is_last) {
    const auto open =
        std::ranges::find_if(open_, [&](const Entry& entry) { return is_of(header, entry.header); });
    if (open == open_.end()) return;
    whole_.push_back(*open);
    whole_.back().end = end;
    open_.erase(open);
    give_failures(fail);
  }
}

bool LaneQueue::on_reply(const FragmentHeader& header, std::uint64_t taken_over, const Fail& fail) {
  give_failures(fail);
  if (!whole_.empty() && !is_of(header, whole_.front().header) && whole_.front().begin < taken_over)
    on_worker_lost(taken_over, fail);
  if (whole_.empty() || !is_of(header, whole_.front().header)) return false;
  const bool is_wanted = whole_.front().is_wanted;
  if ((header.flags & kLastFragment) != 0) whole_.pop_front();
  return is_wanted;
}

void LaneQueue::on_worker_lost(std::uint64_t taken, const Fail& fail) {
  note_lost(taken, taken);
  give_failures(fail);
}

void LaneQueue::on_worker_gone(std::uint64_t taken, const Fail& fail) {
  note_lost(taken, ~0ull);
  for (Entry& entry : open_) entry.begin = 0;  // its end will be in the other ring
  give_failures(fail);
}

// What was taken in part, or not at all, is not executed.
void LaneQueue::note_lost(std::uint64_t taken, std::uint64_t lost) {
  assert(taken <= lost);
  const auto note = [&](Entry& entry) {
    if (entry.begin >= lost || entry.failure != Failure::kNone) return;
    const bool may_be_done = entry.end != 0 && entry.end <= taken && (entry.header.flags & kMayWrite) != 0;
    entry.failure = may_be_done ? Failure::kUnknown : Failure::kDown;
  };
  std::ranges::for_each(whole_, note);
  std::ranges::for_each(open_, note);
}

void LaneQueue::give_failures(const Fail& fail) {
  while (!whole_.empty() && whole_.front().failure != Failure::kNone) {
    const Entry entry = whole_.front();
    whole_.pop_front();
    assert(entry.end > entry.begin);  // it was whole
    if (entry.is_wanted) fail(entry.header, entry.failure);
  }
}

void LaneQueue::on_link_ended() {
  open_.clear();
  for (Entry& entry : whole_) entry.is_wanted = false;
}

}  // namespace memento::bus
