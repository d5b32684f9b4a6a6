// The keyspace against std::unordered_map: a million random operations under a fake clock, and the segment
// checker at the end of each run.
#include <random>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "shm/keyspace/hash.h"
#include "tests/shm/keyspace/keyspace_fixture.h"

namespace memento {
namespace {

using testing::expect_sound;
using testing::get;
using testing::make_segment;

struct Model {
  std::string value;
  TimeMs expiry_ms = kNoExpiry;
};

std::string random_value(std::mt19937_64& random) {
  const std::uint64_t kind = random() % 100;
  const std::size_t bytes = kind < 80 ? random() % 64 : kind < 98 ? random() % 2000 : random() % 50000;
  return std::string(bytes, static_cast<char>('a' + random() % 26)) + std::to_string(random() % 1000);
}

// The keyspace and a map, and one operation on both.
class ModelRun {
 public:
  explicit ModelRun(Segment& segment) : keyspace_(segment, 1) {}

  void step() {
    if (random_() % 8 == 0) now_ += static_cast<TimeMs>(random_() % 20);
    keyspace_.set_now_ms(now_);
    const std::string key =
        "key:" + std::to_string(random_() % 5000) + std::string(random_() % 300 == 0 ? 400 : 0, 'k');
    if (const Model* const expected = find(key); expected != nullptr && has_expired(*expected))
      model_.erase(key);
    const std::uint64_t operation = random_() % 100;
    if (operation < 40) return set(key);
    if (operation < 70) return read(key);
    if (operation < 82) return erase(key);
    if (operation < 92) return append(key);
    if (operation < 98) return set_expiry(key);
    if (operation < 99 || random_() % 100 != 0) {
      keyspace_.maintain(20);
    } else {
      keyspace_.flush();
      model_.clear();
    }
  }

  void compare_all() {
    for (const auto& [key, expected] : model_) {
      if (has_expired(expected)) continue;
      std::string value;
      ASSERT_TRUE(get(keyspace_, key, &value)) << key;
      ASSERT_EQ(value, expected.value);
    }
  }

 private:
  Model* find(const std::string& key) {
    const auto at = model_.find(key);
    return at != model_.end() ? &at->second : nullptr;
  }
  bool has_expired(const Model& entry) const {
    return entry.expiry_ms != kNoExpiry && entry.expiry_ms <= now_;
  }
  static WriteStatus done_if(bool is_done) { return is_done ? WriteStatus::kDone : WriteStatus::kUnchanged; }

  void set(const std::string& key) {
    const std::string value = random_value(random_);
    SetOptions options;
    options.condition = static_cast<SetCondition>(random_() % 5 < 3 ? 0 : random_() % 3);
    options.expiry_ms = random_() % 4 == 0 ? now_ + static_cast<TimeMs>(random_() % 500) + 1 : kNoExpiry;
    const bool allowed = options.condition == SetCondition::kAlways ||
                         (options.condition == SetCondition::kIfAbsent) == (find(key) == nullptr);
    ASSERT_EQ(keyspace_.set(keyspace_.hash(key), value, options), done_if(allowed));
    if (allowed) model_[key] = Model{value, options.expiry_ms};
  }

  void read(const std::string& key) {
    std::string value;
    TimeMs expiry = 0;
    const Model* const expected = find(key);
    ASSERT_EQ(get(keyspace_, key, &value, &expiry), expected != nullptr) << key;
    if (expected == nullptr) return;
    ASSERT_EQ(value, expected->value);
    ASSERT_EQ(expiry, expected->expiry_ms);
  }

  void erase(const std::string& key) {
    ASSERT_EQ(keyspace_.erase(keyspace_.hash(key)), done_if(find(key) != nullptr));
    model_.erase(key);
  }

  void append(const std::string& key) {
    const std::string tail = random_value(random_).substr(0, 100);
    const auto add_tail = [&](const EntryView* old) {
      return old != nullptr ? Change{Change::Action::kReplace, {old->value, tail}, old->expiry_ms}
                            : Change{Change::Action::kReplace, {tail}, kNoExpiry};
    };
    ASSERT_EQ(keyspace_.update(keyspace_.hash(key), add_tail), WriteStatus::kDone);
    model_[key].value += tail;
  }

  void set_expiry(const std::string& key) {
    const TimeMs expiry = random_() % 3 == 0 ? kNoExpiry : now_ + static_cast<TimeMs>(random_() % 300) + 1;
    const auto change_expiry = [&](const EntryView* old) {
      Change change;
      if (old != nullptr) change.action = Change::Action::kSetExpiry;
      change.expiry_ms = expiry;
      return change;
    };
    Model* const expected = find(key);
    ASSERT_EQ(keyspace_.update(keyspace_.hash(key), change_expiry), done_if(expected != nullptr));
    if (expected != nullptr) expected->expiry_ms = expiry;
  }

  Keyspace keyspace_;
  std::unordered_map<std::string, Model> model_;
  std::mt19937_64 random_{42};
  TimeMs now_ = 1'800'000'000'000;
};

// Every operation does what a map with expiry does, and the segment is sound after it all.
TEST(ShmKeyspaceModel, MillionRandomOperations) {
  auto segment = make_segment(512ull << 20);
  {
    ModelRun run(*segment);
    for (int step = 0; step < 1'000'000; ++step) {
      run.step();
      ASSERT_FALSE(HasFatalFailure()) << "step " << step;
    }
    run.compare_all();
  }
  expect_sound(*segment);
}

// At the memory limit a write answers out of memory and changes nothing; deleting makes room again.
TEST(ShmKeyspaceModel, OutOfMemoryChangesNothing) {
  auto segment = make_segment(32ull << 20);
  Keyspace keyspace(*segment, 1);
  const std::string value(1000, 'v');
  int stored = 0;
  while (keyspace.set(keyspace.hash("k" + std::to_string(stored)), value) == WriteStatus::kDone) ++stored;
  ASSERT_GT(stored, 1000);
  EXPECT_EQ(keyspace.key_count(), static_cast<std::uint64_t>(stored));
  std::string read;
  for (int i = 0; i < stored; ++i)
    ASSERT_TRUE(get(keyspace, "k" + std::to_string(i), &read) && read == value);
  EXPECT_FALSE(get(keyspace, "k" + std::to_string(stored), &read));
  for (int i = 0; i < stored; i += 2)
    EXPECT_EQ(keyspace.erase(keyspace.hash("k" + std::to_string(i))), WriteStatus::kDone);
  EXPECT_EQ(keyspace.set(keyspace.hash("again"), value), WriteStatus::kDone);
  keyspace.flush();
  EXPECT_EQ(keyspace.key_count(), 0u);
  int again = 0;
  while (keyspace.set(keyspace.hash("n" + std::to_string(again)), value) == WriteStatus::kDone) ++again;
  EXPECT_GT(again, stored * 95 / 100);
  expect_sound(*segment);
}

// Values far larger than a page are stored, grown and read back whole.
TEST(ShmKeyspaceModel, LargeValues) {
  auto segment = make_segment(256ull << 20);
  Keyspace keyspace(*segment, 1);
  for (int round = 0; round < 20; ++round) {
    const std::string value(static_cast<std::size_t>(3'000'000 + round * 70'000),
                            static_cast<char>('a' + round));
    ASSERT_EQ(keyspace.set(keyspace.hash("large"), value), WriteStatus::kDone);
    ASSERT_EQ(keyspace.update(keyspace.hash("large"),
                              [&](const EntryView* old) {
                                return Change{Change::Action::kReplace, {old->value, "tail"}, kNoExpiry};
                              }),
              WriteStatus::kDone);
    std::string read;
    ASSERT_TRUE(get(keyspace, "large", &read));
    ASSERT_EQ(read, value + "tail");
  }
  expect_sound(*segment);
}

// Threads on one segment, each with its own record, all on the same few keys: every value read is one that
// was written whole, counters add up, and the segment is sound.
TEST(ShmKeyspaceThreads, SharedKeys) {
  auto segment = make_segment(128ull << 20);
  constexpr int kThreads = 4, kRounds = 20'000;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      Keyspace keyspace(*segment, static_cast<std::uint32_t>(t + 1));
      std::mt19937_64 random(static_cast<std::uint64_t>(t));
      for (int i = 0; i < kRounds; ++i) {
        const std::string key = "shared" + std::to_string(random() % 50);
        std::string value;
        if (random() % 2 == 0) {
          const std::string text(random() % 200 + 1, static_cast<char>('a' + random() % 26));
          ASSERT_EQ(keyspace.set(keyspace.hash(key), text), WriteStatus::kDone);
        } else if (random() % 8 == 0) {
          (void)keyspace.erase(keyspace.hash(key));
        } else if (get(keyspace, key, &value)) {
          ASSERT_EQ(value, std::string(value.size(), value[0]));
        }
        ASSERT_EQ(keyspace.update(keyspace.hash("counter"),
                                  [number = std::string()](const EntryView* old) mutable {
                                    number = std::to_string(
                                        old != nullptr ? std::stoll(std::string(old->value)) + 1 : 1);
                                    return Change{Change::Action::kReplace, {number}, kNoExpiry};
                                  }),
                  WriteStatus::kDone);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  Keyspace keyspace(*segment, 1);
  std::string counter;
  ASSERT_TRUE(get(keyspace, "counter", &counter));
  EXPECT_EQ(counter, std::to_string(kThreads * kRounds));
  expect_sound(*segment);
}

// CRC16-XMODEM's published check value, and slots as the Redis Cluster specification computes them.
TEST(ShmHash, Crc16AndSlots) {
  EXPECT_EQ(crc16("123456789"), 0x31c3);
  EXPECT_EQ(slot_of_key("foo"), SlotId{12182u / 2});
  EXPECT_EQ(slot_of_key("{user1000}.following"), slot_of_key("{user1000}.followers"));
  EXPECT_EQ(hash_tag("foo{}{bar}"), "foo{}{bar}");
  EXPECT_EQ(hash_tag("foo{{bar}}zap"), "{bar");
}

}  // namespace
}  // namespace memento
