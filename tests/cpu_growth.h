// How the cost of something grows with its size: what tests of algorithms measure instead of times.
#pragma once

#include <time.h>

#include <algorithm>
#include <cstdint>

namespace memento::testing {

/// Of this thread, so that what else runs on the machine does not count.
inline std::int64_t thread_cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * 1'000'000'000ll + now.tv_nsec;
}

/// Sizes that are so many times each other are compared: far enough apart that caches do not hide what grows.
inline constexpr std::size_t kGrowth = 16;
/// What cpu_growth() stays below when the cost grows with the size, caches and all; with its square it would
/// be 256.
inline constexpr double kClearlyBelowQuadratic = 64;
/// The same when the cost does not depend on the size.
inline constexpr double kClearlyBelowLinear = 6;

/// run(size) costs so many times as much for kGrowth * size as for size: of the cheapest of several runs
/// each, in turns.
template <class Run>
double cpu_growth(std::size_t size, Run&& run) {
  constexpr int kRounds = 3;
  constexpr std::int64_t kNoiseNs =
      100'000;  // what is below can be anything: a page fault, a cache that was cold
  std::int64_t small_ns = INT64_MAX;
  std::int64_t large_ns = INT64_MAX;
  const auto measure = [&](std::size_t its_size) {
    const std::int64_t begin_ns = thread_cpu_ns();
    run(its_size);
    return thread_cpu_ns() - begin_ns;
  };
  for (int round = 0; round < kRounds; ++round) {
    small_ns = std::min(small_ns, measure(size));
    large_ns = std::min(large_ns, measure(kGrowth * size));
    if (large_ns < 4 * kNoiseNs) break;
  }
  return static_cast<double>(large_ns) / static_cast<double>(std::max(small_ns, kNoiseNs));
}

}  // namespace memento::testing
