// See cluster_nodes.h.
#include "cli/net/cluster_nodes.h"

#include <algorithm>
#include <charconv>

#include "cli/net/endpoint.h"
#include "cli/show/format.h"

namespace memento::cli {
namespace {

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    if (end > 0) parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

std::optional<std::uint32_t> parse_slot(std::string_view text) {
  std::uint32_t slot = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), slot);
  const bool is_number = parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size();
  return is_number && slot < kClusterSlotCount ? std::optional(slot) : std::nullopt;
}

/// "5" or "5-9"; slots on their way ("[5->-...]") are none of the node's ranges.
std::optional<SlotRange> parse_range(std::string_view text) {
  const std::size_t dash = text.find('-');
  const std::optional<std::uint32_t> first = parse_slot(text.substr(0, dash));
  const std::optional<std::uint32_t> last = dash == text.npos ? first : parse_slot(text.substr(dash + 1));
  if (!first || !last || *first > *last) return std::nullopt;
  return SlotRange{*first, *last};
}

}  // namespace

std::size_t ClusterNode::slot_count() const {
  std::size_t count = 0;
  for (const SlotRange& range : slots) count += range.second - range.first + 1;
  return count;
}

std::optional<Address> ClusterNode::endpoint() const {
  // An IPv6 address stands without brackets; the port is behind the last colon.
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0) return std::nullopt;
  const auto port = parse_port(std::string_view(address).substr(colon + 1));
  if (!port) return std::nullopt;
  std::string host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return Address{host, *port};
}

std::vector<ClusterNode> parse_cluster_nodes(std::string_view text) {
  std::vector<ClusterNode> nodes;
  for (std::string_view line : split(text, '\n')) {
    while (line.ends_with('\r')) line.remove_suffix(1);
    const std::vector<std::string_view> words = split(line, ' ');
    if (words.size() < 8) continue;
    ClusterNode node;
    node.id = without_controls(words[0]);
    node.address = without_controls(words[1].substr(0, words[1].find_first_of("@,")));
    node.flags = without_controls(words[2]);
    node.link = without_controls(words[7]);
    node.is_myself = node.flags.find("myself") != std::string::npos;
    node.is_replica =
        node.flags.find("slave") != std::string::npos || node.flags.find("replica") != std::string::npos;
    for (std::size_t i = 8; i < words.size(); ++i) {
      if (const std::optional<SlotRange> range = parse_range(words[i])) node.slots.push_back(*range);
    }
    nodes.push_back(std::move(node));
  }
  return nodes;
}

std::string slots_text(const std::vector<SlotRange>& slots) {
  std::string text;
  for (const SlotRange& range : slots) {
    if (!text.empty()) text += ",";
    text += std::to_string(range.first);
    if (range.second != range.first) text += "-" + std::to_string(range.second);
  }
  return text.empty() ? "none" : text;
}

std::vector<int> slot_owners(const std::vector<ClusterNode>& nodes) {
  std::vector<int> owners(kClusterSlotCount, -1);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    for (const SlotRange& range : nodes[i].slots) {
      std::fill(owners.begin() + range.first, owners.begin() + range.second + 1, static_cast<int>(i));
    }
  }
  return owners;
}

std::string slot_ring(const std::vector<ClusterNode>& nodes, std::size_t columns) {
  const std::vector<int> owners = slot_owners(nodes);
  std::string ring;
  for (std::size_t column = 0; column < columns; ++column) {
    const std::size_t begin = column * kClusterSlotCount / columns;
    const std::size_t end = (column + 1) * kClusterSlotCount / columns;
    std::vector<std::size_t> counts(nodes.size() + 1, 0);
    for (std::size_t slot = begin; slot < end; ++slot) ++counts[static_cast<std::size_t>(owners[slot]) + 1];
    const auto most = static_cast<std::size_t>(std::ranges::max_element(counts) - counts.begin());
    // A part shows as '.' when any of its slots has no owner.
    ring += counts[0] > 0 || most == 0 ? '.' : static_cast<char>('A' + (most - 1) % 26);
  }
  return ring;
}

std::vector<SlotRange> unserved_slots(const std::vector<ClusterNode>& nodes) {
  const std::vector<int> owners = slot_owners(nodes);
  std::vector<SlotRange> ranges;
  for (std::uint32_t slot = 0; slot < kClusterSlotCount; ++slot) {
    if (owners[slot] >= 0) continue;
    if (!ranges.empty() && ranges.back().second + 1 == slot) {
      ranges.back().second = slot;
    } else {
      ranges.emplace_back(slot, slot);
    }
  }
  return ranges;
}

}  // namespace memento::cli
