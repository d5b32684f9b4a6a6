// Commands on strings that are more than storing and reading: compared writes, bits of whole values, integers
// within values, and counting different elements. That replies and bytes are Redis's is shown by the
// differential test; here what it cannot send.
#include "tests/worker/session/session_fixture.h"
#include "worker/handlers/string/hyperloglog.h"

namespace memento::testing {
namespace {

constexpr const char* kNotOne = "-WRONGTYPE Key is not a valid HyperLogLog string value.\r\n";
constexpr const char* kBroken = "-INVALIDOBJ Corrupted HLL object detected\r\n";

class StringCommandsTest : public SessionTest {
 protected:
  /// How many elements the key is estimated to have.
  long count(const std::string& keys) { return std::strtol(ask("PFCOUNT " + keys).c_str() + 1, nullptr, 10); }
  std::string value_of(const std::string& key) {
    std::string value;
    (void)keyspace_->read(keyspace_->hash(key), [&](const EntryView& entry) { value.assign(entry.value); });
    return value;
  }
};

// Shows that SET IFEQ and DELIFEQ change a key only if its value is the one given, and what they answer.
TEST_F(StringCommandsTest, ComparedWrites) {
  EXPECT_EQ(ask("SET k v IFEQ old"), kNil);
  EXPECT_EQ(ask("EXISTS k"), ":0\r\n");
  ask("SET k old EX 100");
  EXPECT_EQ(ask("SET k v IFEQ ol"), kNil);
  EXPECT_EQ(ask("SET k v IFEQ old KEEPTTL"), kOk);
  EXPECT_NE(ask("TTL k"), ":-1\r\n");
  EXPECT_EQ(ask("SET k w GET IFEQ x"), bulk("v"));
  EXPECT_EQ(ask("SET k w IFEQ v GET PX 5000"), bulk("v"));
  EXPECT_EQ(ask("GET k"), bulk("w"));
  EXPECT_EQ(ask({"SET", "k", "w", "IFEQ", ""}), kNil);
  for (const char* bad : {"SET k v IFEQ", "SET k v NX IFEQ w", "SET k v IFEQ w XX", "SET k v IFEQ w IFEQ w"})
    EXPECT_EQ(ask(bad), kSyntax) << bad;
  EXPECT_EQ(ask("DELIFEQ k v"), ":0\r\n");
  EXPECT_EQ(ask("DELIFEQ none v"), ":0\r\n");
  EXPECT_EQ(ask("DELIFEQ k w"), ":1\r\n");
  EXPECT_EQ(ask("EXISTS k"), ":0\r\n");
}

// Shows BITOP over values of different lengths and no values, onto one of its sources too.
TEST_F(StringCommandsTest, Bitop) {
  ask("SET a abcdefghijk");
  ask("SET b ABC");
  EXPECT_EQ(ask("BITOP AND t a b"), ":11\r\n");
  EXPECT_EQ(ask("GET t"), bulk(std::string("ABC") + std::string(8, '\0')));
  EXPECT_EQ(ask("BITOP XOR a a b"), ":11\r\n");
  EXPECT_EQ(ask("GET a"), bulk("   defghijk"));
  EXPECT_EQ(ask("BITOP not t b"), ":3\r\n");
  EXPECT_EQ(ask("GET t"), bulk("\xbe\xbd\xbc"));
  EXPECT_EQ(ask("BITOP OR t none nothing"), ":0\r\n");
  EXPECT_EQ(ask("EXISTS t"), ":0\r\n");
  EXPECT_EQ(ask("BITOP NOT t a b"), "-ERR BITOP NOT must be called with a single source key.\r\n");
}

// Shows that BITFIELD changes the bits it was given and no others, far behind a value's end too.
TEST_F(StringCommandsTest, Bitfield) {
  ask("SET k abc");
  EXPECT_EQ(ask("BITFIELD k SET u4 6 15 GET u8 0 INCRBY i8 #2 -100"), "*3\r\n:5\r\n:99\r\n:-1\r\n");
  EXPECT_EQ(ask("GET k"), bulk("c\xe2\xff"));
  EXPECT_EQ(ask("BITFIELD k OVERFLOW FAIL INCRBY u2 0 9 OVERFLOW SAT INCRBY u2 0 9"), "*2\r\n$-1\r\n:3\r\n");
  EXPECT_EQ(ask("BITFIELD far SET u8 8000 1"), "*1\r\n:0\r\n");
  EXPECT_EQ(ask("STRLEN far"), ":1001\r\n");
  EXPECT_EQ(ask("BITFIELD far SET u9 8388607 1"),
            "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n");
  EXPECT_EQ(ask("BITFIELD_RO far GET i64 8000 GET u1 8007"), "*2\r\n:72057594037927936\r\n:1\r\n");
  EXPECT_EQ(ask("BITFIELD_RO k SET u8 0 1"), "-ERR BITFIELD_RO only supports the GET subcommand\r\n");
  EXPECT_TRUE(ask(Words{"BITFIELD\x7fRO", "k"}).starts_with("-ERR unknown command"));
}

// Shows that estimates of up to 100,000 elements are right within 2 %, of one key and of several together,
// and that a key that is merged into keeps its expiry.
TEST_F(StringCommandsTest, CountsDifferentElements) {
  for (int i = 0; i < 100; ++i) {
    Words request{"PFADD", "k"};
    for (int j = 0; j < 1000; ++j) request.push_back(std::to_string(i * 1000 + j));
    EXPECT_EQ(ask(request), ":1\r\n");
  }
  EXPECT_TRUE(hyperloglog::is_dense(value_of("k")));
  EXPECT_NEAR(static_cast<double>(count("k")), 100'000, 2000);
  EXPECT_EQ(ask("PFADD few a b c a"), ":1\r\n");
  EXPECT_EQ(ask("PFADD few a b c"), ":0\r\n");
  EXPECT_EQ(count("few"), 3);
  EXPECT_NEAR(static_cast<double>(count("k few none")), 100'003, 2000);
  ask("EXPIRE few 100");
  EXPECT_EQ(ask("PFMERGE few k"), kOk);
  EXPECT_NE(ask("TTL few"), ":-1\r\n");
  EXPECT_EQ(count("few"), count("k few none"));
}

// Shows that an estimate is noted in the value when it was asked for, and that adding makes it stale.
TEST_F(StringCommandsTest, NotesTheEstimate) {
  ask("PFADD k a b");
  EXPECT_FALSE(hyperloglog::noted_estimate(value_of("k")));
  EXPECT_EQ(count("k"), 2);
  EXPECT_EQ(hyperloglog::noted_estimate(value_of("k")), 2u);
  ask("PFADD k c");
  EXPECT_FALSE(hyperloglog::noted_estimate(value_of("k")));
}

// Shows that values whose registers make no sense are refused and left as they are, cut or changed at any
// byte.
TEST_F(StringCommandsTest, BrokenRegisters) {
  Words request{"PFADD", "good"};
  for (int i = 0; i < 300; ++i) request.push_back(std::to_string(i));
  ask(request);
  const std::string good = value_of("good");
  for (const std::string& bad :
       {std::string("HYLL"), std::string("no"), "hYLL" + good.substr(4),
        std::string("HYLL") + '\2' + good.substr(5), std::string("HYLL") + '\0' + good.substr(5)}) {
    ask({"SET", "k", bad});
    EXPECT_EQ(ask("PFADD k a"), kNotOne);
    EXPECT_EQ(ask("PFCOUNT k"), kNotOne);
    EXPECT_EQ(ask("PFCOUNT good k"), kNotOne);
    EXPECT_EQ(ask("PFMERGE good k"), kNotOne);
  }
  for (std::size_t at = 16; at < good.size(); ++at) {
    std::string flipped = good;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x40);
    for (const std::string& bad : {good.substr(0, at), flipped, good + flipped.substr(at)}) {
      ask({"SET", "k", bad});
      const std::string reply = ask("PFMERGE copy k");
      EXPECT_TRUE(reply == kOk || reply == kBroken) << reply;
      if (reply == kOk) continue;
      EXPECT_EQ(ask("PFCOUNT k"), kBroken);
      (void)ask("PFADD k a b c d e f g h");  // where the registers before are whole it may add
    }
    ask({"SET", "k", good.substr(0, at)});
    EXPECT_EQ(ask("PFCOUNT k good"), kBroken);
  }
}

}  // namespace
}  // namespace memento::testing
