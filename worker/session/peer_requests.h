// PeerRequests: executes what other nodes ask of this worker, in batches like clients' requests, and answers
// in the channel's rings. Runs in workers of a cluster's nodes; the bus carries.
//
// Each node has rings of its own, and its requests are executed in order. A reply that finds no room waits
// here, one for each node, and nothing more of that node is executed before it is gone. Before a request is
// executed it is noted as taken (PeerRings::taken): if the worker dies, the bus knows that it may be done.
// One for which the journal has no room stays in the ring, and that node's others behind it. Replies that
// wait for the disk are written and not published, and nothing more of that node is executed.
//
// A message that is no request (a peer of another build) is answered with an error, and so is one for which
// there is no memory.
#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "bus/core/channel.h"
#include "shm/os/byte_buffer.h"
#include "worker/handlers/context.h"
#include "worker/session/batch.h"
#include "worker/session/message_assembler.h"

namespace memento {

class PeerRequests {
 public:
  PeerRequests(const Channel& channel, ClusterState& state, Keyspace& keyspace, WorkerServices& services);

  /// Executes some of what is there. True: the bus is to be woken.
  bool serve();
  /// serve() has something to do. The bus rings the wake-up FIFO of a worker that sleeps when that changes.
  bool has_work();
  /// It is not known whether what this node's requests have changed will last: that is what their replies
  /// say now. REQUIRES: they were held.
  void lose(ClientState& client);
  /// Nothing was asked that is not answered.
  bool is_idle() const;

 private:
  struct Peer {
    NodeId node;
    PeerRings& rings;
    RingReader requests;
    RingWriter replies;
    MessageAssembler assembler;
    std::uint32_t link = 0;   ///< that the last request came on
    FragmentHeader header{};  ///< of the reply that waits
    ByteBuffer reply{};       ///< what has yet to be put of it
    bool waits = false;       ///< a reply does
    ClientState client{};     ///< stands for all clients of that node
    /// A message that is whole and waits for room in the journal; its last fragment is in the ring still.
    std::optional<std::string_view> message{};

    /// Those whose replies are held (DiskWaits): they are in the ring and not published. Else empty.
    std::vector<FragmentHeader> held{};

    bool waits_for_room() const { return client.waits == ClientWait::kJournal; }
    bool is_held() const { return client.held != nullptr; }
    bool may_execute() const { return !waits && !waits_for_room() && !is_held() && requests.has_more(); }
  };
  enum class Executed { kYes, kNoRequest, kNoRoom };

  void serve(Peer& peer);
  bool publish(Peer& peer);
  bool take(Peer& peer);
  std::size_t prepare(std::string_view fragments);
  bool take_message(Peer& peer);
  void run_batch(Peer& peer);
  bool run_alone(Peer& peer, std::string_view message);
  Executed execute_one(BatchRun& run, std::size_t place, ClientState& client);
  void select(Peer& peer, const FragmentHeader& header);
  Executed execute_message(const FragmentHeader& header, std::string_view message, CommandContext& context);
  bool begin_exec(std::string_view message, ClientState& client);
  bool watch(std::string_view message);
  template <class Execute>
  bool answer_with(Peer& peer, const FragmentHeader& request, CommandContext& context, Execute&& execute);
  void answer(Peer& peer, const FragmentHeader& request);
  bool put_reply(Peer& peer);

  ClusterState& state_;
  Keyspace& keyspace_;
  WorkerServices& services_;
  std::vector<Peer> peers_;
  Batch batch_;
  std::array<FragmentHeader, Batch::kLimit> headers_;  ///< of the batch's requests
  std::uint64_t turn_end_ticks_ = 0;
  ByteBuffer output_;
  bool wakes_ = false;  ///< some replies were published while others are executed
};

}  // namespace memento
