// Changes to several keys at once by threads, with FLUSH among them: whoever looks finds them whole.
#include <algorithm>
#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/shm/keyspace/keyspace_fixture.h"

namespace memento {
namespace {

using testing::expect_sound;
using testing::get;
using testing::hashed;
using testing::make_segment;

// In one transaction all counts are of one moment, while others flush and write.
TEST(ShmKeyspaceThreads, CountsOfOneMoment) {
  auto segment = make_segment(64ull << 20);
  std::atomic<bool> over{false};
  std::vector<std::thread> threads;
  for (std::uint32_t t = 2; t < 4; ++t) {
    threads.emplace_back([&, t] {
      Keyspace keyspace(*segment, t);
      for (int i = 0; !over; ++i) {
        if (t == 2 && i % 64 == 0) keyspace.flush();
        keyspace.set(keyspace.hash("key" + std::to_string(t * 100'000 + static_cast<std::uint32_t>(i) % 500)),
                     "value");
      }
    });
  }
  Keyspace keyspace(*segment, 1);
  for (int seen = 0; seen < 200;) {
    std::vector<std::uint64_t> counts;
    const WriteStatus status = keyspace.transact_all([&] {
      counts.clear();
      for (int n = 0; n < 5; ++n) counts.push_back(keyspace.key_count());
      return false;
    });
    if (status == WriteStatus::kBusy) continue;  // five counts may take too long for locks: no result then
    ++seen;
    EXPECT_EQ(status, WriteStatus::kUnchanged);
    EXPECT_EQ(std::ranges::count(counts, counts[0]), 5);
  }
  over = true;
  for (std::thread& thread : threads) thread.join();
  expect_sound(*segment);
}

// Threads that write all keys to one value at once, whole keyspace or not, single writers and FLUSH between
// them: whoever reads several keys at one instant finds them equal.
TEST(ShmKeyspaceThreads, TransactionsAreSeenWhole) {
  auto segment = make_segment(128ull << 20);
  constexpr int kRounds = 3000;
  const std::vector<std::string> names = {"a", "b", "c", "{a}d", "e", "f"};
  std::atomic<int> running{3};
  std::vector<std::thread> threads;
  for (std::uint32_t t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      Keyspace keyspace(*segment, t + 1);
      const std::vector<HashedKey> keys = hashed(keyspace, names);
      std::mt19937_64 random(t);
      for (int i = 0; i < kRounds; ++i) {
        const std::string value(random() % 100 + 1, static_cast<char>('a' + random() % 26));
        const auto body = [&] {
          if (t == 2 && i % 16 == 0) keyspace.flush();
          for (const HashedKey& key : keys) keyspace.set(key, value);
          return true;
        };
        EXPECT_EQ(t == 2 && i % 4 == 0 ? keyspace.transact_all(body) : keyspace.transact(keys, body),
                  WriteStatus::kDone);
        EXPECT_EQ(keyspace.set(keyspace.hash("own" + std::to_string(t)), value), WriteStatus::kDone);
        if (t == 1 && i % 50 == 0) keyspace.flush();
      }
      --running;
    });
  }
  for (std::uint32_t t = 3; t < 5; ++t) {
    threads.emplace_back([&, t] {
      Keyspace keyspace(*segment, t + 1);
      const std::vector<HashedKey> keys = hashed(keyspace, names);
      while (running > 0) {
        std::vector<std::string> found;
        keyspace.read_many(
            keys, [&] { found.assign(names.size(), ""); },
            [&](std::size_t i, const EntryView* view) {
              found[i] = view != nullptr ? std::string(view->value) : "(nil)";
            });
        for (const std::string& value : found) ASSERT_EQ(value, found[0]);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  expect_sound(*segment);
}

// Who reads one key of a transaction's after the other never finds the second older than the first.
TEST(ShmKeyspaceThreads, SeparateReadsSeeNoHalfOfATransaction) {
  auto segment = make_segment(64ull << 20);
  std::atomic<bool> over{false};
  std::thread writer([&] {
    Keyspace keyspace(*segment, 1);
    const std::vector<std::string> names{"a", "b", "c", "d"};
    const std::vector<HashedKey> keys = hashed(keyspace, names);
    for (int i = 1; i <= 20'000; ++i) {
      const auto body = [&] {
        for (const HashedKey& key : keys) keyspace.set(key, std::to_string(i));
        return true;
      };
      EXPECT_EQ(i % 5 == 0 ? keyspace.transact_all(body) : keyspace.transact(keys, body), WriteStatus::kDone);
    }
    over = true;
  });
  Keyspace keyspace(*segment, 2);
  while (!over) {
    int before = 0;
    for (const char* name : {"d", "a", "c", "b", "a", "d"}) {
      std::string value = "0";
      get(keyspace, name, &value);
      ASSERT_GE(std::stoi(value), before) << name;
      before = std::stoi(value);
    }
  }
  writer.join();
  expect_sound(*segment);
}

}  // namespace
}  // namespace memento
