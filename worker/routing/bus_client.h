// BusClient: a worker's end of its channel to the bus: sends requests to other nodes, and gets their replies.
// Runs in workers.
//
// A client's requests to one node take one lane, and are passed on in the order in which they were sent. What
// the ring, or the lane, does not take yet waits here, so a caller looks at has_room() first; one message
// that is longer than all room passes in fragments. For each lane at most kWindowBytes are on their way
// between this worker and the socket: so one that is slow holds up nothing that is for others.
//
// Every request is answered once: by its reply, or by a Failure; also when the bus dies, or does not run for
// too long. How long another node executes is its affair.
//
// Invariants: a number is an index of pending_, below kPendingLimit, and a salt; an index is either used or
// among the free ones; a request that is_queued stands in the queue of its way.
//
// Thread safety: none; one object per process.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bus/core/channel.h"
#include "bus/core/cluster_state.h"
#include "shm/messages/wakeup_fifo.h"
#include "shm/segment.h"
#include "worker/wire/reply_writer.h"

namespace memento {

/// Where a reply belongs.
struct ReplyTo {
  int descriptor = -1;          ///< of the connection; -1: nobody wants it
  std::uint64_t client_id = 0;  ///< the descriptor may be another's by now
  std::uint64_t place = 0;      ///< in its ReplyQueue
  std::uint32_t part = 0;       ///< of a Join
};

struct NodeRequest {
  NodeId node;
  FragmentKind kind;
  bool may_write;
  Protocol protocol;  ///< of the reply
  DatabaseId database{};
};

class BusClient {
 public:
  static Result<std::unique_ptr<BusClient>> create(Segment& segment, ClusterState& state,
                                                   std::uint32_t process, std::int64_t timeout_ms);

  /// For a request to this node, and as many to others.
  bool has_room(NodeId node, std::uint64_t client_id) const {
    return ways_[way_of(node, lane_of(client_id))].queued_bytes < kQueueLimitBytes && has_numbers();
  }
  /// For a request to each node. A request that is under way has a number, and these are limited.
  bool has_numbers() const { return pending_.size() - free_.size() + kNodeLimit <= kPendingLimit; }

  /// REQUIRES: has_room(), or has_numbers() where more than that may wait. `write(char*)` writes the payload
  /// of `payload_bytes`. With the next flush() it is on its way.
  template <class Write>
  void send(const NodeRequest& request, const ReplyTo& to, std::size_t payload_bytes, Write&& write) {
    const std::uint32_t number = begin(request, to);
    const std::uint8_t lane = lane_of(to.client_id);
    if (char* const place = room_for(way_of(request.node, lane), payload_bytes)) {
      write(place + sizeof(FragmentHeader));
      finish_fragment(place, header_of(number, request, lane, payload_bytes), number);
      return;
    }
    std::string bytes(payload_bytes, '\0');
    write(bytes.data());
    enqueue(number, request, lane, std::move(bytes));
  }

  /// Makes visible what was sent, and rings the bus's wake-up FIFO if it sleeps.
  void flush();

  /// A fragment of a reply, or why there is none (then `bytes` is empty and `is_last`).
  using OnReply = std::function<void(const ReplyTo& to, NodeId node, Failure failure, std::string_view bytes,
                                     bool is_last)>;
  /// Takes what came. True: something did.
  bool receive(const OnReply& on_reply);
  /// From time to time: fails what is not answered when the bus does not run.
  void look(std::int64_t now_ms, const OnReply& on_reply);

  /// In front of a sleep: false when there is something to receive.
  bool may_sleep();
  void wake() { channel_.header().worker_sleeps.store(0, std::memory_order_relaxed); }
  /// The bus looks into the channel, even if it slept.
  void wake_bus();
  const Channel& channel() const { return channel_; }

 private:
  static constexpr std::uint64_t kWindowBytes = 256 * 1024;
  static_assert(kWindowBytes >= 2 * fragment_bytes(kFragmentLimitBytes));
  static constexpr std::size_t kQueueLimitBytes = 256 * 1024;
  static constexpr std::uint32_t kIndexBits = 20;
  static constexpr std::size_t kPendingLimit = 1u << kIndexBits;

  struct Pending {
    ReplyTo to;
    std::uint64_t position = 0;  ///< of the ring, behind its last fragment
    std::int64_t sent_ms = 0;
    std::uint32_t salt = 0;  ///< tells the users of one place apart
    NodeId node;
    std::uint8_t lane = 0;
    bool may_write = false;
    bool is_used = false;
    bool is_queued = false;  ///< its last fragment is not in the ring yet
  };
  struct Queued {
    std::uint32_t number;
    NodeRequest request;
    std::uint8_t lane;
    std::string payload;
    std::size_t put_bytes = 0;         ///< of the payload, in the ring
    std::uint64_t begin_position = 0;  ///< of its first fragment, when put_bytes > 0
  };
  /// A lane to a node.
  struct Way {
    std::deque<Queued> queue;
    std::size_t queued_bytes = 0;
    std::uint64_t sent_bytes = 0;  ///< compared with ChannelHeader::passed
  };

  BusClient(Segment& segment, ClusterState& state, std::uint32_t process, std::int64_t timeout_ms,
            Channel channel);

  std::uint32_t begin(const NodeRequest& request, const ReplyTo& to);
  /// In the ring, for a whole message; nullptr: it has to be queued.
  char* room_for(std::size_t way, std::size_t payload_bytes);
  FragmentHeader header_of(std::uint32_t number, const NodeRequest& request, std::uint8_t lane,
                           std::size_t payload_bytes) const;
  void finish_fragment(char* place, const FragmentHeader& header, std::uint32_t number);
  void enqueue(std::uint32_t number, const NodeRequest& request, std::uint8_t lane, std::string payload);
  std::uint64_t window_left(std::size_t way);
  void put_queued(std::size_t way);
  bool put_fragment(Queued& message);
  void drop_queued(const Pending& pending, std::uint32_t number);
  Pending* find(std::uint32_t number);
  void release(std::uint32_t number);
  Word& passed(std::size_t way) const { return channel_.header().passed[way / kLaneLimit][way % kLaneLimit]; }
  void fail(std::uint32_t index, Failure failure, const OnReply& on_reply);
  void on_new_bus(const OnReply& on_reply);
  static std::size_t way_of(NodeId node, std::uint8_t lane) { return node.value * kLaneLimit + lane; }
  std::uint32_t number_of(std::uint32_t index) const { return index | pending_[index].salt << kIndexBits; }

  ClusterState& state_;
  const std::uint32_t process_;
  const std::int64_t timeout_ms_;
  Channel channel_;
  RingWriter requests_;
  RingReader replies_;
  WakeupFifo wakeup_;
  std::uint32_t generation_;
  std::uint64_t bus_generation_;
  std::int64_t now_ms_;  ///< monotonic, as of the last tick
  std::int64_t looked_ms_ = 0;
  std::vector<Way> ways_;               ///< by way_of()
  std::vector<std::size_t> busy_ways_;  ///< with a queue
  std::vector<Pending> pending_;
  std::vector<std::uint32_t> free_;
};

}  // namespace memento
