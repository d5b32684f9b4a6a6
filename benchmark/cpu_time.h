// CPU time of this process and of a server on the same machine, from /proc.
//
// A server is all its processes: those that hold the listening socket of a port, or a given one, with all
// their descendants, all their threads.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace memento {

/// User and system time of all threads of this process.
std::int64_t own_cpu_ns();

/// How many CPUs this process may use.
std::size_t own_cpu_count();

/// Processes of this machine that listen on the TCP port; empty when there are none or they may not be looked
/// into.
std::vector<pid_t> find_listeners(std::uint16_t port);

class ServerCpu {
 public:
  /// `roots` and their descendants as they are now.
  explicit ServerCpu(const std::vector<pid_t>& roots);

  /// Nothing when no process could be read.
  std::optional<std::int64_t> total_ns() const;
  const std::vector<pid_t>& processes() const { return processes_; }

 private:
  std::vector<pid_t> processes_;
};

}  // namespace memento
