// See info_text.h. A section is a function in the table at the end.
#include "worker/handlers/server/info_text.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>

#include "bus/core/cluster_state.h"
#include "conf/machine.h"
#include "conf/version.h"
#include "worker/clients/message_hub.h"
#include "worker/command/command_table.h"
#include "worker/handlers/handler_support.h"
#include "worker/handlers/server/info_lines.h"
#include "worker/handlers/server/info_persistence.h"
#include "worker/handlers/server/server_memory.h"
#include "worker/script/script_engine.h"
#include "worker/stats/command_meter.h"
#include "worker/text/words.h"

namespace memento {
namespace {

constexpr std::uint64_t kDaySeconds = 86'400;

// What Redis's tools ask for and this server does not have or do: a disk, replicas, child processes that
// save.
constexpr InfoLines::Constant kConstantsOfMemory[] = {
    {"mem_not_counted_for_evict", "0"}, {"mem_replication_backlog", "0"},
    {"mem_clients_slaves", "0"},        {"mem_aof_buffer", "0"},
    {"active_defrag_running", "0"},     {"lazyfree_pending_objects", "0"},
};
constexpr InfoLines::Constant kConstantsOfStats[] = {
    {"sync_full", "0"},
    {"sync_partial_ok", "0"},
    {"sync_partial_err", "0"},
    {"evicted_clients", "0"},
    {"latest_fork_usec", "0"},
    {"total_forks", "0"},
    {"migrate_cached_sockets", "0"},
    {"slave_expires_tracked_keys", "0"},
    {"active_defrag_hits", "0"},
    {"active_defrag_misses", "0"},
    {"active_defrag_key_hits", "0"},
    {"active_defrag_key_misses", "0"},
};
constexpr InfoLines::Constant kConstantsOfReplication[] = {
    {"master_failover_state", "no-failover"},
    {"master_replid2", "0000000000000000000000000000000000000000"},
    {"master_repl_offset", "0"},
    {"second_repl_offset", "-1"},
    {"repl_backlog_active", "0"},
    {"repl_backlog_size", "0"},
    {"repl_backlog_first_byte_offset", "0"},
    {"repl_backlog_histlen", "0"},
};

using Lines = InfoLines;

// Since the start or the last CONFIG RESETSTAT.
std::uint64_t since_reset(CommandContext& context, Counter counter) {
  const std::uint64_t sum = context.keyspace.counter_sum(counter);
  return sum -
         std::min(
             sum,
             context.services.settings.statistics->counter_floors[static_cast<std::size_t>(counter)].load());
}

// A figure of all workers' records; since the last CONFIG RESETSTAT, unless it `survives` that.
template <class Member>
std::uint64_t statistics_sum(CommandContext& context, Member&& member, bool survives = false) {
  const LiveSettings& settings = context.services.settings;
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < settings.statistics->record_count.load(); ++i) {
    const WorkerStatistics& record = settings.statistics[i];
    if (survives || record.generation.load() == settings.statistics->generation.load())
      sum += member(record).load();
  }
  return sum;
}

// 40 hex digits that differ from run to run and are the same in all processes of one; others for another
// `purpose`.
std::string run_id(const ServerFacts& facts, std::uint64_t purpose = 0) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::uint64_t state =
      (static_cast<std::uint64_t>(facts.start_ms) ^ static_cast<std::uint64_t>(getppid()) << 48) + purpose;
  std::string id;
  while (id.size() < 40) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    id += kDigits[state >> 60];
  }
  return id;
}

void server(CommandContext& context, Lines& lines) {
  const ServerFacts& facts = context.services.facts;
  const auto uptime_s = static_cast<std::uint64_t>(monotonic_time_ms() - facts.start_ms) / 1000;
  utsname system{};
  uname(&system);
  lines.add("redis_version", kRedisVersion);
  lines.add("memento_version", kVersion);
  lines.add("redis_mode", context.services.cluster != nullptr ? "cluster" : "standalone");
  lines.add("os", std::string(system.sysname) + " " + system.release + " " + system.machine);
  lines.add("arch_bits", 64);
  lines.add("process_id", static_cast<std::uint64_t>(getppid()));
  lines.add("multiplexing_api", "epoll");
  lines.add("gcc_version", __VERSION__);
  lines.add("run_id", run_id(facts));
  lines.add("tcp_port", facts.options.port);
  lines.add("workers", facts.worker_count);
  lines.add("worker_index", facts.worker_index);
  lines.add("worker_process_id", static_cast<std::uint64_t>(getpid()));
  lines.add("uptime_in_seconds", uptime_s);
  lines.add("uptime_in_days", uptime_s / kDaySeconds);
  lines.add("server_time_usec", static_cast<std::uint64_t>(context.keyspace.now_ms()) * 1000);
  const auto hz = static_cast<std::uint64_t>(context.services.settings.background_hz.load());
  lines.add("hz", hz);
  lines.add("configured_hz", hz);
  lines.add("config_file", facts.options.config_file);
}

void clients(CommandContext& context, Lines& lines) {
  lines.add("connected_clients", context.keyspace.connected_clients());
  lines.add("maxclients", static_cast<std::uint64_t>(context.services.settings.max_clients.load()));
  lines.add("blocked_clients",
            statistics_sum(
                context, [](const auto& record) -> auto& { return record.waiting_clients; }, true));
  lines.add("tracking_clients", context.services.hub.tracking().figures().clients);
  lines.add("cluster_connections", 0);       // Redis's own kind of them
  lines.add("clients_in_timeout_table", 0);  // blocked with a timeout: nothing blocks so
}

void memory(CommandContext& context, Lines& lines) {
  const ServerMemory memory = server_memory(context);
  const auto percent = [](std::uint64_t bytes, std::uint64_t of_bytes) {
    return format_number("%.2f%%", 100 * ServerMemory::part(bytes, of_bytes));
  };
  lines.add_bytes("used_memory", memory.used_bytes);
  lines.add_bytes("used_memory_rss", memory.resident_bytes);
  lines.add_bytes("used_memory_peak", memory.peak_bytes);
  lines.add("used_memory_peak_perc", percent(memory.used_bytes, memory.peak_bytes));
  lines.add("used_memory_overhead", memory.overhead_bytes());
  lines.add("used_memory_startup", 0);
  lines.add("used_memory_dataset", memory.payload_bytes);
  lines.add("used_memory_dataset_perc", percent(memory.payload_bytes, memory.used_bytes));
  lines.add("used_memory_workers", memory.workers_bytes);
  lines.add_bytes("total_system_memory", usable_memory_bytes());
  lines.add_bytes("maxmemory", memory.limit_bytes);
  lines.add("maxmemory_policy", context.keyspace.evicts() ? "allkeys-lru" : "noeviction");
  lines.add("mem_fragmentation_ratio", format_number("%.2f", memory.fragmentation()));
  lines.add("mem_fragmentation_bytes", std::to_string(static_cast<std::int64_t>(memory.resident_bytes) -
                                                      static_cast<std::int64_t>(memory.used_bytes)));
  lines.add("mem_allocator", "memento");
  if (context.services.scripts != nullptr) {
    TextStore& texts = context.services.scripts->texts();
    lines.add("number_of_cached_scripts", texts.count(TextGroup::kScript));
    lines.add("number_of_libraries", texts.count(TextGroup::kLibrary));
    lines.add_bytes("used_memory_scripts",
                    texts.size_bytes(TextGroup::kScript) + texts.size_bytes(TextGroup::kLibrary));
  }
  lines.add_all(kConstantsOfMemory);
}

void persistence(CommandContext& context, Lines& lines) {
  const PersistenceFigures figures{
      statistics_sum(
          context, [](const auto& record) -> auto& { return record.held_clients; }, true),
      statistics_sum(
          context, [](const auto& record) -> auto& { return record.room_waits; }, true)};
  add_persistence(context, figures, lines);
}

void stats(CommandContext& context, Lines& lines) {
  const auto add = [&](std::string_view name, Counter counter) {
    lines.add(name, since_reset(context, counter));
  };
  add("total_connections_received", Counter::kConnectionsAccepted);
  add("total_commands_processed", Counter::kCommands);
  lines.add("instantaneous_ops_per_sec",
            statistics_sum(
                context, [](const auto& record) -> auto& { return record.operations_per_second; }, true));
  lines.add("rejected_connections",
            statistics_sum(
                context, [](const auto& record) -> auto& { return record.rejected_connections; }));
  add("total_net_input_bytes", Counter::kBytesRead);
  add("total_net_output_bytes", Counter::kBytesWritten);
  const StatisticsFront& front = *context.services.settings.statistics.operator->();
  const auto kilobytes = [](const StatisticsWord& bytes) {
    return format_number("%.2f", static_cast<double>(bytes.load()) / 1024);
  };
  lines.add("instantaneous_input_kbps", kilobytes(front.input_bytes_per_second));
  lines.add("instantaneous_output_kbps", kilobytes(front.output_bytes_per_second));
  add("keyspace_hits", Counter::kHits);
  add("keyspace_misses", Counter::kMisses);
  add("expired_keys", Counter::kExpired);
  add("evicted_keys", Counter::kEvicted);
  add("total_error_replies", Counter::kErrors);
  lines.add("pubsub_channels", context.services.hub.subscriptions(SubscriptionKind::kChannel).size());
  lines.add("pubsub_patterns", context.services.hub.subscriptions(SubscriptionKind::kPattern).size());
  lines.add("pubsubshard_channels",
            context.services.hub.subscriptions(SubscriptionKind::kShardChannel).size());
  lines.add_all(kConstantsOfStats);
  const TrackingFigures tracking = context.services.hub.tracking().figures();
  lines.add("tracking_total_keys", tracking.keys);
  lines.add("tracking_total_items", tracking.items);
  lines.add("tracking_total_prefixes", tracking.prefixes);
}

void replication(CommandContext& context, Lines& lines) {
  lines.add("role", "master");
  lines.add("connected_slaves", 0);
  lines.add("master_replid", run_id(context.services.facts, 1));
  lines.add_all(kConstantsOfReplication);
}

void cpu(CommandContext& context, Lines& lines) {
  const auto seconds = [&](auto member) {
    return format_number("%.6f", static_cast<double>(statistics_sum(context, member, true)) / 1e6);
  };
  lines.add("used_cpu_sys", seconds([](const auto& record) -> auto& { return record.cpu_system_us; }));
  lines.add("used_cpu_user", seconds([](const auto& record) -> auto& { return record.cpu_user_us; }));
  lines.add("used_cpu_sys_children", "0.000000");
  lines.add("used_cpu_user_children", "0.000000");
}

// A line a worker that runs; those of a predecessor that finishes its connections too.
void workers(CommandContext& context, Lines& lines) {
  const LiveSettings& settings = context.services.settings;
  std::size_t number = 0;
  for (std::size_t i = 0; i < settings.statistics->record_count.load(); ++i) {
    const WorkerStatistics& record = settings.statistics[i];
    const std::uint64_t process = record.process_id.load();
    const Residence memory = process == 0 ? Residence{} : residence(std::to_string(process));
    if (memory.all_bytes == 0) continue;
    const auto count = [](const StatisticsWord& word) { return std::to_string(word.load()); };
    lines.add(
        "worker_" + std::to_string(number++),
        "process_id=" + std::to_string(process) + ",clients=" + count(record.connected_clients) +
            ",commands=" + count(record.executed) + ",ops_per_sec=" + count(record.operations_per_second) +
            ",cpu_user_usec=" + count(record.cpu_user_us) + ",cpu_sys_usec=" + count(record.cpu_system_us) +
            ",rss=" + std::to_string(memory.all_bytes) + ",private=" + std::to_string(memory.own_bytes()));
  }
}

template <class Write>
void for_each_used_command(CommandContext& context, Write&& write) {
  for (const std::span<const Command> rows : {all_commands(), all_subcommands()}) {
    for (const Command& command : rows) {
      const handlers::CommandTotals totals = handlers::command_totals(context, command);
      if (totals.calls + totals.rejected + totals.failed > 0) write(lower_case(command.name), totals);
    }
  }
}

void command_statistics(CommandContext& context, Lines& lines) {
  for_each_used_command(context, [&](const std::string& name, const handlers::CommandTotals& totals) {
    const double usec = static_cast<double>(totals.nanoseconds) / 1000;
    lines.add("cmdstat_" + name,
              "calls=" + std::to_string(totals.calls) + ",usec=" + std::to_string(totals.nanoseconds / 1000) +
                  ",usec_per_call=" +
                  format_number("%.2f", totals.calls == 0 ? 0 : usec / static_cast<double>(totals.calls)) +
                  ",rejected_calls=" + std::to_string(totals.rejected) +
                  ",failed_calls=" + std::to_string(totals.failed));
  });
}

void error_statistics(CommandContext& context, Lines& lines) {
  for (std::size_t i = 0; i < std::size(kErrorCodes); ++i) {
    const std::uint64_t count = statistics_sum(
        context, [i](const auto& record) -> auto& { return record.errors[i]; });
    if (count > 0) lines.add("errorstat_" + std::string(kErrorCodes[i]), "count=" + std::to_string(count));
  }
}

// Upper ends of the histogram's steps, which are powers of two.
void latency_statistics(CommandContext& context, Lines& lines) {
  for_each_used_command(context, [&](const std::string& name, const handlers::CommandTotals& totals) {
    const auto percentile = [&](double part) {
      std::uint64_t sum = 0;
      std::size_t i = 0;
      while (i + 1 < kLatencyBuckets &&
             static_cast<double>(sum += totals.buckets[i]) < part * static_cast<double>(totals.calls))
        ++i;
      return format_number("%.3f", static_cast<double>(1ull << i));
    };
    if (totals.calls == 0) return;
    lines.add("latency_percentiles_usec_" + name,
              "p50=" + percentile(0.5) + ",p99=" + percentile(0.99) + ",p99.9=" + percentile(0.999));
  });
}

// Upper ends of the histogram's steps in microseconds, and how many: only steps that have any.
std::string round_trip_text(const NodeState& node) {
  std::string text;
  for (std::size_t i = 0; i < kRoundTripBuckets; ++i) {
    const std::uint64_t count = node.round_trips[i].load(std::memory_order_relaxed);
    if (count == 0) continue;
    text += (text.empty() ? "" : ";") + std::to_string(1ull << i) + "=" + std::to_string(count);
  }
  return text;
}

void cluster(CommandContext& context, Lines& lines) {
  const ClusterState* const state = context.services.cluster;
  lines.add("cluster_enabled", state != nullptr ? 1 : 0);
  if (state == nullptr) return;
  lines.add("cluster_formed", state->is_formed.load());
  lines.add("cluster_node", state->self_node().name_text());
  lines.add("cluster_forwarded_commands", state->forwarded.load());
  lines.add("cluster_refused_commands", state->refused.load());
  lines.add("cluster_outcome_unknown", state->outcome_unknown.load());
  for (NodeId id; id < state->end_node(); ++id) {
    const NodeState& node = state->node(id);
    std::string text = "name=" + std::string(node.name_text()) +
                       ",address=" + std::string(node.address_text()) + ":" + std::to_string(node.port) +
                       ",link=" + std::string(state->text_of_link(node));
    const auto add = [&](const char* name, const std::atomic<std::uint64_t>& word) {
      text.append(",").append(name).append("=").append(std::to_string(word.load(std::memory_order_relaxed)));
    };
    if (id != state->self) {
      add("heard", node.is_heard);
      add("connects", node.connects);
      add("queue_bytes", node.queue_bytes);
      add("unanswered", node.unanswered);
      add("answered", node.requests);
      add("executed", node.executed);
      text += ",round_trip_usec=" + round_trip_text(node);
    }
    lines.add("cluster_node_" + std::to_string(id.value), text);
  }
}

void keyspace(CommandContext& context, Lines& lines) {
  Keyspace& keyspace = context.keyspace;
  for (DatabaseId database; database < kDatabaseEnd; ++database) {
    if (!keyspace.is_open(database)) continue;
    const handlers::InDatabase scope(keyspace, database);
    const std::uint64_t keys = keyspace.key_count();
    if (keys == 0) continue;
    lines.add("db" + std::to_string(database.value),
              "keys=" + std::to_string(keys) + ",expires=" + std::to_string(keyspace.expiring_key_count()) +
                  ",avg_ttl=" + std::to_string(keyspace.average_ttl_ms()));
  }
}

void entries(CommandContext& context, Lines& lines) {
  lines.add("keys", keys_of_all(context));
  lines.add("payload_bytes", context.keyspace.payload_bytes_of_all());
}

struct Section {
  std::string_view title;
  void (*write)(CommandContext&, Lines&);
  bool is_extra = false;  ///< only when asked for, by its name or by ALL
};
constexpr Section kSections[] = {
    {"Server", server},
    {"Clients", clients},
    {"Memory", memory},
    {"Persistence", persistence},
    {"Stats", stats},
    {"Replication", replication},
    {"CPU", cpu},
    {"Workers", workers, true},
    {"Commandstats", command_statistics, true},
    {"Errorstats", error_statistics},
    {"Latencystats", latency_statistics, true},
    {"Cluster", cluster},
    {"Entries", entries},
    {"Keyspace", keyspace},
};

bool is_everything(std::string_view word) { return is_word(word, "ALL") || is_word(word, "EVERYTHING"); }

}  // namespace

std::int64_t start_time_s(CommandContext& context) {
  const std::int64_t uptime_ms = monotonic_time_ms() - context.services.facts.start_ms;
  return (context.keyspace.now_ms() - uptime_ms) / 1000;
}

std::uint64_t last_save_s(CommandContext& context) {
  const std::uint64_t last_save_ms = context.services.hub.disk().state().last_save_ms.load();
  return last_save_ms != 0 ? last_save_ms / 1000 : static_cast<std::uint64_t>(start_time_s(context));
}

std::string info_text(CommandContext& context, std::span<const std::string_view> wanted) {
  Lines lines(context.reply.is_text() ? "\n" : "\r\n");
  const bool wants_all = std::ranges::any_of(wanted, is_everything);
  const bool wants_default =
      wants_all || wanted.empty() ||
      std::ranges::any_of(wanted, [](std::string_view word) { return is_word(word, "DEFAULT"); });
  for (const Section& section : kSections) {
    const auto names_it = [&](std::string_view word) {
      return lower_case(word) == lower_case(section.title);
    };
    if (!(section.is_extra ? wants_all : wants_default) && std::ranges::none_of(wanted, names_it)) continue;
    lines.title(section.title);
    section.write(context, lines);
  }
  return lines.text();
}

}  // namespace memento
