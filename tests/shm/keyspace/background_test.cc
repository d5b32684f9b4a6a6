// Background work: when all slots were looked at and none had anything to do, it rests.
#include <string>

#include "tests/shm/keyspace/keyspace_fixture.h"

namespace memento {
namespace {

using testing::expect_sound;
using testing::make_segment;

constexpr TimeMs kNow = 1'800'000'000'000;
constexpr std::int64_t kLapUs = 1'000'000'000;
constexpr std::int64_t kLongRestUs = 3'600'000'000;

class BackgroundRest : public ::testing::Test {
 protected:
  BackgroundRest() { keyspace_.set_now_ms(kNow); }
  ~BackgroundRest() override { expect_sound(*segment_); }

  void put(const std::string& key, TimeMs expiry_ms = kNoExpiry) {
    ASSERT_EQ(keyspace_.put(keyspace_.hash(key), "value", expiry_ms), WriteStatus::kDone);
  }
  void tend(std::int64_t rest_us) { keyspace_.maintain(kLapUs, true, {}, rest_us); }

  std::unique_ptr<Segment> segment_ = make_segment(64ull << 20);
  Keyspace keyspace_{*segment_, 1};
};

// Shows that a key which expired behind such a lap is removed when the rest is over, not before.
TEST_F(BackgroundRest, FollowsALapThatFoundNothing) {
  put("a");
  tend(kLongRestUs);
  put("b", kNow + 1);
  keyspace_.set_now_ms(kNow + 2);
  tend(kLongRestUs);
  EXPECT_EQ(keyspace_.key_count(), 2u);
  tend(0);
  EXPECT_EQ(keyspace_.key_count(), 1u);
  EXPECT_EQ(keyspace_.counter_sum(Counter::kExpired), 1u);
}

// Shows that there is none as long as a key has an expiry: it goes when its time has come.
TEST_F(BackgroundRest, NotWhileKeysExpire) {
  put("b", kNow + 1);
  tend(kLongRestUs);
  EXPECT_EQ(keyspace_.key_count(), 1u);
  keyspace_.set_now_ms(kNow + 2);
  tend(kLongRestUs);
  EXPECT_EQ(keyspace_.key_count(), 0u);
}

// Shows that it follows a lap that took several calls, too.
TEST_F(BackgroundRest, FollowsALapInSeveralParts) {
  for (int i = 0; i < 2000; ++i) put("key" + std::to_string(i), kNow + 1);
  keyspace_.set_now_ms(kNow + 2);
  while (keyspace_.key_count() == 2000) keyspace_.maintain(1, true, {}, kLongRestUs);
  EXPECT_GT(keyspace_.key_count(), 0u);
  tend(kLongRestUs);  // the rest of that lap, and of the next a part
  EXPECT_EQ(keyspace_.key_count(), 0u);
  tend(kLongRestUs);
  put("b", kNow + 3);
  keyspace_.set_now_ms(kNow + 4);
  tend(kLongRestUs);
  EXPECT_EQ(keyspace_.key_count(), 1u);
}

// Shows that what FLUSH left is freed at once.
TEST_F(BackgroundRest, EndsWithAFlush) {
  for (int i = 0; i < 2000; ++i) put("key" + std::to_string(i));
  tend(kLongRestUs);
  const std::uint64_t used_bytes = keyspace_.memory_used_bytes();
  keyspace_.flush();
  EXPECT_EQ(keyspace_.memory_used_bytes(), used_bytes);
  tend(kLongRestUs);
  EXPECT_LT(keyspace_.memory_used_bytes(), used_bytes);
}

}  // namespace
}  // namespace memento
