// WorkerLane: the way of another node's requests to one worker of this node, and of its replies. Runs in the
// bus process, which only carries: what the worker does not take now is not read from the link (has_room),
// and what the link does not take now stays in the worker's ring, so that only this lane waits. The rules are
// in core/lane_queue.h; one inbound link link at a time uses it, the newest.
//
// The worker may die or be replaced in an upgrade: then what it was given is answered for, and the next one
// gets what comes. WorkerLanes: those of all nodes.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "bus/core/lane_queue.h"
#include "bus/worker_channels.h"

namespace memento::bus {

class InboundLink;

class WorkerLane {
 public:
  WorkerLane(Segment& segment, ClusterState& state, WorkerChannels& channels, NodeId node,
             std::uint32_t worker);

  /// The link that uses it from now on; nullptr: none.
  void set_inbound(InboundLink* inbound);
  InboundLink* inbound() const { return inbound_; }

  /// From time to time: whether the worker has died, or was replaced.
  void find_worker();
  /// The worker takes a fragment now.
  bool has_room();
  /// As many of the fragments as the worker takes now, `taken` bytes. With the next publish() they are on
  /// their way. False: what comes behind those is not a request.
  bool put(std::string_view fragments, std::size_t* taken);
  /// Replies for the inbound link, as long as it takes them.
  void take_replies();
  /// take_replies(), or a inbound link that waited for room, has something to do.
  bool has_work();
  /// Makes visible what was put.
  void publish();
  bool has_unanswered() const { return inbound_ != nullptr && !queue_.empty(); }

 private:
  void send_run();
  bool has_worker() const;
  PeerRings& rings() const { return channel_->peer(node_); }

  Segment& segment_;
  ClusterState& state_;
  WorkerChannels& channels_;
  const NodeId node_;
  const std::uint32_t worker_;
  const Channel* channel_ = nullptr;  ///< of `process_`; nullptr: there was none yet
  std::uint16_t process_ = 0;
  std::uint64_t generation_ = 0;  ///< of the worker
  RingWriter requests_;
  RingReader replies_;
  LaneQueue queue_;
  const LaneQueue::Fail fail_;
  std::string_view run_;  ///< replies in the ring, one behind the other, that the inbound link is to get
  InboundLink* inbound_ = nullptr;
  std::uint32_t link_ = 0;  ///< number of the inbound link's; another for each
};

class WorkerLanes {
 public:
  WorkerLanes(Segment& segment, ClusterState& state, WorkerChannels& channels, std::uint32_t worker_count);

  /// So many links another node makes to this one.
  std::uint32_t count() const { return count_; }
  /// REQUIRES: lane < count().
  WorkerLane& at(NodeId node, std::uint32_t lane);

  void tick();
  void take_replies();
  bool has_work() const;
  bool has_unanswered() const;
  void publish();

 private:
  Segment& segment_;
  ClusterState& state_;
  WorkerChannels& channels_;
  const std::uint32_t worker_count_;
  const std::uint32_t count_;
  std::vector<std::unique_ptr<WorkerLane>> by_place_;  ///< node * count() + lane; nullptr: not used yet
  std::vector<WorkerLane*> used_;
};

}  // namespace memento::bus
