// TestServer: a real daemon of its own on a port of its own, with its files in a temporary folder; ended by
// pid.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cli/net/client.h"
#include "tests/reserved_port.h"

namespace memento::testing {

/// Calls `happened` until it is true; false when it isn't after a minute.
bool wait_until(const std::function<bool()>& happened);

/// Path of one of our programs, from $MEMENTO_BIN; an absolute path is left as it is.
std::string program(const std::string& name);

std::string read_file(const std::string& path);

/// How often the part stands in the text, without overlaps.
std::size_t count_in(const std::string& text, const std::string& part);

std::vector<pid_t> children_of(pid_t process);

/// Of a pid file; 0: there is none.
pid_t pid_in(const std::string& path);

/// Ends a detached server, which is not our child.
void end_daemon(pid_t pid);

/// A folder on a tmpfs, removed with all in it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// What a program that was run to its end left.
struct Finished {
  int status = -1;  ///< exit status, or 128 + signal
  std::string output;
  std::string errors;
};
/// Runs it in `folder`, or in ours when that is empty.
Finished run_program(const std::string& name, const std::vector<std::string>& arguments,
                     const std::string& folder = "");

class TestServer {
 public:
  /// `arguments` come after the port, folder, log file and a small memory, and win over them.
  explicit TestServer(std::vector<std::string> arguments = {}, std::string binary = "memento");
  ~TestServer();
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  /// Starts it (again) and waits until it accepts connections.
  void start();
  void signal(int number) const { kill(master_, number); }
  /// Waits for the master's end: its exit status, or 128 + signal.
  int wait();
  int stop(int number = SIGTERM) {
    signal(number);
    return wait();
  }
  /// SIGKILL to the master and each worker; the workers are gone when it returns.
  void kill_all();

  Client connect() const;
  /// One request on a connection of its own.
  std::string request(const std::string& line) const;
  /// The running workers' process ids; `count` of them are waited for.
  std::vector<pid_t> workers(std::size_t count) const;

  pid_t master() const { return master_; }
  std::uint16_t port() const { return port_.number(); }
  std::string data_folder() const { return folder_.path() + "/data"; }
  std::string log_path() const { return folder_.path() + "/log"; }
  std::string log() const { return read_file(log_path()); }
  const TemporaryFolder& folder() const { return folder_; }

 private:
  TemporaryFolder folder_;
  ReservedPort port_;
  std::vector<std::string> arguments_;
  std::string binary_;
  pid_t master_ = 0;
};

/// Waits until the log has this text.
bool log_says(const TestServer& server, const std::string& text);

/// Pid of the worker that serves this connection.
pid_t worker_of(Client& client);

}  // namespace memento::testing
