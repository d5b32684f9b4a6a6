// Master: takes the pid file, creates or attaches the segment, opens the listening sockets, forks the
// workers, reaps and repairs, respawns, handles signals, and on USR2 becomes another binary (upgrade.h). It
// serves no client. It takes a lock in the segment only to repair the record of a dead child, and to allocate
// what eviction needs when that is switched on. Runs in the process that main() started (or its daemon).
//
// Invariants: the master has one thread; worker i serves listening socket i, and i + count, and so on; a
// process record has one owner, or none; a worker's replacement has the worker's record and sockets. A
// cluster's node has one child more, behind them: the bus; and one
// whose data goes to disk another one, the last: the archiver.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bus/core/cluster_state.h"
#include "conf/live_settings.h"
#include "conf/live_values.h"
#include "conf/log.h"
#include "conf/log_limiter.h"
#include "conf/options.h"
#include "master/daemonize.h"
#include "master/handover.h"
#include "master/pid_file.h"
#include "master/server_user.h"
#include "master/upgrade.h"
#include "shm/archive/binding.h"
#include "shm/archive/data_start.h"
#include "shm/archive/journal_folder.h"
#include "shm/arena/huge_pages.h"
#include "shm/commit/robust_lock.h"
#include "shm/os/clock.h"
#include "shm/os/fd.h"
#include "shm/segment.h"

namespace memento {

class Master {
 public:
  /// `program`: exec'd on USR2; its command line is parsed again on HUP, with relative paths from
  /// `start_folder`. `handover`: what the binary before this one left, if one did.
  Master(Options options, Program program, std::string start_folder, Readiness readiness,
         std::optional<Handover> handover)
      : options_(std::move(options)),
        program_(std::move(program)),
        start_folder_(std::move(start_folder)),
        readiness_(std::move(readiness)),
        handover_(std::move(handover)) {}

  /// Serves until told to stop; the exit status.
  int run();

 private:
  struct Child {
    pid_t pid = 0;             ///< 0: not running
    std::uint32_t record = 0;  ///< 0: none yet
    bool is_ready = false;     ///< accepts connections
    std::int64_t started_ns = 0;
    int failures = 0;                ///< in a row, each soon after its start and by its own fault
    std::int64_t respawn_at_ns = 0;  ///< when pid is 0
    bool given_up = false;           ///< ended with kConfig
  };
  enum class State { kRunning, kStopping, kQuitting };
  static constexpr std::int64_t kStopPatienceMs = 5000;

  // master.cc: start, the loop, signals
  Outcome start();
  Outcome open_all();
  Outcome open_segment();
  Outcome create_or_attach_segment(AttachReport* report);
  Outcome adopt_segment();
  Outcome open_pipes();
  void warn_of_the_place();
  Outcome take_over();
  void take_over_statistics();
  void begin_live_values(const std::string& password);
  /// Applies the settings that CONFIG SET changes too, but only those that changed in the configuration since
  /// it was last read.
  void apply_live_values(const std::string& password);
  /// Raises the limit of open files for options_.max_clients; returns how many clients it allows.
  int raise_descriptor_limit();
  void apply_settings();
  int wait_timeout_ms() const;
  void on_signals();
  void reload();
  std::string changes_that_wait(const Options& fresh, bool after_upgrade) const;
  void stop(State state, int signal_number, std::int64_t patience_ms);

  // cluster.cc: a cluster's node
  Outcome bind_cluster_sockets();
  Outcome open_cluster();
  Outcome take_over_cluster();
  Outcome adopt_cluster_state();
  bool is_bus(std::uint32_t index) const { return options_.cluster && index == options_.workers; }
  /// Ends the bus when the server is stopping and no worker is left.
  void release_bus();
  [[noreturn]] void become_bus(pid_t master);

  // data.cc: the data on disk
  Outcome open_data_folders();
  Outcome take_over_data();
  FoundData look_at_data(const std::optional<Manifest>& manifest, bool is_attached);
  Outcome begin_data(const AttachReport& report);
  Outcome set_segment_aside();
  Outcome prepare_segment(DataStart start, const Manifest& manifest);
  bool has_unread_records();
  Outcome forget_data();
  bool is_archiver(std::uint32_t index) const { return data_ && index + 1 == children_.size(); }
  bool is_loading() const { return segment_->header().disk.is_loading(); }
  void on_archiver_ready();
  void on_load_failure(int status);
  void release_archiver();
  std::vector<std::uint32_t> unused_records(std::size_t count) const;
  [[noreturn]] void become_archiver(pid_t master);

  // workers.cc: children
  std::string child_name(std::uint32_t index) const;
  bool has_old(bool Predecessor::*is_of_kind) const;
  bool has_worker() const;
  Outcome spawn(std::uint32_t index);
  [[noreturn]] void become_worker(std::uint32_t index, pid_t master);
  void enter_child(pid_t master, const char* name, const std::string& role);
  std::uint32_t free_record() const;
  bool can_spawn(std::uint32_t index) const;
  void reap();
  void on_child_end(std::uint32_t index, int status);
  void respawn_due();
  void on_ready();
  void make_huge_pages();
  void on_stuck_locks();
  void on_stuck_lock(const StuckLock& stuck);
  void signal_all(int signal_number);
  bool any_running() const;
  bool all_given_up() const;

  // predecessors.cc: upgrade, and what it leaves
  void begin_upgrade();
  void on_upgrade_check_end(int status);
  Handover make_handover() const;
  void retire_predecessors(std::uint32_t index);
  void on_predecessor_end(std::size_t place, int status);
  void clean(std::size_t place);
  [[noreturn]] void become_cleaner(std::uint32_t record, pid_t master);
  void kill_late_predecessors();

  Options options_;
  const Program program_;
  const std::string start_folder_;
  Readiness readiness_;
  std::optional<Handover> handover_;
  std::optional<ServerUser> user_;  ///< of the children; none: the master's own
  std::optional<Log> log_;
  PidFile pid_file_;
  Fd signals_;
  Fd ready_reader_;  ///< workers write their pids when they accept connections
  Fd ready_writer_;
  Fd stuck_lock_reader_;  ///< a process that waits in vain for a lock writes a StuckLock
  Fd stuck_lock_writer_;
  std::unique_ptr<Segment> segment_;
  std::optional<HugePages> huge_pages_;
  std::int64_t huge_pages_at_ns_ = 0;
  std::optional<SharedSettings> settings_;
  LiveValues configured_;             ///< as last read from the configuration
  std::vector<Fd> listen_sockets_;    ///< at least as many as workers
  std::vector<Fd> redirect_sockets_;  ///< of a cluster's node: as many
  Fd bus_socket_;
  std::optional<ClusterStateFile> cluster_;
  std::string cluster_secret_;
  struct DataFolders {
    JournalFolder folder;
    StateFolder state;
  };
  std::optional<DataFolders> data_;  ///< nothing: no data goes to disk
  bool awaits_data_ = false;  ///< the starting process is told that the server serves when data is loaded
  std::optional<Error> load_error_;
  std::vector<Child> children_;  ///< by worker's index
  std::vector<Predecessor> predecessors_;
  UpgradeCheck upgrade_check_;
  State state_ = State::kRunning;
  std::int64_t kill_at_ns_ = 0;  ///< when stopping: patience ends
  std::int64_t start_ms_ = 0;    ///< monotonic
  LogLimiter end_lines_{"ends of processes", 20, 1000};
};

}  // namespace memento
