// LaneQueue: the requests of another node that a worker of this one was given, each until it is answered.
// Pure. They were given by one ring, whose positions say how far the worker has taken them. It answers in the
// order in which their last fragments came, and in that order answers are sent.
//
// A worker that dies has maybe executed what it had taken whole: that may-be is the answer, when it could
// have written. What it had not taken is its successor's. Answers for a link that has ended are dropped.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

#include "bus/core/channel.h"

namespace memento::bus {

class LaneQueue {
 public:
  /// Instead of a reply, or of its rest; `request` is the first fragment's header.
  using Fail = std::function<void(const FragmentHeader& request, Failure failure)>;

  bool empty() const { return whole_.empty() && open_.empty(); }
  /// Some request is the worker's still: only it, or its death, can answer that. What has failed already, and
  /// waits for its last fragment to be told so in order, is not.
  bool awaits_worker() const {
    const auto awaits = [](const Entry& entry) { return entry.failure == Failure::kNone; };
    return std::ranges::any_of(whole_, awaits) || std::ranges::any_of(open_, awaits);
  }

  /// A fragment was put into the ring, where it stands from `begin` to `end`.
  void add(const FragmentHeader& header, std::uint64_t begin, std::uint64_t end, const Fail& fail);
  /// What comes instead of replies and is due. Call it behind the last fragment that on_reply() got.
  void give_failures(const Fail& fail);
  /// A fragment of a reply. Whether it is to be sent. `taken_over`: as in on_worker_lost(), which may have
  /// yet to be told.
  bool on_reply(const FragmentHeader& header, std::uint64_t taken_over, const Fail& fail);
  /// A worker has died; it had taken what stands in front of `taken`, and its last replies were given.
  void on_worker_lost(std::uint64_t taken, const Fail& fail);
  /// The same, and it has no successor: what it had not taken fails too. What comes is put into another ring.
  void on_worker_gone(std::uint64_t taken, const Fail& fail);
  /// No more fragments come on the link, and no answers are wanted.
  void on_link_ended();

 private:
  struct Entry {
    FragmentHeader header;  ///< the first fragment's
    std::uint64_t begin;
    std::uint64_t end;  ///< behind its last fragment; 0: that has yet to come
    bool is_wanted = true;
    Failure failure = Failure::kNone;  ///< no reply comes
  };

  void note_lost(std::uint64_t taken, std::uint64_t lost);

  std::deque<Entry> whole_;
  std::vector<Entry> open_;  ///< the last fragment has yet to come
};

}  // namespace memento::bus
