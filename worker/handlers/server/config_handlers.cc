// CONFIG: the parameters that Redis's clients ask for, by Redis's names. One table; those with a setter can
// be changed while the server runs, for all its processes and until it ends; the others only take the value
// they have.
#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <vector>

#include "conf/key_event_flags.h"
#include "conf/size_text.h"
#include "shm/messages/glob.h"
#include "worker/handlers/handler_support.h"
#include "worker/handlers/handlers.h"
#include "worker/stats/command_meter.h"
#include "worker/text/words.h"

namespace memento::handlers {
namespace {

constexpr int kClientLimit = 1'000'000;
constexpr std::int64_t kLargestNumber = 1'000'000'000'000;
constexpr const char* kImmutable = "can't set immutable config";

using Get = std::string (*)(CommandContext&);
/// What is wrong with the value, or nullptr; then it is set when `applies`.
using Set = const char* (*)(CommandContext&, std::string_view value, bool applies);

struct Parameter {
  std::string_view name;
  Get get;
  Set set = nullptr;
};

const Options& options(CommandContext& context) { return context.services.facts.options; }
std::string yes_no(bool value) { return value ? "yes" : "no"; }

const char* name_of(DebugPolicy policy) {
  return policy == DebugPolicy::kYes ? "yes" : policy == DebugPolicy::kLocal ? "local" : "no";
}

const char* set_max_clients(CommandContext& context, std::string_view value, bool applies) {
  int count = 0;
  const auto [end, failure] = std::from_chars(value.data(), value.data() + value.size(), count);
  if (failure != std::errc() || end != value.data() + value.size())
    return "argument couldn't be parsed into an integer";
  if (count < 1 || count > kClientLimit) return "argument must be between 1 and 1000000 inclusive";
  if (applies) context.services.settings.max_clients = count;
  return nullptr;
}

const char* set_number(std::atomic<std::int64_t>& target, std::int64_t least, std::string_view value,
                       bool applies, std::int64_t most = kLargestNumber) {
  std::int64_t number = 0;
  const auto [end, failure] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (failure != std::errc() || end != value.data() + value.size())
    return "argument couldn't be parsed into an integer";
  if (number < least || number > most) return "argument is out of range";
  if (applies) target = number;
  return nullptr;
}

const char* set_slow_after(CommandContext& context, std::string_view value, bool applies) {
  return set_number(context.services.settings.slow_after_us, -1, value, applies);
}
const char* set_slow_shown(CommandContext& context, std::string_view value, bool applies) {
  return set_number(context.services.settings.slow_shown, 0, value, applies);
}
const char* set_latency_after(CommandContext& context, std::string_view value, bool applies) {
  return set_number(context.services.settings.latency_after_ms, 0, value, applies);
}

const char* set_busy_after(CommandContext& context, std::string_view value, bool applies) {
  return set_number(context.services.settings.busy_after_ms, 0, value, applies);
}
std::string busy_after(CommandContext& context) {
  return std::to_string(context.services.settings.busy_after_ms.load());
}

const char* set_tcp_keepalive(CommandContext& context, std::string_view value, bool applies) {
  return set_number(context.services.settings.tcp_keepalive_s, 0, value, applies, kTcpKeepaliveLimitS);
}

const char* set_key_events(CommandContext& context, std::string_view value, bool applies) {
  const std::optional<std::uint64_t> classes = parse_key_event_flags(value);
  if (!classes) return kBadKeyEventFlags;
  if (!applies) return nullptr;
  context.services.settings.key_events = *classes;
  context.services.hub.set_key_events(*classes);
  return nullptr;
}

const char* set_password(CommandContext& context, std::string_view value, bool applies) {
  if (value.size() > Password::kLimitBytes) return "the password is longer than 511 bytes";
  const bool has_open_bus =
      context.services.cluster != nullptr && options(context).cluster_secret_file.empty();
  if (has_open_bus && !value.empty())
    return "the cluster's bus has no secret and would let anybody in; see cluster-secret-file";
  if (applies) context.services.settings.password.set(value, context.services.facts.process);
  return nullptr;
}

const char* set_protected_mode(CommandContext& context, std::string_view value, bool applies) {
  if (!is_word(value, "YES") && !is_word(value, "NO")) return "argument must be 'yes' or 'no'";
  if (applies) context.services.settings.protected_mode = is_word(value, "YES");
  return nullptr;
}

static_assert(kDatabaseLimit == kLargestDatabaseCount);

// Redis's names for one of the two policies that there are: which keys go is this server's own choice among
// those that were not used lately.
const char* set_policy(CommandContext& context, std::string_view value, bool) {
  const bool is_any_key = is_word(value, "ALLKEYS") || is_word(value, "ALLKEYS-LRU") ||
                          is_word(value, "ALLKEYS-LFU") || is_word(value, "ALLKEYS-RANDOM");
  if (!is_any_key && !is_word(value, "NOEVICTION")) {
    const bool is_volatile = value.size() > 9 && is_word(value.substr(0, 9), "VOLATILE-");
    return is_volatile ? "keys with an expiry are not evicted before others; there are noeviction and allkeys"
                       : "argument must be noeviction, allkeys-lru, allkeys-lfu or allkeys-random";
  }
  if (is_any_key == context.keyspace.evicts()) return nullptr;
  return "eviction is set in the configuration, and changed by SIGHUP";
}

static_assert(static_cast<std::size_t>(Counter::kCount) <= kCounterLimit);
static_assert(kProcessLimit <= kStatisticsLimit && kProcessLimit <= Password::kSetterLimit);

// What clients and exporters read of Redis's parameters and has one value here, by the alphabet.
struct FixedParameter {
  std::string_view name;
  std::string_view value;
};
constexpr FixedParameter kFixed[] = {
    {"activedefrag", "no"},
    {"active-expire-effort", "1"},
    {"aof-use-rdb-preamble", "yes"},
    {"appendfilename", "appendonly.aof"},
    {"appendfsync", "everysec"},
    {"appendonly", "no"},
    {"client-output-buffer-limit", "normal 0 0 0 slave 0 0 0 pubsub 33554432 33554432 0"},
    {"client-query-buffer-limit", "1073741824"},
    {"dbfilename", ""},
    {"hll-sparse-max-bytes", "3000"},
    {"hz", "10"},
    {"io-threads", "1"},
    {"latency-tracking", "yes"},
    {"lazyfree-lazy-eviction", "yes"},
    {"lazyfree-lazy-expire", "yes"},
    {"lazyfree-lazy-server-del", "yes"},
    {"lazyfree-lazy-user-del", "yes"},
    {"lazyfree-lazy-user-flush", "yes"},
    {"maxmemory-clients", "0"},
    {"maxmemory-samples", "5"},
    {"min-replicas-max-lag", "10"},
    {"min-replicas-to-write", "0"},
    {"rdbchecksum", "yes"},
    {"rdbcompression", "no"},
    {"repl-backlog-size", "0"},
    {"repl-diskless-sync", "no"},
    {"replica-read-only", "yes"},
    {"replicaof", ""},
    {"save", ""},
    {"slave-read-only", "yes"},
    {"slaveof", ""},
    {"stop-writes-on-bgsave-error", "no"},
    {"timeout", "0"},
    {"tls-port", "0"},
    {"unixsocket", ""},
};

constexpr Parameter kParameters[] = {
    {"bind", [](CommandContext& c) { return options(c).address; }},
    {"busy-reply-threshold", busy_after, set_busy_after},
    {"cluster-node-timeout",
     [](CommandContext& c) { return std::to_string(options(c).cluster_timeout_s * 1000); }},
    {"cluster-enabled", [](CommandContext& c) { return yes_no(c.services.cluster != nullptr); }},
    {"daemonize", [](CommandContext& c) { return yes_no(options(c).daemon); }},
    {"databases", [](CommandContext& c) { return std::to_string(options(c).databases); }},
    {"dir", [](CommandContext& c) { return options(c).directory; }},
    {"enable-debug-command",
     [](CommandContext& c) { return std::string(name_of(options(c).debug_command)); }},
    {"latency-monitor-threshold",
     [](CommandContext& c) { return std::to_string(c.services.settings.latency_after_ms.load()); },
     set_latency_after},
    {"logfile", [](CommandContext& c) { return options(c).log_file; }},
    {"lua-time-limit", busy_after, set_busy_after},
    {"maxclients", [](CommandContext& c) { return std::to_string(c.services.settings.max_clients.load()); },
     set_max_clients},
    {"maxmemory", [](CommandContext& c) { return std::to_string(c.keyspace.memory_limit_bytes()); }},
    {"maxmemory-policy",
     [](CommandContext& c) { return std::string(c.keyspace.evicts() ? "allkeys-lru" : "noeviction"); },
     set_policy},
    {"notify-keyspace-events",
     [](CommandContext& c) { return key_event_flags_text(c.services.settings.key_events); }, set_key_events},
    {"pidfile", [](CommandContext& c) { return options(c).pid_file; }},
    {"port", [](CommandContext& c) { return std::to_string(options(c).port); }},
    {"protected-mode", [](CommandContext& c) { return yes_no(c.services.settings.protected_mode); },
     set_protected_mode},
    {"proto-max-bulk-len", [](CommandContext& c) { return std::to_string(c.keyspace.value_limit_bytes()); }},
    {"requirepass", [](CommandContext& c) { return c.services.settings.password.text(); }, set_password},
    {"slowlog-log-slower-than",
     [](CommandContext& c) { return std::to_string(c.services.settings.slow_after_us.load()); },
     set_slow_after},
    {"slowlog-max-len",
     [](CommandContext& c) { return std::to_string(c.services.settings.slow_shown.load()); }, set_slow_shown},
    {"tcp-keepalive",
     [](CommandContext& c) { return std::to_string(c.services.settings.tcp_keepalive_s.load()); },
     set_tcp_keepalive},
    {"workers", [](CommandContext& c) { return std::to_string(options(c).workers); }},
};

const Parameter* find_parameter(std::string_view name) {
  const auto* const found = std::ranges::find_if(
      kParameters, [&](const Parameter& parameter) { return is_word(name, parameter.name); });
  return found != std::end(kParameters) ? found : nullptr;
}
const FixedParameter* find_fixed(std::string_view name) {
  const auto* const found =
      std::ranges::find_if(kFixed, [&](const FixedParameter& fixed) { return is_word(name, fixed.name); });
  return found != std::end(kFixed) ? found : nullptr;
}

/// A parameter of either table; what CONFIG SET was given for it.
struct Assignment {
  const Parameter* parameter = nullptr;
  const FixedParameter* fixed = nullptr;
  std::string_view value;

  bool is_same(const Assignment& other) const { return parameter == other.parameter && fixed == other.fixed; }
};

// What is wrong, or nullptr; then it is set when `applies`.
const char* check_or_set(CommandContext& context, const Assignment& given, bool applies) {
  if (given.parameter != nullptr && given.parameter->set != nullptr)
    return given.parameter->set(context, given.value, applies);
  const std::string current =
      given.fixed != nullptr ? std::string(given.fixed->value) : given.parameter->get(context);
  const std::optional<std::uint64_t> size_bytes = parse_size(given.value);
  const bool same = given.value == current || (size_bytes && std::to_string(*size_bytes) == current);
  return same ? nullptr : kImmutable;
}

}  // namespace

void config_get(CommandContext& context, const Call& call) {
  std::array<bool, std::size(kParameters)> wants{};
  std::array<bool, std::size(kFixed)> wants_fixed{};
  for (const std::string_view pattern : call.args.subspan(2)) {
    const Glob glob(lower_case(pattern));
    for (std::size_t i = 0; i < wants.size(); ++i) wants[i] |= glob.matches(kParameters[i].name);
    for (std::size_t i = 0; i < wants_fixed.size(); ++i) wants_fixed[i] |= glob.matches(kFixed[i].name);
  }
  context.reply.begin_map(
      static_cast<std::size_t>(std::ranges::count(wants, true) + std::ranges::count(wants_fixed, true)));
  for (std::size_t i = 0; i < wants.size(); ++i) {
    if (!wants[i]) continue;
    context.reply.field(kParameters[i].name);
    context.reply.bulk(kParameters[i].get(context));
  }
  for (std::size_t i = 0; i < wants_fixed.size(); ++i) {
    if (!wants_fixed[i]) continue;
    context.reply.field(kFixed[i].name);
    context.reply.bulk(kFixed[i].value);
  }
  context.reply.end();
}

// All are checked before the first is set.
void config_set(CommandContext& context, const Call& call) {
  if (call.count() % 2 != 0) return wrong_argument_count(context, "CONFIG|SET");
  std::vector<Assignment> all;
  for (std::size_t i = 2; i < call.count(); i += 2) {
    const Assignment given{find_parameter(call[i]), find_fixed(call[i]), call[i + 1]};
    if (given.parameter == nullptr && given.fixed == nullptr) {
      return context.reply.error("ERR Unknown option or number of arguments for CONFIG SET - '" +
                                 std::string(quotable(call[i])) + "'");
    }
    const bool is_twice =
        std::ranges::any_of(all, [&](const Assignment& before) { return before.is_same(given); });
    const char* const wrong = is_twice ? "duplicate parameter" : check_or_set(context, given, false);
    if (wrong != nullptr) {
      return context.reply.error("ERR CONFIG SET failed (possibly related to argument '" +
                                 std::string(quotable(call[i])) + "') - " + wrong);
    }
    all.push_back(given);
  }
  for (const Assignment& given : all) check_or_set(context, given, true);
  context.reply.ok();
}

// Workers clear their own statistics when they see the new generation. The keyspace's counters count on; what
// they had is subtracted from here on.
void config_resetstat(CommandContext& context, const Call&) {
  ++context.services.settings.statistics->generation;
  for (std::size_t i = 0; i < static_cast<std::size_t>(Counter::kCount); ++i) {
    context.services.settings.statistics->counter_floors[i] =
        context.keyspace.counter_sum(static_cast<Counter>(i));
  }
  CommandMeter::begin_anew(context.services.settings,
                           context.services.settings.statistics[context.services.facts.process]);
  context.reply.ok();
}

}  // namespace memento::handlers
