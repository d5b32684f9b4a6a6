// The file that names the nodes of a cluster, a line each: `ADDRESS PORT NAME SELF`, # begins a comment. PORT
// is the node's bus port, its listen port plus 100; SELF is 1 for this node, else 0. Master, at start and on
// HUP.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace memento {

/// From a node's listen port to its other ports.
inline constexpr int kBusPortOffset = 100;
inline constexpr int kRedirectPortOffset = 200;  ///< the listener that answers MOVED
inline constexpr int kClusterPortLimit = 65335;  ///< largest port that a cluster's file or -p may name
inline constexpr std::size_t kNodeNameLimitBytes = 63;
inline constexpr std::size_t kClusterNodeLimit = 128;

struct ClusterNode {
  std::string address;  ///< literal
  std::uint16_t bus_port = 0;
  std::string name;

  std::uint16_t port() const { return static_cast<std::uint16_t>(bus_port - kBusPortOffset); }
  bool operator==(const ClusterNode&) const = default;
};

struct ClusterFile {
  std::vector<ClusterNode> nodes;
  std::size_t self = 0;  ///< index of this node
};

/// What a file came to: nodes, or its errors, a line each: "FILE:LINE: what is wrong".
struct ParsedClusterFile {
  ClusterFile file;
  std::string errors;
};

/// Reads the file at `path`; `shown` is how errors call it. `self_name` not empty: the node of that name is
/// this one, whatever the file says. `port`: what this node listens on; 0 when no option says so.
ParsedClusterFile read_cluster_file(const std::string& path, const std::string& shown,
                                    const std::string& self_name, std::uint16_t port);

}  // namespace memento
