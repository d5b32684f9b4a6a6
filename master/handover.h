// Handover: what a master passes to the binary it execs on USR2: the open files by number, what is in use,
// and the processes that go on. It travels in a memory file whose number is in the environment. Runs in the
// master, and in the child that checks whether another binary could take over.
//
// Fields are looked up by name, so a newer binary can read an older one's handover: add fields, never change
// one.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shm/os/clock.h"
#include "shm/os/fd.h"
#include "shm/os/result.h"

namespace memento {

/// A worker that goes on under the new master, or a process record that a dead one left (pid 0).
struct Predecessor {
  pid_t pid = 0;
  std::uint32_t record = 0;     ///< its process record in the segment
  std::uint32_t index = 0;      ///< of its listening socket
  std::int64_t kill_at_ns = 0;  ///< it finishes its connections until then (monotonic clock); 0: it accepts
  bool is_cleaner = false;      ///< no worker: empties the record of one that left
  bool is_bus = false;          ///< no worker: a cluster node's bus
  bool is_archiver = false;     ///< no worker either

  bool is_worker() const { return !is_cleaner && !is_bus && !is_archiver; }
};

struct Handover {
  std::string start_folder;  ///< of relative paths on the command line
  std::string directory;     ///< of the segment
  std::string pid_file;      ///< its path; empty: none
  std::string user;          ///< of workers and bus; empty: the master's
  std::string address;       ///< as configured
  std::uint16_t port = 0;
  std::int64_t start_monotonic_ms = 0;
  std::string configured;  ///< LiveValues::text(): as read from the configuration
  std::string in_use;      ///< and as CONFIG SET left them
  int segment = -1;        ///< descriptors; the receiver makes Fds of them
  int pid_file_lock = -1;
  int statistics = -1;
  int stuck_lock_reader = -1;  ///< ends of the pipe; its old workers write into it
  int stuck_lock_writer = -1;
  std::vector<int> sockets;
  std::vector<int> redirect_sockets;  ///< of a cluster's node
  int bus_socket = -1;
  int data_folder = -1;  ///< with its lock
  std::string data_path;
  std::string state_path;
  std::vector<Predecessor> predecessors;

  /// All descriptors above.
  std::vector<int> descriptors() const;

  /// A memory file that holds all of it.
  Result<Fd> write() const;
  /// Puts the number of that file where received() finds it after exec, or takes it away (-1).
  static void announce(int file);
  /// In the process exec'd: nothing when there is no handover. The descriptors close on exec again.
  static Result<std::optional<Handover>> received();
};

/// Lets a descriptor stay open over exec, or not.
void keep_over_exec(int descriptor, bool keep);

}  // namespace memento
