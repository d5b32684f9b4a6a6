// ClusterRouter: which of a client's requests other nodes execute, and what becomes of their replies. Runs in
// the workers of a cluster's node.
//
// A request for a slot of another node is sent there as it is; one for keys of several nodes, or for all
// keys, is divided and its reply joined. The connection's ReplyQueue keeps the order of replies, and requests
// behind go on being executed: many are under way at once. A client that has too much under way, or wants to
// send more to a node that takes none now, waits (ClientWait::kReplies); others don't.
//
// On a connection of the second listener nothing is sent to others: they are named by MOVED.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "worker/handlers/context.h"
#include "worker/replies/reply_queue.h"
#include "worker/routing/bus_client.h"

namespace memento {

class ClusterRouter {
 public:
  enum class Route {
    kHere,      ///< this node executes it
    kAnswered,  ///< it was sent to others, or the reply was written
    kWaits,     ///< the client is parked
  };

  ClusterRouter(ClusterState& state, std::unique_ptr<BusClient> bus);

  /// Before a batch: for one of these, and for all of them when concerns_all(), each of its requests is given
  /// to route().
  bool concerns(const Command* command, bool has_key, const HashedKey& key) const {
    if (command == nullptr) return false;
    if (command->keys.first == command->keys.last &&
        !command->has(kAllKeys | kAllNodes | kPublishes | kEndsMulti)) {
      return has_key && !is_own(key.slot);
    }
    return true;
  }
  /// This node owns the slot: its slots are contiguous.
  bool is_own(SlotId slot) const { return hash_slot(slot) - first_slot_ < slot_count_; }
  bool concerns_all(const ClientState& client) const {
    return !is_formed_ || client.is_redirected || (client.replies != nullptr && !client.replies->empty());
  }

  /// One request. `begin`: what stands in the output from there on is written since the last place in the
  /// client's queue; it is moved.
  Route route(const Command* command, const Call& call, bool has_key, CommandContext& context,
              ByteBuffer& output, std::size_t* begin);

  /// nullptr: that connection is gone.
  using ClientAt = std::function<ClientState*(int descriptor)>;
  /// Takes the replies that came.
  void receive(const ClientAt& client_at);
  /// From time to time: fails what was not answered in time.
  void look(std::int64_t now_ms, const ClientAt& client_at);
  /// Clients for which something is to be sent, or whose queue became empty, since the last call.
  std::vector<ClientState*> take_answered();
  /// Clients that waited and may go on.
  std::vector<ClientState*> take_ready();
  bool has_parked() const { return !parked_.empty(); }
  /// The client is gone.
  void forget(ClientState& client);

  /// What was sent is on its way.
  void flush();
  /// In front of a sleep: false when replies are there.
  bool may_sleep() { return bus_->may_sleep(); }
  void wake() { bus_->wake(); }
  void wake_bus() { bus_->wake_bus(); }

  /// A message that EXEC has published here goes to all other nodes, as far as requests may be under way.
  void publish_elsewhere(SubscriptionKind kind, std::string_view channel, std::string_view message);

 private:
  using Words = std::vector<std::string_view>;
  struct Parked {
    ClientState* client;
    NodeId node;  ///< takes no more now; kNoNode: the client has too much under way
  };

  NodeId owner_of(SlotId slot) const { return state_.owner_of(hash_slot(slot)); }
  std::string missing_nodes() const;
  bool refuse_while_forming(const Command& command, CommandContext& context);
  Route redirect(const Command& command, const Call& call, CommandContext& context);
  Route route_keys(const Command& command, const Call& call, CommandContext& context, ByteBuffer& output,
                   std::size_t* begin);
  /// A script's text, and the words of a request that has it in the place of the SHA-1.
  struct ScriptWords {
    std::string text{};
    Words words{};
    std::span<const std::string_view> all() {
      words[1] = text;
      return words;
    }
  };
  /// Of EVALSHA, where this node knows the text: the other may have been away when it was loaded, or have
  /// dropped it. EVAL's text is known here from then on.
  static std::optional<ScriptWords> with_text(const Command& command, std::span<const std::string_view> words,
                                              CommandContext& context);
  Route send_script(const Command& command, NodeId node, const Call& call, CommandContext& context,
                    ByteBuffer& output, std::size_t* begin);
  Route divide(const Command& command, const Call& call, std::span<const NodeId> owners,
               CommandContext& context, ByteBuffer& output, std::size_t* begin);
  Route ask_all(JoinKind kind, const Command& command, const Call& call, CommandContext& context,
                ByteBuffer& output, std::size_t* begin);
  Route route_randomkey(CommandContext& context, ByteBuffer& output, std::size_t* begin);
  Route route_scan(const Command& command, const Call& call, CommandContext& context, ByteBuffer& output,
                   std::size_t* begin);
  Route send_whole(NodeId node, FragmentKind kind, bool may_write, std::span<const std::string_view> words,
                   CommandContext& context, ByteBuffer& output, std::size_t* begin);
  Route send_join(std::unique_ptr<Join> join, const std::vector<Words>& words, const Command& command,
                  CommandContext& context, ByteBuffer& output, std::size_t* begin);
  ReplyQueue& send_parts(std::unique_ptr<Join> join, const std::vector<Words>& words, FragmentKind kind,
                         CommandContext& context, ByteBuffer& output, std::size_t* begin);
  static std::string run_part(const Words& words, const Command& command, CommandContext& context);

  // cluster_transaction.cc
  Route route_watch(const Call& call, std::span<const NodeId> owners, CommandContext& context,
                    ByteBuffer& output, std::size_t* begin);
  void finish_watch(const Join& join, ClientState& client, ReplyWriter& reply);
  Route route_exec(CommandContext& context, ByteBuffer& output, std::size_t* begin);
  static std::optional<std::uint32_t> selected_by(const CallQueue& queue, CommandContext& context);
  Route send_exec(NodeId node, CommandContext& context, ByteBuffer& output, std::size_t* begin);

  /// The client's queue, behind whose last place what was written so far is put.
  static ReplyQueue& open_queue(CommandContext& context, ByteBuffer& output, std::size_t* begin);
  static ReplyQueue::Place& new_place(ReplyQueue& queue, CommandContext& context, std::uint64_t* number);
  bool has_room(ClientState& client, NodeId node) const;
  Route wait(ClientState& client, NodeId node);
  void on_reply(const ClientAt& client_at, const ReplyTo& to, NodeId node, Failure failure,
                std::string_view bytes, bool is_last);
  void take_reply(ClientState& client, const ReplyTo& to, NodeId node, ReplyQueue::Place& place,
                  Failure failure, std::string_view bytes, bool is_last);
  void on_part(ClientState& client, const ReplyTo& to, ReplyQueue::Place& place, Failure failure,
               std::string_view bytes, bool is_last);

  ClusterState& state_;
  const SlotId first_slot_;
  const std::uint32_t slot_count_;
  std::unique_ptr<BusClient> bus_;
  bool is_formed_ = false;
  std::vector<ClientState*> answered_;
  std::vector<Parked> parked_;
  std::uint64_t forwarded_ = 0;  ///< not yet counted in the state
};

}  // namespace memento
