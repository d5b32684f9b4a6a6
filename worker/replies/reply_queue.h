// ReplyQueue: the replies of one connection that other nodes have yet to give, in the order of their
// requests, and what stands between and behind them. Runs in workers of a cluster's nodes; a connection has
// one from its first request that was sent to another node on.
//
// Invariants: ready() holds what may be sent to the client now. While the queue is not empty, everything else
// that is written for the client belongs behind the last place. When it is empty nothing is kept, and there
// is no barrier.
#pragma once

#include <cassert>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "shm/os/byte_buffer.h"
#include "worker/replies/cluster_join.h"

namespace memento {

class ReplyQueue {
 public:
  /// The place of one request's reply. Most are whole when they come to the front, and keep nothing.
  struct Place {
    struct Kept {
      std::string reply;
      std::string behind;  ///< replies and messages that follow it
    };
    std::unique_ptr<Kept> kept;  ///< nullptr: nothing
    std::unique_ptr<Join> join;  ///< the reply is made of several
    Protocol protocol = Protocol::kText;
    bool is_whole = false;
    bool is_dropped = false;  ///< the client wants no reply
    /// The number of the client's database from EXEC's reply on, unless that is an error or nil.
    std::optional<std::uint32_t> selects{};
  };

  bool empty() const { return places_.empty(); }
  std::size_t count() const { return places_.size(); }
  /// No more is to be sent to other nodes, or executed, for this client now.
  bool is_full() const { return places_.size() >= window_ || kept_bytes_ + ready_.size() >= kKeptLimitBytes; }
  /// Less than half of that: it may go on.
  bool has_room() const {
    return places_.size() * 2 <= window_ && (kept_bytes_ + ready_.size()) * 2 < kKeptLimitBytes;
  }

  /// A new last place.
  Place& push() { return places_.emplace_back(); }
  /// The last place's number. REQUIRES: not empty().
  std::uint64_t last_number() const {
    assert(!empty());
    return first_number_ + places_.size() - 1;
  }
  /// nullptr: it is not there any more.
  Place* find(std::uint64_t number);
  /// Moves what stands in `output` from `begin` on behind the last place. REQUIRES: not empty().
  void take_behind(ByteBuffer& output, std::size_t begin);
  /// Bytes of the reply at this place. At the front they need not be kept. REQUIRES, as of replace(): `place`
  /// is the one of that number.
  void add(std::uint64_t number, Place& place, std::string_view bytes, bool is_last);

  /// The reply is this, whatever came of it before.
  void replace(std::uint64_t number, Place& place, std::string_view bytes);

  /// Nothing more is executed for the client until the queue is empty. REQUIRES: it is not.
  void set_barrier() {
    assert(!empty());
    has_barrier_ = true;
  }
  bool has_barrier() const { return has_barrier_; }

  ByteBuffer& ready() { return ready_; }

  bool is_listed = false;  ///< among the router's answered ones; kept by it

 private:
  static constexpr std::size_t kFirstWindow = 64;
  static constexpr std::size_t kWindowLimit = 1024;
  static constexpr std::size_t kKeptLimitBytes = 1 << 20;

  static Place::Kept& kept_of(Place& place) {
    if (place.kept == nullptr) place.kept = std::make_unique<Place::Kept>();
    return *place.kept;
  }
  void pop_whole();
  void adapt_window(std::size_t reply_bytes);

  std::deque<Place> places_;
  std::uint64_t first_number_ = 0;
  std::size_t kept_bytes_ = 0;  ///< in places
  std::size_t window_ = kFirstWindow;
  bool has_barrier_ = false;
  ByteBuffer ready_;
};

}  // namespace memento
