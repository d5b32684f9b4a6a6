// See terminal.h.
#include "tests/cli/terminal.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "shm/os/clock.h"
#include "tests/integration/test_server.h"

namespace memento::testing {
namespace {

constexpr int kSilenceMs = 20'000;

/// Moves text from `raw` to `text` without escape sequences; what may be the beginning of one stays.
void take_text(std::string* raw, std::string* text) {
  std::size_t at = 0;
  while (at < raw->size()) {
    if ((*raw)[at] != '\x1b') {
      *text += (*raw)[at++];
      continue;
    }
    std::size_t end = at + 1;
    if (end < raw->size() && (*raw)[end] == '[') {
      ++end;
      while (end < raw->size() && ((*raw)[end] < '@' || (*raw)[end] > '~')) ++end;
    } else if (end < raw->size() && ((*raw)[end] == '(' || (*raw)[end] == ')')) {
      ++end;
    }
    if (end >= raw->size()) break;
    at = end + 1;
  }
  raw->erase(0, at);
}

}  // namespace

Terminal::Terminal(const std::string& name, std::vector<std::string> arguments, const std::string& home,
                   const std::vector<std::string>& environment) {
  std::string path = std::filesystem::absolute(program(name));
  std::vector<std::string> variables{"TERM=xterm", "HOME=" + home, "LC_ALL=C.UTF-8"};
  variables.insert(variables.end(), environment.begin(), environment.end());
  // The sanitizers' options, of which leaks to pass over are some.
  for (const std::string option : {"ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS"}) {
    if (const char* value = getenv(option.c_str()); value != nullptr)
      variables.push_back(option + "=" + value);
  }
  std::vector<char*> argv{path.data()};
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::vector<char*> envp;
  for (std::string& variable : variables) envp.push_back(variable.data());
  envp.push_back(nullptr);
  winsize size{};
  size.ws_row = 40;
  size.ws_col = 120;
  child_ = forkpty(&terminal_, nullptr, nullptr, &size);
  if (child_ == 0) {
    execve(path.c_str(), argv.data(), envp.data());
    _exit(127);
  }
}

Terminal::~Terminal() {
  if (child_ > 0) {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }
  if (terminal_ >= 0) close(terminal_);
}

void Terminal::type(const std::string& keys) {
  ASSERT_EQ(write(terminal_, keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
}

void Terminal::resize(unsigned short rows, unsigned short columns) {
  winsize size{};
  size.ws_row = rows;
  size.ws_col = columns;
  ioctl(terminal_, TIOCSWINSZ, &size);
}

bool Terminal::read_more() {
  pollfd waiting{terminal_, POLLIN, 0};
  if (poll(&waiting, 1, kSilenceMs) <= 0) return false;
  char bytes[4096];
  const ssize_t got = read(terminal_, bytes, sizeof bytes);
  if (got <= 0) return false;  // EIO: the program has ended
  raw_.append(bytes, static_cast<std::size_t>(got));
  take_text(&raw_, &output_);
  return true;
}

void Terminal::expect(const std::string& text) {
  // A screen that is redrawn again and again is never silent.
  const std::int64_t deadline_ns = monotonic_time_ns() + std::int64_t{kSilenceMs} * 1'000'000;
  while (!has_failed_) {
    const std::size_t found = output_.find(text);
    if (found != std::string::npos) {
      output_.erase(0, found + text.size());
      return;
    }
    if (monotonic_time_ns() > deadline_ns || !read_more()) {
      has_failed_ = true;
      ADD_FAILURE() << "the terminal does not show \"" << text << "\" but:\n" << output_;
      return;
    }
  }
}

int Terminal::wait() {
  if (has_failed_) return -1;
  while (read_more()) {
  }
  int status = 0;
  if (!wait_until([&] { return waitpid(child_, &status, WNOHANG) == child_; })) return -1;
  child_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace memento::testing
