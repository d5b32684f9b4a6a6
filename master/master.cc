// See master.h. Starting, the loop, signals.
#include "master/master.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "conf/machine.h"
#include "conf/password_source.h"
#include "conf/size_text.h"
#include "conf/version.h"
#include "master/listen_socket.h"
#include "shm/format/key_events.h"
#include "shm/keyspace/keyspace.h"
#include "worker/stats/command_meter.h"

namespace memento {
namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr std::int64_t kQuitGraceMs = 2000;  // beyond the workers' own time limit
constexpr std::int64_t kHugePagePauseMs = 20;
constexpr std::int64_t kHugePageCheckMs = 1000;
constexpr rlim_t kOwnDescriptors = 192;  // at least
constexpr rlim_t kDescriptorsPerWorker =
    5;  // its listening socket; wake-up FIFOs and mailboxes, also of predecessors

// What the master does about each signal; it learns of them through one signalfd.
const int kSignals[] = {
    SIGCHLD,  // reap, repair, respawn
    SIGTERM,  // stop
    SIGINT,   // stop; the second one at once
    SIGQUIT,  // let connections finish, then stop
    SIGHUP,   // read the configuration again
    SIGUSR1,  // open the log again
    SIGUSR2,  // upgrade
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

// Keys of databases that SELECT does not choose from any more take memory, and only FLUSHALL removes them.
void warn_of_hidden_keys(Log& log, Segment& segment, std::uint32_t databases) {
  Keyspace keyspace(segment, 0);
  std::uint64_t count = 0;
  for (DatabaseId id{databases}; id < kDatabaseEnd; id = id + 1) {
    if (!segment.header().is_open(id)) continue;
    keyspace.select(id);
    count += keyspace.key_count();
  }
  if (count == 0) return;
  log.warning(
      std::to_string(count) + " keys are in databases from " + std::to_string(databases) +
      " on, which nobody can select: start with more --databases to have them, or FLUSHALL to remove them");
}

}  // namespace

int Master::run() {
  if (const Outcome started = start(); !started) {
    if (log_ && (!options_.log_file.empty() || handover_)) log_->error(started.error().message);
    signal_all(handover_ ? SIGTERM : SIGKILL);
    pid_file_.remove();
    return readiness_.failed(started.error());
  }
  awaits_data_ = data_ && is_loading();
  if (!awaits_data_) readiness_.ready();
  while (state_ == State::kRunning ? !all_given_up() : any_running()) {
    pollfd waits[] = {
        {signals_.get(), POLLIN, 0}, {ready_reader_.get(), POLLIN, 0}, {stuck_lock_reader_.get(), POLLIN, 0}};
    poll(waits, std::size(waits), wait_timeout_ms());
    on_signals();
    on_ready();
    on_stuck_locks();
    respawn_due();
    kill_late_predecessors();
    make_huge_pages();
    end_lines_.flush_due(*log_);
    if (state_ != State::kRunning && monotonic_time_ns() >= kill_at_ns_) signal_all(SIGKILL);
  }
  pid_file_.remove();
  if (load_error_) {
    log_->error(load_error_->message);
    return readiness_.failed(*load_error_);
  }
  if (state_ == State::kRunning) {
    log_->error("no worker can run with this configuration");
    return static_cast<int>(ExitStatus::kConfig);
  }
  log_->info("Stopped; the data stays in " + segment_->path());
  return static_cast<int>(ExitStatus::kOk);
}

Outcome Master::start() {
  start_ms_ = handover_ ? handover_->start_monotonic_ms : monotonic_time_ms();
  // After an upgrade it is the user of the workers that run, whatever the configuration says by now.
  Result<std::optional<ServerUser>> user = ServerUser::find(handover_ ? handover_->user : options_.user);
  if (!user) return user.error();
  user_ = std::move(*user);
  Result<Log> log = Log::open(options_.log_file, user_ ? std::optional(user_->id) : std::nullopt);
  if (!log) return log.error();
  log_ = std::move(*log);
  if (!handover_ && !options_.pid_file.empty()) {
    Result<PidFile> pid_file = PidFile::take(options_.pid_file);
    if (!pid_file) return pid_file.error();
    pid_file_ = std::move(*pid_file);
  }
  Result<Fd> signals = block_signals();
  if (!signals) return signals.error();
  signals_ = std::move(*signals);
  if (const Outcome opened = open_pipes(); !opened) return opened.error();
  Result<SharedSettings> settings = SharedSettings::create();
  if (!settings) return settings.error();
  settings_.emplace(std::move(*settings));
  take_over_statistics();
  const Result<std::string> password = find_password(options_);
  if (!password) return password.error();
  begin_live_values(*password);
  if (const Outcome opened = handover_ ? take_over() : open_all(); !opened) return opened.error();
  children_.resize(options_.workers + (options_.cluster ? 1u : 0u) + (data_ ? 1u : 0u));
  if (!handover_) {
    for (std::uint32_t i = 0; i < children_.size(); ++i) {
      if (const Outcome spawned = spawn(i); !spawned) return spawned.error();
    }
  }
  log_->info((handover_ ? std::string("Upgraded to version ") + kVersion + ", accepting"
                        : std::string("Accepting")) +
             " connections on " + socket_address_text(options_.address, options_.port) + " (" +
             std::to_string(options_.workers) + (options_.workers == 1 ? " worker, " : " workers, ") +
             format_size(options_.memory_bytes) + " of memory, data in " + segment_->path() + ")");
  if (handover_) {
    reap();  // children that ended during exec
    for (std::size_t place = predecessors_.size(); place-- > 0;) {
      if (predecessors_[place].pid == 0) clean(place);
    }
  }
  return Done{};
}

Outcome Master::open_pipes() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return system_error("pipe2 for ready workers");
  ready_reader_ = Fd(ends[0]);
  ready_writer_ = Fd(ends[1]);
  if (handover_ && handover_->stuck_lock_reader >= 0) {
    ends[0] = handover_->stuck_lock_reader;
    ends[1] = handover_->stuck_lock_writer;
  } else if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
    return system_error("pipe2 for locks that are not let go");
  }
  stuck_lock_reader_ = Fd(ends[0]);
  stuck_lock_writer_ = Fd(ends[1]);
  return Done{};
}

// The data, and then the sockets on it: nobody can connect before the data is there.
Outcome Master::open_all() {
  Result<std::vector<Fd>> sockets = bind_listen_sockets(options_.address, options_.port, options_.workers);
  if (!sockets) return sockets.error();
  listen_sockets_ = std::move(*sockets);
  if (options_.cluster) {
    if (const Outcome bound = bind_cluster_sockets(); !bound) return bound.error();
  }
  if (const Outcome opened = open_data_folders(); !opened) return opened.error();
  if (const Outcome opened = open_segment(); !opened) return opened.error();
  if (options_.cluster) {
    if (const Outcome opened = open_cluster(); !opened) return opened.error();
  }
  apply_settings();
  if (const Outcome listening = start_listening(redirect_sockets_); !listening) return listening.error();
  return start_listening(listen_sockets_);
}

Outcome Master::open_segment() {
  AttachReport report;
  if (const Outcome opened = create_or_attach_segment(&report); !opened) return opened.error();
  warn_of_the_place();
  if (!report.set_aside_message.empty()) log_->warning(report.set_aside_message);
  if (report.attached) {
    log_->info(std::to_string(report.key_count) + " keys came back in " + std::to_string(report.elapsed_ms) +
               " ms");
  }
  if (const Outcome begun = begin_data(report); !begun) return begun.error();
  huge_pages_.emplace(*segment_);  // behind what may put another segment in its place
  warn_of_hidden_keys(*log_, *segment_, options_.databases);
  return Done{};
}

Outcome Master::create_or_attach_segment(AttachReport* report) {
  if (const Outcome made = user_ ? user_->make_folder(options_.directory) : Done{}; !made)
    return made.error();
  const RightsOf rights(user_);
  if (!rights.outcome()) return rights.outcome().error();
  Result<std::unique_ptr<Segment>> segment =
      Segment::create_or_attach({options_.directory, options_.memory_bytes, options_.workers,
                                 options_.value_limit_bytes, options_.fresh},
                                report);
  if (!segment) return segment.error();
  segment_ = std::move(*segment);
  return Done{};
}

// Warns of a folder or a memory size that works, but hardly as it is meant to.
void Master::warn_of_the_place() {
  struct statfs system {};
  const bool is_known = statfs(options_.directory.c_str(), &system) == 0;
  if (is_known && system.f_type != TMPFS_MAGIC && system.f_type != RAMFS_MAGIC) {
    log_->warning("the folder " + options_.directory +
                  " is on a disk, no tmpfs: changed data is written to it all the time, which "
                  "is slow, and is yet not safe from a power cut; choose a --dir below /dev/shm");
  }
  if (const std::uint64_t usable_bytes = usable_memory_bytes(); options_.memory_bytes > usable_bytes) {
    log_->warning("the memory of " + format_size(options_.memory_bytes) + " for data is more than the " +
                  format_size(usable_bytes) +
                  " that this machine or its cgroup has: before it is full the kernel ends processes; choose "
                  "a smaller --memory");
  }
}

void Master::take_over_statistics() {
  StatisticsRecords& statistics = (*settings_)->statistics;
  if (handover_ && statistics.take_over(Fd(handover_->statistics), statistics_layout())) return;
  statistics.begin(statistics_layout());
  if (handover_) log_->info("The statistics of commands begin anew: the binary before counts others");
}

// Sets the live values at the start. Over an upgrade the values that CONFIG SET made stay.
void Master::begin_live_values(const std::string& password) {
  configured_ = LiveValues::configured(options_, password);
  LiveValues in_use = configured_;
  if (handover_) {
    configured_.read(handover_->configured);
    in_use.read(handover_->in_use);
  }
  in_use.apply(**settings_);
  if (handover_) return apply_live_values(password);
  (*settings_)->max_clients = raise_descriptor_limit();
}

void Master::apply_live_values(const std::string& password) {
  const LiveValues fresh = LiveValues::configured(options_, password);
  const int possible_clients = raise_descriptor_limit();
  fresh.apply_changes_since(configured_, **settings_);
  if (fresh.max_clients != configured_.max_clients) (*settings_)->max_clients = possible_clients;
  configured_ = fresh;
}

Outcome Master::adopt_segment() {
  const RightsOf rights(user_);
  if (!rights.outcome()) return rights.outcome().error();
  Result<std::unique_ptr<Segment>> segment = Segment::adopt(Fd(handover_->segment), handover_->directory);
  if (!segment) return segment.error();
  segment_ = std::move(*segment);
  return Done{};
}

// After exec: the files are open and the workers of the binary before this one run.
Outcome Master::take_over() {
  if (const Outcome adopted = adopt_segment(); !adopted) return adopted.error();
  huge_pages_.emplace(*segment_);
  for (const int socket : handover_->sockets) listen_sockets_.emplace_back(socket);
  if (handover_->pid_file_lock >= 0) {
    pid_file_ = PidFile::taken_over(Fd(handover_->pid_file_lock), handover_->pid_file);
  }
  predecessors_ = handover_->predecessors;
  const std::string data_folder = options_.data_folder, state_folder = options_.state_folder;
  if (const Outcome taken = take_over_data(); !taken) return taken.error();
  Options in_use = options_;
  in_use.address = handover_->address;
  in_use.port = handover_->port;
  in_use.directory = handover_->directory;
  in_use.user = handover_->user;
  in_use.pid_file = handover_->pid_file;
  in_use.cluster = handover_->bus_socket >= 0;
  in_use.memory_bytes = segment_->size_bytes();
  Options fresh = std::exchange(options_, in_use);
  fresh.data_folder = data_folder;
  fresh.state_folder = state_folder;
  const std::string waiting = changes_that_wait(fresh, true);
  if (!waiting.empty()) log_->info("Changes that need a restart: " + waiting);
  if (options_.cluster) {
    if (const Outcome taken = take_over_cluster(); !taken) return taken.error();
  }
  apply_settings();
  warn_of_hidden_keys(*log_, *segment_, options_.databases);
  if (options_.workers > listen_sockets_.size()) {
    if (const Outcome added = add_listen_sockets(listen_sockets_, options_.workers); !added)
      return added.error();
    if (options_.cluster) {
      if (const Outcome added = add_listen_sockets(redirect_sockets_, options_.workers); !added)
        return added.error();
    }
  }
  for (const std::vector<Fd>* sockets : {&listen_sockets_, &redirect_sockets_}) {
    if (sockets->empty()) continue;
    if (const Outcome steered = use_first_sockets(*sockets, options_.workers); !steered) {
      log_->warning(steered.error().message + "; workers get unequal numbers of connections");
    }
  }
  return Done{};
}

// Each client needs a descriptor in its worker, and one worker may have them all.
int Master::raise_descriptor_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  const rlim_t own = std::max(kOwnDescriptors, 64 + kDescriptorsPerWorker * options_.workers);
  const rlim_t wanted = static_cast<rlim_t>(options_.max_clients) + own;
  if (limit.rlim_cur < wanted) {
    limit.rlim_cur = std::min(limit.rlim_max, wanted);
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
  }
  (*settings_)->lowered_max_clients = 0;
  if (limit.rlim_cur >= wanted) return options_.max_clients;
  const int possible = std::max(1, static_cast<int>(limit.rlim_cur) - static_cast<int>(own));
  log_->warning("max-clients is " + std::to_string(possible) + ": the limit of open files is " +
                std::to_string(limit.rlim_cur) + " (ulimit -n, LimitNOFILE=)");
  (*settings_)->lowered_max_clients = possible;
  return possible;
}

// Applies the settings that running workers read from the segment and the live settings.
void Master::apply_settings() {
  (*settings_)->quit_timeout_ms = options_.quit_timeout_s * 1000;
  set_key_events(segment_->header(), (*settings_)->key_events);
  segment_->set_master_pipe(stuck_lock_writer_.get());
  segment_->watch_locks(getpid(), options_.lock_timeout_s * 1000);
  Keyspace keyspace(*segment_, 0);
  keyspace.set_now_ms(1);  // nothing has expired for it: it has no clients to tell of what it would remove
  LiveSettings& settings = **settings_;
  tell_latest(settings.value_limit_bytes, [&](std::int64_t bytes) {
    return keyspace.set_value_limit(static_cast<std::uint64_t>(bytes)), true;
  });
  tell_latest(settings.memory_limit_bytes, [&](std::int64_t bytes) {
    return keyspace.set_memory_limit(static_cast<std::uint64_t>(bytes)), true;
  });
  if (!tell_latest(settings.evicts, [&](std::int64_t evicts) { return keyspace.set_eviction(evicts != 0); }))
    log_->error("eviction stays off: no memory for what it keeps in mind; remove keys, then kill -HUP");
}

int Master::wait_timeout_ms() const {
  std::int64_t next_ns = state_ == State::kRunning ? INT64_MAX : kill_at_ns_;
  for (std::uint32_t i = 0; i < children_.size(); ++i) {
    if (state_ == State::kRunning && can_spawn(i)) next_ns = std::min(next_ns, children_[i].respawn_at_ns);
  }
  for (const Predecessor& process : predecessors_) {
    if (process.kill_at_ns != 0) next_ns = std::min(next_ns, process.kill_at_ns);
  }
  if (upgrade_check_.is_running()) next_ns = std::min(next_ns, upgrade_check_.kill_at_ns());
  if (state_ == State::kRunning && options_.huge_pages) next_ns = std::min(next_ns, huge_pages_at_ns_);
  if (next_ns == INT64_MAX) return -1;
  return static_cast<int>(
      std::clamp<std::int64_t>((next_ns - monotonic_time_ns()) / kNsPerMs + 1, 0, 60'000));
}

// Makes one huge page in a turn of the loop and pauses after each: signals must not wait, and others need the
// memory bus.
void Master::make_huge_pages() {
  if (state_ != State::kRunning || !options_.huge_pages || monotonic_time_ns() < huge_pages_at_ns_) return;
  const bool more = huge_pages_->advance();
  huge_pages_at_ns_ = monotonic_time_ns() + (more ? kHugePagePauseMs : kHugePageCheckMs) * kNsPerMs;
}

void Master::on_signals() {
  signalfd_siginfo signal;
  while (read(signals_.get(), &signal, sizeof signal) == sizeof signal) {
    const int number = static_cast<int>(signal.ssi_signo);
    switch (number) {
      case SIGCHLD:
        reap();
        break;
      case SIGTERM:
        stop(State::kStopping, SIGTERM, kStopPatienceMs);
        break;
      case SIGINT:
        stop(State::kStopping, SIGTERM, state_ == State::kStopping ? 0 : kStopPatienceMs);
        break;
      case SIGQUIT:
        if (state_ == State::kRunning)
          stop(State::kQuitting, SIGQUIT, options_.quit_timeout_s * 1000 + kQuitGraceMs);
        break;
      case SIGHUP:
        reload();
        break;
      case SIGUSR1:
        if (const Outcome reopened = log_->reopen(); !reopened) log_->warning(reopened.error().message);
        signal_all(SIGUSR1);
        break;
      case SIGUSR2:
        begin_upgrade();
        break;
    }
  }
}

void Master::stop(State state, int signal_number, std::int64_t patience_ms) {
  if (state_ == State::kRunning)
    log_->info(state == State::kQuitting ? "Letting connections finish" : "Stopping");
  upgrade_check_.stop();
  // Asking again can shorten the time that workers have, never lengthen it.
  const std::int64_t patience_end_ns = monotonic_time_ns() + patience_ms * kNsPerMs;
  kill_at_ns_ = state_ == State::kRunning ? patience_end_ns : std::min(kill_at_ns_, patience_end_ns);
  state_ = state;
  redirect_sockets_.clear();
  bus_socket_.reset();
  listen_sockets_.clear();  // a server that stops accepts no connections
  signal_all(signal_number);
  release_archiver();  // when no worker runs, none will end
}

}  // namespace memento
