// CLIENT LIST, KILL, PAUSE, UNPAUSE: what concerns the connections of all workers
// (worker/clients/client_directory.h).
#include <algorithm>
#include <optional>
#include <string>

#include "worker/clients/client_info.h"
#include "worker/clients/message_hub.h"
#include "worker/handlers/handler_support.h"
#include "worker/handlers/handlers.h"
#include "worker/text/number_text.h"
#include "worker/text/words.h"

namespace memento::handlers {
namespace {

// Nothing: an error was written.
std::optional<ClientType> take_type(CommandContext& context, std::string_view word) {
  struct Name {
    const char* word;
    ClientType type;
  };
  constexpr Name kNames[] = {{"NORMAL", ClientType::kNormal},
                             {"PUBSUB", ClientType::kPubSub},
                             {"REPLICA", ClientType::kReplica},
                             {"SLAVE", ClientType::kReplica},
                             {"MASTER", ClientType::kMaster}};
  for (const Name& name : kNames) {
    if (is_word(word, name.word)) return name.type;
  }
  context.reply.error("ERR Unknown client type '" + std::string(quotable(word)) + "'");
  return std::nullopt;
}

// False: the others have to be asked first, nothing was written.
bool know_others(CommandContext& context) {
  if (context.in_exec || context.services.hub.clients().know_others(context.client)) return true;
  context.parks = true;
  return false;
}

// Of all workers, in the order of their numbers. REQUIRES: know_others().
std::vector<ClientFacts> all_clients(CommandContext& context) {
  std::vector<ClientFacts> all = context.services.hub.clients().own_clients(context.keyspace.now_ms());
  all.insert(all.end(), context.client.others->clients.begin(), context.client.others->clients.end());
  std::ranges::sort(all, {}, &ClientFacts::id);
  if (!context.in_exec) context.client.others.reset();
  return all;
}

/// What CLIENT KILL looks for.
struct Filter {
  std::optional<std::string_view> address;
  std::optional<std::string_view> local_address;
  std::optional<ClientType> type;
  std::uint64_t id = 0;
  std::int64_t least_age_s = 0;
  bool spares_own = true;

  bool fits(const ClientFacts& client, std::uint64_t own_id) const {
    return (!address || client.address() == *address) &&
           (!local_address || client.local_address() == *local_address) && (!type || client.type == *type) &&
           (id == 0 || client.id == id) && (least_age_s == 0 || client.age_s >= least_age_s) &&
           !(spares_own && client.id == own_id);
  }

  /// False: an error was written.
  bool take_option(CommandContext& context, std::string_view name, std::string_view value) {
    if (is_word(name, "ID")) {
      const std::int64_t number = parse_integer(value).value_or(0);
      if (number < 1) return refuse(context, "ERR client-id should be greater than 0");
      id = static_cast<std::uint64_t>(number);
    } else if (is_word(name, "TYPE")) {
      type = take_type(context, value);
      return type.has_value();
    } else if (is_word(name, "ADDR")) {
      address = value;
    } else if (is_word(name, "LADDR")) {
      local_address = value;
    } else if (is_word(name, "USER")) {
      if (value != "default")
        return refuse(context, "ERR No such user '" + std::string(quotable(value)) + "'");
    } else if (is_word(name, "MAXAGE")) {
      const std::optional<std::int64_t> age_s = parse_integer(value);
      if (!age_s) return refuse(context, "ERR maxage is not an integer or out of range");
      if (*age_s <= 0) return refuse(context, "ERR maxage should be greater than 0");
      least_age_s = *age_s;
    } else if (is_word(name, "SKIPME") && (is_word(value, "YES") || is_word(value, "NO"))) {
      spares_own = is_word(value, "YES");
    } else {
      return refuse(context, kSyntaxError);
    }
    return true;
  }

 private:
  static bool refuse(CommandContext& context, std::string_view text) {
    context.reply.error(text);
    return false;
  }
};

}  // namespace

void client_list(CommandContext& context, const Call& call) {
  std::optional<ClientType> type;
  std::vector<std::uint64_t> ids;
  const bool by_id = call.count() > 3 && is_word(call[2], "ID");
  if (call.count() == 4 && is_word(call[2], "TYPE")) {
    type = take_type(context, call[3]);
    if (!type) return;
  } else if (by_id) {
    for (const std::string_view word : call.args.subspan(3)) {
      const std::optional<std::int64_t> id = take_integer(context, word, "ERR Invalid client ID");
      if (!id) return;
      ids.push_back(static_cast<std::uint64_t>(*id));
    }
  } else if (call.count() != 2) {
    return context.reply.error(kSyntaxError);
  }
  if (!know_others(context)) return;
  const OwnRequest own(context.client, call.args);
  const std::vector<ClientFacts> all = all_clients(context);
  std::string text;
  for (const std::uint64_t id : ids) {
    const auto found = std::ranges::lower_bound(all, id, {}, &ClientFacts::id);
    if (found != all.end() && found->id == id) text.append(found->line).append("\n");
  }
  for (const ClientFacts& client : all) {
    if (!by_id && (!type || client.type == *type)) text.append(client.line).append("\n");
  }
  context.reply.verbatim(text);
}

void client_kill(CommandContext& context, const Call& call) {
  Filter filter;
  const bool is_old_form = call.count() == 3;
  if (is_old_form) {
    filter.address = call[2];
    filter.spares_own = false;
  }
  for (std::size_t i = 2; !is_old_form && i < call.count(); i += 2) {
    if (i + 1 == call.count()) return context.reply.error(kSyntaxError);
    if (!filter.take_option(context, call[i], call[i + 1])) return;
  }
  if (!know_others(context)) return;
  std::vector<std::uint64_t> ids;
  for (const ClientFacts& client : all_clients(context)) {
    if (filter.fits(client, context.client.id)) ids.push_back(client.id);
  }
  if (!is_old_form) {
    context.reply.integer(static_cast<std::int64_t>(ids.size()));
  } else if (ids.empty()) {
    context.reply.error("ERR No such client");
  } else {
    context.reply.ok();
  }
  if (!context.in_exec) return close_clients(context, std::move(ids));
  context.exec.plan.closed.insert(context.exec.plan.closed.end(), ids.begin(), ids.end());
}

void close_clients(CommandContext& context, std::vector<std::uint64_t> ids) {
  if (std::erase(ids, context.client.id) != 0) context.close_after_reply = true;
  context.services.hub.clients().close(ids);
}

void client_pause(CommandContext& context, const Call& call) {
  bool all = true;
  if (call.count() > 4) {
    return context.reply.error("ERR unknown subcommand or wrong number of arguments for '" +
                               std::string(quotable(call[1])) + "'. Try CLIENT HELP.");
  }
  if (call.count() == 4) {
    all = is_word(call[3], "ALL");
    if (!all && !is_word(call[3], "WRITE"))
      return context.reply.error("ERR CLIENT PAUSE mode must be WRITE or ALL");
  }
  const auto duration_ms = take_integer(context, call[2], "ERR timeout is not an integer or out of range");
  if (!duration_ms) return;
  if (*duration_ms < 0) return context.reply.error("ERR timeout is negative");
  const std::int64_t now_ms = monotonic_time_ms();
  if (*duration_ms > INT64_MAX - now_ms) return context.reply.error("ERR timeout is out of range");
  context.services.hub.pause().begin(std::min(now_ms + *duration_ms, ClientPause::kEndLimitMs), all, now_ms);
  context.ends_batch = true;
  context.reply.ok();
}

void client_unpause(CommandContext& context, const Call&) {
  context.services.hub.pause().end();
  context.services.hub.clients().wake_all();
  context.ends_batch = true;
  context.reply.ok();
}

}  // namespace memento::handlers
