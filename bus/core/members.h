// Members of a cluster, in the order that all nodes agree on, and who owns which slot. Pure: from the nodes'
// file to a table.
//
// Members are sorted by name; the i-th of N owns the slots [i * 8192 / N, (i + 1) * 8192 / N): contiguous,
// and at most ceil(8192 / N). The cluster's id is a hash of the members, the number of slots and the
// protocol's version: nodes that differ in any of them refuse each other.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "bus/core/cluster_state.h"
#include "conf/cluster_file.h"

namespace memento::bus {

inline constexpr std::uint32_t kProtocolVersion = 3;

using ClusterId = std::array<std::uint8_t, 16>;

struct Members {
  std::vector<ClusterNode> nodes;  ///< sorted
  NodeId self;

  static Members from(const ClusterFile& file);
  /// What write_to() wrote.
  static Members of(const ClusterState& state);

  SlotId first_slot(NodeId node) const;
  /// A member has this address, as the system writes it.
  bool has_address(const std::string& address) const;
  ClusterId id(std::uint32_t version = kProtocolVersion) const;
  /// 40 hex digits that the node keeps as long as name and address stay.
  std::string hex_id(NodeId member) const;

  /// Behind the last member.
  NodeId end_node() const { return NodeId(static_cast<std::uint8_t>(nodes.size())); }
  const ClusterNode& node(NodeId id) const { return nodes[id.value]; }

  /// Fills in what the node's processes read.
  void write_to(ClusterState& state) const;
};

}  // namespace memento::bus
