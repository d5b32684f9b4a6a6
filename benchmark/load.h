// Load: drives a server with a Workload from many connections and measures it.
//
// A closed loop: each connection sends a batch of `pipeline_depth` requests, waits for all their replies,
// sends the next. A request's latency is the time from its batch's send to its reply's arrival. Each thread
// runs one epoll loop over its share of the connections; all are connected before the clock starts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "benchmark/histogram.h"
#include "benchmark/workload.h"
#include "cli/client.h"
#include "shm/os/result.h"

namespace memento {

struct LoadPlan {
  Address server;
  std::size_t connection_count = 50;
  std::size_t pipeline_depth = 1;
  std::size_t request_count = 100'000;  ///< over all connections
  std::size_t thread_count = 1;
};

struct LoadResult {
  std::uint64_t reply_count = 0;
  std::uint64_t error_count = 0;
  std::string first_error;  ///< the first error reply seen, shortened
  double elapsed_s = 0;     ///< wall clock, from the first send to the last reply
  Histogram latency;        ///< nanoseconds

  double replies_per_s() const { return elapsed_s > 0 ? static_cast<double>(reply_count) / elapsed_s : 0; }
};

/// An error when a connection can't be opened or is lost, or the server stays silent for 30 seconds.
Result<LoadResult> run_load(const LoadPlan& plan, const Workload& workload);

}  // namespace memento
