// Master: takes the pid file, creates or attaches the segment, opens the listening sockets, forks the workers,
// reaps and repairs, respawns, handles signals. It serves no client and takes no slot's lock except to repair.
// Runs in the process that main() started (or its daemon).
//
// Invariants: the master has one thread; workers are its only children; worker i owns process record i + 1 and
// listening socket i, and so does its replacement.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "conf/live_settings.h"
#include "conf/log.h"
#include "conf/options.h"
#include "master/daemonize.h"
#include "master/pid_file.h"
#include "shm/os/clock.h"
#include "shm/os/fd.h"
#include "shm/segment.h"

namespace memento {

class Master {
 public:
  /// `arguments`: the command line, parsed again on HUP; its relative paths start at `start_folder`.
  Master(Options options, std::vector<std::string> arguments, std::string start_folder, Readiness readiness)
      : options_(std::move(options)),
        arguments_(std::move(arguments)),
        start_folder_(std::move(start_folder)),
        readiness_(std::move(readiness)) {}

  /// Serves until told to stop; the exit status.
  int run();

 private:
  struct Child {
    pid_t pid = 0;  ///< 0: not running
    std::int64_t started_ns = 0;
    int failures = 0;                 ///< in a row, each soon after its start and by its own fault
    std::int64_t respawn_at_ns = 0;   ///< when pid is 0
    bool given_up = false;            ///< ended with kConfig
  };
  enum class State { kRunning, kStopping, kQuitting };

  Outcome start();
  Outcome open_segment();
  /// What workers read while they run, but for the number of clients.
  void apply_live(const std::string& password);
  void raise_descriptor_limit();
  Outcome spawn(std::uint32_t index);
  [[noreturn]] void become_worker(std::uint32_t index, pid_t master);

  int wait_timeout_ms() const;
  void on_signals();
  void reap();
  void on_child_end(std::uint32_t index, int status);
  void respawn_due();
  void reload();
  void stop(State state, int signal_number, std::int64_t patience_ms);
  void signal_workers(int signal_number);
  bool any_running() const;
  bool all_given_up() const;

  Options options_;
  const std::vector<std::string> arguments_;
  const std::string start_folder_;
  Readiness readiness_;
  std::optional<Log> log_;
  PidFile pid_file_;
  Fd signals_;
  std::unique_ptr<Segment> segment_;
  std::optional<SharedSettings> settings_;
  std::vector<Fd> listen_sockets_;
  std::vector<Child> children_;
  State state_ = State::kRunning;
  std::int64_t kill_at_ns_ = 0;  ///< when stopping: patience ends
  TimeMs start_ms_ = 0;
};

}  // namespace memento
