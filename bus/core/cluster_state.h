// What the processes of a node know together about its cluster: the members, who owns which slot, which links
// are up, and counters. It lies in the file `cluster` beside the segment, made anew by each start of the
// server and kept over an upgrade. The master writes members and slots before it forks; the bus writes the
// rest, but for what is marked. All words change alone, none depends on another's order unless it says so.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "shm/format/layout.h"
#include "shm/format/limits.h"
#include "shm/format/typed_number.h"
#include "shm/os/mapping.h"
#include "shm/os/result.h"

namespace memento {

inline constexpr std::uint32_t kNodeLimit = 128;
inline constexpr std::uint32_t kNodeNameBytes = 64;

/// A member of the cluster: its place in the order that all nodes agree on.
using NodeId = TypedNumber<struct NodeKind, std::uint8_t>;
inline constexpr NodeId kNoNode{0xff};
static_assert(kNodeLimit <= kNoNode.value);

inline constexpr std::uint32_t kRoundTripBuckets = 32;

enum class LinkState : std::uint64_t {
  kDown,  ///< connecting, or waiting to
  kUp,
  kRefused,  ///< its file is another, or its secret; it is tried again all the same
};

/// A member. The texts are ended by zero bytes.
struct alignas(64) NodeState {
  std::array<char, kNodeNameBytes> name;
  std::array<char, 48> address;  ///< literal
  std::array<char, 48> id;       ///< 40 hex digits
  std::uint32_t bus_port;
  std::uint32_t port;
  SlotId first_slot;  ///< its slots are [first_slot, end_slot)
  SlotId end_slot;

  alignas(64) std::atomic<std::uint64_t> link;  ///< a LinkState: of this node's link to that one
  std::atomic<std::uint64_t> link_changed_ms;   ///< since 1970
  std::atomic<std::uint64_t> is_heard;          ///< its link to this node is up
  std::atomic<std::uint64_t> queue_bytes;       ///< requests for it that the bus has not sent
  std::atomic<std::uint64_t> unanswered;        ///< requests sent
  std::atomic<std::uint64_t> connects;          ///< how often the link came up
  std::atomic<std::uint64_t> requests;
  std::atomic<std::uint64_t> executed;  ///< requests of that node that were executed here; by workers
  std::atomic<std::uint64_t> lanes;     ///< links to it, as it has said last; 0: it never did
  /// Requests answered in less than 2^i microseconds, and not less than half.
  std::array<std::atomic<std::uint64_t>, kRoundTripBuckets> round_trips;

  std::uint32_t redirect_port() const { return port + 200; }
  std::string_view name_text() const { return name.data(); }
  std::string_view address_text() const { return address.data(); }
  std::string_view id_text() const { return id.data(); }
  LinkState link_state() const { return static_cast<LinkState>(link.load(std::memory_order_relaxed)); }
};

struct ClusterState {
  std::uint64_t magic;
  std::uint32_t layout_version;
  std::uint32_t struct_hash;
  std::uint32_t node_count;
  alignas(std::uint32_t) NodeId self;
  alignas(std::uint32_t) std::array<NodeId, kSlotCount> owners;  ///< by slot

  alignas(64) std::atomic<std::uint64_t> bus_process;  ///< its record in the segment; 0: none yet
  std::atomic<std::uint64_t> bus_generation;           ///< +1 with each start of a bus process
  std::atomic<std::uint64_t> is_formed;                ///< all links were up once
  std::atomic<std::uint64_t> channels_version;  ///< +1 when a worker has made its channel; written by workers
  std::atomic<std::uint64_t> bus_seen_ms;       ///< monotonic: the bus ran then
  /// By worker: its record in the segment; 0: none yet. Written by workers.
  std::array<std::atomic<std::uint64_t>, kProcessLimit> worker_processes;
  alignas(64)
      std::atomic<std::uint64_t> bus_sleeps;  ///< it wants its wake-up FIFO to be woken; cleared by who rings
  alignas(64) std::atomic<std::uint64_t> forwarded;  ///< requests, by workers
  std::atomic<std::uint64_t> refused;                ///< answered CLUSTERDOWN, by workers
  std::atomic<std::uint64_t> outcome_unknown;        ///< by workers
  std::array<NodeState, kNodeLimit> nodes;

  /// Behind the last node.
  NodeId end_node() const { return NodeId(static_cast<std::uint8_t>(node_count)); }
  NodeState& node(NodeId id) { return nodes[id.value]; }
  const NodeState& node(NodeId id) const { return nodes[id.value]; }
  NodeId owner_of(SlotId slot) const { return owners[slot.value]; }
  const NodeState& self_node() const { return node(self); }
  bool is_self(const NodeState& node) const { return &node == &self_node(); }
  /// self, up, refused or down.
  std::string_view text_of_link(const NodeState& node) const;
};

inline constexpr std::uint64_t kClusterMagic = 0x6d656d656e746f63;  // "mementoc"
inline constexpr std::uint32_t kClusterLayoutVersion = 2;
inline constexpr std::uint32_t kClusterStructHash =
    static_cast<std::uint32_t>(sizeof(ClusterState) * 31 + sizeof(NodeState));
static_assert(std::atomic<std::uint64_t>::is_always_lock_free && sizeof(std::atomic<std::uint64_t>) == 8);
static_assert(sizeof(NodeState) % 64 == 0 && offsetof(ClusterState, magic) == 0);

/// Owns the mapping, which children inherit. Move-only.
class ClusterStateFile {
 public:
  /// A new file in this folder, all zero but for what says its layout. Channels that are there are removed.
  /// REQUIRES: no process of the server runs.
  static Result<ClusterStateFile> create(const std::string& directory);
  /// The one that a running server has. Error: of another layout.
  static Result<ClusterStateFile> adopt(const std::string& directory);

  ClusterState& operator*() const { return *reinterpret_cast<ClusterState*>(mapping_.data()); }
  ClusterState* operator->() const { return &**this; }

 private:
  explicit ClusterStateFile(Mapping mapping) : mapping_(std::move(mapping)) {}
  Mapping mapping_;
};

}  // namespace memento
