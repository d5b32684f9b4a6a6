// The master's part in an upgrade: having the new binary checked and becoming it; then letting the workers of
// the old one go, and emptying their process records. See master.h.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "conf/version.h"
#include "master/master.h"
#include "shm/keyspace/keyspace.h"

namespace memento {
namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr std::int64_t kGraceMs = 2000;  // beyond the workers' own time limit

}  // namespace

void Master::begin_upgrade() {
  if (state_ != State::kRunning) return;
  if (upgrade_check_.is_running()) return log_->warning("an upgrade is being checked already");
  log_->info("Upgrade: checking " + program_.path);
  if (const Outcome started = upgrade_check_.start(program_, make_handover()); !started) {
    log_->error("upgrade refused, version " + std::string(kVersion) +
                " serves on: " + started.error().message);
  }
}

void Master::on_upgrade_check_end(int status) {
  const Outcome passed = upgrade_check_.finish(status);
  if (state_ != State::kRunning) return;
  std::string reason = program_.path + ": ";
  if (passed) {
    log_->info("Upgrade: " + program_.path + " takes over from version " + kVersion);
    reason = exec_upgrade(program_, make_handover()).message;
  } else {
    reason += passed.error().message;
  }
  log_->error("upgrade refused, version " + std::string(kVersion) + " serves on: " + reason);
}

Handover Master::make_handover() const {
  Handover handover;
  handover.start_folder = start_folder_;
  handover.directory = options_.directory;
  handover.pid_file = pid_file_.path();
  handover.user = options_.user;
  handover.address = options_.address;
  handover.port = options_.port;
  handover.start_monotonic_ms = start_ms_;
  handover.configured = configured_.text();
  handover.in_use = LiveValues::in_use(**settings_).text();
  handover.segment = segment_->descriptor();
  handover.pid_file_lock = pid_file_.descriptor();
  handover.statistics = (*settings_)->statistics.descriptor();
  handover.stuck_lock_reader = stuck_lock_reader_.get();
  handover.stuck_lock_writer = stuck_lock_writer_.get();
  for (const Fd& socket : listen_sockets_) handover.sockets.push_back(socket.get());
  for (const Fd& socket : redirect_sockets_) handover.redirect_sockets.push_back(socket.get());
  handover.bus_socket = bus_socket_.get();
  if (data_) {
    handover.data_folder = data_->folder.fd().get();
    handover.data_path = options_.data_folder;
    handover.state_path = options_.state_folder;
  }
  handover.predecessors = predecessors_;
  for (std::uint32_t i = 0; i < children_.size(); ++i) {
    if (children_[i].record == 0) continue;
    handover.predecessors.push_back(
        {children_[i].pid, children_[i].record, i, 0, false, is_bus(i), is_archiver(i)});
  }
  return handover;
}

// New worker `index` accepts connections: the old workers on its sockets are told to finish.
void Master::retire_predecessors(std::uint32_t index) {
  for (Predecessor& process : predecessors_) {
    if (!process.is_worker() || process.pid == 0 || process.kill_at_ns != 0 ||
        process.index % options_.workers != index) {
      continue;
    }
    kill(process.pid, SIGUSR2);
    process.kill_at_ns = monotonic_time_ns() + (options_.quit_timeout_s * 1000 + kGraceMs) * kNsPerMs;
  }
}

void Master::on_predecessor_end(std::size_t place, int status) {
  Predecessor& process = predecessors_[place];
  segment_->recover_process(process.record);
  (*settings_)->statistics[process.record].operations_per_second = 0;
  const bool was_killed = WIFSIGNALED(status);
  if (!process.is_cleaner) {
    const std::string kind = process.is_bus        ? "the old bus"
                             : process.is_archiver ? "the old archiver"
                                                   : "an old worker";
    const std::string name = kind + " (pid " + std::to_string(process.pid) + ") ";
    if (was_killed) {
      end_lines_.warning(*log_, name + "was killed by signal " + strsignal(WTERMSIG(status)));
    } else {
      log_->info(name + "has finished");
    }
  }
  process.pid = 0;
  if (state_ == State::kRunning && (!process.is_cleaner || was_killed)) return clean(place);
  predecessors_.erase(predecessors_.begin() + static_cast<std::ptrdiff_t>(place));
}

// Gives the memory that a dead worker's record holds back to all processes. A child does it, because that
// takes locks: the master alone kills a process that keeps a lock, and should not wait for one itself.
void Master::clean(std::size_t place) {
  Predecessor& process = predecessors_[place];
  const pid_t master = getpid();
  const pid_t pid = fork();
  if (pid == 0) become_cleaner(process.record, master);
  if (pid < 0) {
    log_->error(system_error("fork of a cleaner").message + "; the next owner of the record cleans it");
    predecessors_.erase(predecessors_.begin() + static_cast<std::ptrdiff_t>(place));
    return;
  }
  process = Predecessor{pid, process.record, process.index, 0, true};
}

void Master::become_cleaner(std::uint32_t record, pid_t master) {
  enter_child(master, "memento: cleaner", "cleaner");
  listen_sockets_.clear();
  redirect_sockets_.clear();
  bus_socket_.reset();
  ready_writer_.reset();
  Keyspace(*segment_, record).give_back();
  _exit(static_cast<int>(ExitStatus::kOk));
}

void Master::kill_late_predecessors() {
  const std::int64_t now_ns = monotonic_time_ns();
  if (upgrade_check_.is_running() && now_ns >= upgrade_check_.kill_at_ns()) upgrade_check_.stop();
  for (Predecessor& process : predecessors_) {
    if (process.kill_at_ns == 0 || now_ns < process.kill_at_ns) continue;
    kill(process.pid, SIGKILL);
    process.kill_at_ns = now_ns + kGraceMs * kNsPerMs;
  }
}

}  // namespace memento
