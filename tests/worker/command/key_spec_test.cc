// Where the keys of a call are found, for each way in which a command may say so.
#include "worker/command/key_spec.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "worker/command/command_table.h"

namespace memento {
namespace {

using Words = std::vector<std::string_view>;

Words keys_of(const KeySpec& spec, const Words& words) {
  Command command{};
  command.keys = spec;
  Words keys;
  command.each_key(words, [&](std::string_view key) { keys.push_back(key); });
  EXPECT_EQ(command.first_key(words) == 0, keys.empty());
  if (!keys.empty()) {
    EXPECT_EQ(words[command.first_key(words)].data(), keys[0].data());
  }
  return keys;
}

TEST(KeySpec, ARangeStandsAtItsPlaces) {
  EXPECT_EQ(keys_of(KeySpec{}, {"PING", "a"}), Words{});
  EXPECT_EQ(keys_of(KeySpec{1, 1, 1}, {"SET", "k", "v"}), Words{"k"});
  EXPECT_EQ(keys_of(KeySpec{1, 2, 1}, {"COPY", "a", "b", "REPLACE"}), (Words{"a", "b"}));
  EXPECT_EQ(keys_of(KeySpec{1, -1, 1}, {"DEL", "a", "b", "c"}), (Words{"a", "b", "c"}));
  EXPECT_EQ(keys_of(KeySpec{1, -1, 2}, {"MSET", "a", "1", "b", "2"}), (Words{"a", "b"}));
  EXPECT_EQ(keys_of(KeySpec{1, -2, 1}, {"BLPOP", "a", "b", "0"}), (Words{"a", "b"}));
  EXPECT_EQ(keys_of(KeySpec{2, 2, 1}, {"OBJECT", "FREQ", "k"}), Words{"k"});
}

TEST(KeySpec, ARangeThatTheCallIsTooShortForIsEmpty) {
  EXPECT_EQ(KeySpec({1, -1, 1}).find(Words{"DEL"}).end, 0u);
  EXPECT_EQ(KeySpec({1, -2, 1}).find(Words{"BLPOP", "0"}).end, 0u);
  EXPECT_EQ(KeySpec({1, -2, 1}).find(Words{}).end, 0u);
  EXPECT_EQ(KeySpec({1, 2, 1}).find(Words{"COPY", "a"}).end, 0u);
}

TEST(KeySpec, CountedKeysStandBehindTheirNumber) {
  constexpr KeySpec kEval = KeySpec::counted(2);
  EXPECT_EQ(keys_of(kEval, {"EVAL", "script", "2", "a", "b", "argument"}), (Words{"a", "b"}));
  EXPECT_EQ(keys_of(kEval, {"EVAL", "script", "1", "a"}), Words{"a"});
  EXPECT_EQ(keys_of(kEval, {"EVAL", "script", "0", "argument"}), Words{});
  EXPECT_EQ(keys_of(KeySpec::counted(1), {"SINTERCARD", "1", "a", "LIMIT", "1"}), Words{"a"});
}

TEST(KeySpec, MigratedKeysAreOneWordOrBehindKeys) {
  const KeySpec spec = KeySpec::migrated();
  EXPECT_EQ(keys_of(spec, {"MIGRATE", "h", "1", "k", "0", "9"}), Words{"k"});
  EXPECT_EQ(keys_of(spec, {"MIGRATE", "h", "1", "", "0", "9", "COPY", "KEYS", "a", "b"}), (Words{"a", "b"}));
  EXPECT_EQ(
      keys_of(spec, {"MIGRATE", "h", "1", "", "0", "9", "AUTH", "KEYS", "AUTH2", "KEYS", "x", "KEYS", "a"}),
      Words{"a"});
  EXPECT_EQ(keys_of(spec, {"MIGRATE", "h", "1", "", "0", "9"}), Words{});
  EXPECT_EQ(keys_of(spec, {"MIGRATE", "h", "1"}), Words{});
}

// The handler says what is wrong with it.
TEST(KeySpec, ANumberOfKeysThatIsNoneMeansNone) {
  for (const std::string_view number :
       {"", "-1", "x", "1x", " 1", "3", "4294967297", "99999999999999999999"}) {
    EXPECT_EQ(keys_of(KeySpec::counted(2), {"EVAL", "script", number, "a", "b"}), Words{}) << number;
  }
  EXPECT_EQ(keys_of(KeySpec::counted(2), {"EVAL", "script"}), Words{});
}

TEST(KeySpec, KeysBehindAWordAreTheFirstHalfOfWhatFollows) {
  constexpr KeySpec kRead = KeySpec::behind("STREAMS");
  EXPECT_EQ(keys_of(kRead, {"XREAD", "COUNT", "2", "streams", "a", "b", "0", "0"}), (Words{"a", "b"}));
  EXPECT_EQ(keys_of(kRead, {"XREAD", "STREAMS", "STREAMS", "0"}), Words{"STREAMS"});
  EXPECT_EQ(keys_of(kRead, {"XREAD", "STREAMS", "a"}), Words{});
  EXPECT_EQ(keys_of(kRead, {"XREAD", "STREAMS"}), Words{});
  EXPECT_EQ(keys_of(kRead, {"XREAD", "COUNT", "2"}), Words{});
}

// Only what stands at one fixed place may take the short ways.
TEST(KeySpec, MovableKeysAreNeitherNoneNorOne) {
  for (const KeySpec& spec : {KeySpec::counted(2), KeySpec::behind("STREAMS")}) {
    EXPECT_TRUE(spec.is_movable());
    EXPECT_NE(spec.first, 0);
    EXPECT_NE(spec.first, spec.last);
    Command command{};
    command.keys = spec;
    command.flags = kWrite;
    EXPECT_FALSE(command.is_plain());
  }
}

}  // namespace
}  // namespace memento
