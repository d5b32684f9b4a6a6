// See members.h.
#include "bus/core/members.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "bus/core/digest.h"

namespace memento::bus {
namespace {

static_assert(kClusterNodeLimit == kNodeLimit && kNodeNameLimitBytes < kNodeNameBytes);
static_assert(kNodeLimit <= kSlotCount);

std::string text_of(const ClusterNode& node) {
  return node.name + " " + node.address + " " + std::to_string(node.bus_port) + "\n";
}

template <std::size_t N>
void copy_text(const std::string& text, std::array<char, N>& to) {
  to.fill(0);
  std::memcpy(to.data(), text.data(), std::min(text.size(), N - 1));
}

}  // namespace

Members Members::from(const ClusterFile& file) {
  Members members{file.nodes, {}};
  const std::string self = file.nodes[file.self].name;
  std::ranges::sort(members.nodes, {}, &ClusterNode::name);
  members.self = NodeId(static_cast<std::uint8_t>(std::ranges::find(members.nodes, self, &ClusterNode::name) -
                                                  members.nodes.begin()));
  return members;
}

Members Members::of(const ClusterState& state) {
  Members members{{}, state.self};
  for (NodeId id; id < state.end_node(); ++id) {
    const NodeState& node = state.node(id);
    members.nodes.push_back({std::string(node.address_text()), static_cast<std::uint16_t>(node.bus_port),
                             std::string(node.name_text())});
  }
  return members;
}

SlotId Members::first_slot(NodeId node) const {
  return SlotId(static_cast<std::uint32_t>(node.value * kSlotCount / nodes.size()));
}

// The file may write an address in another way.
bool Members::has_address(const std::string& address) const {
  return std::ranges::any_of(nodes, [&](const ClusterNode& node) {
    std::array<unsigned char, sizeof(in6_addr)> bytes{};
    std::array<char, INET6_ADDRSTRLEN> text{};
    const int family = node.address.find(':') == std::string::npos ? AF_INET : AF_INET6;
    return inet_pton(family, node.address.c_str(), bytes.data()) == 1 &&
           inet_ntop(family, bytes.data(), text.data(), text.size()) != nullptr && address == text.data();
  });
}

ClusterId Members::id(std::uint32_t version) const {
  std::string text =
      "memento cluster, version " + std::to_string(version) + ", slots " + std::to_string(kSlotCount) + "\n";
  for (const ClusterNode& node : nodes) text += text_of(node);
  const Digest digest = sha256(text);
  ClusterId id;
  std::copy_n(digest.begin(), id.size(), id.begin());
  return id;
}

std::string Members::hex_id(NodeId member) const {
  constexpr std::string_view kDigits = "0123456789abcdef";
  const Digest digest = sha256("memento node " + text_of(node(member)));
  std::string id;
  for (std::size_t i = 0; i < 20; ++i) id.append({kDigits[digest[i] >> 4], kDigits[digest[i] & 15]});
  return id;
}

void Members::write_to(ClusterState& state) const {
  state.node_count = static_cast<std::uint32_t>(nodes.size());
  state.self = self;
  for (NodeId id; id < end_node(); ++id) {
    const ClusterNode& member = this->node(id);
    NodeState& node = state.node(id);
    copy_text(member.name, node.name);
    copy_text(member.address, node.address);
    copy_text(hex_id(id), node.id);
    node.bus_port = member.bus_port;
    node.port = member.port();
    node.first_slot = first_slot(id);
    node.end_slot = first_slot(id + 1);
    std::fill(state.owners.begin() + node.first_slot.value, state.owners.begin() + node.end_slot.value, id);
  }
}

}  // namespace memento::bus
