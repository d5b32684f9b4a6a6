// See config_parameters.h. A parameter with a setter is changed for all processes at once, until the server
// ends or, with CONFIG REWRITE, for good.
#include "worker/handlers/server/config_parameters.h"

#include <algorithm>
#include <charconv>

#include "conf/key_event_flags.h"
#include "conf/size_text.h"
#include "conf/sync_policy.h"
#include "worker/clients/message_hub.h"
#include "worker/text/number_text.h"
#include "worker/text/words.h"

namespace memento::handlers {
namespace {

constexpr int kClientLimit = 1'000'000;
constexpr std::int64_t kLargestValueBytes = 1 << 30;

const Options& options(CommandContext& context) { return context.services.facts.options; }
LiveSettings& settings(CommandContext& context) { return context.services.settings; }
std::string yes_no(bool value) { return value ? "yes" : "no"; }

const char* name_of(DebugPolicy policy) {
  return policy == DebugPolicy::kYes ? "yes" : policy == DebugPolicy::kLocal ? "local" : "no";
}

std::string out_of_bounds(std::int64_t least, std::int64_t most) {
  return "argument must be between " + std::to_string(least) + " and " + std::to_string(most) + " inclusive";
}

template <auto Setting>
std::string get_number(CommandContext& context) {
  return std::to_string((settings(context).*Setting).load());
}

template <auto Setting, std::int64_t kLeast, std::int64_t kMost>
std::string set_number(CommandContext& context, std::string_view value, bool applies) {
  typename std::remove_cvref_t<decltype(settings(context).*Setting)>::value_type number = 0;
  const auto [end, failure] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (failure != std::errc() || end != value.data() + value.size())
    return "argument couldn't be parsed into an integer";
  if (number < kLeast || number > kMost) return out_of_bounds(kLeast, kMost);
  if (applies) settings(context).*Setting = number;
  return "";
}

std::string set_key_events(CommandContext& context, std::string_view value, bool applies) {
  const std::optional<std::uint64_t> classes = parse_key_event_flags(value);
  if (!classes) return kBadKeyEventFlags;
  if (!applies) return "";
  settings(context).key_events = *classes;
  context.services.hub.set_key_events(*classes);
  return "";
}

std::string set_password(CommandContext& context, std::string_view value, bool applies) {
  if (value.size() > Password::kLimitBytes) return "the password is longer than 511 bytes";
  const bool has_open_bus =
      context.services.cluster != nullptr && options(context).cluster_secret_file.empty();
  if (has_open_bus && !value.empty())
    return "the cluster's bus has no secret and would let anybody in; see cluster-secret-file";
  if (applies) settings(context).password.set(value, context.services.facts.process);
  return "";
}

std::string set_protected_mode(CommandContext& context, std::string_view value, bool applies) {
  if (!is_word(value, "YES") && !is_word(value, "NO")) return "argument must be 'yes' or 'no'";
  if (applies) settings(context).protected_mode = is_word(value, "YES");
  return "";
}

// The keyspace has the whole segment, or less of it. 0, as in Redis, is no limit of one's own.
std::string set_max_memory(CommandContext& context, std::string_view value, bool applies) {
  const std::optional<std::uint64_t> bytes = parse_size(value);
  if (!bytes) return "argument must be a memory value";
  if (*bytes > context.keyspace.memory_size_bytes())
    return "the server was started with " + std::to_string(context.keyspace.memory_size_bytes()) +
           " bytes (--memory), which a restart can change; 0 is all of them";
  if (!applies) return "";
  settings(context).memory_limit_bytes = static_cast<std::int64_t>(*bytes);
  tell_latest(settings(context).memory_limit_bytes, [&](std::int64_t limit_bytes) {
    return context.keyspace.set_memory_limit(static_cast<std::uint64_t>(limit_bytes)), true;
  });
  return "";
}

std::string set_value_limit(CommandContext& context, std::string_view value, bool applies) {
  const std::optional<std::uint64_t> bytes = parse_size(value);
  if (!bytes) return "argument must be a memory value";
  if (*bytes < 1 || *bytes > kLargestValueBytes) return out_of_bounds(1, kLargestValueBytes);
  if (!applies) return "";
  settings(context).value_limit_bytes = static_cast<std::int64_t>(*bytes);
  tell_latest(settings(context).value_limit_bytes, [&](std::int64_t limit_bytes) {
    return context.keyspace.set_value_limit(static_cast<std::uint64_t>(limit_bytes)), true;
  });
  return "";
}

static_assert(kDatabaseLimit == kLargestDatabaseCount);

// Redis's names for one of the two policies that there are: which keys go is this server's own choice among
// those that were not used lately.
std::string set_policy(CommandContext& context, std::string_view value, bool applies) {
  const bool is_any_key = is_word(value, "ALLKEYS") || is_word(value, "ALLKEYS-LRU") ||
                          is_word(value, "ALLKEYS-LFU") || is_word(value, "ALLKEYS-RANDOM");
  if (!is_any_key && !is_word(value, "NOEVICTION")) {
    const bool is_volatile = value.size() > 9 && is_word(value.substr(0, 9), "VOLATILE-");
    return is_volatile ? "keys with an expiry are not evicted before others; there are noeviction and allkeys"
                       : "argument must be noeviction, allkeys-lru, allkeys-lfu or allkeys-random";
  }
  // What eviction needs is got at the check, so that only the whole of CONFIG SET fails.
  if (is_any_key && !context.keyspace.prepare_eviction())
    return "there is no memory for what eviction keeps in mind; remove keys first";
  if (!applies) return "";
  settings(context).evicts = is_any_key ? 1 : 0;
  tell_latest(settings(context).evicts,
              [&](std::int64_t evicts) { return context.keyspace.set_eviction(evicts != 0); });
  return "";
}

// What clients and exporters read of Redis's parameters and has one value here, by the alphabet.
constexpr FixedParameter kFixed[] = {
    {"active-expire-effort", "1"},
    {"activedefrag", "no"},
    {"aof-use-rdb-preamble", "yes"},
    {"appendfilename", "appendonly.aof"},
    {"auto-aof-rewrite-min-size", "67108864"},
    {"auto-aof-rewrite-percentage", "100"},
    {"client-output-buffer-limit", "normal 0 0 0 slave 0 0 0 pubsub 33554432 33554432 0"},
    {"client-query-buffer-limit", "1073741824"},
    {"cluster-require-full-coverage", "no"},
    {"dbfilename", ""},
    {"dynamic-hz", "no"},
    {"hll-sparse-max-bytes", "3000"},
    {"io-threads", "1"},
    {"latency-tracking", "yes"},
    {"lazyfree-lazy-eviction", "yes"},
    {"lazyfree-lazy-expire", "yes"},
    {"lazyfree-lazy-server-del", "yes"},
    {"lazyfree-lazy-user-del", "yes"},
    {"lazyfree-lazy-user-flush", "yes"},
    {"lfu-decay-time", "1"},
    {"lfu-log-factor", "10"},
    {"loglevel", "notice"},
    {"masterauth", ""},
    {"maxmemory-clients", "0"},
    {"maxmemory-eviction-tenacity", "10"},
    {"maxmemory-samples", "5"},
    {"min-replicas-max-lag", "10"},
    {"min-replicas-to-write", "0"},
    {"min-slaves-max-lag", "10"},
    {"min-slaves-to-write", "0"},
    {"no-appendfsync-on-rewrite", "no"},
    {"rdbchecksum", "yes"},
    {"rdbcompression", "no"},
    {"repl-backlog-size", "0"},
    {"repl-backlog-ttl", "3600"},
    {"repl-diskless-sync", "no"},
    {"repl-ping-replica-period", "10"},
    {"repl-timeout", "60"},
    {"replica-priority", "100"},
    {"replica-read-only", "yes"},
    {"replica-serve-stale-data", "yes"},
    {"replicaof", ""},
    {"slave-priority", "100"},
    {"slave-read-only", "yes"},
    {"slave-serve-stale-data", "yes"},
    {"slaveof", ""},
    {"stop-writes-on-bgsave-error", "no"},
    {"supervised", "no"},
    {"tls-port", "0"},
    {"unixsocket", ""},
    {"unixsocketperm", "0"},
};

// Which policy is meant is looked at by the archiver.
std::string set_sync_policy(CommandContext& context, std::string_view value, bool applies) {
  const std::optional<SyncPolicy> policy = parse_sync_policy(lower_case(value));
  if (!policy) return "argument must be always, everysec or no";
  if (options(context).data_folder.empty())
    return "there is no data folder to sync; the server was started without --data";
  if (applies) settings(context).sync_policy = static_cast<std::int64_t>(*policy);
  return "";
}

std::string get_sync_policy(CommandContext& context) {
  return std::string(sync_policy_text(static_cast<SyncPolicy>(settings(context).sync_policy.load())));
}

// In seconds, as the option has it.
std::string set_disk_timeout(CommandContext& context, std::string_view value, bool applies) {
  std::int64_t seconds = 0;
  const auto [end, failure] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (failure != std::errc() || end != value.data() + value.size())
    return "argument couldn't be parsed into an integer";
  if (seconds < 1 || seconds > kLargestDiskTimeoutMs / 1000)
    return out_of_bounds(1, kLargestDiskTimeoutMs / 1000);
  if (applies) settings(context).disk_timeout_ms = seconds * 1000;
  return "";
}

std::string set_stops_writes(CommandContext& context, std::string_view value, bool applies) {
  if (!is_word(value, "YES") && !is_word(value, "NO")) return "argument must be 'yes' or 'no'";
  if (applies) settings(context).stops_writes_on_disk_error = is_word(value, "YES");
  return "";
}

std::string get_save(CommandContext& context) {
  const std::int64_t period_s = settings(context).save_s.load();
  return period_s == 0 ? "" : std::to_string(period_s) + " 1";
}

// Redis's pairs of seconds and changes: here one change is enough, so that of the longest time holds. A
// number alone is the option's.
std::string set_save(CommandContext& context, std::string_view value, bool applies) {
  constexpr const char* kUsage = "argument must be pairs of seconds and changes, or empty";
  std::int64_t longest_s = 0;
  std::size_t count = 0;
  for (std::string_view rest = value; !rest.empty();) {
    if (rest.front() == ' ') {
      rest.remove_prefix(1);
      continue;
    }
    const std::string_view word = rest.substr(0, rest.find(' '));
    rest.remove_prefix(word.size());
    const std::optional<std::int64_t> number = parse_integer(word);
    if (!number || *number < 0) return kUsage;
    if (count++ % 2 == 0) longest_s = std::max(longest_s, *number);
  }
  if (count > 1 && count % 2 != 0) return kUsage;
  if (longest_s > kLargestSaveS) return "the seconds must be at most " + std::to_string(kLargestSaveS);
  if (applies) settings(context).save_s = longest_s;
  return "";
}

std::string set_snapshot_rate(CommandContext& context, std::string_view value, bool applies) {
  const std::optional<std::uint64_t> bytes = parse_size(value);
  if (!bytes) return "argument must be a memory value";
  if (*bytes > static_cast<std::uint64_t>(kLargestSnapshotRate))
    return out_of_bounds(0, kLargestSnapshotRate);
  if (applies) settings(context).snapshot_rate_bytes = static_cast<std::int64_t>(*bytes);
  return "";
}

// The archiver turns it on, or off, and waits for nobody who asks.
std::string set_append_only(CommandContext& context, std::string_view value, bool applies) {
  if (!is_word(value, "YES") && !is_word(value, "NO")) return "argument must be 'yes' or 'no'";
  if (options(context).data_folder.empty() && is_word(value, "YES"))
    return "there is no data folder; start the server with --data";
  if (applies) context.services.hub.disk().set_journalling(is_word(value, "YES"));
  return "";
}

std::string get_append_only(CommandContext& context) {
  const DiskWaits& disk = context.services.hub.disk();
  const bool may_be_on = disk.is_journalled() || !options(context).data_folder.empty();
  return yes_no(may_be_on && disk.is_journalling_wanted());
}

constexpr Parameter kParameters[] = {
    {"appendfsync", get_sync_policy, set_sync_policy},
    {"appendonly", get_append_only, set_append_only},
    {"bind", [](CommandContext& c) { return options(c).address; }},
    {"busy-reply-threshold", get_number<&LiveSettings::busy_after_ms>,
     set_number<&LiveSettings::busy_after_ms, 0, kLargestBusyAfterMs>},
    {"cluster-node-timeout",
     [](CommandContext& c) { return std::to_string(options(c).cluster_timeout_s * 1000); }},
    {"cluster-enabled", [](CommandContext& c) { return yes_no(c.services.cluster != nullptr); }},
    {"daemonize", [](CommandContext& c) { return yes_no(options(c).daemon); }},
    {"databases", [](CommandContext& c) { return std::to_string(options(c).databases); }},
    {"dir",
     [](CommandContext& c) {
       return options(c).data_folder.empty() ? options(c).directory : options(c).data_folder;
     }},
    {"disk-timeout",
     [](CommandContext& c) { return std::to_string(settings(c).disk_timeout_ms.load() / 1000); },
     set_disk_timeout},
    {"enable-debug-command",
     [](CommandContext& c) { return std::string(name_of(options(c).debug_command)); }},
    {"hz", get_number<&LiveSettings::background_hz>,
     set_number<&LiveSettings::background_hz, 1, kBackgroundHzLimit>},
    {"latency-monitor-threshold", get_number<&LiveSettings::latency_after_ms>,
     set_number<&LiveSettings::latency_after_ms, 0, kLargestLatencyAfterMs>},
    {"logfile", [](CommandContext& c) { return options(c).log_file; }},
    {"lua-time-limit", get_number<&LiveSettings::busy_after_ms>,
     set_number<&LiveSettings::busy_after_ms, 0, kLargestBusyAfterMs>},
    {"maxclients", get_number<&LiveSettings::max_clients>,
     set_number<&LiveSettings::max_clients, 1, kClientLimit>},
    {"maxmemory", [](CommandContext& c) { return std::to_string(c.keyspace.memory_limit_bytes()); },
     set_max_memory},
    {"maxmemory-policy",
     [](CommandContext& c) { return std::string(c.keyspace.evicts() ? "allkeys-lru" : "noeviction"); },
     set_policy},
    {"notify-keyspace-events", [](CommandContext& c) { return key_event_flags_text(settings(c).key_events); },
     set_key_events},
    {"pidfile", [](CommandContext& c) { return options(c).pid_file; }},
    {"port", [](CommandContext& c) { return std::to_string(options(c).port); }},
    {"protected-mode", [](CommandContext& c) { return yes_no(settings(c).protected_mode); },
     set_protected_mode},
    {"proto-max-bulk-len", [](CommandContext& c) { return std::to_string(c.keyspace.value_limit_bytes()); },
     set_value_limit},
    {"requirepass", [](CommandContext& c) { return settings(c).password.text(); }, set_password},
    {"save", get_save, set_save},
    {"slowlog-log-slower-than", get_number<&LiveSettings::slow_after_us>,
     set_number<&LiveSettings::slow_after_us, -1, kLargestSlowAfterUs>},
    {"slowlog-max-len", get_number<&LiveSettings::slow_shown>,
     set_number<&LiveSettings::slow_shown, 0, kLargestSlowShown>},
    {"snapshot-rate", get_number<&LiveSettings::snapshot_rate_bytes>, set_snapshot_rate},
    {"stop-writes-on-disk-error",
     [](CommandContext& c) { return yes_no(settings(c).stops_writes_on_disk_error); }, set_stops_writes},
    {"tcp-keepalive", get_number<&LiveSettings::tcp_keepalive_s>,
     set_number<&LiveSettings::tcp_keepalive_s, 0, kTcpKeepaliveLimitS>},
    {"timeout", get_number<&LiveSettings::idle_timeout_s>,
     set_number<&LiveSettings::idle_timeout_s, 0, kIdleTimeoutLimitS>},
    {"tracking-table-max-keys", get_number<&LiveSettings::tracking_key_limit>,
     set_number<&LiveSettings::tracking_key_limit, 0, kLargestTrackingKeyLimit>},
    {"workers", [](CommandContext& c) { return std::to_string(options(c).workers); }},
};

}  // namespace

std::span<const Parameter> parameters() { return kParameters; }
std::span<const FixedParameter> fixed_parameters() { return kFixed; }

}  // namespace memento::handlers
