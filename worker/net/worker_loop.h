// The class Worker: what worker.cc and worker_turns.cc are made of. See worker.h.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <new>
#include <utility>

#include "conf/log_limiter.h"
#include "shm/keyspace/text_records.h"
#include "worker/clients/message_hub.h"
#include "worker/net/acceptor.h"
#include "worker/net/background.h"
#include "worker/net/beside_script.h"
#include "worker/net/closing_queue.h"
#include "worker/net/connection_table.h"
#include "worker/net/disk_clients.h"
#include "worker/net/event_sources.h"
#include "worker/net/idle_clients.h"
#include "worker/net/migrations.h"
#include "worker/net/worker.h"
#include "worker/routing/cluster_router.h"
#include "worker/script/script_engine.h"
#include "worker/session/peer_requests.h"

namespace memento {

class Worker {
 public:
  explicit Worker(WorkerContext context)
      : context_(std::move(context)),
        keyspace_(context_.segment, context_.process),
        facts_{context_.start_ms, context_.options.workers, context_.index, context_.options,
               context_.process},
        hub_(context_.segment, keyspace_, context_.process),
        scripts_(context_.segment.path()),
        services_{facts_, context_.settings, hub_, context_.cluster, &scripts_, &context_.log},
        session_{keyspace_, services_},
        acceptor_(context_, epoll_, keyspace_, hub_, connections_, close_),
        background_(context_, keyspace_, hub_) {
    context_.settings.long_scripts[context_.process].store(0);  // of one that died running it
    services_.migrate = [this](ClientState& client) { migrations_.begin(client); };
    services_.end_server = [this] { return tell_master_to_end(context_.segment.master_pipe()); };
    scripts_.texts().set_journal(&text_records_);
    services_.serve_beside = [this] { return serve_beside_script(); };
  }

  int run();

 private:
  static constexpr std::size_t kTurnLimit = 16;
  // For one whose input made no sense to stop, and to read why.
  static constexpr std::int64_t kLingerMs = 10'000;
  static constexpr std::int64_t kMemoryLogMs = 600'000;

  bool set_up();
  void on_event(const epoll_event& event);
  void on_connection(Connection& connection, std::uint32_t events);
  void take_turns();
  bool serve_beside_script();
  void answer_turns(std::size_t end);
  void resume_clients();
  void give_another_turn();
  void push_messages();
  bool join_cluster();
  bool may_sleep();
  bool may_sleep_in_cluster();
  void take_replies();
  void serve_peers();
  void resume(Connection& connection);
  void release(Connection& connection);
  void lose(Connection& connection);
  void leave();
  void on_signal();
  void on_timer();
  void finish_connections(bool has_successor);
  void cut_off();
  template <class Act>
  Connection::Wait guard(Turn& turn, Act&& act);
  template <class Act>
  void survive(Act&& act);
  void settle(Connection& connection, Connection::Wait wait);
  void close(Connection& connection);

  WorkerContext context_;
  Keyspace keyspace_;
  const ServerFacts facts_;
  MessageHub hub_;
  TextRecords text_records_{keyspace_};
  ScriptEngine scripts_;
  WorkerServices services_;
  SessionContext session_;
  BriefTurns brief_turns_{session_};
  std::unique_ptr<ClusterRouter> router_;  ///< of a cluster's node
  std::unique_ptr<PeerRequests> peers_;    ///< likewise
  std::array<Turn, kTurnLimit> turns_;
  std::array<Connection*, kTurnLimit> taking_turns_;  ///< connections that have bytes to read, by turn
  std::array<Connection::Wait, kTurnLimit> turn_waits_;
  std::size_t turn_count_ = 0;
  /// Of those being taken: how many they are, were executed, and were answered.
  std::size_t taken_turns_ = 0, next_turn_ = 0, answered_turns_ = 0;
  Fd epoll_, signals_, timer_;
  Fd quit_timer_;  ///< runs out with the patience with open connections, then with that with cut off ones
  ConnectionTable connections_;
  const Acceptor::Close close_ = [this](Connection& connection) { close(connection); };
  BesideScript beside_script_{epoll_, connections_, keyspace_, session_};
  ClosingQueue lingering_{kLingerMs};  ///< connections that drop what comes until their clients leave
  Acceptor acceptor_;
  Background background_;
  IdleClients idle_clients_{connections_, close_};
  Migrations migrations_{hub_.clients()};
  DiskClients disk_clients_{hub_.disk(),
                            connections_,
                            context_.settings,
                            {[this](Connection& connection) { resume(connection); },
                             [this](Connection& connection) { release(connection); },
                             [this](Connection& connection) { lose(connection); }, [this] { serve_peers(); },
                             [this](ClientState& client) { peers_->lose(client); }}};
  LogLimiter memory_log_{"connections ended for want of memory", 1, kMemoryLogMs};
  std::deque<int> next_turns_;  ///< descriptors of connections whose turn ended before their requests did
  bool leaving_ = false;        ///< now
  bool ending_ = false;         ///< when the last connection has ended
  bool cutting_off_ = false;    ///< no more requests are executed
};

// What the connection wants after act(). Without memory for that its client has ended, and nobody else.
template <class Act>
Connection::Wait Worker::guard(Turn& turn, Act&& act) {
  try {
    return act();
  } catch (const std::bad_alloc&) {
    turn.clear();
    memory_log_.warning(context_.log,
                        "a connection was ended: no memory for what it sent or was to get; give the machine, "
                        "the cgroup or the process (ulimit -v) more than what is stored needs");
    return Connection::Wait::kClosed;
  }
}

// What is not for one connection (accepting, the timer, other workers) is done as far as memory goes: a
// connection that cannot be had is not, a figure is a second old.
template <class Act>
void Worker::survive(Act&& act) {
  try {
    act();
  } catch (const std::bad_alloc&) {
    memory_log_.warning(context_.log, "no memory for something; it is left out");
  }
}

}  // namespace memento
