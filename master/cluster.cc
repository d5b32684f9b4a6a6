// The master's part in a cluster: the sockets of the bus and of the clients that want MOVED, what the node's
// processes know together, and the bus process. See master.h.
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "bus/bus.h"
#include "bus/core/members.h"
#include "conf/password_source.h"
#include "master/listen_socket.h"
#include "master/master.h"

namespace memento {
namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr std::int64_t kBusGraceMs = 2000;

std::uint16_t redirect_port(const Options& options) {
  return static_cast<std::uint16_t>(options.port + kRedirectPortOffset);
}

}  // namespace

Outcome Master::bind_cluster_sockets() {
  const Result<std::string> secret = find_cluster_secret(options_);
  if (!secret) return secret.error();
  cluster_secret_ = *secret;
  const ClusterNode& self = options_.nodes.nodes[options_.nodes.self];
  Result<std::vector<Fd>> bus = bind_listen_sockets(self.address, self.bus_port, 1);
  if (!bus) return bus.error();
  bus_socket_ = std::move(bus->front());
  Result<std::vector<Fd>> redirects =
      bind_listen_sockets(options_.address, redirect_port(options_), options_.workers);
  if (!redirects) return redirects.error();
  redirect_sockets_ = std::move(*redirects);
  return Done{};
}

Outcome Master::open_cluster() {
  const RightsOf rights(user_);
  if (!rights.outcome()) return rights.outcome().error();
  Result<ClusterStateFile> state = ClusterStateFile::create(options_.directory);
  if (!state) return state.error();
  cluster_.emplace(std::move(*state));
  bus::Members::from(options_.nodes).write_to(**cluster_);
  return Done{};
}

Outcome Master::adopt_cluster_state() {
  const RightsOf rights(user_);
  if (!rights.outcome()) return rights.outcome().error();
  Result<ClusterStateFile> state = ClusterStateFile::adopt(options_.directory);
  if (!state) return state.error();
  cluster_.emplace(std::move(*state));
  return Done{};
}

// Takes the cluster over after exec. The old bus is ended at once, and the new one starts when the old one is
// gone, because a channel has one reader.
Outcome Master::take_over_cluster() {
  bus_socket_ = Fd(handover_->bus_socket);
  for (const int socket : handover_->redirect_sockets) redirect_sockets_.emplace_back(socket);
  const Result<std::string> secret = find_cluster_secret(options_);
  if (!secret) return secret.error();
  cluster_secret_ = *secret;
  if (const Outcome adopted = adopt_cluster_state(); !adopted) return adopted.error();
  for (Predecessor& process : predecessors_) {
    if (!process.is_bus || process.pid == 0) continue;
    kill(process.pid, SIGTERM);
    process.kill_at_ns = monotonic_time_ns() + kBusGraceMs * kNsPerMs;
  }
  return Done{};
}

// Ends the bus when no worker is left: those that let their connections finish need it until they end.
void Master::release_bus() {
  if (!options_.cluster || state_ == State::kRunning || has_worker()) return;
  if (const pid_t bus = children_[options_.workers].pid; bus != 0) kill(bus, SIGTERM);
}

void Master::become_bus(pid_t master) {
  enter_child(master, "memento: bus", "bus");
  listen_sockets_.clear();
  redirect_sockets_.clear();
  _exit(run_bus({*segment_, **cluster_, std::move(bus_socket_), std::move(ready_writer_),
                 children_[options_.workers].record, *log_, **settings_, options_, cluster_secret_,
                 start_ms_}));
}

}  // namespace memento
