// See test_cluster.h.
#include "tests/cluster/test_cluster.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "conf/cluster_file.h"
#include "shm/keyspace/hash.h"
#include "shm/keyspace/keyspace.h"

namespace memento::testing {
namespace {

bool run(const std::string& command) { return std::system((command + " >/dev/null 2>&1").c_str()) == 0; }

bool enter(const std::string& space) {
  const Fd file(open(("/var/run/netns/" + space).c_str(), O_RDONLY | O_CLOEXEC));
  return file && setns(file.get(), CLONE_NEWNET) == 0;
}

std::string name_of(pid_t process) {
  std::string name = read_file("/proc/" + std::to_string(process) + "/comm");
  if (!name.empty()) name.pop_back();
  return name;
}

}  // namespace

bool TestCluster::can_have_namespaces() {
  const std::string space = "mt-probe-" + std::to_string(getpid());
  const bool can = run("ip netns add " + space) && run("ip netns exec " + space + " nft list tables");
  run("ip netns del " + space);
  return can;
}

TestCluster::TestCluster(TestClusterOptions options)
    : options_(std::move(options)), nodes_(options_.node_count) {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const std::string path = folder_.path() + "/" + name(i);
    nodes_[i] = {0, "127.0.0.1", 0, path + ".conf", path + ".log", path + ".data", ""};
  }
  choose_ports();
  if (options_.has_namespaces) make_namespaces();
  write_files();
  if (!options_.starts) return;
  for (std::size_t i = 0; i < nodes_.size(); ++i) start(i);
  EXPECT_TRUE(wait_until_formed());
}

TestCluster::~TestCluster() {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].pid == 0) continue;
    signal_all(i, SIGCONT);
    kill(nodes_[i].pid, SIGTERM);
    int status = 0;
    waitpid(nodes_[i].pid, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << log(i);
  }
  for (const Node& node : nodes_) {
    if (!node.space.empty()) run("ip netns del " + node.space);
  }
  if (!bridge_space_.empty()) run("ip netns del " + bridge_space_);
}

// In a namespace all ports are free.
void TestCluster::choose_ports() {
  for (Node& node : nodes_) {
    node.port = 6737;
    if (options_.has_namespaces) continue;
    reserved_ports_.emplace_back(std::initializer_list<int>{kBusPortOffset, kRedirectPortOffset});
    node.port = reserved_ports_.back().number();
  }
}

void TestCluster::make_namespaces() {
  const std::string id = std::to_string(getpid());
  bridge_space_ = "mt" + id + "-bridge";
  const std::string in_bridge = "ip -n " + bridge_space_ + " ";
  EXPECT_TRUE(run("ip netns add " + bridge_space_));
  EXPECT_TRUE(run(in_bridge + "link add br0 type bridge") && run(in_bridge + "link set br0 up"));
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    Node& node = nodes_[i];
    node.space = "mt" + id + "-" + std::to_string(i);
    node.address = "10.77.0." + std::to_string(i + 1);
    const std::string in_node = "ip -n " + node.space + " ";
    const std::string end = "v" + std::to_string(i);
    EXPECT_TRUE(run("ip netns add " + node.space));
    EXPECT_TRUE(run(in_node + "link add eth0 type veth peer name " + end + " netns " + bridge_space_));
    EXPECT_TRUE(run(in_bridge + "link set " + end + " master br0 up"));
    EXPECT_TRUE(run(in_node + "addr add " + node.address + "/24 dev eth0"));
    EXPECT_TRUE(run(in_node + "link set eth0 up") && run(in_node + "link set lo up"));
  }
}

// The lines stand in another order in each file.
void TestCluster::write_files() const {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    std::ofstream file(nodes_[i].conf);
    for (std::size_t k = 0; k < nodes_.size(); ++k) {
      const std::size_t j = (i + k) % nodes_.size();
      file << nodes_[j].address << ' ' << nodes_[j].port + 100 << ' ' << name(j) << ' ' << (i == j) << '\n';
    }
  }
  std::ofstream(folder_.path() + "/secret") << "a secret of tests\n";
}

std::vector<std::string> TestCluster::arguments(std::size_t index) const {
  const Node& node = nodes_[index];
  std::vector<std::string> all = {"-c",
                                  "-f",
                                  node.conf,
                                  "--logfile",
                                  node.log,
                                  "--dir",
                                  node.data,
                                  "--cluster-secret-file",
                                  folder_.path() + "/secret"};
  const auto given = [&](const char* option) {
    return std::ranges::find(options_.arguments, option) != options_.arguments.end();
  };
  if (!given("--enable-debug-command")) all.insert(all.end(), {"--enable-debug-command", "local"});
  if (!given("--memory")) all.insert(all.end(), {"--memory", "256MiB"});
  if (!given("--workers")) all.insert(all.end(), {"--workers", "2"});
  if (options_.has_namespaces) all.insert(all.end(), {"--protected-mode", "no"});
  if (options_.has_disks)
    all.insert(all.end(), {"--data", node.data + ".disk", "--state", node.data + ".state"});
  all.insert(all.end(), options_.arguments.begin(), options_.arguments.end());
  return all;
}

void TestCluster::start(std::size_t index) {
  Node& node = nodes_[index];
  std::string path = std::filesystem::absolute(program("memento"));
  std::vector<std::string> words = arguments(index);
  std::vector<char*> argv{path.data()};
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  node.pid = fork();
  if (node.pid == 0) {
    if (!node.space.empty() && !enter(node.space)) _exit(126);
    execv(path.c_str(), argv.data());
    _exit(127);
  }
  const bool accepts = wait_until([&] {
    if (waitpid(node.pid, nullptr, WNOHANG) == node.pid) return node.pid = 0, true;
    return static_cast<bool>(try_connect(index));
  });
  if (!accepts || node.pid == 0)
    ADD_FAILURE() << name(index) << " does not accept connections; its log:\n" << log(index);
}

bool TestCluster::wait_until_formed() {
  return wait_until([&] {
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (nodes_[i].pid != 0 && log_count(i, " - Cluster successfully formed\n") == 0) return false;
    }
    return true;
  });
}

std::size_t TestCluster::log_count(std::size_t node, const std::string& text) const {
  const std::string all = log(node);
  std::size_t count = 0;
  for (std::size_t at = all.find(text); at != std::string::npos; at = all.find(text, at + 1)) ++count;
  return count;
}

// A socket stays in the namespace that it was made in.
Result<Client> TestCluster::try_connect(std::size_t index) const {
  const Node& node = nodes_[index];
  if (node.space.empty()) return Client::connect({node.address, node.port});
  Result<Client> client = Error{};
  std::thread([&] {
    if (enter(node.space)) client = Client::connect({node.address, node.port});
  }).join();
  return client;
}

Client TestCluster::connect(std::size_t node) const {
  Result<Client> client = try_connect(node);
  if (!client) ADD_FAILURE() << client.error().message;
  return client ? std::move(*client) : Client(Fd());
}

std::string TestCluster::request(std::size_t node, const std::string& line) const {
  Client client = connect(node);
  const Result<std::string> reply = client.request(line);
  return reply ? *reply : "(failed) " + reply.error().message;
}

pid_t TestCluster::bus(std::size_t node) const {
  pid_t found = 0;
  wait_until([&] {
    for (const pid_t child : children_of(nodes_[node].pid)) {
      if (name_of(child) == "memento: bus") found = child;
    }
    return found != 0;
  });
  return found;
}

std::vector<pid_t> TestCluster::processes(std::size_t node) const {
  std::vector<pid_t> all = children_of(nodes_[node].pid);
  all.insert(all.begin(), nodes_[node].pid);
  return all;
}

void TestCluster::signal_all(std::size_t node, int number) const {
  for (const pid_t process : processes(node)) kill(process, number);
}

void TestCluster::kill_node(std::size_t node) {
  const std::vector<pid_t> all = processes(node);
  for (const pid_t process : all) kill(process, SIGKILL);
  waitpid(std::exchange(nodes_[node].pid, 0), nullptr, 0);
  for (const pid_t process : all) {
    EXPECT_TRUE(wait_until([&] {
      return kill(process, 0) != 0 ||
             read_file("/proc/" + std::to_string(process) + "/stat").find(") Z ") != std::string::npos;
    }));
  }
}

void TestCluster::cut(std::size_t node) const {
  const std::string nft = "ip netns exec " + nodes_[node].space + " nft ";
  EXPECT_TRUE(run(nft + "add table inet cut"));
  for (const std::string hook : {"input", "output"}) {
    EXPECT_TRUE(run(nft + "'add chain inet cut " + hook + " { type filter hook " + hook +
                    " priority 0; policy drop; }'"));
    EXPECT_TRUE(
        run(nft + "add rule inet cut " + hook + (hook == "input" ? " iif lo accept" : " oif lo accept")));
  }
}

void TestCluster::heal(std::size_t node) const {
  EXPECT_TRUE(run("ip netns exec " + nodes_[node].space + " nft delete table inet cut"));
}

std::string TestCluster::key_of(std::size_t node, int number) const {
  const std::size_t count = nodes_.size();  // names sort like numbers below ten
  for (int i = 0, found = 0;; ++i) {
    std::string key = "key" + std::to_string(i);
    const std::uint32_t slot = slot_of_key(key).value;
    if (slot < node * kSlotCount / count || slot >= (node + 1) * kSlotCount / count) continue;
    if (found++ == number) return key;
  }
}

}  // namespace memento::testing
