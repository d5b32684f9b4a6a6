// CLUSTER and its subcommands, ASKING, READONLY, READWRITE: what clients of Redis Cluster ask, in its
// numbers: each of our slots is two of its 16384, 2m and 2m+1. CLUSTERINFO: the nodes, a line each. Addresses
// are those of the listeners that answer MOVED.
#include <algorithm>
#include <optional>
#include <string>

#include "bus/core/cluster_state.h"
#include "shm/keyspace/hash.h"
#include "worker/handlers/handler_support.h"
#include "worker/handlers/handlers.h"
#include "worker/text/number_text.h"

namespace memento::handlers {
namespace {

constexpr std::int64_t kRedisSlotCount = 2 * kSlotCount;

// nullptr: an error was written.
const ClusterState* cluster_of(CommandContext& context) {
  if (context.services.cluster == nullptr)
    context.reply.error("ERR This instance has cluster support disabled");
  return context.services.cluster;
}

std::span<const NodeState> nodes_of(const ClusterState& state) {
  return {state.nodes.data(), state.node_count};
}

std::int64_t first_slot(const NodeState& node) {
  return 2 * static_cast<std::int64_t>(node.first_slot.value);
}
std::int64_t last_slot(const NodeState& node) {
  return 2 * static_cast<std::int64_t>(node.end_slot.value) - 1;
}

bool is_reachable(const ClusterState& state, const NodeState& node) {
  return state.is_self(node) || node.link_state() == LinkState::kUp;
}

std::uint32_t redis_slot(std::string_view key) {
  return crc16(hash_tag(key)) % static_cast<std::uint32_t>(kRedisSlotCount);
}

// One of Redis's slots. Nothing: an error was written.
std::optional<std::uint32_t> parse_slot(CommandContext& context, std::string_view text) {
  const std::optional<std::int64_t> number = parse_integer(text);
  if (!number || *number < 0 || *number >= kRedisSlotCount) {
    return context.reply.error("ERR Invalid slot"), std::nullopt;
  }
  return static_cast<std::uint32_t>(*number);
}

// Visits keys of one of Redis's slots that are this node's, until visit(key) has returned false.
template <class Visit>
void visit_keys_in(Keyspace& keyspace, std::uint32_t slot, Visit&& visit) {
  constexpr std::uint64_t kKeysAtOnce = 256;
  bool goes_on = true;
  for (std::uint64_t place = 0; place < kScanEnd && goes_on;) {
    ScanLimit limit{kKeysAtOnce, UINT64_MAX};
    place = keyspace.scan(SlotId{slot / 2}, place, &limit, [&](std::string_view key) {
      if (goes_on && redis_slot(key) == slot) goes_on = visit(key);
    });
  }
}

// As a line of Redis's nodes.conf.
std::string nodes_line(const ClusterState& state, const NodeState& node) {
  std::string line(node.id_text());
  line.append(" ").append(node.address_text()).append(":").append(std::to_string(node.redirect_port()));
  line.append("@")
      .append(std::to_string(node.bus_port))
      .append(state.is_self(node) ? " myself,master" : " master");
  line.append(is_reachable(state, node) ? "" : ",fail").append(" - 0 ");
  line.append(state.is_self(node) ? "0" : std::to_string(node.link_changed_ms.load()));
  line.append(" 1 ").append(is_reachable(state, node) ? "connected " : "disconnected ");
  return line.append(std::to_string(first_slot(node)))
      .append("-")
      .append(std::to_string(last_slot(node)))
      .append("\n");
}

void write_shard(CommandContext& context, const ClusterState& state, const NodeState& node) {
  ReplyWriter& reply = context.reply;
  reply.begin_map(2);
  reply.field("slots");
  reply.begin_array(2);
  reply.integer(first_slot(node));
  reply.integer(last_slot(node));
  reply.end();
  reply.field("nodes");
  reply.begin_array(1);
  reply.begin_map(7);
  reply.field("id");
  reply.bulk(node.id_text());
  reply.field("port");
  reply.integer(node.redirect_port());
  reply.field("ip");
  reply.bulk(node.address_text());
  reply.field("endpoint");
  reply.bulk(node.address_text());
  reply.field("role");
  reply.bulk("master");
  reply.field("replication-offset");
  reply.integer(0);
  reply.field("health");
  reply.bulk(is_reachable(state, node) ? "online" : "fail");
  reply.end();
  reply.end();
  reply.end();
}

void write_link(CommandContext& context, const NodeState& node, std::string_view direction) {
  ReplyWriter& reply = context.reply;
  reply.begin_map(6);
  reply.field("direction");
  reply.bulk(direction);
  reply.field("node");
  reply.bulk(node.id_text());
  reply.field("create-time");
  reply.integer(static_cast<std::int64_t>(node.link_changed_ms.load()));
  reply.field("events");
  reply.bulk("rw");
  const auto waiting_bytes = direction == "to" ? static_cast<std::int64_t>(node.queue_bytes.load()) : 0;
  reply.field("send-buffer-allocated");
  reply.integer(waiting_bytes);
  reply.field("send-buffer-used");
  reply.integer(waiting_bytes);
  reply.end();
}

}  // namespace

void cluster_slots(CommandContext& context, const Call&) {
  const ClusterState* const state = cluster_of(context);
  if (state == nullptr) return;
  ReplyWriter& reply = context.reply;
  reply.begin_array(state->node_count);
  for (const NodeState& node : nodes_of(*state)) {
    reply.begin_array(3);
    reply.integer(first_slot(node));
    reply.integer(last_slot(node));
    reply.begin_array(4);
    reply.bulk(node.address_text());
    reply.integer(node.redirect_port());
    reply.bulk(node.id_text());
    reply.begin_array(0);
    reply.end();
    reply.end();
    reply.end();
  }
  reply.end();
}

void cluster_shards(CommandContext& context, const Call&) {
  const ClusterState* const state = cluster_of(context);
  if (state == nullptr) return;
  context.reply.begin_array(state->node_count);
  for (const NodeState& node : nodes_of(*state)) write_shard(context, *state, node);
  context.reply.end();
}

void cluster_nodes(CommandContext& context, const Call&) {
  const ClusterState* const state = cluster_of(context);
  if (state == nullptr) return;
  std::string text;
  for (const NodeState& node : nodes_of(*state)) text += nodes_line(*state, node);
  context.reply.verbatim(text);
}

void cluster_info(CommandContext& context, const Call&) {
  const ClusterState* const state = cluster_of(context);
  if (state == nullptr) return;
  std::int64_t reachable_slots = 0;
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  for (const NodeState& node : nodes_of(*state)) {
    if (is_reachable(*state, node)) reachable_slots += last_slot(node) + 1 - first_slot(node);
    sent += node.requests.load();
    received += node.executed.load();
  }
  std::string text;
  const auto add = [&](std::string_view name, const std::string& value) {
    text.append(name).append(":").append(value).append("\r\n");
  };
  add("cluster_state", state->is_formed.load() != 0 && reachable_slots == kRedisSlotCount ? "ok" : "fail");
  add("cluster_slots_assigned", std::to_string(kRedisSlotCount));
  add("cluster_slots_ok", std::to_string(reachable_slots));
  add("cluster_slots_pfail", "0");
  add("cluster_slots_fail", std::to_string(kRedisSlotCount - reachable_slots));
  add("cluster_known_nodes", std::to_string(state->node_count));
  add("cluster_size", std::to_string(state->node_count));
  add("cluster_current_epoch", "1");
  add("cluster_my_epoch", "1");
  add("cluster_stats_messages_sent", std::to_string(sent));
  add("cluster_stats_messages_received", std::to_string(received));
  add("total_cluster_links_buffer_limit_exceeded", "0");
  context.reply.verbatim(text);
}

void cluster_myid(CommandContext& context, const Call&) {
  if (const ClusterState* const state = cluster_of(context)) context.reply.bulk(state->self_node().id_text());
}

void cluster_keyslot(CommandContext& context, const Call& call) {
  if (cluster_of(context) != nullptr) context.reply.integer(redis_slot(call[2]));
}

void cluster_countkeysinslot(CommandContext& context, const Call& call) {
  if (cluster_of(context) == nullptr) return;
  const std::optional<std::uint32_t> slot = parse_slot(context, call[2]);
  if (!slot) return;
  std::int64_t count = 0;
  visit_keys_in(context.keyspace, *slot, [&](std::string_view) { return ++count, true; });
  context.reply.integer(count);
}

void cluster_getkeysinslot(CommandContext& context, const Call& call) {
  if (cluster_of(context) == nullptr) return;
  const std::optional<std::uint32_t> slot = parse_slot(context, call[2]);
  if (!slot) return;
  const std::int64_t most = parse_integer(call[3]).value_or(-1);
  if (most < 0) return context.reply.error("ERR Invalid number of keys");
  const std::size_t begin = context.reply.begin_list();
  std::int64_t count = 0;
  if (most > 0) {
    visit_keys_in(context.keyspace, *slot, [&](std::string_view key) {
      context.reply.bulk(key);
      return ++count < most;
    });
  }
  context.reply.end_list(begin, static_cast<std::size_t>(count));
}

// What RANDOMKEY of a cluster is put together from.
void cluster_randomkey(CommandContext& context, const Call& call) {
  if (cluster_of(context) == nullptr) return;
  context.reply.begin_array(2);
  context.reply.integer(static_cast<std::int64_t>(context.keyspace.key_count()));
  randomkey(context, call);
  context.reply.end();
}

void cluster_links(CommandContext& context, const Call&) {
  const ClusterState* const state = cluster_of(context);
  if (state == nullptr) return;
  const std::size_t begin = context.reply.begin_list();
  std::size_t count = 0;
  for (const NodeState& node : nodes_of(*state)) {
    if (node.link_state() == LinkState::kUp) write_link(context, node, "to"), ++count;
    if (node.is_heard.load() != 0) write_link(context, node, "from"), ++count;
  }
  context.reply.end_list(begin, count);
}

// Nothing moves from node to node, and there are no replicas: there is nothing to ask for.
void cluster_ok(CommandContext& context, const Call&) {
  if (cluster_of(context) != nullptr) context.reply.ok();
}

void clusterinfo(CommandContext& context, const Call&) {
  const ClusterState* const state = cluster_of(context);
  if (state == nullptr) return;
  context.reply.begin_array(state->node_count);
  for (const NodeState& node : nodes_of(*state)) {
    std::string line(node.name_text());
    line.append(" ").append(node.address_text()).append(":").append(std::to_string(node.port)).append(" ");
    line.append(std::to_string(node.first_slot.value))
        .append("-")
        .append(std::to_string(node.end_slot.value - 1))
        .append(" ");
    context.reply.bulk(line.append(state->text_of_link(node)));
  }
  context.reply.end();
}

}  // namespace memento::handlers
