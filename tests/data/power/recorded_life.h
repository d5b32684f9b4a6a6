// RecordedLife: a server with a data folder, from its start on what a disk holds to the death of all of its
// processes; clients change what it has, the disk fails now and then, archivers die. All that it asked of the
// disk is logged, so that any moment of it can be the one at which the power is lost.
#pragma once

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/data/data_server.h"
#include "tests/data/disk_control.h"
#include "tests/data/power/disk_log.h"
#include "tests/data/power/disk_model.h"
#include "tests/data/power/recorded_client.h"

namespace memento::testing {

struct LifePlan {
  bool always = true;  ///< the policy; else everysec
  std::uint64_t seed = 0;
  int events = 6;
  std::string base;  ///< folder with the disk it starts on, which is moved away; empty: it is empty
  std::vector<DataItems> holds;  ///< what that disk holds, by database
  bool has_memory = false;       ///< memory holds that instead, and there was no disk
};

class RecordedLife {
 public:
  /// Lives, to the end.
  explicit RecordedLife(LifePlan plan);

  const LifePlan& plan() const { return plan_; }
  const DiskLog& log() const { return log_; }
  /// In front of this record the disk may have had nothing yet of what was in memory.
  std::uint64_t ready_at() const { return ready_at_; }
  const DiskModel& base() const { return *base_; }
  const std::vector<std::unique_ptr<RecordedClient>>& clients() const { return clients_; }

 private:
  void begin();
  void live(std::mt19937_64& random);
  enum class End { kClean, kKilled, kOnBadDisk };  ///< the latter: killed while no sync succeeds
  void let_clients_run(std::mt19937_64& random, End end);
  void fill_memory();
  void await_readiness();
  std::vector<std::string> arguments() const;
  void event(std::mt19937_64& random);
  void fail_once(std::atomic<int>& error);
  void kill_archiver();
  void await_snapshot();
  std::string root() const { return data_->root(); }

  const LifePlan plan_;
  const TemporaryFolder outer_;
  DiskLog log_;
  std::unique_ptr<DiskControl> disk_;
  std::unique_ptr<DataServer> data_;
  std::unique_ptr<DiskModel> base_;
  std::vector<std::unique_ptr<RecordedClient>> clients_;
  std::uint64_t ready_at_ = 0;
};

/// What a running server has, by database; by asking it.
std::vector<DataItems> contents_of(const TestServer& server);

}  // namespace memento::testing
