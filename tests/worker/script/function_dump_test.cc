// FUNCTION DUMP's bytes: those of Redis are read, ours are read again, and of broken ones it is said what is
// wrong.
#include "worker/script/function_dump.h"

#include <gtest/gtest.h>

namespace memento {
namespace {

using Fault = FunctionDump::Fault;

constexpr std::size_t kLimit = 1 << 20;

// What redis-server 7.0.15 gave for kLibrary, which it had compressed.
constexpr std::string_view kLibrary =
    "#!lua name=lib\nlocal function same(keys, args) return args[1] end\nredis.register_function('one', "
    "same)\n"
    "redis.register_function('two', same)\n";
constexpr char kRedisDump[] =
    "\xf5\xc3\x40\x6a\x40\x8c\x1e\x23\x21\x6c\x75\x61\x20\x6e\x61\x6d\x65\x3d\x6c\x69\x62\x0a\x6c\x6f\x63\x61"
    "\x6c\x20"
    "\x66\x75\x6e\x63\x74\x69\x6f\x6e\x20\x73\x20\x17\x12\x28\x6b\x65\x79\x73\x2c\x20\x61\x72\x67\x73\x29\x20"
    "\x72\x65"
    "\x74\x75\x72\x6e\x60\x0c\x16\x5b\x31\x5d\x20\x65\x6e\x64\x0a\x72\x65\x64\x69\x73\x2e\x72\x65\x67\x69\x73"
    "\x74\x65"
    "\x72\x5f\xc0\x3b\x06\x28\x27\x6f\x6e\x65\x27\x2c\x60\x42\x00\x29\xe0\x11\x24\x02\x74\x77\x6f\xa0\x24\x01"
    "\x29\x0a"
    "\x0a\x00\x9b\x66\x62\x3e\x04\x06\x6a\x08";
constexpr std::string_view kOfRedis(kRedisDump, sizeof kRedisDump - 1);

TEST(FunctionDump, ReadsWhatRedisHasDumped) {
  const FunctionDump::Read read = FunctionDump::read(kOfRedis, kLimit);
  ASSERT_EQ(read.fault, Fault::kNone);
  ASSERT_EQ(read.texts.size(), 1u);
  EXPECT_EQ(read.texts[0], kLibrary);
}

// Lengths on both sides of where another form of the length begins.
TEST(FunctionDump, ReadsItsOwn) {
  FunctionDump dump;
  std::vector<std::string> texts;
  for (const std::size_t size : {0, 1, 63, 64, 16383, 16384, 70000}) {
    texts.emplace_back(size, 'x');
    dump.add(texts.back());
  }
  const FunctionDump::Read read = FunctionDump::read(dump.finish(), kLimit);
  EXPECT_EQ(read.fault, Fault::kNone);
  EXPECT_EQ(read.texts, texts);
  EXPECT_TRUE(FunctionDump::read(FunctionDump().finish(), kLimit).texts.empty());
}

// Every byte that is changed, and every end that is missing, is found by the checksum.
TEST(FunctionDump, ChangedBytesAreFound) {
  for (std::size_t i = 0; i < kOfRedis.size(); ++i) {
    std::string changed(kOfRedis);
    changed[i] = static_cast<char>(changed[i] ^ 0x10);
    EXPECT_EQ(FunctionDump::read(changed, kLimit).fault, Fault::kChecksum) << i;
    EXPECT_EQ(FunctionDump::read(kOfRedis.substr(0, i), kLimit).fault, Fault::kChecksum) << i;
  }
}

// Texts that are too long together are not taken apart.
TEST(FunctionDump, TheLimitIsOfAllTogether) {
  EXPECT_EQ(FunctionDump::read(kOfRedis, kLibrary.size()).fault, Fault::kNone);
  EXPECT_EQ(FunctionDump::read(kOfRedis, kLibrary.size() - 1).fault, Fault::kTooLong);
  FunctionDump dump;
  dump.add(std::string(100, 'x'));
  dump.add(std::string(100, 'y'));
  const std::string payload = dump.finish();
  EXPECT_EQ(FunctionDump::read(payload, 200).fault, Fault::kNone);
  EXPECT_EQ(FunctionDump::read(payload, 199).fault, Fault::kTooLong);
}

}  // namespace
}  // namespace memento
