// Messages: SUBSCRIBE and its relatives, PUBLISH, PUBSUB; SUB and UNSUB, which watch keys. The way of a
// message is in worker/message_hub.*. What a subscription is confirmed with is pushed like the messages: it
// is not a reply, except inside EXEC, where each request has one name and it stands in the array: as an array
// of its own, since clients take pushes out wherever they stand, and would wait for what then is missing.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "bus/core/cluster_state.h"
#include "shm/keyspace/hash.h"
#include "shm/messages/glob.h"
#include "worker/clients/message_hub.h"
#include "worker/handlers/handler_support.h"
#include "worker/handlers/handlers.h"
#include "worker/text/words.h"

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
constexpr Wording kShardChannels{SubscriptionKind::kShardChannel, "ssubscribe", "sunsubscribe"};

// Channels and patterns are counted together, the others for themselves.
std::size_t count_of(const Subscriptions* all, SubscriptionKind kind) {
  if (all == nullptr) return 0;
  if (kind == SubscriptionKind::kKey || kind == SubscriptionKind::kShardChannel) return all->of(kind).size();
  return all->of(SubscriptionKind::kChannel).size() + all->of(SubscriptionKind::kPattern).size();
}

void confirm(CommandContext& context, const char* word, SubscriptionKind kind, const std::string_view* name) {
  const auto write = [&](ReplyWriter& writer) {
    context.in_exec ? writer.begin_array(3) : writer.begin_push(3);
    writer.bulk(word);
    name != nullptr ? writer.bulk(*name) : writer.nil();
    writer.integer(static_cast<std::int64_t>(count_of(context.subscriptions(), kind)));
    writer.end();
  };
  if (context.in_exec) return write(context.reply);
  context.services.hub.push(context.client, write);
}

// Inside EXEC: what the client will subscribe to, to be changed.
Subscriptions& planned_subscriptions(CommandContext& context) {
  std::unique_ptr<Subscriptions>& planned = context.exec.plan.subscriptions;
  if (planned == nullptr) {
    const Subscriptions* const own = context.client.subscriptions.get();
    planned = own != nullptr ? std::make_unique<Subscriptions>(*own) : std::make_unique<Subscriptions>();
  }
  return *planned;
}

// False: no room for it.
bool begin_one(CommandContext& context, SubscriptionKind kind, std::string_view name) {
  if (!context.in_exec) {
    return context.services.hub.subscribe(context.client, kind, name) != MessageHub::Subscribed::kNoRoom;
  }
  planned_subscriptions(context).of(kind).emplace(name);
  context.plan_step({PlannedStep::Action::kSubscribe, kind, std::string(name)});
  return true;
}

void end_one(CommandContext& context, SubscriptionKind kind, std::string_view name) {
  if (!context.in_exec) {
    context.services.hub.unsubscribe(context.client, kind, name);
    return;
  }
  context.plan_step({PlannedStep::Action::kUnsubscribe, kind, std::string(name)});
  Subscriptions::Names& names = planned_subscriptions(context).of(kind);
  if (const auto found = names.find(name); found != names.end()) names.erase(found);
}

void begin_subscriptions(CommandContext& context, const Call& call, const Wording& wording) {
  for (const std::string_view& name : call.args.subspan(1)) {
    if (name.size() <= kSubscriptionNameLimitBytes) continue;
    return context.reply.error("ERR name is longer than the limit of " +
                               std::to_string(kSubscriptionNameLimitBytes) + " bytes");
  }
  for (const std::string_view& name : call.args.subspan(1)) {
    if (!begin_one(context, wording.kind, name)) {
      return context.reply.error("ERR too many subscriptions in this worker, or no memory for them");
    }
    confirm(context, wording.begins, wording.kind, &name);
  }
}

void end_subscriptions(CommandContext& context, const Call& call, const Wording& wording) {
  const auto end_and_confirm = [&](std::string_view name) {
    end_one(context, wording.kind, name);
    confirm(context, wording.ends, wording.kind, &name);
  };
  if (call.count() > 1) {
    std::ranges::for_each(call.args.subspan(1), end_and_confirm);
    return;
  }
  const Subscriptions* const all = context.subscriptions();
  if (all == nullptr || all->of(wording.kind).empty()) {
    return confirm(context, wording.ends, wording.kind, nullptr);
  }
  const Subscriptions::Names names = all->of(wording.kind);
  std::ranges::for_each(names, end_and_confirm);
}

// How often the client receives a message itself.
std::uint64_t own_receipts(const Subscriptions* own, SubscriptionKind kind, std::string_view channel) {
  if (own == nullptr) return 0;
  std::uint64_t count = own->of(kind).contains(channel) ? 1 : 0;
  if (kind != SubscriptionKind::kChannel) return count;
  for (const std::string& pattern : own->of(SubscriptionKind::kPattern)) {
    if (Glob(pattern).matches(channel)) ++count;
  }
  return count;
}

void publish_to(CommandContext& context, SubscriptionKind kind, std::string_view channel,
                std::string_view message) {
  if (channel.size() > kSubscriptionNameLimitBytes)
    return context.reply.integer(0);  // nobody can subscribe to it
  MessageHub& hub = context.services.hub;
  if (context.in_exec) {
    context.plan_step({PlannedStep::Action::kPublish, kind, std::string(channel), std::string(message)});
    std::uint64_t receivers = hub.count_receivers(kind, channel);
    if (context.exec.plan.subscriptions != nullptr) {  // the hub knows only of those before EXEC
      receivers += own_receipts(context.subscriptions(), kind, channel);
      receivers -= own_receipts(context.client.subscriptions.get(), kind, channel);
    }
    return context.reply.integer(static_cast<std::int64_t>(receivers));
  }
  const std::optional<std::uint64_t> receivers = hub.publish(kind, channel, message);
  if (!receivers) return context.reply.out_of_memory();
  context.reply.integer(static_cast<std::int64_t>(*receivers));
}

void list_channels(CommandContext& context, const Call& call, SubscriptionKind kind) {
  if (call.count() > 3) {
    return context.reply.error("ERR unknown subcommand or wrong number of arguments for '" +
                               std::string(quotable(call[1])) + "'. Try PUBSUB HELP.");
  }
  const auto all = context.services.hub.subscriptions(kind);
  const Glob wanted(call.count() == 3 ? call[2] : "*");
  const std::size_t begin = context.reply.begin_list();
  std::size_t count = 0;
  for (const auto& [name, subscribers] : all) {
    if (call.count() == 3 && !wanted.matches(name)) continue;
    context.reply.bulk(name);
    ++count;
  }
  context.reply.end_list(begin, count);
}

void count_channels(CommandContext& context, const Call& call, SubscriptionKind kind) {
  context.reply.begin_array(2 * (call.count() - 2));
  for (const std::string_view name : call.args.subspan(2)) {
    context.reply.bulk(name);
    context.reply.integer(static_cast<std::int64_t>(context.services.hub.count(kind, name)));
  }
  context.reply.end();
}

}  // namespace

void subscribe(CommandContext& context, const Call& call) { begin_subscriptions(context, call, kChannels); }
void psubscribe(CommandContext& context, const Call& call) { begin_subscriptions(context, call, kPatterns); }
// Only the owner of a key sees its new values.
void sub(CommandContext& context, const Call& call) {
  if (context.keyspace.database() != DatabaseId())
    return context.reply.error("ERR SUB is about keys of database 0; SELECT 0 first");
  if (const ClusterState* const state = context.services.cluster) {
    for (const std::string_view key : call.args.subspan(1)) {
      const NodeState& owner = state->node(state->owner_of(slot_of_key(key)));
      if (&owner == &state->self_node()) continue;
      return context.reply.error(
          "ERR " + std::string(quotable(key, 64)) + " is a key of node " + std::string(owner.name_text()) +
          ", SUB it there: " + std::string(owner.address_text()) + ":" + std::to_string(owner.port));
    }
  }
  begin_subscriptions(context, call, kKeys);
}
void unsubscribe(CommandContext& context, const Call& call) { end_subscriptions(context, call, kChannels); }
void punsubscribe(CommandContext& context, const Call& call) { end_subscriptions(context, call, kPatterns); }
void sunsubscribe(CommandContext& context, const Call& call) {
  end_subscriptions(context, call, kShardChannels);
}
void unsub(CommandContext& context, const Call& call) { end_subscriptions(context, call, kKeys); }

void ssubscribe(CommandContext& context, const Call& call) {
  if (context.in_exec) return context.reply.error("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client");
  begin_subscriptions(context, call, kShardChannels);
}

void publish(CommandContext& context, const Call& call) {
  publish_to(context, SubscriptionKind::kChannel, call[1], call[2]);
}
void spublish(CommandContext& context, const Call& call) {
  publish_to(context, SubscriptionKind::kShardChannel, call[1], call[2]);
}

void carry_out(CommandContext& context, const ExecPlan& plan, bool is_of_several) {
  MessageHub& hub = context.services.hub;
  if (!plan.steps.empty()) hub.tracking().tell_in_front(&context.client, is_of_several);
  for (const PlannedStep& step : plan.steps) {
    switch (step.action) {
      case PlannedStep::Action::kPublish:
        hub.publish_promised(step.kind, step.name, step.message);
        break;
      case PlannedStep::Action::kSubscribe:  // it was confirmed already
        if (hub.subscribe(context.client, step.kind, step.name) == MessageHub::Subscribed::kNoRoom)
          hub.close(context.client);
        break;
      case PlannedStep::Action::kUnsubscribe:
        hub.unsubscribe(context.client, step.kind, step.name);
        break;
      case PlannedStep::Action::kTell:
        hub.tell({step.name, step.slot, step.hash}, *step.event);
        break;
      case PlannedStep::Action::kTellOfAll:
        hub.tell_of_all(step.database);
        break;
    }
  }
  close_clients(context, plan.closed);
}

void tell_planned(CommandContext& context, WriteStatus status) {
  const ExecPlan plan = std::exchange(context.exec.plan, {});
  if (status == WriteStatus::kDone || status == WriteStatus::kUnchanged) carry_out(context, plan, false);
}

void pubsub_channels(CommandContext& context, const Call& call) {
  list_channels(context, call, SubscriptionKind::kChannel);
}
void pubsub_shardchannels(CommandContext& context, const Call& call) {
  list_channels(context, call, SubscriptionKind::kShardChannel);
}
void pubsub_numsub(CommandContext& context, const Call& call) {
  count_channels(context, call, SubscriptionKind::kChannel);
}
void pubsub_shardnumsub(CommandContext& context, const Call& call) {
  count_channels(context, call, SubscriptionKind::kShardChannel);
}

void pubsub_numpat(CommandContext& context, const Call&) {
  context.reply.integer(
      static_cast<std::int64_t>(context.services.hub.subscriptions(SubscriptionKind::kPattern).size()));
}

}  // namespace memento::handlers
