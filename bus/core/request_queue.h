// RequestQueue: this node's requests on one link to another node: those that wait to be sent, and those that
// wait for their reply. Pure. Replies come in the order in which the requests' last fragments were sent.
//
// A request of which no fragment, or not the last one, was sent has not been executed and never will be: it
// is refused, or waits for the link. One that was sent whole when the link breaks may have been executed: if
// it may write, the answer is that its outcome is unknown; it is never sent again.
#pragma once

#include <array>
#include <cassert>
#include <deque>
#include <functional>
#include <span>

#include "bus/core/frame_batch.h"

namespace memento::bus {

class RequestQueue {
 public:
  struct Sent {
    std::uint32_t number;
    std::uint32_t generation;
    std::uint16_t process;
    std::uint8_t flags;
    std::int64_t sent_ns;
  };
  /// Tells the worker that a request has no reply.
  using Fail =
      std::function<void(std::uint16_t process, std::uint32_t generation, std::uint32_t number, Failure)>;

  /// From a worker. REQUIRES: header.process < kProcessLimit, header.lane < kLaneLimit.
  void add(const FragmentHeader& header, std::string_view payload);

  std::size_t unsent_bytes() const { return batch_.bytes(); }
  std::size_t unanswered_count() const { return sent_.size(); }
  /// The frames to send now, and the bytes of fragments in them by process. The link must be up.
  std::deque<ByteBuffer> take_frames(std::int64_t now_ns);
  void give_back(ByteBuffer frame) { batch_.give_back(std::move(frame)); }
  /// Of the fragments taken or dropped since the last call.
  template <class OnBytes>
  void take_passed(OnBytes&& on_bytes) {
    for (const Passed& passed : passed_) on_bytes(passed.process, passed.lane, passed.bytes);
    passed_.clear();
  }

  /// The request that the next reply belongs to; nullptr: there is none.
  const Sent* next_answered() const { return sent_.empty() ? nullptr : &sent_.front(); }
  /// REQUIRES: next_answered() is not nullptr.
  void pop_answered() {
    assert(!sent_.empty());
    sent_.pop_front();
  }

  /// The link broke: nothing of what was sent will be answered. What was sent in part is dropped.
  void on_link_broken(const Fail& fail);
  /// Refuses all that waits to be sent.
  void refuse_unsent(const Fail& fail);

 private:
  static constexpr std::size_t kStreams = kProcessLimit * kLaneLimit;
  /// The message in fragments that a lane of a process began last.
  struct Stream {
    std::uint32_t number = 0;
    std::uint32_t generation = 0;
    bool is_open = false;  ///< its first fragment was added, its last not
    bool drops = false;    ///< refused: its other fragments are dropped as they come
  };

  struct Passed {
    std::uint16_t process;
    std::uint8_t lane;
    std::uint64_t bytes;
  };

  static std::size_t stream_of(const FragmentHeader& header) {
    return header.process * kLaneLimit + header.lane;
  }
  void note_passed(const FragmentHeader& header);

  FrameBatch batch_;
  std::deque<Sent> sent_;
  std::array<Stream, kStreams> streams_{};
  std::array<bool, kStreams> is_half_sent_{};  ///< a first fragment was taken into a frame, and the last not
  std::vector<Passed> passed_;
};

}  // namespace memento::bus
