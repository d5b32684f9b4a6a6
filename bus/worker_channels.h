// WorkerChannels: the bus's ends of the channels of this node's workers. Runs in the bus process.
//
// Requests are always taken: what a node does not take waits in its RequestQueue, and each worker has only so
// many bytes on their way to each node. Replies that a worker does not take wait here; while much waits the
// links are not read (is_congested). A worker that takes nothing is busy (it runs) or stopped (it does not):
// a stopped one holds up the links for kStoppedPatienceMs, a busy one for kBusyPatienceMs. Then its replies
// are dropped, each told as lost, until it takes some: nobody else waits for it longer than that.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <vector>

#include "bus/core/channel.h"
#include "bus/core/cluster_state.h"
#include "shm/messages/wakeup_fifo.h"
#include "shm/os/byte_buffer.h"
#include "shm/os/process_time.h"
#include "shm/segment.h"

namespace memento::bus {

class WorkerChannels {
 public:
  WorkerChannels(Segment& segment, ClusterState& state, WakeupFifo& wakeup);

  /// Looks for channels that workers have made since.
  void open_new();
  bool has_requests() const;
  /// A worker has made room for replies that wait.
  bool has_room_for_replies() const;
  using OnRequest = std::function<void(const FragmentHeader& header, std::string_view payload)>;
  /// Gives all fragments that are there. They count as read when it returns.
  void take_requests(const OnRequest& on_request);

  /// nullptr: there is none yet.
  const Channel* channel_of(std::uint16_t process) const;
  /// With the next flush() the worker's wake-up FIFO is woken if it sleeps.
  void touch(std::uint16_t process);
  /// Of a link of another node to this one: differs from all others of this bus, and of those just before it.
  std::uint32_t new_link_number() { return static_cast<std::uint32_t>(generation_ << 16) + ++links_; }

  /// For the worker that has sent the request; dropped when that is gone.
  void reply(std::uint16_t process, std::uint32_t generation, std::uint32_t number, std::uint8_t flags,
             std::string_view payload);
  void fail(std::uint16_t process, std::uint32_t generation, std::uint32_t number, Failure failure);
  /// So many bytes of the process's requests for the node's lane have left the bus.
  void pass(std::uint16_t process, NodeId node, std::uint8_t lane, std::uint64_t bytes);

  /// Makes replies visible and rings the wake-up FIFOs of workers that sleep.
  void flush();
  /// Too much waits for some worker: no replies are to be read now.
  bool is_congested() const { return is_congested_; }
  void on_tick(std::int64_t now_ms);

 private:
  static constexpr std::size_t kBacklogLimitBytes = 8 << 20;
  static constexpr std::int64_t kStoppedPatienceMs = 1000;
  static constexpr std::int64_t kBusyPatienceMs = 10'000;

  struct Worker {
    Channel channel;
    RingReader requests;
    RingWriter replies;
    ByteBuffer backlog{};  ///< fragments that found no room
    bool is_touched = false;
    bool is_stalled = false;  ///< its replies are dropped
    ActivityWatch watch{};    ///< while it takes nothing
    std::uint64_t seen_head = 0;
  };

  void put(Worker& worker, const FragmentHeader& header, std::string_view payload);
  void move_backlog(Worker& worker);
  Worker* find(std::uint16_t process, std::uint32_t generation);

  Segment& segment_;
  ClusterState& state_;
  WakeupFifo& wakeup_;
  const std::string directory_;
  const std::uint64_t generation_;  ///< of this bus
  std::uint16_t links_ = 0;
  std::uint64_t channels_version_ = 0;
  std::array<std::optional<Worker>, kProcessLimit> workers_;
  std::vector<std::uint16_t> open_;     ///< processes with a channel
  std::vector<std::uint16_t> touched_;  ///< something is to be published to them
  std::vector<std::uint16_t> blocked_;  ///< with a backlog
  bool is_congested_ = false;
};

}  // namespace memento::bus
