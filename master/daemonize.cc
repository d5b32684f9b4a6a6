// See daemonize.h. What goes through the pipe: a byte with the exit status, then the message.
#include "master/daemonize.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace memento {
namespace {

[[noreturn]] void await_server(const Fd& pipe) {
  std::string report;
  char bytes[512];
  ssize_t got = 0;
  while ((got = read(pipe.get(), bytes, sizeof bytes)) > 0 || (got < 0 && errno == EINTR)) {
    if (got > 0) report.append(bytes, static_cast<std::size_t>(got));
    if (!report.empty() && report[0] == 0) _exit(0);
  }
  if (report.empty())
    report = std::string(1, static_cast<char>(ExitStatus::kRuntime)) + "the server died while it started";
  std::fprintf(stderr, "memento: %s\n", report.c_str() + 1);
  _exit(static_cast<unsigned char>(report[0]));
}

}  // namespace

void drop_terminal() {
  const Fd nowhere(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!nowhere) return;
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(nowhere.get(), stream);
}

Result<Readiness> daemonize() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return system_error("pipe2 for the start of the daemon");
  Fd reader(ends[0]);
  Fd writer(ends[1]);
  const pid_t child = fork();
  if (child < 0) return system_error("fork of the daemon");
  if (child > 0) {
    writer.reset();
    waitpid(child, nullptr, 0);
    await_server(reader);
  }
  setsid();
  // A process that leads no session never gets a terminal back.
  const pid_t server = fork();
  if (server != 0) _exit(server > 0 ? 0 : 1);
  if (chdir("/") != 0) return system_error("chdir(/) of the daemon");
  umask(027);
  return Readiness(std::move(writer));
}

void Readiness::report(ExitStatus status, const std::string& message) {
  const std::string text = static_cast<char>(status) + message;
  [[maybe_unused]] const ssize_t written = write(pipe_.get(), text.data(), text.size());
  pipe_.reset();
}

void Readiness::ready() {
  if (!pipe_) return;
  report(ExitStatus::kOk, "");
  drop_terminal();
}

int Readiness::failed(const Error& error) {
  if (pipe_) {
    report(error.status, error.message);
  } else {
    std::fprintf(stderr, "memento: %s\n", error.message.c_str());
  }
  return static_cast<int>(error.status);
}

}  // namespace memento
