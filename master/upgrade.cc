// See upgrade.h.
#include "master/upgrade.h"

#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <sstream>

#include "bus/core/cluster_state.h"
#include "conf/options.h"
#include "conf/password_source.h"
#include "conf/version.h"
#include "master/server_user.h"
#include "shm/segment.h"

namespace memento {
namespace {

constexpr const char* kCheckArgument = "--check-upgrade";
constexpr const char* kVerdict = "memento can take over";
constexpr std::int64_t kCheckLimitNs = 10'000'000'000;
constexpr std::size_t kOutputLimitBytes = 4096;

std::vector<char*> argument_pointers(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

[[noreturn]] void become_check(const Program& program, const Handover& handover, const Fd& file,
                               const Fd& output) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // its copies of the sockets must not outlive the master
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  dup2(output.get(), STDOUT_FILENO);
  dup2(output.get(), STDERR_FILENO);
  for (const int descriptor : handover.descriptors()) keep_over_exec(descriptor, true);
  keep_over_exec(file.get(), true);
  Handover::announce(file.get());
  std::vector<std::string> words{program.path, kCheckArgument};
  words.insert(words.end(), program.arguments.begin(), program.arguments.end());
  execv(program.path.c_str(), argument_pointers(words).data());
  std::fprintf(stderr, "%s\n", system_error("it cannot be executed").message.c_str());
  std::fflush(stderr);
  _exit(static_cast<int>(ExitStatus::kSystem));
}

// What the child wrote, as one line.
std::string read_output(const Fd& output) {
  std::string text(kOutputLimitBytes, '\0');
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, read(output.get(), text.data(), text.size()))));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  std::ranges::replace(text, '\n', ';');
  return text;
}

}  // namespace

std::string own_path(const std::string& start_folder) {
  const auto* name = reinterpret_cast<const char*>(getauxval(AT_EXECFN));
  return (std::filesystem::path(start_folder) / (name != nullptr ? name : "/proc/self/exe"))
      .lexically_normal();
}

Outcome UpgradeCheck::start(const Program& program, const Handover& handover) {
  path_ = program.path;
  identity_ = identity();
  if (identity_.empty()) return system_error(path_);
  const Result<Fd> file = handover.write();
  if (!file) return file.error();
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return system_error("pipe2 for the check");
  output_ = Fd(ends[0]);
  const Fd writer(ends[1]);
  const pid_t pid = fork();
  if (pid < 0) return system_error("fork for the check");
  if (pid == 0) become_check(program, handover, *file, writer);
  pid_ = pid;
  was_stopped_ = false;
  kill_at_ns_ = monotonic_time_ns() + kCheckLimitNs;
  return Done{};
}

void UpgradeCheck::stop() {
  if (pid_ == 0) return;
  was_stopped_ = true;
  kill(pid_, SIGKILL);
}

Outcome UpgradeCheck::finish(int status) {
  pid_ = 0;
  const std::string output = read_output(output_);
  output_.reset();
  const auto refuse = [](const std::string& why) { return Error{ExitStatus::kConfig, 0, why}; };
  if (was_stopped_) return refuse("its check did not end in time");
  if (WIFSIGNALED(status))
    return refuse(std::string("its check was ended by signal ") + strsignal(WTERMSIG(status)));
  if (WEXITSTATUS(status) != 0) {
    return refuse(output.empty() ? "its check ended with status " + std::to_string(WEXITSTATUS(status))
                                 : output);
  }
  if (!output.starts_with(kVerdict)) return refuse("it does not know how to take over");
  if (identity() != identity_) return refuse("the file changed while it was checked; try again");
  return Done{};
}

std::string UpgradeCheck::identity() const {
  struct stat status {};
  if (stat(path_.c_str(), &status) != 0) return "";
  std::ostringstream text;
  text << status.st_dev << ' ' << status.st_ino << ' ' << status.st_size << ' ' << status.st_mtim.tv_sec
       << ' ' << status.st_mtim.tv_nsec;
  return text.str();
}

Error exec_upgrade(const Program& program, const Handover& handover) {
  const Result<Fd> file = handover.write();
  if (!file) return file.error();
  std::vector<int> descriptors = handover.descriptors();
  descriptors.push_back(file->get());
  for (const int descriptor : descriptors) keep_over_exec(descriptor, true);
  Handover::announce(file->get());
  std::vector<std::string> words{program.path};
  words.insert(words.end(), program.arguments.begin(), program.arguments.end());
  execv(program.path.c_str(), argument_pointers(words).data());
  Error error = system_error("exec(" + program.path + ")");
  Handover::announce(-1);
  for (const int descriptor : descriptors) keep_over_exec(descriptor, false);
  return error;
}

bool asks_for_upgrade_check(const std::vector<std::string>& arguments) {
  return !arguments.empty() && arguments.front() == kCheckArgument;
}

int check_upgrade(std::vector<std::string> arguments) {
  const auto refuse = [](const Error& error) {
    std::printf("%s\n", error.message.c_str());
    return static_cast<int>(error.status);
  };
  arguments.erase(arguments.begin());
  const Result<std::optional<Handover>> received = Handover::received();
  if (!received) return refuse(received.error());
  if (!*received) {
    return refuse({ExitStatus::kUsage, 0, "--check-upgrade is for a running server that is told to upgrade"});
  }
  const Handover& handover = **received;
  const ParsedCommandLine parsed = parse_command_line(arguments, handover.start_folder);
  if (parsed.ends)
    return refuse({parsed.status == ExitStatus::kOk ? ExitStatus::kUsage : parsed.status, 0, parsed.text});
  for (const int socket : handover.sockets) {
    int listens = 0;
    socklen_t bytes = sizeof listens;
    if (getsockopt(socket, SOL_SOCKET, SO_ACCEPTCONN, &listens, &bytes) != 0 || listens == 0) {
      return refuse({ExitStatus::kRuntime, 0, "a socket of the handover does not listen"});
    }
  }
  if (parsed.options.cluster) {
    if (const auto secret = find_cluster_secret(parsed.options); !secret) return refuse(secret.error());
  }
  const auto user = ServerUser::find(handover.user);
  if (!user) return refuse(user.error());
  const RightsOf rights(*user);
  if (!rights.outcome()) return refuse(rights.outcome().error());
  const auto segment = Segment::adopt(Fd(handover.segment), handover.directory);
  if (!segment) return refuse(segment.error());
  if (parsed.options.cluster != (handover.bus_socket >= 0)) {
    return refuse({ExitStatus::kConfig, 0,
                   handover.bus_socket >= 0 ? "the running server is a cluster's node: -c is missing"
                                            : "the running server is no cluster's node: -c needs a restart"});
  }
  if (parsed.options.cluster) {
    if (const auto state = ClusterStateFile::adopt(handover.directory); !state) return refuse(state.error());
  }
  std::printf("%s: version %s\n", kVerdict, kVersion);
  return static_cast<int>(ExitStatus::kOk);
}

}  // namespace memento
