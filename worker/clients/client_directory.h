// ClientDirectory: this worker's clients by number, what other workers tell of theirs, and clients that wait.
// Runs in workers.
//
// Who wants to know the other workers' clients puts a question: its number into the own mailbox, and a ring
// of their wake-up FIFOs. Each answers with one message through its ring; from its answer on until the
// question is taken back it reads the asker's ring, so an order (to close clients) finds everybody who
// answered. The client that asked waits meanwhile, nobody else does: its request is executed when all have
// answered, or without those that died (seen by their record, at the next tick after the master reaped them),
// or are silent for kPatienceMs.
//
// One question at a time; who comes while it is open waits for the next, since the answers may be older than
// the request.
//
// Invariants: a client is in one of the lists of those that wait exactly while its `waits` is kOthers or
// kPause for it, or just was kMigration; a question is open exactly while `question_` is not 0, and then
// somebody asks it or is being served.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "shm/format/layout.h"
#include "shm/os/clock.h"
#include "shm/segment.h"
#include "worker/clients/client_facts.h"

namespace memento {

struct ClientState;
class MessageHub;

class ClientDirectory {
 public:
  static constexpr int kPatienceMs = 1000;

  ClientDirectory(Segment& segment, std::uint32_t process, MessageHub& hub);

  /// Numbers never come again, and grow over all workers.
  std::uint64_t next_id() { return segment_.header().client_ids.fetch_add(1) + 1; }
  /// REQUIRES: its id is from next_id(), and it was not added yet.
  void add(ClientState& client);
  /// The client is gone.
  void remove(ClientState& client);

  std::vector<ClientFacts> own_clients(TimeMs now_ms) const;
  /// True: client.others is set. False: the client waits for it.
  bool know_others(ClientState& client);
  /// Closes clients of any worker. REQUIRES: know_others(), for those of others.
  void close(const std::vector<std::uint64_t>& ids);

  /// The client waits until the pause ends.
  void postpone(ClientState& client);

  /// Of this worker; nullptr: it has no such client (any more).
  ClientState* find(std::uint64_t id) const;
  /// What the client's request waited for has happened.
  void make_ready(ClientState& client);

  /// Messages of others.
  void on_answer(std::uint32_t process, std::uint64_t question, std::string_view bytes);
  void on_order(std::string_view ids);

  /// Another worker has a question.
  bool is_asked() const;
  /// Answers all questions that were not answered yet.
  void answer(TimeMs now_ms);
  /// A question of this worker's is open.
  bool is_asking() const { return question_ != 0; }
  /// Some client waits: tick() has to be called often.
  bool has_waiting() const { return question_ != 0 || !postponed_.empty() || !ready_.empty(); }
  /// Whose request waits for the end of a pause.
  std::size_t waiting_count() const { return postponed_.size(); }
  /// Looks whether what clients wait for has happened.
  void tick();
  /// Clients that need not wait any more. After they were served: close_question().
  std::vector<ClientState*> take_ready();
  void close_question();

  /// Lets all workers tick().
  void wake_all();

 private:
  void open_question();
  void complete();
  std::bitset<kProcessLimit> others_alive() const;

  Segment& segment_;
  const std::uint32_t process_;
  MessageHub& hub_;
  std::map<std::uint64_t, ClientState*> clients_;
  std::vector<ClientState*> postponed_;
  std::vector<ClientState*> ready_;

  std::uint64_t question_ = 0;
  bool is_complete_ = false;
  std::int64_t deadline_ns_ = 0;
  std::bitset<kProcessLimit> silent_;                      ///< have yet to answer
  std::array<std::uint32_t, kProcessLimit> asked_pids_{};  ///< of those
  std::vector<ClientFacts> answers_;
  std::vector<ClientState*> asking_;
  std::vector<ClientState*> asking_next_;
  std::array<std::uint64_t, kProcessLimit> answered_{};  ///< the questions of others answered last
};

}  // namespace memento
