// What COMMAND tells of where a command's keys stand, for each way in which a row may say so; compared with
// what Redis 7.0 tells of a command of its own of that kind.
#include "worker/handlers/server/catalog.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/worker/session/session_fixture.h"

namespace memento {
namespace {

using testing::bulk;

std::string told(const KeySpec& keys, std::uint32_t flags, Protocol protocol = Protocol::kResp2) {
  Command command{};
  command.name = "TEST";
  command.keys = keys;
  command.flags = flags;
  ByteBuffer output;
  ReplyWriter writer(output, protocol);
  handlers::answer_command(writer, command);
  return std::string(output.view());
}

// Shows a range's three numbers, which clients before Redis 7 read, and the same as a specification (SET,
// MSET).
TEST(Catalog, ARange) {
  const std::string one = told(KeySpec{1, 1, 1}, kWrite);
  EXPECT_NE(one.find("*1\r\n+write\r\n:1\r\n:1\r\n:1\r\n"), std::string::npos) << one;
  EXPECT_NE(one.find(bulk("begin_search") + "*4\r\n" + bulk("type") + bulk("index") + bulk("spec") +
                     "*2\r\n" + bulk("index") + ":1\r\n" + bulk("find_keys") + "*4\r\n" + bulk("type") +
                     bulk("range") + bulk("spec") + "*6\r\n" + bulk("lastkey") + ":0\r\n" + bulk("keystep") +
                     ":1\r\n" + bulk("limit") + ":0\r\n"),
            std::string::npos)
      << one;
  const std::string pairs = told(KeySpec{1, -1, 2}, kWrite);
  EXPECT_NE(pairs.find(":1\r\n:-1\r\n:2\r\n"), std::string::npos) << pairs;
  EXPECT_NE(pairs.find(bulk("lastkey") + ":-1\r\n" + bulk("keystep") + ":2\r\n"), std::string::npos) << pairs;
}

// Shows keys that a word counts (EVAL, SINTERCARD): no numbers for old clients, a specification for new ones.
TEST(Catalog, KeysThatAWordCounts) {
  const std::string counted = told(KeySpec::counted(2), kReadonly);
  EXPECT_NE(counted.find("*2\r\n+readonly\r\n+movablekeys\r\n:0\r\n:0\r\n:0\r\n"), std::string::npos)
      << counted;
  EXPECT_NE(counted.find(bulk("begin_search") + "*4\r\n" + bulk("type") + bulk("index") + bulk("spec") +
                         "*2\r\n" + bulk("index") + ":2\r\n" + bulk("find_keys") + "*4\r\n" + bulk("type") +
                         bulk("keynum") + bulk("spec") + "*6\r\n" + bulk("keynumidx") + ":0\r\n" +
                         bulk("firstkey") + ":1\r\n" + bulk("keystep") + ":1\r\n"),
            std::string::npos)
      << counted;
}

// Shows keys behind a word (XREAD).
TEST(Catalog, KeysBehindAWord) {
  const std::string behind = told(KeySpec::behind("STREAMS"), kReadonly);
  EXPECT_NE(behind.find("+movablekeys\r\n:0\r\n:0\r\n:0\r\n"), std::string::npos) << behind;
  EXPECT_NE(
      behind.find(bulk("begin_search") + "*4\r\n" + bulk("type") + bulk("keyword") + bulk("spec") + "*4\r\n" +
                  bulk("keyword") + bulk("STREAMS") + bulk("startfrom") + ":1\r\n" + bulk("find_keys") +
                  "*4\r\n" + bulk("type") + bulk("range") + bulk("spec") + "*6\r\n" + bulk("lastkey") +
                  ":-1\r\n" + bulk("keystep") + ":1\r\n" + bulk("limit") + ":2\r\n"),
      std::string::npos)
      << behind;
}

// Shows that a command without keys has none to tell of, and that RESP3 gets maps and sets.
TEST(Catalog, NoKeysAndResp3) {
  const std::string none = told(KeySpec{}, kReadonly);
  EXPECT_NE(none.find(":0\r\n:0\r\n:0\r\n"), std::string::npos) << none;
  EXPECT_EQ(none.find("begin_search"), std::string::npos) << none;
  const std::string counted = told(KeySpec::counted(1), kReadonly, Protocol::kResp3);
  EXPECT_NE(
      counted.find(bulk("begin_search") + "%2\r\n" + bulk("type") + bulk("index") + bulk("spec") + "%1\r\n"),
      std::string::npos)
      << counted;
}

}  // namespace
}  // namespace memento
