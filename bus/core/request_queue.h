// RequestQueue: this node's requests to one other node: those that wait to be sent, and those that wait for their reply.
// Pure. Replies come in the order in which the requests' last pieces were sent.
//
// A request of which no piece, or not the last one, was sent has not been executed and never will be: it is refused, or
// waits for the link. One that was sent whole when the link breaks may have been executed: if it may write, the answer is
// that its outcome is unknown; it is never sent again.
#pragma once

#include <array>
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
  using Fail = std::function<void(std::uint16_t process, std::uint32_t generation, std::uint32_t number, Failure)>;

  /// From a worker. REQUIRES: header.process < kProcessLimit.
  void add(const PieceHeader& header, std::string_view payload);

  std::size_t unsent_bytes() const { return batch_.bytes(); }
  std::size_t unanswered_count() const { return sent_.size(); }
  /// The frames to send now, and the bytes of pieces in them by process. The link must be up.
  std::deque<ByteBuffer> take_frames(std::int64_t now_ns);
  void give_back(ByteBuffer frame) { batch_.give_back(std::move(frame)); }
  /// Of the pieces taken or dropped since the last call.
  template <class OnBytes>
  void take_passed(OnBytes&& on_bytes) {
    for (const std::uint16_t process : passed_processes_) on_bytes(process, std::exchange(passed_[process], 0));
    passed_processes_.clear();
  }

  /// The request that the next reply belongs to; nullptr: there is none.
  const Sent* next_answered() const { return sent_.empty() ? nullptr : &sent_.front(); }
  void pop_answered() { sent_.pop_front(); }

  /// The link broke: nothing of what was sent will be answered. What was sent in part is dropped.
  void on_link_broken(const Fail& fail);
  /// Refuses all that waits to be sent.
  void refuse_unsent(const Fail& fail);

 private:
  /// The message in pieces that a process began last.
  struct Stream {
    std::uint32_t number = 0;
    std::uint32_t generation = 0;
    bool is_open = false;      ///< its first piece was added, its last not
    bool drops = false;        ///< refused: its other pieces are dropped as they come
  };

  void note_passed(std::uint16_t process, std::uint64_t bytes);

  FrameBatch batch_;
  std::deque<Sent> sent_;
  std::array<Stream, kProcessLimit> streams_{};
  std::array<bool, kProcessLimit> is_half_sent_{};  ///< a first piece was taken into a frame, and the last not
  std::array<std::uint64_t, kProcessLimit> passed_{};
  std::vector<std::uint16_t> passed_processes_;
};

/// Puts the pieces of a peer's messages together. Memory grows with what came, not with what was announced.
class MessageAssembler {
 public:
  explicit MessageAssembler(std::uint64_t limit_bytes) : limit_bytes_(limit_bytes) {}

  enum class Outcome { kWhole, kIncomplete, kBroken };
  /// kWhole: `message` is all of it, valid until the next call; it is `payload` when that is the whole message.
  Outcome add(const PieceHeader& header, std::string_view payload, std::string_view* message);

 private:
  struct Part {
    std::uint32_t number = 0;
    std::uint32_t generation = 0;
    bool is_open = false;
    std::string bytes;
  };
  std::uint64_t limit_bytes_;
  std::array<Part, kProcessLimit> parts_{};
  std::string whole_;
};

}  // namespace memento::bus
