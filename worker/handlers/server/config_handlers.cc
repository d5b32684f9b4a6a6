// CONFIG: the parameters that Redis's clients ask for, by Redis's names. One table; those with a setter can
// be changed while the server runs, for all its processes and until it ends; the others only take the value
// they have.
#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <vector>

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
static_assert(static_cast<std::size_t>(Counter::kCount) <= kCounterLimit);
static_assert(kProcessLimit <= kStatisticsLimit && kProcessLimit <= Password::kSetterLimit);

constexpr Parameter kParameters[] = {
    {"appendonly", [](CommandContext&) { return std::string("no"); }},
    {"bind", [](CommandContext& c) { return options(c).address; }},
    {"busy-reply-threshold", busy_after, set_busy_after},
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
     [](CommandContext& c) { return std::string(c.keyspace.evicts() ? "allkeys" : "noeviction"); }},
    {"pidfile", [](CommandContext& c) { return options(c).pid_file; }},
    {"port", [](CommandContext& c) { return std::to_string(options(c).port); }},
    {"protected-mode", [](CommandContext& c) { return yes_no(c.services.settings.protected_mode); },
     set_protected_mode},
    {"proto-max-bulk-len", [](CommandContext& c) { return std::to_string(c.keyspace.value_limit_bytes()); }},
    {"requirepass", [](CommandContext& c) { return c.services.settings.password.text(); }, set_password},
    {"save", [](CommandContext&) { return std::string(); }},
    {"slowlog-log-slower-than",
     [](CommandContext& c) { return std::to_string(c.services.settings.slow_after_us.load()); },
     set_slow_after},
    {"slowlog-max-len",
     [](CommandContext& c) { return std::to_string(c.services.settings.slow_shown.load()); }, set_slow_shown},
    {"tcp-keepalive",
     [](CommandContext& c) { return std::to_string(c.services.settings.tcp_keepalive_s.load()); },
     set_tcp_keepalive},
    {"timeout", [](CommandContext&) { return std::string("0"); }},
    {"workers", [](CommandContext& c) { return std::to_string(options(c).workers); }},
};

const Parameter* find_parameter(std::string_view name) {
  for (const Parameter& parameter : kParameters) {
    if (is_word(name, parameter.name)) return &parameter;
  }
  return nullptr;
}

const char* check_or_set(CommandContext& context, const Parameter& parameter, std::string_view value,
                         bool applies) {
  if (parameter.set != nullptr) return parameter.set(context, value, applies);
  const std::string current = parameter.get(context);
  const std::optional<std::uint64_t> size_bytes = parse_size(value);
  const bool same = value == current || (size_bytes && std::to_string(*size_bytes) == current);
  return same ? nullptr : kImmutable;
}

}  // namespace

void config_get(CommandContext& context, const Call& call) {
  std::array<bool, std::size(kParameters)> is_wanted{};
  for (const std::string_view pattern : call.args.subspan(2)) {
    const Glob glob(lower_case(pattern));
    for (std::size_t i = 0; i < is_wanted.size(); ++i) is_wanted[i] |= glob.matches(kParameters[i].name);
  }
  context.reply.begin_map(static_cast<std::size_t>(std::ranges::count(is_wanted, true)));
  for (std::size_t i = 0; i < is_wanted.size(); ++i) {
    if (!is_wanted[i]) continue;
    context.reply.field(kParameters[i].name);
    context.reply.bulk(kParameters[i].get(context));
  }
  context.reply.end();
}

// All are checked before the first is set.
void config_set(CommandContext& context, const Call& call) {
  if (call.count() % 2 != 0) return wrong_argument_count(context, "CONFIG|SET");
  std::vector<const Parameter*> parameters;
  for (std::size_t i = 2; i < call.count(); i += 2) {
    const Parameter* const parameter = find_parameter(call[i]);
    if (parameter == nullptr) {
      return context.reply.error("ERR Unknown option or number of arguments for CONFIG SET - '" +
                                 std::string(quotable(call[i])) + "'");
    }
    const bool is_twice = std::ranges::find(parameters, parameter) != parameters.end();
    const char* const wrong =
        is_twice ? "duplicate parameter" : check_or_set(context, *parameter, call[i + 1], false);
    if (wrong != nullptr) {
      return context.reply.error("ERR CONFIG SET failed (possibly related to argument '" +
                                 std::string(quotable(call[i])) + "') - " + wrong);
    }
    parameters.push_back(parameter);
  }
  for (std::size_t i = 0; i < parameters.size(); ++i)
    check_or_set(context, *parameters[i], call[2 * i + 3], true);
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
