// Messages: SUBSCRIBE and its relatives, PUBLISH, PUBSUB; SUB and UNSUB, which watch keys. The way of a
// message is in worker/message_hub.*. What a subscription is confirmed with is pushed like the messages: it
// is not a reply.
#include <algorithm>
#include <set>
#include <string>

#include "shm/cluster_state.h"
#include "shm/hash.h"
#include "worker/command/glob.h"
#include "worker/command/handler_support.h"
#include "worker/command/handlers.h"
#include "worker/command/words.h"
#include "worker/message_hub.h"

namespace memento::handlers {
namespace {

struct Wording {
  SubscriptionKind kind;
  const char* begins;
  const char* ends;
};
constexpr Wording kChannels{SubscriptionKind::kChannel, "subscribe", "unsubscribe"};
constexpr Wording kPatterns{SubscriptionKind::kPattern, "psubscribe", "punsubscribe"};
constexpr Wording kKeys{SubscriptionKind::kKey, "sub", "unsub"};

// Keys are counted for themselves.
std::size_t count_of(const ClientState& client, SubscriptionKind kind) {
  if (client.subscriptions == nullptr) return 0;
  const Subscriptions& all = *client.subscriptions;
  return kind == SubscriptionKind::kKey
             ? all.of(kind).size()
             : all.of(SubscriptionKind::kChannel).size() + all.of(SubscriptionKind::kPattern).size();
}

void confirm(CommandContext& context, const char* word, SubscriptionKind kind, const std::string_view* name) {
  context.services.hub.push(context.client, [&](ReplyWriter& writer) {
    writer.begin_push(3);
    writer.bulk(word);
    name != nullptr ? writer.bulk(*name) : writer.nil();
    writer.integer(static_cast<std::int64_t>(count_of(context.client, kind)));
    writer.end();
  });
}

void begin_subscriptions(CommandContext& context, const Call& call, const Wording& wording) {
  for (const std::string_view& name : call.args.subspan(1)) {
    if (name.size() <= kSubscriptionNameLimitBytes) continue;
    return context.reply.error("ERR name is longer than the limit of " +
                               std::to_string(kSubscriptionNameLimitBytes) + " bytes");
  }
  for (const std::string_view& name : call.args.subspan(1)) {
    if (context.services.hub.subscribe(context.client, wording.kind, name) ==
        MessageHub::Subscribed::kNoRoom) {
      return context.reply.error("ERR too many subscriptions in this worker, or no memory for them");
    }
    confirm(context, wording.begins, wording.kind, &name);
  }
}

void end_subscriptions(CommandContext& context, const Call& call, const Wording& wording) {
  MessageHub& hub = context.services.hub;
  const auto end_one = [&](std::string_view name) {
    hub.unsubscribe(context.client, wording.kind, name);
    confirm(context, wording.ends, wording.kind, &name);
  };
  if (call.count() > 1) {
    std::ranges::for_each(call.args.subspan(1), end_one);
    return;
  }
  if (context.client.subscriptions == nullptr || context.client.subscriptions->of(wording.kind).empty()) {
    return confirm(context, wording.ends, wording.kind, nullptr);
  }
  const std::set<std::string, std::less<>> names = context.client.subscriptions->of(wording.kind);
  std::ranges::for_each(names, end_one);
}

}  // namespace

void subscribe(CommandContext& context, const Call& call) { begin_subscriptions(context, call, kChannels); }
void psubscribe(CommandContext& context, const Call& call) { begin_subscriptions(context, call, kPatterns); }
// Only the owner of a key sees its new values.
void sub(CommandContext& context, const Call& call) {
  if (const ClusterState* const state = context.services.cluster) {
    for (const std::string_view key : call.args.subspan(1)) {
      const NodeState& owner = state->nodes[state->owners[slot_of_key(key)]];
      if (&owner == &state->self_node()) continue;
      return context.reply.error("ERR " + std::string(quotable(key, 64)) + " is a key of node " + std::string(owner.name_text()) +
                                 ", SUB it there: " + std::string(owner.address_text()) + ":" + std::to_string(owner.port));
    }
  }
  begin_subscriptions(context, call, kKeys);
}
void unsubscribe(CommandContext& context, const Call& call) { end_subscriptions(context, call, kChannels); }
void punsubscribe(CommandContext& context, const Call& call) { end_subscriptions(context, call, kPatterns); }
void unsub(CommandContext& context, const Call& call) { end_subscriptions(context, call, kKeys); }

void publish(CommandContext& context, const Call& call) {
  if (call[1].size() > kSubscriptionNameLimitBytes)
    return context.reply.integer(0);  // nobody can subscribe to it
  if (context.in_exec) {
    context.published.push_back({call[1], call[2]});
    return context.reply.integer(static_cast<std::int64_t>(context.services.hub.count_receivers(call[1])));
  }
  const std::optional<std::uint64_t> receivers = context.services.hub.publish(call[1], call[2]);
  if (!receivers) return context.reply.out_of_memory();
  context.reply.integer(static_cast<std::int64_t>(*receivers));
}

void pubsub_channels(CommandContext& context, const Call& call) {
  if (call.count() > 3) {
    return context.reply.error("ERR unknown subcommand or wrong number of arguments for '" +
                               std::string(quotable(call[1])) + "'. Try PUBSUB HELP.");
  }
  const auto all = context.services.hub.subscriptions(SubscriptionKind::kChannel);
  const std::size_t begin = context.reply.begin_list();
  std::size_t count = 0;
  for (const auto& [name, subscribers] : all) {
    if (call.count() == 3 && !glob_match(call[2], name)) continue;
    context.reply.bulk(name);
    ++count;
  }
  context.reply.end_list(begin, count);
}

void pubsub_numsub(CommandContext& context, const Call& call) {
  context.reply.begin_array(2 * (call.count() - 2));
  for (const std::string_view name : call.args.subspan(2)) {
    context.reply.bulk(name);
    context.reply.integer(
        static_cast<std::int64_t>(context.services.hub.count(SubscriptionKind::kChannel, name)));
  }
  context.reply.end();
}

void pubsub_numpat(CommandContext& context, const Call&) {
  context.reply.integer(
      static_cast<std::int64_t>(context.services.hub.subscriptions(SubscriptionKind::kPattern).size()));
}

}  // namespace memento::handlers
