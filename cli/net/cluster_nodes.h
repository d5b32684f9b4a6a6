// CLUSTER NODES as values: nodes, their slots of 16384, their links. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/net/client.h"

namespace memento::cli {

inline constexpr std::size_t kClusterSlotCount = 16384;

/// Slots from .first to .second, both belonging to it.
using SlotRange = std::pair<std::uint32_t, std::uint32_t>;

struct ClusterNode {
  std::string id;
  std::string address;  ///< host:port as the node tells it
  std::string flags;    ///< myself,master,fail?,...
  std::string link;     ///< connected or disconnected
  bool is_replica = false;
  bool is_myself = false;
  std::vector<SlotRange> slots;

  std::size_t slot_count() const;
  bool is_failed() const { return flags.find("fail") != std::string::npos || link != "connected"; }
  /// Where to reach it; nothing without an address.
  std::optional<Address> endpoint() const;
};

/// Lines that describe no node are skipped, and so are words that name no slots.
std::vector<ClusterNode> parse_cluster_nodes(std::string_view text);

/// "0-5460,10923" for what the node has.
std::string slots_text(const std::vector<SlotRange>& slots);

/// The owner of each slot as the index of its node; -1: it has none.
std::vector<int> slot_owners(const std::vector<ClusterNode>& nodes);

/// The slots 0 to 16383 as so many characters: a letter for the node that has most of each part, '.' where
/// none has it.
std::string slot_ring(const std::vector<ClusterNode>& nodes, std::size_t columns);

/// Slots without an owner, as ranges.
std::vector<SlotRange> unserved_slots(const std::vector<ClusterNode>& nodes);

}  // namespace memento::cli
