// The server's options: one table serves the command line and the configuration file. Master, at start and on
// HUP.
//
// The file holds `key value` lines (config_line.h), # begins a comment; keys are the long options' names. The
// command line wins.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "conf/cluster_file.h"
#include "shm/format/manifest.h"
#include "shm/os/result.h"

namespace memento {

/// When memory is full: refuse writes, or make room by evicting any keys.
enum class EvictionPolicy { kNoEviction = 0, kAllKeys = 1 };

/// Which clients may use DEBUG.
enum class DebugPolicy { kNo, kLocal, kYes };

/// What a connection that has not sent a frame of RESP is answered in.
enum class InlineReplies { kText, kResp };

/// What a start does with a data folder that is not as it was left.
enum class RecoveryMode {
  kExact,    ///< refuses it
  kSalvage,  ///< keeps what is in front of the damage
  kDetached  ///< takes it, though it is not the newest data: it was copied back, or left behind
};

inline constexpr std::uint32_t kLargestDatabaseCount = 16;

struct Options {
  std::string address = "127.0.0.1";
  bool address_is_given = false;
  std::uint16_t port = 6737;
  bool port_is_given = false;
  std::uint32_t workers = 0;             ///< resolved: one per usable CPU
  std::uint64_t memory_bytes = 0;        ///< resolved: half of what the process may use
  std::uint64_t memory_limit_bytes = 0;  ///< of them, what data may take; 0: all
  std::string directory;                 ///< resolved: /dev/shm/memento-PORT
  std::string pid_file;                  ///< empty: none
  std::string log_file;                  ///< empty: stderr
  std::string user;                      ///< of workers and bus; empty: the user who starts the server
  std::uint64_t value_limit_bytes = 512ull << 20;
  EvictionPolicy eviction = EvictionPolicy::kNoEviction;
  std::uint32_t databases = kLargestDatabaseCount;  ///< that SELECT chooses from
  bool huge_pages = true;
  int max_clients = 10000;
  int quit_timeout_s = 10;
  int lock_timeout_s = 5;
  std::string password;       ///< empty: see password_source.h
  std::string password_file;  ///< empty: none
  bool protected_mode = true;
  DebugPolicy debug_command = DebugPolicy::kNo;
  InlineReplies inline_replies = InlineReplies::kText;
  int tcp_keepalive_s = 300;                    ///< 0: off
  int idle_timeout_s = 0;                       ///< 0: clients may be idle for ever
  int background_hz = 10;                       ///< rounds of background work a second
  std::int64_t busy_after_ms = 5000;            ///< of a script's time
  std::int64_t tracking_key_limit = 1'000'000;  ///< 0: none
  std::int64_t slow_after_us = 10'000;          ///< negative: no command is logged as slow
  std::int64_t slow_shown = 128;
  std::int64_t latency_after_ms = 0;  ///< 0: nothing is sampled
  std::string key_events;             ///< letters of classes of events that clients are told; empty: none
  bool daemon = false;
  bool fresh = false;
  std::string config_file;  ///< empty: none; as given
  std::string config_path;  ///< resolved: where that is
  bool test_only = false;
  std::string data_folder;   ///< of the journal; empty: nothing is written to disk
  std::string state_folder;  ///< resolved, with data_folder: /var/lib/memento/PORT, or below the home
  SyncPolicy sync_policy = SyncPolicy::kEverySecond;
  std::uint64_t journal_ring_bytes = 16 << 20;  ///< of each process
  int disk_timeout_s = 10;
  bool stops_writes_on_disk_error = true;
  std::uint64_t snapshot_rate_bytes = 50 << 20;  ///< that one writes in a second, at most; 0: without limit
  std::int64_t save_s = 0;  ///< a snapshot as often, if anything was changed; 0: only when it is needed
  RecoveryMode recovery = RecoveryMode::kExact;
  std::string show_journal;  ///< folder or file to show instead of starting; empty: none
  bool check_journal = false;
  bool cut_journal = false;
  bool cluster = false;
  std::string nodes_file;           ///< resolved: ~/.memento
  std::string node_name;            ///< empty: the file says which node this is
  std::string cluster_secret_file;  ///< empty: none
  int cluster_timeout_s = 3;        ///< of silence, then a node counts as gone
  ClusterFile nodes;                ///< resolved, with `cluster`
};

/// What the command line came to: options to run with, or an end with this status and text.
struct ParsedCommandLine {
  Options options;
  bool ends = false;
  ExitStatus status = ExitStatus::kOk;
  std::string text;  ///< for stdout when the status is kOk, else for stderr; whole lines
};

/// Parses the command line and the file it names. A wrong command line ends with kUsage, a wrong file with
/// kConfig and a line for each error: "FILE:LINE: what is wrong". Relative paths, on the line and in the
/// file, start at `folder`.
ParsedCommandLine parse_command_line(const std::vector<std::string>& arguments, const std::string& folder);

/// Names of the keys a configuration file may hold.
std::vector<std::string> config_keys();

}  // namespace memento
