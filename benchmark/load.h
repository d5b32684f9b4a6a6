// Load: drives a server with a Workload from many connections and measures it. Each thread runs one epoll
// loop over its share of the connections (load_loop.h); all are connected before the clock starts.
//
// Closed loop: each connection sends a batch of `pipeline_depth` requests, waits for all their replies, sends
// the next. A latency is the time from the batch's send to the reply. A server that stalls is asked less, and
// what would have come meanwhile is not in the latencies.
//
// Open loop (rate_per_s > 0): batches fall due evenly spaced, whatever the replies do. A latency is the time
// from when the request was due to its reply, so a stall counts for each request that fell into it
// (coordinated omission is corrected); the time from its actual send is kept beside it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "benchmark/cpu_time.h"
#include "benchmark/histogram.h"
#include "benchmark/workload.h"
#include "cli/net/client.h"
#include "shm/os/result.h"

namespace memento {

struct LoadPlan {
  Address server;
  ServerProtocol protocol = ServerProtocol::kText;
  std::string password;  ///< empty: none is given
  std::size_t connection_count = 50;
  std::size_t pipeline_depth = 1;
  std::size_t thread_count = 1;
  std::size_t request_count = 100'000;  ///< measured ones, over all connections; 0: until duration_ns
  std::int64_t warmup_ns = 0;           ///< of load before the measurement
  std::int64_t duration_ns = 0;         ///< of the measurement; 0: until request_count
  double rate_per_s = 0;                ///< requests; 0: closed loop
  bool verifies = false;        ///< REQUIRES: the workload is partitioned by connections and verifiable
  bool may_expire = false;      ///< a value that is gone is no mismatch
  bool shows_progress = false;  ///< a line each second on stderr
  std::vector<pid_t> server_processes;  ///< whose CPU time is measured, with their descendants'
};

struct LoadResult {
  std::uint64_t reply_count = 0;
  std::uint64_t error_count = 0;
  std::string first_error;  ///< the first error reply seen, shortened
  std::uint64_t miss_count = 0;
  std::uint64_t mismatch_count = 0;
  std::string first_mismatch;
  std::uint64_t unsent_count = 0;  ///< open loop: fell due and could not be sent, not even a second late
  std::uint64_t sent_bytes = 0;
  std::uint64_t received_bytes = 0;
  double elapsed_s = 0;         ///< wall clock, from the first measured send to the last reply
  Histogram latency;            ///< nanoseconds; open loop: from when the request was due
  Histogram service_latency;    ///< open loop only: from when it was sent
  double client_cpu_share = 0;  ///< of the CPUs its threads could use; 1: the client is the limit
  std::optional<double> server_cpu_ns_per_reply;

  double replies_per_s() const { return elapsed_s > 0 ? static_cast<double>(reply_count) / elapsed_s : 0; }
  double bytes_per_s() const {
    return elapsed_s > 0 ? static_cast<double>(sent_bytes + received_bytes) / elapsed_s : 0;
  }
};

/// An error when a connection can't be opened or is lost, when the server answers in another protocol, or
/// stays silent for 30 seconds. The workload changes when the plan verifies.
Result<LoadResult> run_load(const LoadPlan& plan, Workload& workload);

}  // namespace memento
