// CLIENT TRACKING, CACHING, GETREDIR, TRACKINGINFO: caches of clients, which are told when a key that they
// have read is changed (worker/clients/tracking.h).
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "worker/clients/message_hub.h"
#include "worker/handlers/handler_support.h"
#include "worker/handlers/handlers.h"
#include "worker/text/number_text.h"
#include "worker/text/words.h"

namespace memento::handlers {
namespace {

/// What CLIENT TRACKING ON asks for.
struct Wanted {
  ClientTracking tracking;
  std::vector<std::string_view> prefixes;
};

bool refuse(CommandContext& context, const std::string& text) {
  context.reply.error(text);
  return false;
}

// Where the client is. Nothing: an error was written, or the request waits for what other workers say.
bool find_redirect(CommandContext& context, std::string_view word, ClientTracking* tracking) {
  if (tracking->redirect != 0)
    return refuse(context, "ERR A client can only redirect to a single other client");
  const std::optional<std::int64_t> id = parse_integer(word);
  if (!id) return refuse(context, kNotAnInteger);
  tracking->redirect = static_cast<std::uint64_t>(*id);
  MessageHub& hub = context.services.hub;
  if (hub.clients().find(tracking->redirect) != nullptr) {
    tracking->redirect_process = context.services.facts.process;
    return true;
  }
  if (!hub.clients().know_others(context.client)) {
    context.parks = true;
    return false;
  }
  const std::vector<ClientFacts>& others = context.client.others->clients;
  const auto found = std::ranges::find(others, tracking->redirect, &ClientFacts::id);
  if (found == others.end()) return refuse(context, "ERR The client ID you want redirect to does not exist");
  tracking->redirect_process = found->process;
  return true;
}

// False: nothing more is to be done.
bool take_options(CommandContext& context, const Call& call, Wanted* wanted) {
  for (std::size_t i = 3; i < call.count(); ++i) {
    const bool has_more = i + 1 < call.count();
    if (is_word(call[i], "REDIRECT") && has_more) {
      if (!find_redirect(context, call[++i], &wanted->tracking)) return false;
    } else if (is_word(call[i], "BCAST")) {
      wanted->tracking.broadcasts = true;
    } else if (is_word(call[i], "OPTIN")) {
      wanted->tracking.opts_in = true;
    } else if (is_word(call[i], "OPTOUT")) {
      wanted->tracking.opts_out = true;
    } else if (is_word(call[i], "NOLOOP")) {
      wanted->tracking.no_loop = true;
    } else if (is_word(call[i], "PREFIX") && has_more) {
      wanted->prefixes.push_back(call[++i]);
    } else {
      return refuse(context, kSyntaxError);
    }
  }
  return true;
}

// What does not go together, with what the client has already.
const char* conflict(const Wanted& wanted, const ClientTracking* now) {
  const ClientTracking& tracking = wanted.tracking;
  if (!tracking.broadcasts && !wanted.prefixes.empty())
    return "ERR PREFIX option requires BCAST mode to be enabled";
  if (now != nullptr && now->broadcasts != tracking.broadcasts) {
    return "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then "
           "re-enabling it with a different mode.";
  }
  if (tracking.broadcasts && (tracking.opts_in || tracking.opts_out))
    return "ERR OPTIN and OPTOUT are not compatible with BCAST";
  if (tracking.opts_in && tracking.opts_out) return "ERR You can't specify both OPTIN mode and OPTOUT mode";
  if (now != nullptr && ((tracking.opts_in && now->opts_out) || (tracking.opts_out && now->opts_in))) {
    return "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then "
           "re-enabling it with a different mode.";
  }
  return nullptr;
}

bool overlap(std::string_view one, std::string_view other) {
  return one.starts_with(other) || other.starts_with(one);
}

// False: an error was written.
bool check_prefixes(CommandContext& context, const Wanted& wanted, const ClientTracking* now) {
  const auto tell = [&](std::string_view one, std::string_view other, const char* which) {
    context.reply.error("ERR Prefix '" + std::string(quotable(one)) + "' overlaps with " + which +
                        " prefix '" + std::string(quotable(other)) +
                        "'. Prefixes for a single client must not overlap.");
    return false;
  };
  for (std::size_t i = 0; i < wanted.prefixes.size(); ++i) {
    const std::string_view prefix = wanted.prefixes[i];
    for (const std::string& before : now != nullptr ? now->prefixes : std::set<std::string>()) {
      if (overlap(prefix, before)) return tell(prefix, before, "an existing");
    }
    for (std::size_t j = i + 1; j < wanted.prefixes.size(); ++j) {
      if (overlap(prefix, wanted.prefixes[j])) return tell(prefix, wanted.prefixes[j], "another provided");
    }
  }
  return true;
}

void begin_tracking(CommandContext& context, Wanted wanted) {
  ClientState& client = context.client;
  if (context.services.cluster != nullptr) {
    return context.reply.error(
        "ERR CLIENT TRACKING is not allowed in cluster mode: a node does not hear of the changes that others "
        "make");
  }
  if (const char* const text = conflict(wanted, client.tracking.get())) return context.reply.error(text);
  if (wanted.tracking.broadcasts) {
    if (!check_prefixes(context, wanted, client.tracking.get())) return;
    const bool has_prefixes = client.tracking != nullptr && !client.tracking->prefixes.empty();
    if (wanted.prefixes.empty() && !has_prefixes) wanted.tracking.prefixes.emplace();
    for (const std::string_view prefix : wanted.prefixes) wanted.tracking.prefixes.emplace(prefix);
  }
  if (!context.services.hub.tracking().begin(client, wanted.tracking)) return context.reply.out_of_memory();
  context.reply.ok();
}

}  // namespace

void client_tracking(CommandContext& context, const Call& call) {
  Wanted wanted;
  const bool is_whole = take_options(context, call, &wanted);
  if (context.parks) return;
  context.client.others.reset();
  if (!is_whole) return;
  if (is_word(call[2], "ON")) return begin_tracking(context, std::move(wanted));
  if (!is_word(call[2], "OFF")) return context.reply.error(kSyntaxError);
  context.services.hub.tracking().end(context.client);
  context.reply.ok();
}

void client_caching(CommandContext& context, const Call& call) {
  ClientTracking* const tracking = context.client.tracking.get();
  if (tracking == nullptr) {
    return context.reply.error(
        "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode "
        "enabled");
  }
  const bool says_yes = is_word(call[2], "YES");
  if (!says_yes && !is_word(call[2], "NO")) return context.reply.error(kSyntaxError);
  if (says_yes && !tracking->opts_in) {
    return context.reply.error(
        "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.");
  }
  if (!says_yes && !tracking->opts_out) {
    return context.reply.error(
        "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.");
  }
  tracking->caching_given = true;
  context.reply.ok();
}

void client_getredir(CommandContext& context, const Call&) {
  const ClientTracking* const tracking = context.client.tracking.get();
  context.reply.integer(tracking != nullptr ? static_cast<std::int64_t>(tracking->redirect) : -1);
}

void client_trackinginfo(CommandContext& context, const Call&) {
  const ClientTracking* const tracking = context.client.tracking.get();
  std::vector<std::string_view> flags{tracking != nullptr ? "on" : "off"};
  const ClientTracking now = tracking != nullptr ? *tracking : ClientTracking();
  if (now.broadcasts) flags.push_back("bcast");
  if (now.opts_in) flags.push_back("optin");
  if (now.opts_in && now.caching_given) flags.push_back("caching-yes");
  if (now.opts_out) flags.push_back("optout");
  if (now.opts_out && now.caching_given) flags.push_back("caching-no");
  if (now.no_loop) flags.push_back("noloop");
  if (now.is_redirect_broken) flags.push_back("broken_redirect");
  ReplyWriter& reply = context.reply;
  reply.begin_map(3);
  reply.field("flags");
  reply.begin_set(flags.size());
  for (const std::string_view flag : flags) reply.bulk(flag);
  reply.end();
  reply.field("redirect");
  reply.integer(tracking != nullptr ? static_cast<std::int64_t>(now.redirect) : -1);
  reply.field("prefixes");
  reply.begin_array(now.prefixes.size());
  for (const std::string& prefix : now.prefixes) reply.bulk(prefix);
  reply.end();
  reply.end();
}

}  // namespace memento::handlers
