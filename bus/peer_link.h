// PeerLink: this node's link to another one: its requests go out, their replies come back. Runs in the bus process. The
// rules are in core/link_rules.h and core/request_queue.h.
#pragma once

#include <optional>
#include <string>

#include "bus/bus_context.h"
#include "bus/core/link_rules.h"
#include "bus/core/request_queue.h"
#include "bus/tcp.h"

namespace memento::bus {

class PeerLink {
 public:
  PeerLink(BusContext& context, std::uint8_t node, std::int64_t now_ms);
  ~PeerLink();
  PeerLink(const PeerLink&) = delete;
  PeerLink& operator=(const PeerLink&) = delete;

  void on_tick(std::int64_t now_ms);
  /// That node has reached this one.
  void on_peer_seen(std::int64_t now_ms) { rules_.on_peer_seen(now_ms); }
  bool is_up() const { return rules_.is_up(); }

  /// A piece of a worker's request.
  void add(const PieceHeader& header, std::string_view payload) { queue_.add(header, payload); }
  /// Sends what waits, if that may be.
  void flush(std::int64_t now_ms);
  std::size_t unanswered_count() const { return queue_.unanswered_count(); }

 private:
  void connect();
  void close(const std::string& why);
  void on_bytes();
  bool on_frame(const Frame& frame);
  bool on_replies(std::string_view pieces);
  void note_round_trip(std::int64_t took_ns);
  void tell_refusal(const std::string& reason);
  NodeState& node() const { return context_.state.nodes[index_]; }
  std::string name() const { return context_.members.nodes[index_].name; }
  RequestQueue::Fail fail() const;

  BusContext& context_;
  const std::uint8_t index_;
  LinkRules rules_;
  RequestQueue queue_;
  Tcp* tcp_ = nullptr;
  std::optional<Handshake> handshake_;
  FrameSender sender_;
  FrameReceiver receiver_;
  bool is_reading_ = false;
  std::string told_refusal_;  ///< the last one in the log
};

}  // namespace memento::bus
