// See options.h. The table is add_options(); a line of the file is parsed as the option `--key=value`.
#include "conf/options.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "conf/config_line.h"
#include "conf/key_event_flags.h"
#include "conf/live_settings.h"
#include "conf/machine.h"
#include "conf/password_source.h"
#include "conf/size_text.h"
#include "conf/sync_policy.h"
#include "conf/version.h"

namespace memento {
namespace {

constexpr std::uint64_t kSmallestMemoryBytes = 16ull << 20;
constexpr std::uint64_t kLargestValueBytes = 1ull << 30;

// Options that say what this start does; the file cannot hold them.
constexpr const char* kCommandLineOnly[] = {"config", "test", "version", "help",         "fresh", "cluster",
                                            "nodes",  "name", "recover", "show-journal", "check", "cut"};

constexpr const char* kAllKeys = "allkeys";
constexpr const char* kResp = "resp";
constexpr const char* kSalvage = "salvage";
constexpr const char* kDetached = "detached";
constexpr std::uint64_t kSmallestRingBytes = 16ull << 20;

using Check = std::function<std::string(const std::string&)>;

// A number within bounds, said in words when it isn't.
Check number_between(std::int64_t least, std::int64_t most, const std::string& what) {
  return [=](const std::string& text) {
    std::int64_t number = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool good =
        failure == std::errc() && end == text.data() + text.size() && number >= least && number <= most;
    return good ? std::string()
                : "'" + text + "' is not " + what + " (" + std::to_string(least) + " to " +
                      std::to_string(most) + ")";
  };
}

Check size_between(std::uint64_t least, std::uint64_t most) {
  return [=](const std::string& text) {
    const std::optional<std::uint64_t> size_bytes = parse_size(text);
    if (!size_bytes) return "'" + text + "' is not a size such as 512MiB or 4g";
    if (*size_bytes < least)
      return "'" + text + "' is too small, at least " + format_size(least) + " are needed";
    if (*size_bytes > most)
      return "'" + text + "' is too large, at most " + format_size(most) + " are possible";
    return std::string();
  };
}

std::string is_eviction_policy(const std::string& text) {
  if (text == "noeviction" || text == kAllKeys) return "";
  return "'" + text + "' is not an eviction policy (noeviction or allkeys)";
}

std::string is_inline_replies(const std::string& text) {
  return text == "text" || text == kResp ? "" : "'" + text + "' is not text or resp";
}

std::string not_empty(const std::string& text) { return text.empty() ? "must not be empty" : ""; }

std::string yes_or_no(const std::string& text) {
  return text == "yes" || text == "no" ? "" : "'" + text + "' is not yes or no";
}

std::string is_debug_policy(const std::string& text) {
  return text == "no" || text == "local" || text == "yes" ? "" : "'" + text + "' is not no, local or yes";
}

std::string is_sync_policy(const std::string& text) {
  return parse_sync_policy(text) ? "" : "'" + text + "' is not always, everysec or no";
}

std::string is_recovery_mode(const std::string& text) {
  return text == kSalvage || text == kDetached ? "" : "'" + text + "' is not salvage or detached";
}

// A ring is mapped and counted with as a power of two.
std::string is_ring_size(const std::string& text) {
  const std::string error = size_between(kSmallestRingBytes, 1ull << 30)(text);
  if (!error.empty() || std::has_single_bit(*parse_size(text))) return error;
  return "'" + text + "' is not a power of two, as 16MiB or 64MiB";
}

std::string are_key_event_flags(const std::string& text) {
  return parse_key_event_flags(text) ? "" : "'" + text + "': only letters of Ag$lshzxeKEtmdn can be";
}

class Parser {
 public:
  explicit Parser(Options& options) : app_("memento: an in-memory key-value store", "memento") {
    add_options(options);
    add_disk_options(options);
    add_journal_options(options);
  }

  /// Returns what is wrong; empty: nothing.
  std::string parse(std::vector<std::string> arguments) {
    std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them last first
    try {
      app_.parse(arguments);
    } catch (const CLI::ParseError& error) {
      return error.what();
    }
    return "";
  }

  std::string help() const { return app_.help(); }
  bool asks(const char* flag) const { return app_.count(flag) > 0; }

  std::vector<std::string> keys() const {
    std::vector<std::string> keys;
    for (const CLI::Option* option : app_.get_options()) {
      const std::string& key = option->get_lnames().front();
      if (std::ranges::find(kCommandLineOnly, key) == std::end(kCommandLineOnly)) keys.push_back(key);
    }
    return keys;
  }

 private:
  template <class Target>
  CLI::Option* add(const std::string& names, Target& target, const Check& check, const std::string& help,
                   const char* type) {
    return app_
        .add_option_function<std::string>(
            names, [&target](const std::string& text) { assign(target, text); }, help)
        ->check(CLI::Validator(check, ""))
        ->type_name(type);
  }
  static void assign(std::string& target, const std::string& text) { target = text; }
  static void assign(EvictionPolicy& target, const std::string& text) {
    target = text == kAllKeys ? EvictionPolicy::kAllKeys : EvictionPolicy::kNoEviction;
  }
  static void assign(DebugPolicy& target, const std::string& text) {
    target = text == "yes" ? DebugPolicy::kYes : text == "local" ? DebugPolicy::kLocal : DebugPolicy::kNo;
  }
  static void assign(InlineReplies& target, const std::string& text) {
    target = text == kResp ? InlineReplies::kResp : InlineReplies::kText;
  }
  static void assign(SyncPolicy& target, const std::string& text) {
    target = parse_sync_policy(text).value_or(target);
  }
  static void assign(RecoveryMode& target, const std::string& text) {
    target = text == kSalvage ? RecoveryMode::kSalvage : RecoveryMode::kDetached;
  }
  static void assign(std::uint64_t& target, const std::string& text) {
    target = parse_size(text).value_or(target);
  }
  static void assign(bool& target, const std::string& text) { target = text == "yes"; }
  template <class Number>
  static void assign(Number& target, const std::string& text) {
    std::from_chars(text.data(), text.data() + text.size(), target);
  }

  void add_options(Options& o) {
    app_.set_help_flag("-h,--help", "Print this and exit");
    app_.add_flag("-v,--version", unused_flag_, "Print the version and exit");
    add("-a,--address", o.address, not_empty, "Address or name to listen on (127.0.0.1)", "ADDRESS")
        ->each([&o](const std::string&) { o.address_is_given = true; });
    add("-p,--port", o.port, number_between(1, 65535, "a port"), "Port (6737)", "PORT")
        ->each([&o](const std::string&) { o.port_is_given = true; });
    add("-w,--workers", o.workers, number_between(1, 128, "a number of workers"),
        "Worker processes (one per CPU)", "COUNT");
    add("-m,--memory", o.memory_bytes, size_between(kSmallestMemoryBytes, 1ull << 40),
        "Memory for all data (half of what the machine or its cgroup allows)", "SIZE");
    add("--maxmemory", o.memory_limit_bytes, size_between(0, 1ull << 40),
        "How much of --memory data may take, in bytes in use; 0: all (0)", "SIZE");
    add("-C,--config", o.config_file, not_empty, "Configuration file", "FILE");
    app_.add_flag("-d,--daemon", o.daemon, "Detach; return when the server accepts connections");
    add("-P,--pidfile", o.pid_file, not_empty, "File for the master's process id", "FILE");
    add("-l,--logfile", o.log_file, not_empty, "Log file (standard error)", "FILE");
    add("--user", o.user, not_empty, "Started as root: user that workers run as (the starting one)", "NAME");
    app_.add_flag("-t,--test", o.test_only, "Check the configuration and exit");
    add("--dir", o.directory, not_empty, "Folder of the data, on a tmpfs (/dev/shm/memento-PORT)", "FOLDER");
    app_.add_flag("--fresh", o.fresh, "Start empty; data that is there is set aside");
    add("--value-limit", o.value_limit_bytes, size_between(1, kLargestValueBytes), "Longest value (512MiB)",
        "SIZE");
    add("--eviction", o.eviction, is_eviction_policy,
        "When memory is full: noeviction refuses writes, allkeys evicts keys (noeviction)", "POLICY");
    add("--databases", o.databases, number_between(1, kLargestDatabaseCount, "a number of databases"),
        "Databases that SELECT chooses from (16)", "COUNT");
    add("--huge-pages", o.huge_pages, yes_or_no,
        "Turn memory that is in use into huge pages: yes or no (yes)", "YES|NO");
    add("--max-clients", o.max_clients, number_between(1, 1'000'000, "a number of clients"),
        "Clients served at the same time (10000)", "COUNT");
    add("--quit-timeout", o.quit_timeout_s, number_between(0, 86400, "a number of seconds"),
        "How long QUIT and an upgrade let connections finish (10)", "SECONDS");
    add("--lock-timeout", o.lock_timeout_s, number_between(1, 3600, "a number of seconds"),
        "How long a stopped worker may block others before it is killed (5)", "SECONDS");
    add("--requirepass", o.password, not_empty,
        "Password of clients; others can see a command line, so rather in a file", "PASSWORD");
    add("--requirepass-file", o.password_file, not_empty, "File whose first line is the password", "FILE");
    add("--protected-mode", o.protected_mode, yes_or_no,
        "Without a password serve only this machine: yes or no (yes)", "YES|NO");
    add("--enable-debug-command", o.debug_command, is_debug_policy,
        "Clients that may use DEBUG: no, local (on this machine) or yes (no)", "NO|LOCAL|YES");
    add("--inline-replies", o.inline_replies, is_inline_replies,
        "Reply to lines in the text protocol, or in RESP as Redis does: text or resp (text)", "PROTOCOL");
    add("--tcp-keepalive", o.tcp_keepalive_s, number_between(0, kTcpKeepaliveLimitS, "a number of seconds"),
        "Silence after which a client is asked whether it is there; 0: never (300)", "SECONDS");
    add("--timeout", o.idle_timeout_s, number_between(0, kIdleTimeoutLimitS, "a number of seconds"),
        "Idle time after which a client is closed; 0: never (0)", "SECONDS");
    add("--hz", o.background_hz, number_between(1, kBackgroundHzLimit, "a number of rounds a second"),
        "Rounds of background work a second (10)", "COUNT");
    add("--busy-reply-threshold", o.busy_after_ms,
        number_between(0, kLargestBusyAfterMs, "a number of milliseconds"),
        "How long a script runs before others are answered BUSY (5000)", "MILLISECONDS");
    add("--tracking-table-max-keys", o.tracking_key_limit,
        number_between(0, kLargestTrackingKeyLimit, "a number of keys"),
        "Keys that are remembered for clients that track them; 0: any number (1000000)", "COUNT");
    add("--slowlog-log-slower-than", o.slow_after_us,
        number_between(-1, kLargestSlowAfterUs, "a number of microseconds"),
        "Log commands that take as long in SLOWLOG; -1: none (10000)", "MICROSECONDS");
    add("--slowlog-max-len", o.slow_shown, number_between(0, kLargestSlowShown, "a number of lines"),
        "Lines that SLOWLOG shows, at most 128 for each worker (128)", "COUNT");
    add("--latency-monitor-threshold", o.latency_after_ms,
        number_between(0, kLargestLatencyAfterMs, "a number of milliseconds"),
        "Sample commands that take as long for LATENCY; 0: none (0)", "MILLISECONDS");
    add("--notify-keyspace-events", o.key_events, are_key_event_flags,
        "Events of keys that clients are told, letters of Ag$lshzxeKEtmdn with K or E among them (none)",
        "LETTERS");
    app_.add_flag("-c,--cluster", o.cluster, "Be a node of a cluster");
    add("-f,--nodes", o.nodes_file, not_empty, "Cluster: file of the nodes (~/.memento)", "FILE");
    add("-i,--name", o.node_name, not_empty, "Cluster: this node's name, whatever the file says", "NAME");
    add("--cluster-secret-file", o.cluster_secret_file, not_empty,
        "Cluster: file whose first line is the secret that all nodes have", "FILE");
    add("--cluster-timeout", o.cluster_timeout_s, number_between(1, 60, "a number of seconds"),
        "Cluster: silence after which a node counts as gone (3)", "SECONDS");
  }

  void add_disk_options(Options& o) {
    add("--data", o.data_folder, not_empty, "Folder on a disk for a journal of all data (none)", "FOLDER");
    add("--state", o.state_folder, not_empty,
        "With --data: folder that knows which data is the newest ($STATE_DIRECTORY, /var/lib/memento/PORT or "
        "~/.local/state/memento/PORT)",
        "FOLDER");
    add("--fsync", o.sync_policy, is_sync_policy,
        "With --data, when a change is on disk: always (before its reply), everysec or no (everysec)",
        "POLICY");
    add("--journal-ring", o.journal_ring_bytes, is_ring_size,
        "With --data: memory of each process for changes on their way to disk (16MiB)", "SIZE");
    add("--disk-timeout", o.disk_timeout_s,
        number_between(1, kLargestDiskTimeoutMs / 1000, "a number of seconds"),
        "With --data: silence after which the disk counts as hung (10)", "SECONDS");
    add("--stop-writes-on-disk-error", o.stops_writes_on_disk_error, yes_or_no,
        "With --data: refuse writes while the disk fails or hangs: yes or no (yes)", "YES|NO");
    add("--snapshot-rate", o.snapshot_rate_bytes, size_between(0, kLargestSnapshotRate),
        "With --data: what a snapshot writes in a second; 0: as much as it can (50MiB)", "SIZE");
    add("--save", o.save_s, number_between(0, kLargestSaveS, "a number of seconds"),
        "With --data: make a snapshot as often; 0: when the journal is longer than the data (0)", "SECONDS");
    add("--recover", o.recovery, is_recovery_mode,
        "With --data: salvage starts with what is in front of damage, detached with a copy put back", "MODE");
  }

  // What is done instead of starting a server.
  void add_journal_options(Options& o) {
    CLI::Option* const show =
        add("--show-journal", o.show_journal, not_empty,
            "Start nothing; list the journal in a folder, or in one of its files", "PATH");
    app_.add_flag("--check", o.check_journal, "With --show-journal: only say whether it is whole")
        ->needs(show);
    app_.add_flag("--cut", o.cut_journal, "With --show-journal: cut off a torn end")->needs(show);
  }

  CLI::App app_;
  bool unused_flag_ = false;  ///< asks() tells
};

// Applies one line of the file to the options; returns what is wrong with it, or nothing.
std::string apply_line(const std::string& text, const std::vector<std::string>& keys, Options& options) {
  const ConfigLine line = parse_config_line(text);
  if (line.name.empty()) return "";
  const std::string name = line.name.substr(0, line.name.find('='));
  if (std::ranges::find(keys, name) == keys.end()) return "unknown key '" + name + "'";
  if (!line.error.empty()) return line.error;
  if (line.value.empty()) return name + ": the value is empty; leave the line out for the default";
  if (name == "daemon" && line.value != "yes" && line.value != "no")
    return "daemon: '" + line.value + "' is not yes or no";
  const std::string error = Parser(options).parse({"--" + name + "=" + line.value});
  return error.starts_with("--") ? error.substr(2) : error;
}

// Applies the file. Returns all its errors, a line each, under the name that the file was given by.
std::string apply_file(const std::string& path, const std::string& folder, Options& options) {
  const std::filesystem::path place = std::filesystem::path(folder) / path;
  std::ifstream file(place);
  if (!file || std::filesystem::is_directory(place))
    return path + ": cannot be read; name a readable file with -C\n";
  const std::vector<std::string> keys = config_keys();
  std::string errors;
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    const std::string error = apply_line(line, keys, options);
    if (!error.empty()) errors += path + ":" + std::to_string(number) + ": " + error + "\n";
  }
  return errors;
}

// systemd names one for its StateDirectory=.
std::string default_state_folder(std::uint16_t port) {
  const char* const given = std::getenv("STATE_DIRECTORY");
  if (given != nullptr && *given != '\0') return given;
  const std::string name = "memento/" + std::to_string(port);
  if (geteuid() == 0) return "/var/lib/" + name;
  const char* const home = std::getenv("HOME");
  return std::string(home != nullptr ? home : "") + "/.local/state/" + name;
}

// Paths are made absolute because a daemon changes its working directory.
void make_absolute(std::string& path, const std::string& folder) {
  if (!path.empty()) path = (std::filesystem::path(folder) / path).lexically_normal();
}

void resolve(Options& options, const std::string& folder) {
  if (options.workers == 0) options.workers = std::min(usable_cpu_count(), 128u);
  if (options.memory_bytes == 0)
    options.memory_bytes = std::max(usable_memory_bytes() / 2, kSmallestMemoryBytes);
  if (options.directory.empty()) options.directory = "/dev/shm/memento-" + std::to_string(options.port);
  if (options.data_folder.empty()) {
    options.state_folder.clear();
  } else if (options.state_folder.empty()) {
    options.state_folder = default_state_folder(options.port);
  }
  options.config_path = options.config_file;
  for (std::string* path : {&options.config_path, &options.directory, &options.pid_file, &options.log_file,
                            &options.cluster_secret_file, &options.data_folder, &options.state_folder})
    make_absolute(*path, folder);
}

// Reads the cluster's nodes, and takes from them where this one listens when no option says so. Returns the
// errors.
std::string read_nodes(Options& options, const std::string& folder) {
  if (options.port > kClusterPortLimit) {
    return "memento: port " + std::to_string(options.port) +
           " leaves no room for a node's other ports; at most " + std::to_string(kClusterPortLimit) +
           " is possible with -c\n";
  }
  if (options.nodes_file.empty()) {
    const char* const home = std::getenv("HOME");
    options.nodes_file = std::string(home != nullptr ? home : "") + "/.memento";
  }
  const std::string shown = options.nodes_file;
  make_absolute(options.nodes_file, folder);
  ParsedClusterFile parsed = read_cluster_file(options.nodes_file, shown, options.node_name,
                                               options.port_is_given ? options.port : std::uint16_t{0});
  if (!parsed.errors.empty()) return parsed.errors;
  options.nodes = std::move(parsed.file);
  const ClusterNode& self = options.nodes.nodes[options.nodes.self];
  options.port = self.port();
  if (!options.address_is_given) options.address = self.address;
  return "";
}

ParsedCommandLine end(ExitStatus status, std::string text) {
  return ParsedCommandLine{{}, true, status, std::move(text)};
}

}  // namespace

std::vector<std::string> config_keys() {
  Options unused;
  return Parser(unused).keys();
}

ParsedCommandLine parse_command_line(const std::vector<std::string>& arguments, const std::string& folder) {
  Options given;
  Parser parser(given);
  const std::string error = parser.parse(arguments);
  if (parser.asks("--help")) return end(ExitStatus::kOk, parser.help());
  if (parser.asks("--version")) return end(ExitStatus::kOk, std::string("memento ") + kVersion + "\n");
  if (!error.empty())
    return end(ExitStatus::kUsage, "memento: " + error + "; memento --help lists the options\n");
  if (!given.cluster && (parser.asks("--nodes") || parser.asks("--name"))) {
    return end(ExitStatus::kUsage, "memento: -f and -i are for a node of a cluster; add -c\n");
  }
  ParsedCommandLine parsed;
  if (!given.config_file.empty()) {
    const std::string errors = apply_file(given.config_file, folder, parsed.options);
    if (!errors.empty()) return end(ExitStatus::kConfig, errors);
    Parser(parsed.options).parse(arguments);  // again, over the file's values
  } else {
    parsed.options = given;
  }
  if (parsed.options.cluster) {
    const std::string errors = read_nodes(parsed.options, folder);
    if (!errors.empty()) return end(ExitStatus::kConfig, errors);
  }
  resolve(parsed.options, folder);
  if (parsed.options.test_only) {
    const Result<std::string> password = find_password(parsed.options);
    if (!password) return end(ExitStatus::kConfig, "memento: " + password.error().message + "\n");
    if (parsed.options.cluster) {
      const Result<std::string> secret = find_cluster_secret(parsed.options);
      if (!secret) return end(ExitStatus::kConfig, "memento: " + secret.error().message + "\n");
    }
    const std::string what = given.config_file.empty() ? "command line" : given.config_file;
    return end(ExitStatus::kOk, what + ": ok\n");
  }
  return parsed;
}

}  // namespace memento
