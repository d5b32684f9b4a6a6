// WATCH and EXEC in a cluster: the keys' owner looks at them, and executes. See cluster_router.h.
//
// Between WATCH and its answer nothing more of the client is executed. What is watched is noted by the owner
// for itself; the client's worker only keeps it and gives it back with EXEC. All keys of a transaction have
// to be one node's.
#include <algorithm>
#include <map>
#include <set>

#include "worker/clients/watched_key.h"
#include "worker/routing/cluster_router.h"
#include "worker/text/number_text.h"
#include "worker/text/words.h"
#include "worker/wire/word_list.h"

namespace memento {
namespace {

bool is_named_by_sha1(const Command& command) { return command.name.starts_with("EVALSHA"); }

// The other node looks at the script only where the number of its keys is one.
bool is_run(std::span<const std::string_view> words) {
  const std::optional<std::int64_t> count = parse_integer(words[2]);
  return count && *count >= 0 && *count <= static_cast<std::int64_t>(words.size()) - 3;
}

}  // namespace

ClusterRouter::Route ClusterRouter::route_watch(const Call& call, std::span<const NodeId> owners,
                                                CommandContext& context, ByteBuffer& output,
                                                std::size_t* begin) {
  ClientState& client = context.client;
  if (client.transaction != nullptr) return Route::kHere;  // where that is refused
  auto join = std::make_unique<Join>(Join{JoinKind::kWatch});
  std::vector<Words> words;
  std::set<std::string_view> chosen;
  for (std::size_t i = 0; i < owners.size(); ++i) {
    const std::string_view key = call[i + 1];
    if (client.watched.contains(WatchedKey{client.database, std::string(key)}) || !chosen.insert(key).second)
      continue;
    auto part = std::ranges::find(join->parts, owners[i], &JoinPart::node);
    if (part == join->parts.end()) {
      join->parts.push_back(JoinPart{owners[i]});
      words.emplace_back();
      part = join->parts.end() - 1;
    }
    part->places.push_back(static_cast<std::uint32_t>(join->keys.size()));
    words[static_cast<std::size_t>(part - join->parts.begin())].push_back(key);
    join->keys.emplace_back(key);
  }
  for (JoinPart& part : join->parts) {
    if (part.node == state_.self) continue;
    if (!has_room(client, part.node)) return wait(client, part.node);
    ++join->missing;
  }
  for (JoinPart& part : join->parts) {
    if (part.node != state_.self) continue;
    for (const std::uint32_t place : part.places) {
      const std::optional<ChangeMark> mark = context.keyspace.mark(context.keyspace.hash(join->keys[place]));
      if (!mark) return context.reply.out_of_memory(), Route::kAnswered;
      part.reply.append(bytes_of_mark(*mark));
    }
  }
  if (join->missing == 0) {
    finish_watch(*join, client, context.reply);
    return Route::kAnswered;
  }
  send_parts(std::move(join), words, FragmentKind::kWatch, context, output, begin).set_barrier();
  return Route::kAnswered;
}

void ClusterRouter::finish_watch(const Join& join, ClientState& client, ReplyWriter& reply) {
  if (const JoinPart* part = worst_part(join))
    return write_failure(part->failure, state_.node(part->node), reply);
  for (const JoinPart& part : join.parts) {
    if (part.reply.size() != part.places.size() * sizeof(ChangeMark)) {
      return reply.error("ERR node " + std::string(state_.node(part.node).name_text()) +
                         " answered WATCH wrongly");
    }
    for (std::size_t i = 0; i < part.places.size(); ++i) {
      const auto mark =
          mark_of_bytes(std::string_view(part.reply).substr(i * sizeof(ChangeMark), sizeof(ChangeMark)));
      client.watched.emplace(WatchedKey{client.database, join.keys[part.places[i]]}, *mark);
    }
  }
  reply.ok();
}

ClusterRouter::Route ClusterRouter::route_exec(CommandContext& context, ByteBuffer& output,
                                               std::size_t* begin) {
  ClientState& client = context.client;
  if (client.transaction == nullptr || client.transaction->is_broken) return Route::kHere;
  const CallQueue& queue = client.transaction->queue;
  std::optional<NodeId> owner;
  bool is_one = true;
  const auto note = [&](std::string_view key) {
    const NodeId its_owner = owner_of(slot_of_key(key));
    is_one &= owner.value_or(its_owner) == its_owner;
    owner = its_owner;
  };
  for (const auto& [key, mark] : client.watched) note(key.name);
  bool has_all_keys = false;
  const Command* stranger = nullptr;
  for (std::size_t i = 0; i < queue.size(); ++i) {
    const Command& command = queue.command(i);
    has_all_keys |= command.has(kAllKeys);
    if (command.is_for_connection() || (command.keys.first == 0 && !command.has(kAnywhere)))
      stranger = &command;
    command.each_key(queue.words(i), note);
  }
  const auto give_up = [&](const std::string& why) {
    client.transaction.reset();
    client.watched.clear();
    context.reply.error(why);
    return Route::kAnswered;
  };
  if (has_all_keys)
    return give_up(
        "CROSSSLOT a transaction has the keys of one node, and this one has a command over all keys");
  if (!is_one)
    return give_up(
        "CROSSSLOT Keys in request don't hash to the same slot: a transaction has the keys of one node");
  if (!owner || *owner == state_.self) return Route::kHere;
  if (stranger != nullptr) {
    return give_up("ERR " + std::string(stranger->name) +
                   " is about this node or connection, and the keys of the transaction are node " +
                   std::string(state_.node(*owner).name_text()) + "'s");
  }
  return send_exec(*owner, context, output, begin);
}

// The database that the transaction leaves its client in; nothing: as it was.
std::optional<std::uint32_t> ClusterRouter::selected_by(const CallQueue& queue, CommandContext& context) {
  std::optional<std::uint32_t> selected;
  for (std::size_t i = 0; i < queue.size(); ++i) {
    if (!queue.command(i).has(kSelects)) continue;
    const std::optional<std::int64_t> number = parse_integer(queue.words(i)[1]);
    if (!number || *number < 0 || *number >= context.services.facts.options.databases) continue;
    const auto database = static_cast<std::uint32_t>(*number);
    if (context.keyspace.open_database(DatabaseId(database))) selected = database;
  }
  return selected;
}

// What is watched, then the requests. Which database the requests behind it are about shows with the reply.
ClusterRouter::Route ClusterRouter::send_exec(NodeId node, CommandContext& context, ByteBuffer& output,
                                              std::size_t* begin) {
  ClientState& client = context.client;
  const CallQueue& queue = client.transaction->queue;
  if (!has_room(client, node)) return wait(client, node);
  Words watched;
  for (const auto& [key, mark] : client.watched) {
    watched.push_back(bytes_of_database(key.database));
    watched.push_back(key.name);
    watched.push_back(bytes_of_mark(mark));
  }
  std::map<std::size_t, ScriptWords> scripts;  // by index, those that are sent with their texts
  std::set<std::string> sent;                  // SHA-1s of those, known there when they are called again
  for (std::size_t i = 0; i < queue.size(); ++i) {
    if (is_named_by_sha1(queue.command(i)) && sent.contains(lower_case(queue.words(i)[1]))) continue;
    std::optional<ScriptWords> script = with_text(queue.command(i), queue.words(i), context);
    if (!script) continue;
    if (is_run(queue.words(i))) sent.insert(lower_case(queue.words(i)[1]));
    scripts.emplace(i, std::move(*script));
  }
  const auto words_of = [&](std::size_t i) {
    const auto script = scripts.find(i);
    return script != scripts.end() ? script->second.all() : queue.words(i);
  };
  std::size_t bytes = word_list_bytes(watched);
  for (std::size_t i = 0; i < queue.size(); ++i) bytes += word_list_bytes(words_of(i));
  std::uint64_t place = 0;
  ReplyQueue& replies = open_queue(context, output, begin);
  std::optional<std::uint32_t>& selects = new_place(replies, context, &place).selects;
  if ((selects = selected_by(queue, context))) replies.set_barrier();
  const bool may_write = queue.has_any(kWrite | kPublishes | kScript);
  bus_->send({node, FragmentKind::kExec, may_write, context.reply.protocol(), client.database},
             {client.descriptor, client.id, place, 0}, bytes, [&](char* to) {
               to = write_word_list(watched, to);
               for (std::size_t i = 0; i < queue.size(); ++i) to = write_word_list(words_of(i), to);
             });
  ++forwarded_;
  client.transaction.reset();
  client.watched.clear();
  return Route::kAnswered;
}

}  // namespace memento
