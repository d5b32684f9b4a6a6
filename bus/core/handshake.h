// The handshake of a link: both sides say who they are, prove that they know the secret, and find the link's
// key. Pure: a frame in, frames and a verdict out. Nonces come from the caller.
//
//   connector -> Hello{introduction}
//   acceptor  -> Welcome{introduction, HMAC(secret, "acceptor", both introductions)}
//   connector -> Proof{HMAC(secret, "connector", both introductions)}
//   acceptor  -> Ready
//
// Who finds something wrong answers Refused with the reason and closes: both sides then log the same
// sentence.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "bus/core/digest.h"
#include "bus/core/frame.h"
#include "bus/core/members.h"

namespace memento::bus {

using Nonce = std::array<std::uint8_t, 32>;

/// What a node says of itself.
struct Introduction {
  std::uint32_t version;
  std::uint32_t slot_count;
  std::uint32_t node_count;
  std::uint32_t
      lane;  ///< a connector: which of the other's lanes the link is for; an acceptor: how many it has
  ClusterId cluster_id;
  std::array<char, kNodeNameBytes> name;
  std::array<char, kNodeNameBytes> peer;  ///< whom it wants to talk to; an acceptor: whom it heard
  Nonce nonce;
};
static_assert(sizeof(Introduction) == 192);

class Handshake {
 public:
  enum class State { kGoing, kDone, kRefused };

  /// `version` and `secret` are this node's. A connector names the member it means to reach, and the lane.
  static Handshake connector(const Members& members, NodeId peer, std::uint32_t lane, std::string secret,
                             const Nonce& nonce, std::uint32_t version = kProtocolVersion);
  static Handshake acceptor(const Members& members, std::uint32_t lane_count, std::string secret,
                            const Nonce& nonce, std::uint32_t version = kProtocolVersion);

  /// What a connector sends first.
  std::string begin(FrameSender& sender) const;
  /// Takes a frame; what to send, maybe nothing. When the state becomes kDone both directions have the link's
  /// key.
  std::string on_frame(const Frame& frame, FrameSender& sender, FrameReceiver& receiver);

  State state() const { return state_; }
  /// kRefused: why.
  const std::string& reason() const { return reason_; }
  /// kDone, or as soon as it said so: the other side.
  std::optional<NodeId> peer() const { return peer_; }
  /// kDone: what the other side says of lanes.
  std::uint32_t other_lane() const { return other_.lane; }

 private:
  Handshake(const Members& members, std::uint32_t lane, std::string secret, const Nonce& nonce,
            std::uint32_t version, bool connects);

  std::string on_hello(std::string_view payload, FrameSender& sender);
  std::string on_welcome(std::string_view payload, FrameSender& sender, FrameReceiver& receiver);
  std::string on_proof(std::string_view payload, FrameSender& sender, FrameReceiver& receiver);
  std::string refuse(const std::string& reason, FrameSender& sender);
  /// Empty: the other side is who it should be.
  std::string objection(const Introduction& other) const;
  Digest proof(std::string_view role) const;
  void use_key(FrameSender& sender, FrameReceiver& receiver) const;

  const Members* members_;
  std::string secret_;
  Introduction own_{};
  Introduction other_{};
  bool connects_;
  State state_ = State::kGoing;
  FrameType awaited_;
  std::optional<NodeId> peer_;
  std::string reason_;
};

}  // namespace memento::bus
