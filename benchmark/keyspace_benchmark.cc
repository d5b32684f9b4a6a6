// keyspace_benchmark: what shm/keyspace/keyspace.h costs in-process, without sockets and parsers. `make
// bench-keyspace`.
//
// The segment is a file on tmpfs as a server's is, unlinked as soon as it is mapped. Keys have 16 bytes,
// values 32. Each figure is the median of kRepetitionCount repetitions; hashing the key is part of every
// operation.
//
//   Small/...     100,000 keys in random order, one process
//   Two/...       two processes at once, forked, against one alone: `ratio` is the cost of an operation with
//                 two over that with one (1 when they don't disturb each other), by the clock; needs two
//                 idle cores. `cpu_ratio` is the same for CPU time: without the waits for a lock, and for
//                 other programs
//   Large/...     10,000,000 keys: batches of 16 whose memory fetches overlap, as a worker makes them, and
//                 one by one
#include <benchmark/benchmark.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "benchmark/key_distribution.h"
#include "benchmark/keyspace_store.h"
#include "shm/os/mapping.h"

namespace memento {
namespace {

constexpr int kRepetitionCount = 5;
constexpr std::size_t kCachedKeyCount = 1'000;
constexpr std::size_t kLargeKeyCount = 10'000'000;
constexpr std::size_t kLargeSampleCount = 1'000'000;  ///< of the large keyspace's keys, in random order
constexpr std::size_t kBatchCount = 16;
constexpr std::size_t kForkedOperationCount = 2'000'000;

// ---- Cached: 1,000 keys, which stay in the processor's own caches. Small: 100,000 keys. One process

template <std::size_t key_count>
SmallStore& small_store() {
  static SmallStore store(key_count);
  return store;
}

template <class Operation>
void run_small(::benchmark::State& state, const KeyTexts& keys, Operation operation) {
  std::size_t index = 0;
  for ([[maybe_unused]] auto _ : state) {
    operation(keys[index]);
    if (++index == keys.count()) index = 0;
  }
}

template <std::size_t key_count>
void small_get(::benchmark::State& state) {
  SmallStore& store = small_store<key_count>();
  char buffer[kValueSizeBytes];
  std::size_t hit_count = 0;
  run_small(state, store.keys, [&](std::string_view key) {
    hit_count += get(store.keyspace, store.keyspace.hash(key), buffer) ? 1 : 0;
    ::benchmark::DoNotOptimize(buffer);
  });
  if (hit_count != static_cast<std::size_t>(state.iterations())) state.SkipWithError("a key was missing");
}

template <std::size_t key_count>
void small_miss(::benchmark::State& state) {
  SmallStore& store = small_store<key_count>();
  char buffer[kValueSizeBytes];
  std::size_t hit_count = 0;
  run_small(state, store.absent, [&](std::string_view key) {
    hit_count += get(store.keyspace, store.keyspace.hash(key), buffer) ? 1 : 0;
  });
  if (hit_count != 0) state.SkipWithError("an absent key was found");
}

template <std::size_t key_count>
void small_set_replace(::benchmark::State& state) {
  SmallStore& store = small_store<key_count>();
  run_small(state, store.keys, [&](std::string_view key) {
    ::benchmark::DoNotOptimize(store.keyspace.set(store.keyspace.hash(key), kValue));
  });
}

// With a record of each in the journal, whose reader is taken to be as fast: it needs no more than what it
// has seen every so many operations.
template <std::size_t key_count>
void small_set_journalled(::benchmark::State& state) {
  constexpr std::uint64_t kRingBytes = 16 << 20;
  constexpr std::size_t kReadEvery = 1000;
  static SmallStore store(0, kRingBytes);
  static const KeyTexts keys(shuffled_numbers(key_count));
  JournalState& journal = store.segment->process(1).journal;
  std::size_t count = 0;
  const auto read = [&] { journal.heads[0].store(journal.tail.load()); };
  for (std::size_t i = 0; i < key_count; ++i) {
    if (i % kReadEvery == 0) read();
    if (store.keyspace.set(store.keyspace.hash(keys[i]), kValue) != WriteStatus::kDone)
      give_up("out of memory");
  }
  run_small(state, keys, [&](std::string_view key) {
    if (++count % kReadEvery == 0) read();
    ::benchmark::DoNotOptimize(store.keyspace.set(store.keyspace.hash(key), kValue));
  });
}

template <std::size_t key_count>
void small_increment(::benchmark::State& state) {
  SmallStore& store = small_store<key_count>();
  run_small(state, store.numbers, [&](std::string_view key) { increment(store.keyspace, key); });
}

// ---- Two: forked processes

/// What the forked processes and their parent share.
struct Race {
  std::atomic<std::uint32_t> ready_count{0};
  std::atomic<bool> started{false};
  std::array<std::atomic<std::int64_t>, 2> elapsed_ns{};
  std::array<std::atomic<std::int64_t>, 2> cpu_ns{};
};

std::int64_t own_cpu_ns() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<std::int64_t>(used.tv_sec) * 1'000'000'000 + used.tv_nsec;
}

/// Nanoseconds an operation took in one process, the mean.
struct Cost {
  double elapsed_ns = 0;
  double cpu_ns = 0;
};

/// What the forked processes do, and on which keys.
enum class Does { kGet, kSet, kIncrement };
enum class Keys { kAll, kOwnHalf, kZipf, kOne };
struct Forked {
  Does does;
  Keys keys;
};

/// The keys' numbers in the order a process takes them.
std::vector<std::uint32_t> order_of(Keys keys, std::size_t count, std::uint32_t process) {
  std::vector<std::uint32_t> order(count);
  if (keys == Keys::kOne) return std::vector<std::uint32_t>(1, 0);
  if (keys == Keys::kZipf) {
    KeyDistribution zipf = *KeyDistribution::parse("zipf:0.99");
    std::mt19937_64 random(kSeed + process);
    for (std::uint32_t& number : order) number = static_cast<std::uint32_t>(zipf.next(random, count));
    return order;
  }
  std::iota(order.begin(), order.end(), 0u);
  const auto half = static_cast<std::ptrdiff_t>(count / 2);
  if (process == 1) std::rotate(order.begin(), order.begin() + half, order.end());
  if (keys == Keys::kOwnHalf) order.resize(count / 2);
  return order;
}

void run_forked(const Forked& what, Segment& segment, const KeyTexts& keys, std::uint32_t process,
                Race& race) {
  cpu_set_t core;
  CPU_ZERO(&core);
  CPU_SET(process, &core);
  sched_setaffinity(0, sizeof core, &core);  // a machine with one core runs them in turn
  Keyspace keyspace(segment, 1 + process);
  keyspace.set_now_ms(wall_time_ms());
  const std::vector<std::uint32_t> order = order_of(what.keys, keys.count(), process);
  char buffer[kValueSizeBytes];
  std::size_t index = 0;
  race.ready_count.fetch_add(1);
  while (!race.started.load()) {
  }
  const std::int64_t begin_ns = monotonic_time_ns();
  const std::int64_t cpu_begin_ns = own_cpu_ns();
  for (std::size_t count = 0; count < kForkedOperationCount; ++count) {
    if (what.does == Does::kGet) {
      get(keyspace, keyspace.hash(keys[order[index]]), buffer);
      ::benchmark::DoNotOptimize(buffer);
    } else if (what.does == Does::kIncrement) {
      increment(keyspace, "counter");
    } else {
      ::benchmark::DoNotOptimize(keyspace.set(keyspace.hash(keys[order[index]]), kValue));
    }
    if (++index == order.size()) index = 0;
  }
  race.cpu_ns[process].store(own_cpu_ns() - cpu_begin_ns);
  race.elapsed_ns[process].store(monotonic_time_ns() - begin_ns);
}

/// Runs the given processes (0, 1 or both) at once.
Cost forked_cost(Forked what, SmallStore& store, const std::vector<std::uint32_t>& processes) {
  const Result<Mapping> page = Mapping::shared_memory(sizeof(Race), "what two processes tell each other");
  if (!page) give_up(page.error().message);
  Race& race = *new (page->data()) Race;
  std::vector<pid_t> children;
  for (const std::uint32_t process : processes) {
    const pid_t child = fork();
    if (child < 0) give_up(system_error("fork").message);
    if (child == 0) {
      run_forked(what, *store.segment, store.keys, process, race);
      _exit(0);
    }
    children.push_back(child);
  }
  while (race.ready_count.load() < processes.size()) sched_yield();
  race.started.store(true);
  Cost cost;
  const auto operation_count = static_cast<double>(processes.size() * kForkedOperationCount);
  for (std::size_t index = 0; index < processes.size(); ++index) {
    int status = 0;
    if (waitpid(children[index], &status, 0) < 0 || status != 0) give_up("a forked process failed");
    store.segment->recover_process(1 + processes[index]);
    cost.elapsed_ns += static_cast<double>(race.elapsed_ns[processes[index]].load()) / operation_count;
    cost.cpu_ns += static_cast<double>(race.cpu_ns[processes[index]].load()) / operation_count;
  }
  return cost;
}

void two_processes(::benchmark::State& state, Forked what) {
  // A store of its own: the forked processes take over the records that this process's keyspace would use.
  static SmallStore store;
  for ([[maybe_unused]] auto _ : state) {
    const Cost first = forked_cost(what, store, {0});
    const Cost second = forked_cost(what, store, {1});
    const Cost both = forked_cost(what, store, {0, 1});
    const double one_ns = (first.elapsed_ns + second.elapsed_ns) / 2;
    state.counters["one_ns"] = one_ns;
    state.counters["two_ns"] = both.elapsed_ns;
    state.counters["ratio"] = both.elapsed_ns / one_ns;
    state.counters["cpu_ratio"] = both.cpu_ns / ((first.cpu_ns + second.cpu_ns) / 2);
    state.SetIterationTime(both.elapsed_ns / 1e9);
  }
}

// ---- Large: 10,000,000 keys

struct LargeStore : Store {
  LargeStore() : Store(2ULL << 30U, kLargeKeyCount) {
    constexpr std::size_t kPartCount = 100'000;  // filled in parts, so that the texts take little memory
    std::vector<std::size_t> numbers(kPartCount);
    for (std::size_t begin = 0; begin < kLargeKeyCount; begin += kPartCount) {
      std::iota(numbers.begin(), numbers.end(), begin);
      fill(KeyTexts(numbers), kValue);
    }
  }

  static std::vector<std::size_t> sample() {
    std::mt19937_64 random(kSeed);
    std::uniform_int_distribution<std::size_t> any(0, kLargeKeyCount - 1);
    std::vector<std::size_t> numbers(kLargeSampleCount);
    for (std::size_t& number : numbers) number = any(random);
    return numbers;
  }
  const KeyTexts keys{sample()};
};

LargeStore& large_store() {
  static LargeStore store;
  return store;
}

void large_get(::benchmark::State& state, bool prefetches) {
  LargeStore& store = large_store();
  Keyspace& keyspace = store.keyspace;
  std::array<HashedKey, kBatchCount> batch;
  std::array<char, kBatchCount * kValueSizeBytes> buffer;
  std::size_t begin = 0;
  std::size_t hit_count = 0;
  while (state.KeepRunningBatch(kBatchCount)) {
    for (std::size_t i = 0; i < kBatchCount; ++i) {
      batch[i] = keyspace.hash(store.keys[begin + i]);
      if (prefetches) keyspace.prefetch_slot(batch[i]);
    }
    if (prefetches) {
      for (const HashedKey& key : batch) keyspace.prefetch_table(key);
      for (HashedKey& key : batch) keyspace.prefetch_entry(key);
    }
    for (std::size_t i = 0; i < kBatchCount; ++i) {
      hit_count += get(keyspace, batch[i], buffer.data() + i * kValueSizeBytes) ? 1 : 0;
    }
    ::benchmark::DoNotOptimize(buffer);
    begin += kBatchCount;
    if (begin + kBatchCount > store.keys.count()) begin = 0;
  }
  if (hit_count != static_cast<std::size_t>(state.iterations())) state.SkipWithError("a key was missing");
}

void large_set_replace(::benchmark::State& state, bool prefetches) {
  LargeStore& store = large_store();
  Keyspace& keyspace = store.keyspace;
  std::array<HashedKey, kBatchCount> batch;
  std::size_t begin = 0;
  while (state.KeepRunningBatch(kBatchCount)) {
    for (std::size_t i = 0; i < kBatchCount; ++i) {
      batch[i] = keyspace.hash(store.keys[begin + i]);
      if (prefetches) keyspace.prefetch_slot(batch[i]);
    }
    if (prefetches) {
      for (const HashedKey& key : batch) keyspace.prefetch_table(key);
      for (HashedKey& key : batch) keyspace.prefetch_entry(key);
    }
    for (const HashedKey& key : batch) ::benchmark::DoNotOptimize(keyspace.set(key, kValue));
    begin += kBatchCount;
    if (begin + kBatchCount > store.keys.count()) begin = 0;
  }
}

/// Prints medians only.
class MedianReporter : public ::benchmark::ConsoleReporter {
 public:
  MedianReporter() : ConsoleReporter(OO_Tabular) {}
  void ReportRuns(const std::vector<Run>& runs) override {
    std::vector<Run> kept;
    std::ranges::copy_if(runs, std::back_inserter(kept),
                         [](const Run& run) { return run.error_occurred || run.aggregate_name == "median"; });
    if (!kept.empty()) ConsoleReporter::ReportRuns(kept);
  }
};

void as_median(::benchmark::internal::Benchmark* benchmark) {
  benchmark->Repetitions(kRepetitionCount)->ReportAggregatesOnly();
}
void as_race(::benchmark::internal::Benchmark* benchmark) {
  as_median(benchmark);
  benchmark->Iterations(1)->UseManualTime();
}

BENCHMARK(small_get<kCachedKeyCount>)->Name("Cached/get")->Apply(as_median);
BENCHMARK(small_miss<kCachedKeyCount>)->Name("Cached/miss")->Apply(as_median);
BENCHMARK(small_set_replace<kCachedKeyCount>)->Name("Cached/set_replace")->Apply(as_median);
BENCHMARK(small_set_journalled<kCachedKeyCount>)->Name("Cached/set_journalled")->Apply(as_median);
BENCHMARK(small_increment<kCachedKeyCount>)->Name("Cached/increment")->Apply(as_median);
BENCHMARK(small_get<kSmallKeyCount>)->Name("Small/get")->Apply(as_median);
BENCHMARK(small_miss<kSmallKeyCount>)->Name("Small/miss")->Apply(as_median);
BENCHMARK(small_set_replace<kSmallKeyCount>)->Name("Small/set_replace")->Apply(as_median);
BENCHMARK(small_set_journalled<kSmallKeyCount>)->Name("Small/set_journalled")->Apply(as_median);
BENCHMARK(small_increment<kSmallKeyCount>)->Name("Small/increment")->Apply(as_median);
BENCHMARK_CAPTURE(two_processes, 1, Forked{Does::kGet, Keys::kAll})
    ->Name("Two/get_same_keys")
    ->Apply(as_race);
BENCHMARK_CAPTURE(two_processes, 2, Forked{Does::kGet, Keys::kZipf})->Name("Two/get_zipf")->Apply(as_race);
BENCHMARK_CAPTURE(two_processes, 3, Forked{Does::kGet, Keys::kOne})->Name("Two/get_one_key")->Apply(as_race);
BENCHMARK_CAPTURE(two_processes, 4, Forked{Does::kSet, Keys::kAll})
    ->Name("Two/set_same_keys")
    ->Apply(as_race);
BENCHMARK_CAPTURE(two_processes, 5, Forked{Does::kSet, Keys::kOwnHalf})
    ->Name("Two/set_different_keys")
    ->Apply(as_race);
BENCHMARK_CAPTURE(two_processes, 6, Forked{Does::kSet, Keys::kZipf})->Name("Two/set_zipf")->Apply(as_race);
BENCHMARK_CAPTURE(two_processes, 7, Forked{Does::kIncrement, Keys::kOne})
    ->Name("Two/increment_one_key")
    ->Apply(as_race);
BENCHMARK_CAPTURE(large_get, 1, false)->Name("Large/get_one_by_one")->Apply(as_median);
BENCHMARK_CAPTURE(large_get, 2, true)->Name("Large/get_batch16")->Apply(as_median);
BENCHMARK_CAPTURE(large_set_replace, 1, false)->Name("Large/set_one_by_one")->Apply(as_median);
BENCHMARK_CAPTURE(large_set_replace, 2, true)->Name("Large/set_batch16")->Apply(as_median);

}  // namespace
}  // namespace memento

int main(int argc, char** argv) {
  ::benchmark::Initialize(&argc, argv);
  if (::benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  memento::MedianReporter reporter;
  ::benchmark::RunSpecifiedBenchmarks(&reporter);
  ::benchmark::Shutdown();
  return 0;
}
