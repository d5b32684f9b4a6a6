// See handshake.h.
#include "bus/core/handshake.h"

#include <algorithm>
#include <cstring>

namespace memento::bus {
namespace {

constexpr std::size_t kReasonLimitBytes = 512;

std::string_view bytes_of(const Introduction& introduction) {
  return {reinterpret_cast<const char*>(&introduction), sizeof introduction};
}
std::string_view bytes_of(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

template <std::size_t N>
std::string text_of(const std::array<char, N>& field) {
  return {field.data(), static_cast<std::size_t>(std::ranges::find(field, '\0') - field.begin())};
}

void set_text(std::array<char, kNodeNameBytes>& field, const std::string& text) {
  std::memcpy(field.data(), text.data(), std::min(text.size(), field.size() - 1));
}

// Of what another side sent: goes to the log.
std::string printable(std::string_view text) {
  std::string clean(text.substr(0, kReasonLimitBytes));
  for (char& c : clean) {
    if (c < ' ' || c > '~') c = '?';
  }
  return clean;
}

}  // namespace

Handshake::Handshake(const Members& members, std::uint32_t lane, std::string secret, const Nonce& nonce,
                     std::uint32_t version, bool connects)
    : members_(&members),
      secret_(std::move(secret)),
      connects_(connects),
      awaited_(connects ? FrameType::kWelcome : FrameType::kHello) {
  own_.version = version;
  own_.slot_count = kSlotCount;
  own_.node_count = static_cast<std::uint32_t>(members.nodes.size());
  own_.lane = lane;
  own_.cluster_id = members.id(version);
  set_text(own_.name, members.node(members.self).name);
  own_.nonce = nonce;
}

Handshake Handshake::connector(const Members& members, NodeId peer, std::uint32_t lane, std::string secret,
                               const Nonce& nonce, std::uint32_t version) {
  Handshake handshake(members, lane, std::move(secret), nonce, version, true);
  handshake.peer_ = peer;
  set_text(handshake.own_.peer, members.node(peer).name);
  return handshake;
}

Handshake Handshake::acceptor(const Members& members, std::uint32_t lane_count, std::string secret,
                              const Nonce& nonce, std::uint32_t version) {
  return Handshake(members, lane_count, std::move(secret), nonce, version, false);
}

std::string Handshake::begin(FrameSender& sender) const {
  return sender.frame(FrameType::kHello, bytes_of(own_));
}

std::string Handshake::on_frame(const Frame& frame, FrameSender& sender, FrameReceiver& receiver) {
  if (frame.type == FrameType::kRefused) {
    state_ = State::kRefused;
    reason_ = "the other side says: " + printable(frame.payload);
    return "";
  }
  if (frame.type != awaited_) return refuse("a frame that does not belong into a handshake", sender);
  switch (frame.type) {
    case FrameType::kHello:
      return on_hello(frame.payload, sender);
    case FrameType::kWelcome:
      return on_welcome(frame.payload, sender, receiver);
    case FrameType::kProof:
      return on_proof(frame.payload, sender, receiver);
    default:
      state_ = State::kDone;
      return "";  // Ready
  }
}

std::string Handshake::objection(const Introduction& other) const {
  const std::string name = printable(text_of(other.name));
  const std::string self = text_of(own_.name);
  if (other.version != own_.version) {
    return name + " speaks version " + std::to_string(other.version) + " of the bus protocol, " + self +
           " version " + std::to_string(own_.version);
  }
  if (other.slot_count != own_.slot_count) {
    return name + " divides " + std::to_string(other.slot_count) + " slots, " + self + " " +
           std::to_string(own_.slot_count);
  }
  if (other.cluster_id != own_.cluster_id) {
    return "the files of " + name + " (" + std::to_string(other.node_count) + " nodes) and " + self + " (" +
           std::to_string(own_.node_count) +
           ") name other members: they must have the same addresses, ports and names";
  }
  const std::string wanted = printable(text_of(other.peer));
  if (wanted != self) return name + " wanted to reach " + wanted + ", and reached " + self;
  if (connects_ && name != members_->node(*peer_).name) {
    return self + " wanted to reach " + members_->node(*peer_).name + ", and reached " + name;
  }
  if (name == self) return "two nodes say that they are " + name;
  if (std::ranges::find(members_->nodes, name, &ClusterNode::name) == members_->nodes.end())
    return name + " is no member";
  return "";
}

std::string Handshake::refuse(const std::string& reason, FrameSender& sender) {
  state_ = State::kRefused;
  reason_ = reason;
  return sender.frame(FrameType::kRefused, reason_.substr(0, kReasonLimitBytes));
}

std::string Handshake::on_hello(std::string_view payload, FrameSender& sender) {
  if (payload.size() != sizeof(Introduction)) return refuse("a greeting of another length", sender);
  std::memcpy(&other_, payload.data(), sizeof other_);
  if (const std::string why = objection(other_); !why.empty()) return refuse(why, sender);
  peer_ = NodeId(
      static_cast<std::uint8_t>(std::ranges::find(members_->nodes, text_of(other_.name), &ClusterNode::name) -
                                members_->nodes.begin()));
  own_.peer = other_.name;
  awaited_ = FrameType::kProof;
  return sender.frame(FrameType::kWelcome, std::string(bytes_of(own_)).append(bytes_of(proof("acceptor"))));
}

std::string Handshake::on_welcome(std::string_view payload, FrameSender& sender, FrameReceiver& receiver) {
  if (payload.size() != sizeof(Introduction) + sizeof(Digest))
    return refuse("a greeting of another length", sender);
  std::memcpy(&other_, payload.data(), sizeof other_);
  if (const std::string why = objection(other_); !why.empty()) return refuse(why, sender);
  Digest given;
  std::memcpy(given.data(), payload.data() + sizeof other_, given.size());
  if (!is_equal(given, proof("acceptor"))) {
    return refuse(text_of(other_.name) + " and " + text_of(own_.name) + " have different secrets", sender);
  }
  std::string answer = sender.frame(FrameType::kProof, bytes_of(proof("connector")));
  use_key(sender, receiver);
  awaited_ = FrameType::kReady;
  return answer;
}

std::string Handshake::on_proof(std::string_view payload, FrameSender& sender, FrameReceiver& receiver) {
  Digest given{};
  if (payload.size() == given.size()) std::memcpy(given.data(), payload.data(), given.size());
  if (payload.size() != given.size() || !is_equal(given, proof("connector"))) {
    return refuse(text_of(other_.name) + " and " + text_of(own_.name) + " have different secrets", sender);
  }
  use_key(sender, receiver);
  state_ = State::kDone;
  return sender.frame(FrameType::kReady);
}

Digest Handshake::proof(std::string_view role) const {
  std::string text(role);
  text.append(bytes_of(connects_ ? own_ : other_)).append(bytes_of(connects_ ? other_ : own_));
  return hmac_sha256(secret_, text);
}

void Handshake::use_key(FrameSender& sender, FrameReceiver& receiver) const {
  std::uint64_t key = 0;
  std::memcpy(&key, proof("key").data(), sizeof key);
  sender.set_key(key);
  receiver.set_key(key);
}

}  // namespace memento::bus
