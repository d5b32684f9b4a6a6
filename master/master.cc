// See master.h.
#include "master/master.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "conf/password_source.h"
#include "conf/size_text.h"
#include "master/listen_socket.h"
#include "worker/worker.h"

namespace memento {
namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr std::int64_t kYoungNs = 1000 * kNsPerMs;
constexpr std::int64_t kBackOffMs = 100;
constexpr std::int64_t kBackOffLimitMs = 5000;
constexpr std::int64_t kStopPatienceMs = 5000;
constexpr std::int64_t kQuitGraceMs = 2000;  // beyond the workers' own time limit
constexpr rlim_t kOwnDescriptors = 192;      // listening sockets of 128 workers, and a few

// What the master does about each signal; it learns of them through one signalfd.
constexpr int kSignals[] = {
    SIGCHLD,  // reap, repair, respawn
    SIGTERM,  // stop
    SIGINT,   // stop; the second one at once
    SIGQUIT,  // let connections finish, then stop
    SIGHUP,   // read the configuration again
    SIGUSR1,  // open the log again
};

Result<Fd> block_signals() {
  std::signal(SIGPIPE, SIG_IGN);
  sigset_t set;
  sigemptyset(&set);
  for (const int number : kSignals) sigaddset(&set, number);
  if (sigprocmask(SIG_BLOCK, &set, nullptr) != 0) return system_error("sigprocmask");
  Fd signals(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!signals) return system_error("signalfd");
  return signals;
}

std::string describe_end(int status) {
  if (WIFSIGNALED(status)) return std::string("was killed by signal ") + strsignal(WTERMSIG(status));
  return "ended with status " + std::to_string(WEXITSTATUS(status));
}

// Killed from outside is not a fault of the worker's own.
bool is_own_fault(int status) {
  if (WIFSIGNALED(status)) return WTERMSIG(status) != SIGKILL && WTERMSIG(status) != SIGTERM;
  return WEXITSTATUS(status) != 0;
}

}  // namespace

int Master::run() {
  if (const Outcome started = start(); !started) {
    if (log_ && !options_.log_file.empty()) log_->error(started.error().message);
    signal_workers(SIGKILL);
    pid_file_.remove();
    return readiness_.failed(started.error());
  }
  readiness_.ready();
  while (state_ == State::kRunning ? !all_given_up() : any_running()) {
    pollfd wait{signals_.get(), POLLIN, 0};
    poll(&wait, 1, wait_timeout_ms());
    on_signals();
    respawn_due();
    if (state_ != State::kRunning && monotonic_time_ns() >= kill_at_ns_) signal_workers(SIGKILL);
  }
  pid_file_.remove();
  if (state_ == State::kRunning) {
    log_->error("no worker can run with this configuration");
    return static_cast<int>(ExitStatus::kConfig);
  }
  log_->info("Stopped; the data stays in " + segment_->path());
  return static_cast<int>(ExitStatus::kOk);
}

Outcome Master::start() {
  start_ms_ = wall_time_ms();
  Result<Log> log = Log::open(options_.log_file);
  if (!log) return log.error();
  log_ = std::move(*log);
  if (!options_.pid_file.empty()) {
    Result<PidFile> pid_file = PidFile::take(options_.pid_file);
    if (!pid_file) return pid_file.error();
    pid_file_ = std::move(*pid_file);
  }
  Result<Fd> signals = block_signals();
  if (!signals) return signals.error();
  signals_ = std::move(*signals);
  Result<SharedSettings> settings = SharedSettings::create();
  if (!settings) return settings.error();
  settings_.emplace(std::move(*settings));
  const Result<std::string> password = find_password(options_);
  if (!password) return password.error();
  apply_live(*password);
  raise_descriptor_limit();
  Result<std::vector<Fd>> sockets = bind_listen_sockets(options_.address, options_.port, options_.workers);
  if (!sockets) return sockets.error();
  listen_sockets_ = std::move(*sockets);
  if (const Outcome opened = open_segment(); !opened) return opened.error();
  if (const Outcome listening = start_listening(listen_sockets_); !listening) return listening.error();
  children_.resize(options_.workers);
  for (std::uint32_t i = 0; i < options_.workers; ++i) {
    if (const Outcome spawned = spawn(i); !spawned) return spawned.error();
  }
  log_->info("Accepting connections on " + socket_address_text(options_.address, options_.port) + " (" +
             std::to_string(options_.workers) + (options_.workers == 1 ? " worker, " : " workers, ") +
             format_size(options_.memory_bytes) + " of memory, data in " + segment_->path() + ")");
  return Done{};
}

void Master::apply_live(const std::string& password) {
  (*settings_)->quit_timeout_ms = options_.quit_timeout_s * 1000;
  (*settings_)->protected_mode = options_.protected_mode;
  (*settings_)->password.set(password);
}

Outcome Master::open_segment() {
  AttachReport report;
  Result<std::unique_ptr<Segment>> segment = Segment::create_or_attach(
      {options_.directory, options_.memory_bytes, options_.workers, options_.value_limit_bytes, options_.fresh}, &report);
  if (!segment) return segment.error();
  segment_ = std::move(*segment);
  if (!report.set_aside_message.empty()) log_->warning(report.set_aside_message);
  if (report.attached) {
    log_->info(std::to_string(report.key_count) + " keys came back in " + std::to_string(report.elapsed_ms) + " ms");
  }
  return Done{};
}

// Each client needs a descriptor in its worker, and one worker may have them all.
void Master::raise_descriptor_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  const rlim_t wanted = static_cast<rlim_t>(options_.max_clients) + kOwnDescriptors;
  if (limit.rlim_cur < wanted) {
    limit.rlim_cur = std::min(limit.rlim_max, wanted);
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
  }
  if (limit.rlim_cur < wanted) {
    options_.max_clients = std::max(1, static_cast<int>(limit.rlim_cur) - static_cast<int>(kOwnDescriptors));
    log_->warning("max-clients is " + std::to_string(options_.max_clients) + ": the limit of open files is " +
                  std::to_string(limit.rlim_cur) + " (ulimit -n, LimitNOFILE=)");
  }
  (*settings_)->max_clients = options_.max_clients;
}

Outcome Master::spawn(std::uint32_t index) {
  Child& child = children_[index];
  const pid_t master = getpid();
  const pid_t pid = fork();
  if (pid < 0) return system_error("fork of a worker");
  if (pid == 0) become_worker(index, master);
  child.pid = pid;
  child.started_ns = monotonic_time_ns();
  return Done{};
}

// The child keeps the segment, the settings, the log, and its own listening socket, and drops the rest.
void Master::become_worker(std::uint32_t index, pid_t master) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);  // blocked here, read by the worker's signalfd
  if (getppid() != master) _exit(0);
  prctl(PR_SET_NAME, "memento: worker");
  for (std::uint32_t i = 0; i < listen_sockets_.size(); ++i) {
    if (i != index) listen_sockets_[i].reset();
  }
  signals_.reset();
  pid_file_.drop();
  readiness_.drop();
  if (options_.daemon) drop_terminal();
  log_->set_role("worker " + std::to_string(index));
  // _exit: what the master registered to clean up stays the master's.
  _exit(run_worker({*segment_, std::move(listen_sockets_[index]), index, index + 1, *log_, **settings_, options_,
                    start_ms_}));
}

int Master::wait_timeout_ms() const {
  std::int64_t next_ns = state_ == State::kRunning ? INT64_MAX : kill_at_ns_;
  for (const Child& child : children_) {
    if (state_ == State::kRunning && child.pid == 0 && !child.given_up) next_ns = std::min(next_ns, child.respawn_at_ns);
  }
  if (next_ns == INT64_MAX) return -1;
  return static_cast<int>(std::clamp<std::int64_t>((next_ns - monotonic_time_ns()) / kNsPerMs + 1, 0, 60'000));
}

void Master::on_signals() {
  signalfd_siginfo signal;
  while (read(signals_.get(), &signal, sizeof signal) == sizeof signal) {
    switch (signal.ssi_signo) {
      case SIGCHLD: reap(); break;
      case SIGTERM: stop(State::kStopping, SIGTERM, kStopPatienceMs); break;
      case SIGINT:
        stop(State::kStopping, SIGTERM, state_ == State::kStopping ? 0 : kStopPatienceMs);
        break;
      case SIGQUIT:
        if (state_ == State::kRunning) stop(State::kQuitting, SIGQUIT, options_.quit_timeout_s * 1000 + kQuitGraceMs);
        break;
      case SIGHUP: reload(); break;
      case SIGUSR1:
        if (const Outcome reopened = log_->reopen(); !reopened) log_->warning(reopened.error().message);
        signal_workers(SIGUSR1);
        break;
    }
  }
}

void Master::reap() {
  int status = 0;
  pid_t pid = 0;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
    for (std::uint32_t i = 0; i < children_.size(); ++i) {
      if (children_[i].pid == pid) on_child_end(i, status);
    }
  }
}

void Master::on_child_end(std::uint32_t index, int status) {
  Child& child = children_[index];
  const pid_t pid = std::exchange(child.pid, 0);
  segment_->recover_process(index + 1);
  if (state_ != State::kRunning) return;
  const std::int64_t now_ns = monotonic_time_ns();
  std::string text = "worker " + std::to_string(index) + " (pid " + std::to_string(pid) + ") " + describe_end(status);
  child.given_up = WIFEXITED(status) && WEXITSTATUS(status) == static_cast<int>(ExitStatus::kConfig);
  const bool failed_young = is_own_fault(status) && now_ns - child.started_ns < kYoungNs;
  child.failures = failed_young ? child.failures + 1 : 0;
  std::int64_t delay_ms = 0;
  if (child.failures > 1) delay_ms = std::min(kBackOffMs << std::min(child.failures - 2, 10), kBackOffLimitMs);
  child.respawn_at_ns = now_ns + delay_ms * kNsPerMs;
  if (child.given_up) {
    text += "; it is not started again";
  } else {
    text += delay_ms == 0 ? "; a new one takes over" : "; a new one starts in " + std::to_string(delay_ms) + " ms";
  }
  log_->warning(text);
}

void Master::respawn_due() {
  if (state_ != State::kRunning) return;
  const std::int64_t now_ns = monotonic_time_ns();
  for (std::uint32_t i = 0; i < children_.size(); ++i) {
    Child& child = children_[i];
    if (child.pid != 0 || child.given_up || child.respawn_at_ns > now_ns) continue;
    if (const Outcome spawned = spawn(i); !spawned) {
      log_->error(spawned.error().message);
      child.respawn_at_ns = now_ns + kBackOffMs * kNsPerMs;
    }
  }
}

// HUP. What workers read from the live settings changes at once; the rest is named.
void Master::reload() {
  const ParsedCommandLine parsed = parse_command_line(arguments_, start_folder_);
  if (parsed.ends) {
    log_->error("configuration not changed: " + parsed.text.substr(0, parsed.text.find_last_not_of('\n') + 1));
    return;
  }
  const Options& fresh = parsed.options;
  const Result<std::string> password = find_password(fresh);
  if (!password) return log_->error("configuration not changed: " + password.error().message);
  options_.max_clients = fresh.max_clients;
  options_.quit_timeout_s = fresh.quit_timeout_s;
  options_.password = fresh.password;
  options_.password_file = fresh.password_file;
  options_.protected_mode = fresh.protected_mode;
  options_.value_limit_bytes = fresh.value_limit_bytes;
  raise_descriptor_limit();
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  for (const Child& child : children_) {
    if (child.pid > 0) prlimit(child.pid, RLIMIT_NOFILE, &limit, nullptr);
  }
  apply_live(*password);
  segment_->set_value_limit(options_.value_limit_bytes);
  std::string waiting;
  const auto note = [&](bool changed, const char* key) {
    if (changed) waiting += (waiting.empty() ? "" : ", ") + std::string(key);
  };
  note(fresh.address != options_.address, "address");
  note(fresh.port != options_.port, "port");
  note(fresh.workers != options_.workers, "workers");
  note(fresh.memory_bytes != options_.memory_bytes, "memory");
  note(fresh.directory != options_.directory, "dir");
  note(fresh.log_file != options_.log_file, "logfile");
  note(fresh.pid_file != options_.pid_file, "pidfile");
  note(fresh.daemon != options_.daemon, "daemon");
  log_->info("Configuration read again" + (waiting.empty() ? "" : "; changes that need a restart: " + waiting));
}

void Master::stop(State state, int signal_number, std::int64_t patience_ms) {
  if (state_ == State::kRunning) log_->info(state == State::kQuitting ? "Letting connections finish" : "Stopping");
  // Asking again can shorten the time that workers have, never lengthen it.
  const std::int64_t patience_end_ns = monotonic_time_ns() + patience_ms * kNsPerMs;
  kill_at_ns_ = state_ == State::kRunning ? patience_end_ns : std::min(kill_at_ns_, patience_end_ns);
  state_ = state;
  listen_sockets_.clear();  // nobody connects to a server that leaves
  signal_workers(signal_number);
}

void Master::signal_workers(int signal_number) {
  for (const Child& child : children_) {
    if (child.pid > 0) kill(child.pid, signal_number);
  }
}

bool Master::any_running() const {
  return std::ranges::any_of(children_, [](const Child& child) { return child.pid != 0; });
}

bool Master::all_given_up() const {
  return std::ranges::all_of(children_, [](const Child& child) { return child.given_up; });
}

}  // namespace memento
