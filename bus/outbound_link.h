// OutboundLink: one of this node's links to another one, for one of its lanes: requests go out, their replies
// come back. Runs in the bus process. The rules are in core/link_rules.h and core/request_queue.h.
//
// Peer: the links to one node, of which it says how many there are to be. A request goes by its lane, so
// those of one connection stay in order.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bus/bus_context.h"
#include "bus/core/link_rules.h"
#include "bus/core/request_queue.h"
#include "bus/tcp.h"

namespace memento::bus {

class OutboundLink {
 public:
  OutboundLink(BusContext& context, NodeId node, std::uint32_t lane, std::int64_t now_ms);
  /// What was not answered fails.
  ~OutboundLink();
  OutboundLink(const OutboundLink&) = delete;
  OutboundLink& operator=(const OutboundLink&) = delete;

  void on_tick(std::int64_t now_ms);
  /// That node has reached this one.
  void on_peer_seen(std::int64_t now_ms) { rules_.on_peer_seen(now_ms); }
  bool is_up() const { return rules_.is_up(); }
  /// The node refuses this one, or is another.
  bool is_refused() const { return handshake_ && handshake_->state() == Handshake::State::kRefused; }
  /// Why it is down.
  const std::string& why_closed() const { return why_closed_; }
  /// How many lanes the node has said to have; 0: it is not up.
  std::uint32_t lane_count() const { return rules_.is_up() ? handshake_->other_lane() : 0; }

  /// A fragment of a worker's request.
  void add(const FragmentHeader& header, std::string_view payload) { queue_.add(header, payload); }
  /// Sends what waits, if that may be.
  void flush(std::int64_t now_ms);
  /// Nothing that waits to be sent will be.
  void refuse_unsent() { queue_.refuse_unsent(fail()); }
  std::size_t unsent_bytes() const { return queue_.unsent_bytes(); }
  std::size_t unanswered_count() const { return queue_.unanswered_count(); }

 private:
  void connect();
  void close(const std::string& why);
  void on_bytes();
  bool on_frame(const Frame& frame);
  bool on_replies(std::string_view fragments);
  void note_round_trip(std::int64_t took_ns);
  void flush_passed();
  void tell_refusal(const std::string& reason);
  NodeState& node() const { return context_.state.node(id_); }
  std::string name() const { return context_.members.node(id_).name; }
  RequestQueue::Fail fail() const;

  BusContext& context_;
  const NodeId id_;
  const std::uint32_t lane_;
  LinkRules rules_;
  RequestQueue queue_;
  Tcp* tcp_ = nullptr;
  std::optional<Handshake> handshake_;
  FrameSender sender_;
  FrameReceiver receiver_;
  bool is_reading_ = false;
  std::string why_closed_;
  std::string told_refusal_;  ///< the last one in the log
};

class Peer {
 public:
  Peer(BusContext& context, NodeId node, std::int64_t now_ms);

  void on_tick(std::int64_t now_ms);
  void on_peer_seen(std::int64_t now_ms);
  /// All links are.
  bool is_up() const;
  /// A fragment of a worker's request.
  void add(const FragmentHeader& header, std::string_view payload) {
    links_[header.lane % links_.size()]->add(header, payload);
  }
  void flush(std::int64_t now_ms);
  std::size_t unanswered_count() const;

 private:
  void set_lane_count(std::uint32_t count, std::int64_t now_ms);
  void update_state(std::int64_t now_ms);
  NodeState& node() const { return context_.state.node(id_); }

  BusContext& context_;
  const NodeId id_;
  LinkState state_ = LinkState::kDown;
  std::vector<std::unique_ptr<OutboundLink>> links_;  ///< by lane; never empty
};

}  // namespace memento::bus
