// DataServer: a real server with a data folder, and what may happen to such a one. Its folders are on a
// tmpfs: the end of a machine is played by killing all processes at once and removing the segment's folder.
// What the disk itself loses is tested elsewhere.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/integration/test_server.h"

namespace memento::testing {

class DataServer {
 public:
  /// Called with the data folder in front of the first start.
  using Before = std::function<void(const std::string&)>;
  explicit DataServer(std::vector<std::string> arguments = {}, const Before& before = {});

  TestServer& server() { return server_; }
  /// Has the data folder and the state folder.
  std::string root() const { return outer_.path(); }
  std::string folder() const { return outer_.path() + "/data"; }
  std::string state_folder() const { return outer_.path() + "/state"; }

  /// All processes at once, by SIGKILL.
  void kill_all();
  /// And what was in memory.
  void lose_memory();
  /// Starts again, and waits until the data is there.
  void start();
  void reboot() {
    lose_memory();
    start();
  }
  /// Starts a server on the folders that does not come to serve: to its end.
  Finished start_refused() const;
  pid_t archiver() const;
  /// Another one than this has taken over, and has told so.
  void wait_for_archiver(pid_t other_than) const;

 private:
  TemporaryFolder outer_;
  TestServer server_;
};

/// How many files in the folder have names that begin so.
std::size_t files_like(const std::string& folder, const std::string& prefix);

/// A request with arguments of any bytes, and its reply as text.
std::string ask(const TestServer& server, const std::vector<std::string>& words);

/// The server answers, and has its data.
bool is_serving(const TestServer& server);

}  // namespace memento::testing
