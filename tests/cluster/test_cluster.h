// TestCluster: real nodes, on this machine's loopback or each in a network namespace of its own behind a
// bridge. Files in a temporary folder; everything is ended by pid, namespaces are removed.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <optional>
#include <string>
#include <vector>

#include "cli/net/client.h"
#include "tests/integration/test_server.h"

namespace memento::testing {

struct TestClusterOptions {
  std::size_t node_count = 3;
  bool has_namespaces = false;
  std::vector<std::string> arguments{};  ///< more of them, for each node
  bool starts = true;                    ///< all nodes, and waits until they have formed
  bool has_disks = false;                ///< each has a data folder
};

class TestCluster {
 public:
  /// Namespaces can be made here.
  static bool can_have_namespaces();

  explicit TestCluster(TestClusterOptions options = {});
  ~TestCluster();
  TestCluster(const TestCluster&) = delete;
  TestCluster& operator=(const TestCluster&) = delete;

  std::size_t node_count() const { return nodes_.size(); }
  /// Starts it (again) and waits until it accepts connections.
  void start(std::size_t node);
  bool wait_until_formed();
  /// Of the log: said so often.
  std::size_t log_count(std::size_t node, const std::string& text) const;
  std::string log(std::size_t node) const { return read_file(nodes_[node].log); }

  Result<Client> try_connect(std::size_t node) const;
  Client connect(std::size_t node) const;
  std::string request(std::size_t node, const std::string& line) const;
  std::uint16_t port(std::size_t node) const { return nodes_[node].port; }
  std::string address(std::size_t node) const { return nodes_[node].address; }
  static std::string name(std::size_t node) { return "node" + std::to_string(node); }
  std::string conf_path(std::size_t node) const { return nodes_[node].conf; }
  /// What it is started with.
  std::vector<std::string> arguments(std::size_t node) const;

  pid_t master(std::size_t node) const { return nodes_[node].pid; }
  pid_t bus(std::size_t node) const;
  /// The node's processes, the master first.
  std::vector<pid_t> processes(std::size_t node) const;
  /// Sends a signal to all processes of the node.
  void signal_all(std::size_t node, int number) const;
  /// SIGKILL to all of them; they are gone when it returns.
  void kill_node(std::size_t node);

  /// The node's packets are dropped, or not any more. REQUIRES: namespaces.
  void cut(std::size_t node) const;
  void heal(std::size_t node) const;

  /// A key of this node; others for other `number`s.
  std::string key_of(std::size_t node, int number = 0) const;

 private:
  struct Node {
    pid_t pid = 0;
    std::string address;
    std::uint16_t port = 0;
    std::string conf;
    std::string log;
    std::string data;
    std::string space;  ///< network namespace; empty: ours
  };

  void choose_ports();
  void make_namespaces();
  void write_files() const;

  const TestClusterOptions options_;
  TemporaryFolder folder_;
  std::vector<Node> nodes_;
  std::vector<ReservedPort> reserved_ports_;
  std::string bridge_space_;
};

}  // namespace memento::testing
