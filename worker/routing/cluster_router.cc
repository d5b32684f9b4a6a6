// See cluster_router.h. WATCH and EXEC are in cluster_transaction.cc.
#include "worker/routing/cluster_router.h"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <new>

#include "shm/keyspace/hash.h"
#include "worker/command/command_table.h"
#include "worker/command/scan_cursor.h"
#include "worker/dispatch/admission.h"
#include "worker/handlers/invoke.h"
#include "worker/script/script_engine.h"
#include "worker/text/words.h"
#include "worker/wire/word_list.h"

namespace memento {
namespace {

bool needs_keyspace(const Command& command) { return command.keys.first != 0 || command.has(kAllKeys); }

// The client wants what is written now. Takes a SKIP that was asked for.
bool wants_reply(ClientState& client) {
  if (client.reply_mode == ReplyMode::kOn) return true;
  if (client.reply_mode == ReplyMode::kSkipNext) client.reply_mode = ReplyMode::kOn;
  return false;
}

// Of a reply to EXEC with more than one request: neither an error nor nil.
bool is_array(std::string_view bytes, Protocol protocol, bool is_last) {
  if (protocol != Protocol::kText) return bytes.starts_with('*') && !bytes.starts_with("*-");
  const std::size_t line_end = bytes.find('\n');
  return !is_last || (line_end != std::string_view::npos && line_end + 1 < bytes.size());
}

void answer_error(CommandContext& context, std::string_view text) {
  if (wants_reply(context.client)) context.reply.error(text);
}

}  // namespace

ClusterRouter::ClusterRouter(ClusterState& state, std::unique_ptr<BusClient> bus)
    : state_(state),
      first_slot_(state.self_node().first_slot),
      slot_count_(state.self_node().end_slot - first_slot_),
      bus_(std::move(bus)),
      is_formed_(state.is_formed.load() != 0) {}

std::string ClusterRouter::missing_nodes() const {
  std::string names;
  for (NodeId id; id < state_.end_node(); ++id) {
    const NodeState& node = state_.node(id);
    if (id == state_.self || node.link_state() == LinkState::kUp) continue;
    names += (names.empty() ? "" : ", ") + std::string(node.name_text());
    if (node.link_state() == LinkState::kRefused) names += " (refused)";
  }
  return names;
}

bool ClusterRouter::refuse_while_forming(const Command& command, CommandContext& context) {
  if (is_formed_ || (is_formed_ = state_.is_formed.load() != 0) || !needs_keyspace(command)) return false;
  if (context.client.transaction != nullptr) context.client.transaction->break_up();
  answer_error(context, "CLUSTERDOWN the cluster is forming; missing: " + missing_nodes());
  return true;
}

ClusterRouter::Route ClusterRouter::route(const Command* command, const Call& call, bool has_key,
                                          CommandContext& context, ByteBuffer& output, std::size_t* begin) {
  ClientState& client = context.client;
  if (client.replies != nullptr && (client.replies->is_full() || client.replies->has_barrier()))
    return wait(client, kNoNode);
  if (is_formed_ && !client.is_redirected && !concerns(command, has_key, call.key)) return Route::kHere;
  const Admission admission = admit(client, command, call);
  // Where a refusal is said; a client in MONITOR has little left, which is about itself.
  if (is_refused(admission) || client.is_monitor()) return Route::kHere;
  if (refuse_while_forming(*command, context)) return Route::kAnswered;
  if (client.is_redirected && !command->has(kPublishes)) return redirect(*command, call, context);
  if (admission == Admission::kIsQueued) return Route::kHere;
  client.last_command = command;
  if (command->has(kEndsMulti)) return route_exec(context, output, begin);
  if (command->has(kPublishes)) return ask_all(command->join, *command, call, context, output, begin);
  if (command->join == JoinKind::kScan) return route_scan(*command, call, context, output, begin);
  if (command->join == JoinKind::kAny) return route_randomkey(context, output, begin);
  if (command->has(kAllKeys | kAllNodes))
    return ask_all(command->join, *command, call, context, output, begin);
  if (command->keys.first == 0 || command->subscribes()) return Route::kHere;
  if (command->keys.first == command->keys.last && has_key) {  // most of them
    const NodeId owner = owner_of(call.key.slot);
    if (owner == state_.self) return Route::kHere;
    return send_whole(owner, FragmentKind::kCommand, command->has(kWrite), call.args, context, output, begin);
  }
  return route_keys(*command, call, context, output, begin);
}

// As Redis: the keys have to be this node's, or all another's.
ClusterRouter::Route ClusterRouter::redirect(const Command& command, const Call& call,
                                             CommandContext& context) {
  const std::size_t first = command.first_key(call.args);
  if (first == 0) return Route::kHere;
  const NodeId owner = owner_of(slot_of_key(call[first]));
  bool is_one = true;
  command.each_key(call.args, [&](std::string_view key) { is_one &= owner_of(slot_of_key(key)) == owner; });
  if (is_one && owner == state_.self) return Route::kHere;
  if (context.client.transaction != nullptr) context.client.transaction->break_up();
  if (!is_one) {
    answer_error(context, "CROSSSLOT Keys in request don't hash to the same slot");
  } else {
    const NodeState& node = state_.node(owner);
    answer_error(context, "MOVED " + std::to_string(crc16(hash_tag(call[first])) % 16384) + " " +
                              std::string(node.address_text()) + ":" + std::to_string(node.redirect_port()));
  }
  return Route::kAnswered;
}

ClusterRouter::Route ClusterRouter::route_keys(const Command& command, const Call& call,
                                               CommandContext& context, ByteBuffer& output,
                                               std::size_t* begin) {
  const auto [first, end, step] = command.keys.find(call.args);
  if (first == end) return Route::kHere;
  std::vector<NodeId> owners;
  bool is_one = true;
  for (std::size_t i = first; i < end; i += step) {
    owners.push_back(owner_of(i == first ? call.key.slot : slot_of_key(call[i])));
    is_one &= owners.back() == owners.front();
  }
  if (is_one && owners.front() == state_.self) return Route::kHere;
  if (command.join == JoinKind::kWatch) return route_watch(call, owners, context, output, begin);
  if (is_one && command.group == CommandGroup::kScripting)
    return send_script(command, owners.front(), call, context, output, begin);
  if (is_one)
    return send_whole(owners.front(), FragmentKind::kCommand, command.has(kWrite), call.args, context, output,
                      begin);
  if ((call.count() - first) % step != 0) return Route::kHere;  // where that is said
  if (command.join != JoinKind::kNone) return divide(command, call, owners, context, output, begin);
  answer_error(context, "CROSSSLOT Keys in request don't hash to the same slot");
  return Route::kAnswered;
}

bool ClusterRouter::has_room(ClientState& client, NodeId node) const {
  return (client.replies == nullptr || !client.replies->is_full()) && bus_->has_room(node, client.id);
}

ReplyQueue& ClusterRouter::open_queue(CommandContext& context, ByteBuffer& output, std::size_t* begin) {
  ClientState& client = context.client;
  if (client.replies == nullptr) client.replies = std::make_unique<ReplyQueue>();
  if (client.replies->empty()) {
    *begin = output.size();
  } else {
    client.replies->take_behind(output, *begin);
  }
  return *client.replies;
}

// Its number stands in `number`.
ReplyQueue::Place& ClusterRouter::new_place(ReplyQueue& queue, CommandContext& context,
                                            std::uint64_t* number) {
  ReplyQueue::Place& place = queue.push();
  place.protocol = context.reply.protocol();
  place.is_dropped = !wants_reply(context.client);
  *number = queue.last_number();
  return place;
}

ClusterRouter::Route ClusterRouter::send_whole(NodeId node, FragmentKind kind, bool may_write,
                                               std::span<const std::string_view> words,
                                               CommandContext& context, ByteBuffer& output,
                                               std::size_t* begin) {
  if (!has_room(context.client, node)) return wait(context.client, node);
  std::uint64_t place = 0;
  new_place(open_queue(context, output, begin), context, &place);
  bus_->send({node, kind, may_write, context.reply.protocol(), context.client.database},
             {context.client.descriptor, context.client.id, place, 0}, word_list_bytes(words),
             [&](char* to) { write_word_list(words, to); });
  ++forwarded_;
  return Route::kAnswered;
}

std::optional<ClusterRouter::ScriptWords> ClusterRouter::with_text(const Command& command,
                                                                   std::span<const std::string_view> words,
                                                                   CommandContext& context) {
  if (context.services.scripts == nullptr) return std::nullopt;
  // Its client may go on by SHA-1, for keys of any node.
  if (command.name.starts_with("EVAL") && !command.name.starts_with("EVALSHA"))
    (void)context.services.scripts->of_text(words[1]);
  if (!command.name.starts_with("EVALSHA")) return std::nullopt;
  std::optional<std::string> text = context.services.scripts->text(words[1]);
  if (!text) return std::nullopt;
  ScriptWords script{std::move(*text), Words(words.begin(), words.end())};
  script.words[0] = command.has(kReadonly) ? "EVAL_RO" : "EVAL";
  return script;
}

ClusterRouter::Route ClusterRouter::send_script(const Command& command, NodeId node, const Call& call,
                                                CommandContext& context, ByteBuffer& output,
                                                std::size_t* begin) {
  const bool may_write = command.has(kWrite | kScript);
  std::optional<ScriptWords> script = with_text(command, call.args, context);
  if (!script) return send_whole(node, FragmentKind::kCommand, may_write, call.args, context, output, begin);
  return send_whole(node, FragmentKind::kCommand, may_write, script->all(), context, output, begin);
}

// One part for each node that owns some of the keys.
ClusterRouter::Route ClusterRouter::divide(const Command& command, const Call& call,
                                           std::span<const NodeId> owners, CommandContext& context,
                                           ByteBuffer& output, std::size_t* begin) {
  auto join = std::make_unique<Join>(Join{command.join, command.has(kWrite)});
  join->element_count = owners.size();
  std::vector<Words> words;
  const KeyRange range = command.keys.find(call.args);
  for (std::size_t i = 0; i < owners.size(); ++i) {
    auto part = std::ranges::find(join->parts, owners[i], &JoinPart::node);
    if (part == join->parts.end()) {
      join->parts.push_back(JoinPart{owners[i]});
      words.push_back({call[0]});
      part = join->parts.end() - 1;
    }
    Words& its_words = words[static_cast<std::size_t>(part - join->parts.begin())];
    part->places.push_back(static_cast<std::uint32_t>(i));
    const auto key = call.args.subspan(range.first + i * range.step, range.step);
    its_words.insert(its_words.end(), key.begin(), key.end());
  }
  return send_join(std::move(join), words, command, context, output, begin);
}

ClusterRouter::Route ClusterRouter::ask_all(JoinKind kind, const Command& command, const Call& call,
                                            CommandContext& context, ByteBuffer& output, std::size_t* begin) {
  auto join = std::make_unique<Join>(Join{kind, command.has(kWrite)});
  for (NodeId node; node < state_.end_node(); ++node) join->parts.push_back(JoinPart{node});
  const std::vector<Words> words(join->parts.size(), Words(call.args.begin(), call.args.end()));
  return send_join(std::move(join), words, command, context, output, begin);
}

// Each node tells, beside one of its keys, how many it has.
ClusterRouter::Route ClusterRouter::route_randomkey(CommandContext& context, ByteBuffer& output,
                                                    std::size_t* begin) {
  static constexpr std::string_view kWords[] = {"CLUSTER", "RANDOMKEY"};
  static const Command& command = *resolve_subcommand(find_command(kWords[0]), kWords);
  return ask_all(JoinKind::kAny, command, Call{kWords}, context, output, begin);
}

// A cursor names a slot, and the slot's owner walks on.
ClusterRouter::Route ClusterRouter::route_scan(const Command& command, const Call& call,
                                               CommandContext& context, ByteBuffer& output,
                                               std::size_t* begin) {
  std::uint64_t cursor = 0;
  const std::string_view text = call[1];
  if (std::from_chars(text.data(), text.data() + text.size(), cursor).ec != std::errc()) return Route::kHere;
  const SlotId slot(
      static_cast<std::uint32_t>(std::min<std::uint64_t>(cursor >> kScanPlaceBits, kSlotCount - 1)));
  auto join = std::make_unique<Join>(Join{JoinKind::kScan});
  join->parts.push_back(JoinPart{owner_of(slot)});
  return send_join(std::move(join), {Words(call.args.begin(), call.args.end())}, command, context, output,
                   begin);
}

ClusterRouter::Route ClusterRouter::send_join(std::unique_ptr<Join> join, const std::vector<Words>& words,
                                              const Command& command, CommandContext& context,
                                              ByteBuffer& output, std::size_t* begin) {
  for (const JoinPart& part : join->parts) {
    if (part.node != state_.self && !has_room(context.client, part.node))
      return wait(context.client, part.node);
  }
  for (std::size_t i = 0; i < join->parts.size(); ++i) {
    if (join->parts[i].node == state_.self) {
      join->parts[i].reply = run_part(words[i], command, context);
    } else {
      ++join->missing;
    }
  }
  if (join->missing == 0) {
    if (wants_reply(context.client)) finish_join(*join, state_, context.reply);
    return Route::kAnswered;
  }
  send_parts(std::move(join), words, FragmentKind::kCommand, context, output, begin);
  return Route::kAnswered;
}

// What other nodes give to a joined reply, for which a place is kept.
ReplyQueue& ClusterRouter::send_parts(std::unique_ptr<Join> join, const std::vector<Words>& words,
                                      FragmentKind kind, CommandContext& context, ByteBuffer& output,
                                      std::size_t* begin) {
  ReplyQueue& queue = open_queue(context, output, begin);
  const Join& parts = *join;
  std::uint64_t place = 0;
  new_place(queue, context, &place).join = std::move(join);
  for (std::uint32_t i = 0; i < parts.parts.size(); ++i) {
    if (parts.parts[i].node == state_.self) continue;
    bus_->send({parts.parts[i].node, kind, parts.may_write, Protocol::kResp2, context.client.database},
               {context.client.descriptor, context.client.id, place, i}, word_list_bytes(words[i]),
               [&](char* to) { write_word_list(words[i], to); });
    ++forwarded_;
  }
  return queue;
}

// What this node gives to a joined reply.
std::string ClusterRouter::run_part(const Words& words, const Command& command, CommandContext& context) {
  const std::size_t first = command.first_key(words);
  const HashedKey key = first != 0 ? context.keyspace.hash(words[first]) : HashedKey{};
  return invoke_apart(context, command, {words, key}).bytes;
}

ClusterRouter::Route ClusterRouter::wait(ClientState& client, NodeId node) {
  client.waits = ClientWait::kReplies;
  parked_.push_back({&client, node});
  return Route::kWaits;
}

std::vector<ClientState*> ClusterRouter::take_ready() {
  std::vector<ClientState*> ready;
  std::erase_if(parked_, [&](const Parked& parked) {
    const ReplyQueue* const queue = parked.client->replies.get();
    if (queue != nullptr && !(queue->has_barrier() ? queue->empty() : queue->has_room())) return false;
    if (parked.node != kNoNode && !bus_->has_room(parked.node, parked.client->id)) return false;
    parked.client->waits = ClientWait::kNothing;
    ready.push_back(parked.client);
    return true;
  });
  return ready;
}

void ClusterRouter::forget(ClientState& client) {
  if (client.waits == ClientWait::kReplies)
    std::erase_if(parked_, [&](const Parked& parked) { return parked.client == &client; });
  if (client.replies != nullptr) std::erase(answered_, &client);
}

std::vector<ClientState*> ClusterRouter::take_answered() {
  for (ClientState* client : answered_) client->replies->is_listed = false;
  return std::exchange(answered_, {});
}

void ClusterRouter::receive(const ClientAt& client_at) {
  if (!is_formed_) is_formed_ = state_.is_formed.load(std::memory_order_relaxed) != 0;
  bus_->receive([&](const ReplyTo& to, NodeId node, Failure failure, std::string_view bytes, bool is_last) {
    on_reply(client_at, to, node, failure, bytes, is_last);
  });
}

void ClusterRouter::look(std::int64_t now_ms, const ClientAt& client_at) {
  bus_->look(now_ms, [&](const ReplyTo& to, NodeId node, Failure failure, std::string_view bytes,
                         bool is_last) { on_reply(client_at, to, node, failure, bytes, is_last); });
}

void ClusterRouter::on_reply(const ClientAt& client_at, const ReplyTo& to, NodeId node, Failure failure,
                             std::string_view bytes, bool is_last) {
  if (failure != Failure::kNone) {
    (failure == Failure::kDown ? state_.refused : state_.outcome_unknown)
        .fetch_add(1, std::memory_order_relaxed);
  }
  ClientState* const client = to.descriptor < 0 ? nullptr : client_at(to.descriptor);
  if (client == nullptr || client->id != to.client_id || client->replies == nullptr) return;
  ReplyQueue& queue = *client->replies;
  ReplyQueue::Place* const place = queue.find(to.place);
  if (place == nullptr || place->is_whole) return;
  try {
    take_reply(*client, to, node, *place, failure, bytes, is_last);
  } catch (const std::bad_alloc&) {  // what comes of it still is dropped
    place->join.reset();
    ByteBuffer text;
    ReplyWriter(text, place->protocol)
        .error("OOM no memory for the reply of another node; the command has run");
    queue.replace(to.place, *place, text.view());
  }
  if ((!queue.ready().empty() || queue.empty()) && !std::exchange(queue.is_listed, true))
    answered_.push_back(client);
}

void ClusterRouter::take_reply(ClientState& client, const ReplyTo& to, NodeId node, ReplyQueue::Place& place,
                               Failure failure, std::string_view bytes, bool is_last) {
  if (place.join != nullptr) return on_part(client, to, place, failure, bytes, is_last);
  if (failure == Failure::kNone) {
    const std::optional<std::uint32_t> selects = std::exchange(place.selects, std::nullopt);
    if (selects && is_array(bytes, place.protocol, is_last)) client.database = DatabaseId(*selects);
    return client.replies->add(to.place, place, bytes, is_last);
  }
  ByteBuffer text;
  ReplyWriter writer(text, place.protocol);
  write_failure(failure, state_.node(node), writer);
  client.replies->replace(to.place, place, text.view());
}

void ClusterRouter::on_part(ClientState& client, const ReplyTo& to, ReplyQueue::Place& place, Failure failure,
                            std::string_view bytes, bool is_last) {
  Join& join = *place.join;
  assert(to.part < join.parts.size() && join.missing > 0);
  JoinPart& part = join.parts[to.part];
  part.reply.append(bytes);
  if (!is_last) return;
  part.failure = failure;
  if (--join.missing > 0) return;
  ByteBuffer text;
  ReplyWriter writer(text, place.protocol);
  if (join.kind == JoinKind::kWatch) {
    finish_watch(join, client, writer);
  } else {
    finish_join(join, state_, writer);
  }
  client.replies->add(to.place, place, text.view(), true);
}

void ClusterRouter::flush() {
  if (forwarded_ > 0) state_.forwarded.fetch_add(std::exchange(forwarded_, 0), std::memory_order_relaxed);
  bus_->flush();
}

void ClusterRouter::publish_elsewhere(SubscriptionKind kind, std::string_view channel,
                                      std::string_view message) {
  const std::string_view words[] = {kind == SubscriptionKind::kShardChannel ? "SPUBLISH" : "PUBLISH", channel,
                                    message};
  for (NodeId node; node < state_.end_node(); ++node) {
    if (node == state_.self || !bus_->has_numbers()) continue;
    bus_->send({node, FragmentKind::kCommand, false, Protocol::kResp2}, {}, word_list_bytes(words),
               [&](char* to) { write_word_list(words, to); });
  }
}

}  // namespace memento
