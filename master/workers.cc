// The master's children: forking them, reaping and repairing, respawning, and killing one that blocks the
// others. See master.h.
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "master/master.h"
#include "shm/commit/robust_lock.h"
#include "shm/format/layout.h"
#include "worker/net/worker.h"

namespace memento {
namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr std::int64_t kYoungNs = 1000 * kNsPerMs;
constexpr std::int64_t kBackOffMs = 100;
constexpr std::int64_t kBackOffLimitMs = 5000;

std::string describe_end(int status) {
  if (WIFSIGNALED(status)) return std::string("was killed by signal ") + strsignal(WTERMSIG(status));
  return "ended with status " + std::to_string(WEXITSTATUS(status));
}

// A worker that was killed from outside did not fail by itself.
bool is_own_fault(int status) {
  if (WIFSIGNALED(status)) return WTERMSIG(status) != SIGKILL && WTERMSIG(status) != SIGTERM;
  return WEXITSTATUS(status) != 0;
}

}  // namespace

std::string Master::child_name(std::uint32_t index) const {
  if (is_archiver(index)) return "the archiver";
  return is_bus(index) ? "the bus" : "worker " + std::to_string(index);
}

// Of the binary before this one, and still there.
bool Master::has_old(bool Predecessor::*is_of_kind) const {
  return std::ranges::any_of(
      predecessors_, [&](const Predecessor& process) { return process.*is_of_kind && !process.is_cleaner; });
}

bool Master::has_worker() const {
  const auto is_running = [](const auto& process) { return process.pid != 0; };
  return std::any_of(children_.begin(), children_.begin() + options_.workers, is_running) ||
         std::ranges::any_of(predecessors_, [](const Predecessor& process) {
           return process.is_worker() && process.pid != 0;
         });
}

Outcome Master::spawn(std::uint32_t index) {
  Child& child = children_[index];
  if (child.record == 0) child.record = free_record();
  if (!segment_->open_process(child.record)) return system_error("fallocate of a process's record");
  (*settings_)->statistics.use(child.record);
  const pid_t master = getpid();
  const pid_t pid = fork();
  if (pid < 0) return system_error("fork of " + child_name(index));
  if (pid == 0 && is_bus(index)) become_bus(master);
  if (pid == 0 && is_archiver(index)) become_archiver(master);
  if (pid == 0) become_worker(index, master);
  child.pid = pid;
  child.is_ready = false;
  child.started_ns = monotonic_time_ns();
  return Done{};
}

// A child keeps the segment, the settings and the log; a worker also keeps its sockets and the pipe. It drops
// the rest.
void Master::enter_child(pid_t master, const char* name, const std::string& role) {
  log_->set_role(role);
  if (const Outcome became = user_ ? user_->become() : Done{}; !became) {
    log_->error(became.error().message);
    _exit(static_cast<int>(became.error().status));
  }
  prctl(PR_SET_PDEATHSIG, SIGTERM);  // after the change of user, which clears it; read from a signalfd
  if (getppid() != master) _exit(0);
  prctl(PR_SET_NAME, name);
  signals_.reset();
  ready_reader_.reset();
  stuck_lock_reader_.reset();
  pid_file_.drop();
  readiness_.drop();
  upgrade_check_ = UpgradeCheck();
  if (options_.daemon) drop_terminal();
}

void Master::become_worker(std::uint32_t index, pid_t master) {
  enter_child(master, "memento: worker", "worker " + std::to_string(index));
  const auto own_of = [&](std::vector<Fd>& all) {
    std::vector<Fd> own;
    for (std::uint32_t i = 0; i < all.size(); ++i) {
      if (i % options_.workers == index) own.push_back(std::move(all[i]));
    }
    all.clear();
    return own;
  };
  std::vector<Fd> sockets = own_of(listen_sockets_);
  std::vector<Fd> redirect_sockets = own_of(redirect_sockets_);
  bus_socket_.reset();
  // _exit, not exit: what the master registered for its own end must not run in a child.
  _exit(run_worker({*segment_, std::move(sockets), std::move(ready_writer_), index, children_[index].record,
                    *log_, **settings_, options_, start_ms_, cluster_ ? &**cluster_ : nullptr,
                    std::move(redirect_sockets)}));
}

// The first process record without an owner; 0 when all are taken.
std::uint32_t Master::free_record() const {
  for (std::uint32_t record = 1; record < kProcessLimit; ++record) {
    const auto has_it = [&](const auto& process) { return process.record == record; };
    if (std::ranges::none_of(children_, has_it) && std::ranges::none_of(predecessors_, has_it)) return record;
  }
  return 0;
}

bool Master::can_spawn(std::uint32_t index) const {
  const Child& child = children_[index];
  // A channel has one reader, and the journal one writer.
  if (is_bus(index) && has_old(&Predecessor::is_bus)) return false;
  if (is_archiver(index) && has_old(&Predecessor::is_archiver)) return false;
  return child.pid == 0 && !child.given_up && (child.record != 0 || free_record() != 0);
}

void Master::reap() {
  int status = 0;
  pid_t pid = 0;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
    const auto has_ended = [&](const auto& process) { return process.pid == pid; };
    const auto child = std::ranges::find_if(children_, has_ended);
    const auto predecessor = std::ranges::find_if(predecessors_, has_ended);
    if (child != children_.end()) {
      on_child_end(static_cast<std::uint32_t>(child - children_.begin()), status);
    } else if (predecessor != predecessors_.end()) {
      on_predecessor_end(static_cast<std::size_t>(predecessor - predecessors_.begin()), status);
    } else if (pid == upgrade_check_.pid()) {
      on_upgrade_check_end(status);
    }
  }
  release_bus();
  release_archiver();
}

void Master::on_child_end(std::uint32_t index, int status) {
  Child& child = children_[index];
  const pid_t pid = std::exchange(child.pid, 0);
  segment_->recover_process(child.record);
  if (state_ != State::kRunning) return;
  if (is_archiver(index) && is_loading()) return on_load_failure(status);
  const std::int64_t now_ns = monotonic_time_ns();
  std::string text = child_name(index) + " (pid " + std::to_string(pid) + ") " + describe_end(status);
  child.given_up = WIFEXITED(status) && WEXITSTATUS(status) == static_cast<int>(ExitStatus::kConfig);
  const bool failed_young = is_own_fault(status) && now_ns - child.started_ns < kYoungNs;
  child.failures = failed_young ? child.failures + 1 : 0;
  std::int64_t delay_ms = 0;
  if (child.failures > 1)
    delay_ms = std::min(kBackOffMs << std::min(child.failures - 2, 10), kBackOffLimitMs);
  child.respawn_at_ns = now_ns + delay_ms * kNsPerMs;
  if (child.given_up) {
    text += "; it is not started again";
  } else {
    text += delay_ms == 0 ? "; a new one takes over"
                          : "; a new one starts in " + std::to_string(delay_ms) + " ms";
  }
  end_lines_.warning(*log_, text);
}

void Master::respawn_due() {
  if (state_ != State::kRunning) return;
  const std::int64_t now_ns = monotonic_time_ns();
  for (std::uint32_t i = 0; i < children_.size(); ++i) {
    Child& child = children_[i];
    if (!can_spawn(i) || child.respawn_at_ns > now_ns) continue;
    if (const Outcome spawned = spawn(i); !spawned) {
      log_->error(spawned.error().message);
      child.respawn_at_ns = now_ns + kBackOffMs * kNsPerMs;
    }
  }
}

void Master::on_ready() {
  std::uint32_t pid = 0;
  while (read(ready_reader_.get(), &pid, sizeof pid) == sizeof pid) {
    for (std::uint32_t i = 0; i < children_.size(); ++i) {
      if (children_[i].pid != static_cast<pid_t>(pid)) continue;
      children_[i].is_ready = true;
      if (is_archiver(i)) on_archiver_ready();
      if (i < options_.workers) retire_predecessors(i);
    }
  }
}

void Master::on_stuck_locks() {
  StuckLock stuck;
  while (read(stuck_lock_reader_.get(), &stuck, sizeof stuck) == sizeof stuck) on_stuck_lock(stuck);
}

// All zero, which is no lock's: a worker's client wants the server to end (SHUTDOWN).
// Else a worker has waited in vain. The master kills the holder only if that is a child which still holds the
// lock: until the master reaps it, no other process can get its id.
void Master::on_stuck_lock(const StuckLock& stuck) {
  if (stuck.offset == 0) return stop(State::kStopping, SIGTERM, kStopPatienceMs);
  if (segment_->lock_holder(stuck.offset) != stuck.thread_id) return;
  const auto is_holder = [&](const auto& process) {
    return process.pid == static_cast<pid_t>(stuck.thread_id);
  };
  if (std::ranges::none_of(children_, is_holder) && std::ranges::none_of(predecessors_, is_holder)) return;
  kill(static_cast<pid_t>(stuck.thread_id), SIGKILL);
  log_->warning("the process with pid " + std::to_string(stuck.thread_id) +
                " kept a lock or a value that others waited for, " + std::to_string(options_.lock_timeout_s) +
                " s long, and did not run meanwhile; it is killed");
}

// The archiver ends last, by release_archiver(): what the others wrote is to be on disk.
void Master::signal_all(int signal_number) {
  const bool spares_archiver = signal_number == SIGTERM || signal_number == SIGQUIT;
  for (std::uint32_t i = 0; i < children_.size(); ++i) {
    if (children_[i].pid > 0 && !(spares_archiver && is_archiver(i))) kill(children_[i].pid, signal_number);
  }
  for (const Predecessor& process : predecessors_) {
    if (process.pid > 0 && !(spares_archiver && process.is_archiver)) kill(process.pid, signal_number);
  }
}

bool Master::any_running() const {
  return upgrade_check_.is_running() || !predecessors_.empty() ||
         std::ranges::any_of(children_, [](const Child& child) { return child.pid != 0; });
}

bool Master::all_given_up() const {
  return predecessors_.empty() && std::all_of(children_.begin(), children_.begin() + options_.workers,
                                              [](const Child& child) { return child.given_up; });
}

}  // namespace memento
