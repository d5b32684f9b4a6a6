// What Redis's tools ask a server about itself: replies in the forms that they read.
#include "tests/worker/session/session_fixture.h"
#include "worker/command/argument_syntax.h"

namespace memento::testing {
namespace {

class ToolCommandsTest : public SessionTest {
 protected:
  bool has(const std::string& reply, const std::string& part) {
    return reply.find(part) != std::string::npos;
  }
};

// Shows what is said of replicas and of a disk: there are none, nothing waits for them, and none can be made.
TEST_F(ToolCommandsTest, NoReplicasNoDisk) {
  EXPECT_EQ(ask("ROLE"), "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n");
  EXPECT_EQ(ask("WAIT 1 0"), ":0\r\n");
  EXPECT_EQ(ask("WAIT x -1"), "-ERR value is not an integer or out of range\r\n");
  EXPECT_EQ(ask("WAIT 1 -1"), "-ERR timeout is negative\r\n");
  EXPECT_EQ(ask("WAITAOF 0 1 0"), "*2\r\n:0\r\n:0\r\n");
  EXPECT_TRUE(ask("WAITAOF 1 0 0").starts_with("-ERR WAITAOF cannot be used"));
  EXPECT_EQ(ask("REPLICAOF no one"), kOk);
  EXPECT_TRUE(ask("SLAVEOF 127.0.0.1 6379").starts_with("-ERR this server cannot be a replica"));
  EXPECT_EQ(ask("LASTSAVE").front(), ':');
  EXPECT_EQ(ask("MODULE LIST"), "*0\r\n");
}

// Shows that MEMORY tells the keyspace's figures, and that its words follow from them.
TEST_F(ToolCommandsTest, Memory) {
  ask("SET k v");
  const std::string stats = ask("MEMORY STATS");
  EXPECT_TRUE(has(stats, "$10\r\nkeys.count\r\n:1\r\n")) << stats;
  EXPECT_TRUE(has(stats, "$13\r\ndataset.bytes\r\n:2\r\n")) << stats;
  EXPECT_TRUE(has(ask("MEMORY DOCTOR"), "Nothing is wrong"));
  for (int i = 0; ask({"SET", "long" + std::to_string(i), std::string(16'000, 'x')}) == kOk; ++i) {
  }
  EXPECT_TRUE(has(ask("MEMORY DOCTOR"), "of the memory is in use"));
  EXPECT_EQ(ask("MEMORY PURGE"), kOk);
  EXPECT_TRUE(has(ask("MEMORY MALLOC-STATS"), "in use: "));
}

// Shows that LATENCY DOCTOR speaks of samples once there are some.
TEST_F(ToolCommandsTest, LatencyDoctor) {
  EXPECT_TRUE(has(ask("LATENCY DOCTOR"), "Nothing is sampled"));
  ask("CONFIG SET latency-monitor-threshold 1");
  EXPECT_TRUE(has(ask("LATENCY DOCTOR"), "No command took 1 ms"));
  ask("DEBUG SLEEP 0.002");
  EXPECT_TRUE(has(ask("LATENCY DOCTOR"), "* command: 1 samples"));
}

// Shows that SHUTDOWN checks its words and does nothing without a master, and that there is nobody to
// unblock.
TEST_F(ToolCommandsTest, ShutdownAndUnblock) {
  for (const char* bad : {"SHUTDOWN x", "SHUTDOWN SAVE NOSAVE", "SHUTDOWN ABORT NOW", "SHUTDOWN ABORT SAVE"})
    EXPECT_EQ(ask(bad), kSyntax) << bad;
  EXPECT_EQ(ask("SHUTDOWN ABORT"), "-ERR No shutdown in progress.\r\n");
  EXPECT_TRUE(ask("SHUTDOWN NOSAVE NOW FORCE").starts_with("-ERR there is no master process"));
  EXPECT_EQ(ask("CLIENT UNBLOCK 1"), ":0\r\n");
  EXPECT_EQ(ask("CLIENT UNBLOCK 1 x"), "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR\r\n");
}

// Shows that CONFIG knows Redis's parameters that have one value here, and takes that value only.
TEST_F(ToolCommandsTest, ConfigOfRedis) {
  EXPECT_EQ(ask("CONFIG GET appendfsync"), "*2\r\n$11\r\nappendfsync\r\n$8\r\neverysec\r\n");
  EXPECT_EQ(ask("CONFIG SET io-threads 1 maxmemory-policy noeviction"), kOk);
  EXPECT_TRUE(has(ask("CONFIG SET io-threads 2"), "can't set immutable config"));
  EXPECT_TRUE(has(ask("CONFIG SET io-threads 1 io-threads 1"), "duplicate parameter"));
}

// Shows that CONFIG SET changes what can be changed, checks all before it changes any, and takes Redis's
// names and sizes.
TEST_F(ToolCommandsTest, ConfigSet) {
  EXPECT_EQ(ask("CONFIG SET timeout 60 hz 20 busy-reply-threshold 100 tcp-keepalive 7"), kOk);
  EXPECT_EQ(settings_.idle_timeout_s, 60);
  EXPECT_EQ(settings_.background_hz, 20);
  EXPECT_EQ(ask("CONFIG GET lua-time-limit"), "*2\r\n$14\r\nlua-time-limit\r\n$3\r\n100\r\n");
  EXPECT_TRUE(has(ask("CONFIG SET timeout 5 hz 501"), "between 1 and 500 inclusive"));
  EXPECT_TRUE(has(ask("CONFIG SET timeout -1"), "between 0 and 2147483647 inclusive"));
  EXPECT_EQ(settings_.idle_timeout_s, 60);

  EXPECT_TRUE(has(ask("CONFIG SET maxmemory-policy volatile-lru"), "keys with an expiry are not evicted"));
  EXPECT_EQ(ask("CONFIG SET maxmemory-policy allkeys-lfu"), kOk);
  EXPECT_EQ(ask("CONFIG GET maxmemory-policy"), "*2\r\n$16\r\nmaxmemory-policy\r\n$11\r\nallkeys-lru\r\n");
  EXPECT_TRUE(keyspace_->evicts());
  EXPECT_EQ(ask("CONFIG SET maxmemory-policy noeviction"), kOk);
  EXPECT_FALSE(keyspace_->evicts());

  EXPECT_EQ(ask("CONFIG SET maxmemory 20mb"), kOk);
  EXPECT_EQ(ask("CONFIG GET maxmemory"), "*2\r\n$9\r\nmaxmemory\r\n$8\r\n20971520\r\n");
  EXPECT_TRUE(has(ask("INFO memory"), "maxmemory:20971520\r\n"));
  EXPECT_TRUE(has(ask("CONFIG SET maxmemory 9tb"), "--memory"));
  EXPECT_TRUE(has(ask("CONFIG SET maxmemory much"), "argument must be a memory value"));
  EXPECT_EQ(ask("CONFIG SET maxmemory 0 proto-max-bulk-len 10"), kOk);
  EXPECT_EQ(keyspace_->memory_limit_bytes(), keyspace_->memory_size_bytes());
  EXPECT_TRUE(has(ask("SET a 12345678901"), "proto-max-bulk-len"));
  EXPECT_EQ(ask("CONFIG REWRITE"), "-ERR The server is running without a config file\r\n");
}

// Shows that a client learns what a request does to each of its keys.
TEST_F(ToolCommandsTest, KeysAndFlags) {
  EXPECT_EQ(ask("COMMAND GETKEYSANDFLAGS GET k"), "*1\r\n*2\r\n$1\r\nk\r\n*2\r\n+RO\r\n+access\r\n");
  EXPECT_EQ(ask("COMMAND GETKEYSANDFLAGS PING"), "-ERR The command has no key arguments\r\n");
}

// Shows that COMMAND DOCS tells a command's arguments as the tree that redis-cli shows: which may be left
// out, which repeat, and which exclude each other.
TEST_F(ToolCommandsTest, Arguments) {
  EXPECT_TRUE(has(ask("COMMAND DOCS del"),
                  "$9\r\narguments\r\n*1\r\n*6\r\n$4\r\nname\r\n$3\r\nkey\r\n$4\r\ntype\r\n$3\r\nkey\r\n"
                  "$5\r\nflags\r\n*1\r\n+multiple\r\n"));
  const std::vector<Argument> set = parse_arguments("key value [NX | XX] [EX s | KEEPTTL]");
  ASSERT_EQ(set.size(), 4u);
  EXPECT_FALSE(set[0].is_optional);
  EXPECT_TRUE(set[2].is_optional);
  EXPECT_EQ(set[2].kind, Argument::Kind::kOneOf);
  ASSERT_EQ(set[3].parts.size(), 2u);
  EXPECT_EQ(set[3].parts[0].kind, Argument::Kind::kBlock);
  EXPECT_EQ(set[3].parts[0].parts[1].word, "s");
  EXPECT_EQ(set[3].parts[1].kind, Argument::Kind::kToken);
  const std::vector<Argument> pairs = parse_arguments("parameter value [parameter value ...]");
  ASSERT_EQ(pairs.size(), 1u);
  EXPECT_TRUE(pairs[0].may_repeat && !pairs[0].is_optional);
  EXPECT_EQ(pairs[0].parts.size(), 2u);
  EXPECT_EQ(parse_arguments("ON | OFF").size(), 1u);
  EXPECT_TRUE(parse_arguments("").empty());
}

}  // namespace
}  // namespace memento::testing
