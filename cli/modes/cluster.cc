// See cluster.h.
#include "cli/modes/cluster.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <utility>

#include "cli/modes/session.h"
#include "cli/net/cluster_nodes.h"
#include "cli/net/info.h"

namespace memento::cli {
namespace {

constexpr std::uint16_t kBusPortOffset = 100;
constexpr std::uint16_t kClientPortMax = 65'535 - 300;  // the bus and the second listener lie above
constexpr std::size_t kRingColumns = 64;
constexpr int kNodeTimeoutMs = 5000;

CliStatus usage(const std::string& message) {
  complain(message);
  complain("memento-cli cluster create HOST:PORT... [--dir D] | info | check | call COMMAND");
  return CliStatus::kUsage;
}

/// A node and what it answered; `problem` when it could not be asked.
struct AskedNode {
  ClusterNode node;
  std::optional<Connection> connection;
  std::string problem;
};

Endpoint endpoint_of(const ClusterNode& node, const Options& options) {
  Endpoint endpoint = options.endpoint;
  endpoint.socket_path.clear();
  endpoint.database = 0;
  if (endpoint.timeout_ms < 0) endpoint.timeout_ms = kNodeTimeoutMs;
  if (const std::optional<Address> address = node.endpoint()) {
    endpoint.address = *address;
  } else {
    endpoint.address.port = 0;
  }
  return endpoint;
}

/// The nodes as the connected server tells them; an error when it is no node of a cluster.
Result<std::vector<ClusterNode>> ask_for_nodes(Connection& connection) {
  const Result<Reply> reply = connection.request({"CLUSTER", "NODES"});
  if (!reply) return reply.error();
  if (is_authentication_error(*reply)) return Error{ExitStatus::kRuntime, EACCES, reply->text};
  if (reply->is_error()) {
    return Error{ExitStatus::kRuntime, ECANCELED,
                 "the server is no node of a cluster: " + without_controls(reply->text)};
  }
  std::vector<ClusterNode> nodes = parse_cluster_nodes(reply->text);
  if (nodes.empty()) return Error{ExitStatus::kRuntime, EPROTO, "CLUSTER NODES: the reply names no node"};
  return nodes;
}

/// Connects to each node.
Result<std::vector<AskedNode>> reach_nodes(const Options& options) {
  Result<Connection> first = connect_or_complain(options.endpoint);
  if (!first) return Error{ExitStatus::kRuntime, first.error().error_number, ""};
  Result<std::vector<ClusterNode>> nodes = ask_for_nodes(*first);
  if (!nodes) return nodes.error();
  std::vector<AskedNode> asked;
  bool is_first_free = true;  // a reply may call several nodes `myself`
  for (ClusterNode& node : *nodes) {
    AskedNode one;
    Result<Connection> connection = node.is_myself && std::exchange(is_first_free, false)
                                        ? Result<Connection>(std::move(*first))
                                        : Connection::open(endpoint_of(node, options));
    if (connection) {
      one.connection.emplace(std::move(*connection));
    } else {
      one.problem = connection.error().message;
    }
    one.node = std::move(node);
    asked.push_back(std::move(one));
  }
  return asked;
}

CliStatus complain_of_cluster(const Error& error, const Options& options) {
  if (error.message.empty()) return status_of(error);  // the error was printed already
  if (error.error_number != ECANCELED) return complain_of(error, options.endpoint);
  complain(error.message);
  complain("is the cluster switched on at " + options.endpoint.to_string() +
           "? `memento-cli cluster create` writes its files");
  return CliStatus::kErrorReply;
}

/// The options of `cluster create`, which stand among its words.
struct CreatePlan {
  std::vector<Address> nodes;
  std::string folder = ".";
};

std::optional<CliStatus> parse_create(const Words& words, CreatePlan* plan) {
  for (std::size_t i = 2; i < words.size(); ++i) {
    if (words[i] == "--dir") {
      if (i + 1 == words.size()) return usage("--dir needs a folder");
      plan->folder = words[++i];
      continue;
    }
    const std::optional<Address> address = parse_address(words[i]);
    if (!address || words[i].find_first_of(" \t#") != std::string::npos)
      return usage("'" + words[i] + "' is not HOST:PORT");
    if (address->port > kClientPortMax) {
      return usage("'" + words[i] + "': the port must be at most " + std::to_string(kClientPortMax) +
                   ", since others lie above it");
    }
    for (const Address& other : plan->nodes) {
      if (other.to_string() == address->to_string()) return usage(words[i] + " is named twice");
    }
    plan->nodes.push_back(*address);
  }
  if (plan->nodes.empty())
    return usage("name the nodes: memento-cli cluster create 127.0.0.1:6737 127.0.0.1:7737 127.0.0.1:8737");
  return std::nullopt;
}

std::string node_path(const CreatePlan& plan, std::size_t i) {
  return plan.folder + "/node" + std::to_string(i) + ".conf";
}

CliStatus create(const Words& words) {
  CreatePlan plan;
  if (const auto status = parse_create(words, &plan)) return *status;
  if (::mkdir(plan.folder.c_str(), 0755) != 0 && errno != EEXIST)
    return usage(system_error("mkdir(" + plan.folder + ")").message);
  for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
    if (::access(node_path(plan, i).c_str(), F_OK) == 0) {
      complain(node_path(plan, i) +
               " exists; nothing was written. Move it away, or choose another folder with --dir");
      return CliStatus::kUsage;
    }
  }
  for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
    const Fd file(::open(node_path(plan, i).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    const std::string text = node_file_text(plan.nodes, i);
    if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
      return complain(system_error("write(" + node_path(plan, i) + ")").message), CliStatus::kUsage;
    }
  }
  std::puts("# Start the nodes, each on its machine:");
  for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
    std::printf("memento -c -f %s -a %s -p %u\n", node_path(plan, i).c_str(), plan.nodes[i].host.c_str(),
                plan.nodes[i].port);
  }
  return CliStatus::kOk;
}

/// A node's keys, or a dash.
std::string keys_text(AskedNode& asked) {
  if (!asked.connection) return "-";
  const Result<Reply> keys = asked.connection->request({"DBSIZE"});
  return keys && keys->type == ReplyType::kInteger ? std::to_string(keys->integer) : "-";
}

/// How far a replica is behind its master, in bytes; a dash where nothing follows.
std::string lag_text(AskedNode& asked) {
  if (!asked.connection || !asked.node.is_replica) return "-";
  const Result<Info> info = Info::fetch(*asked.connection, {"replication"});
  if (!info || !info->has("slave_repl_offset")) return "-";
  const double behind = info->number("master_repl_offset") - info->number("slave_repl_offset");
  return std::to_string(static_cast<long long>(behind)) + " B";
}

CliStatus info(const Options& options) {
  Result<std::vector<AskedNode>> asked = reach_nodes(options);
  if (!asked) return complain_of_cluster(asked.error(), options);
  std::vector<ClusterNode> nodes;
  std::puts(
      "    NODE      ADDRESS                 ROLE      SLOTS        KEYS  LINK          LAG     RANGES");
  for (std::size_t i = 0; i < asked->size(); ++i) {
    AskedNode& one = (*asked)[i];
    const ClusterNode& node = one.node;
    const char letter = static_cast<char>('A' + i % 26);
    std::printf("%c%c  %-8.8s  %-22s  %-8s  %5zu  %10s  %-12s  %-6s  %s\n", letter,
                node.is_myself ? '*' : ' ', node.id.c_str(), node.address.c_str(),
                node.is_replica ? "replica" : "master", node.slot_count(), keys_text(one).c_str(),
                one.connection ? node.link.c_str() : "unreachable", lag_text(one).c_str(),
                slots_text(node.slots).c_str());
    nodes.push_back(node);
  }
  std::printf("\n0 |%s| %zu\n", slot_ring(nodes, kRingColumns).c_str(), kClusterSlotCount - 1);
  return CliStatus::kOk;
}

/// A node's view of who owns what, without what differs from node to node.
std::string ownership_text(std::vector<ClusterNode> nodes) {
  std::ranges::sort(nodes, {}, &ClusterNode::id);
  std::string text;
  for (ClusterNode& node : nodes) {
    std::ranges::sort(node.slots);
    text += node.id + " " + node.address + " " + slots_text(node.slots) + "\n";
  }
  return text;
}

CliStatus check(const Options& options) {
  Result<std::vector<AskedNode>> asked = reach_nodes(options);
  if (!asked) return complain_of_cluster(asked.error(), options);
  std::size_t problem_count = 0;
  const auto problem = [&](const std::string& text) {
    complain(text);
    ++problem_count;
  };
  std::vector<ClusterNode> nodes;
  for (const AskedNode& one : *asked) nodes.push_back(one.node);
  const std::string expected = ownership_text(nodes);
  for (AskedNode& one : *asked) {
    if (!one.connection) {
      problem(one.node.address + ": not reachable: " + one.problem);
      continue;
    }
    const Result<std::vector<ClusterNode>> view = ask_for_nodes(*one.connection);
    if (!view) {
      problem(one.node.address + ": " + view.error().message);
      continue;
    }
    if (ownership_text(*view) != expected)
      problem(one.node.address + ": sees other nodes or other owners of slots");
    for (const ClusterNode& other : *view) {
      if (other.is_failed())
        problem(one.node.address + ": holds " + other.address + " for failed (" + other.flags + ", " +
                other.link + ")");
    }
    const Result<Reply> state = one.connection->request({"CLUSTER", "INFO"});
    const std::string text = state && !state->is_error() ? Info(state->text).text("cluster_state") : "";
    if (text != "ok")
      problem(one.node.address + ": its cluster_state is " + (text.empty() ? "not told" : text));
  }
  if (const std::vector<SlotRange> open = unserved_slots(nodes); !open.empty())
    problem("nobody serves the slots " + slots_text(open));
  if (problem_count > 0) {
    complain(std::to_string(problem_count) + " problems; `memento-cli cluster info` shows the nodes");
    return CliStatus::kErrorReply;
  }
  std::printf("%zu nodes agree on who owns what; all %zu slots are served\n", nodes.size(),
              kClusterSlotCount);
  return CliStatus::kOk;
}

CliStatus call(const Options& options) {
  const Words command(options.command.begin() + 2, options.command.end());
  if (command.empty())
    return usage("cluster call needs a command, as in: memento-cli cluster call INFO memory");
  Result<std::vector<AskedNode>> asked = reach_nodes(options);
  if (!asked) return complain_of_cluster(asked.error(), options);
  CliStatus status = CliStatus::kOk;
  for (AskedNode& one : *asked) {
    const Result<Reply> reply = one.connection ? one.connection->request(command)
                                               : Result<Reply>(Error{ExitStatus::kSystem, 0, one.problem});
    std::printf("%s\n", one.node.address.c_str());
    if (!reply) {
      std::fflush(stdout);
      complain(one.node.address + ": " + reply.error().message);
      status = CliStatus::kNoConnection;
      continue;
    }
    const CliStatus printed = print_reply(*reply, options, one.node.address + ": ");
    if (status == CliStatus::kOk) status = printed;
  }
  return status;
}

}  // namespace

std::string node_file_text(const std::vector<Address>& nodes, std::size_t self) {
  std::string text = "# ADDRESS PORT NAME SELF; PORT is the bus port, the listen port plus 100\n";
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    text += nodes[i].host + " " + std::to_string(nodes[i].port + kBusPortOffset) + " node" +
            std::to_string(i) + " " + (i == self ? "1" : "0") + "\n";
  }
  return text;
}

CliStatus run_cluster(const Options& options) {
  const std::string& verb = options.command[1];
  if (verb == "create") return create(options.command);
  if (verb == "call") return call(options);
  if (options.command.size() > 2) return usage("cluster " + verb + " takes no words behind it");
  return verb == "info" ? info(options) : check(options);
}

}  // namespace memento::cli
