// Databases as clients see them: SELECT, MOVE, COPY, SWAPDB, FLUSHDB, in batches, transactions and both
// protocols.
#include "tests/worker/session/session_fixture.h"

namespace memento::testing {
namespace {

constexpr const char* kNoDatabase = "-ERR DB index is out of range\r\n";
constexpr const char* kSame = "-ERR source and destination objects are the same\r\n";

using DatabaseCommandsTest = SessionTest;

// Each database has its own keys; a client works on the one it has selected, 0 at first.
TEST_F(DatabaseCommandsTest, Select) {
  Conversation one(*context_);
  Conversation other(*context_);
  EXPECT_EQ(one.ask_all({"SET k zero", "SELECT 1", "GET k", "SET k one", "SELECT 15", "DBSIZE"}),
            "+OK\r\n+OK\r\n$-1\r\n+OK\r\n+OK\r\n:0\r\n");
  EXPECT_EQ(other.ask("GET k"), "$4\r\nzero\r\n");
  EXPECT_EQ(one.ask_all({"SELECT 1", "GET k", "DBSIZE", "KEYS *", "RANDOMKEY", "SCAN 0"}),
            "+OK\r\n$3\r\none\r\n:1\r\n*1\r\n$1\r\nk\r\n$1\r\nk\r\n*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n");
  EXPECT_EQ(other.ask("SELECT 16"), kNoDatabase);
  EXPECT_EQ(other.ask("SELECT -1"), kNoDatabase);
  EXPECT_EQ(other.ask("SELECT x"), "-ERR value is not an integer or out of range\r\n");
  EXPECT_EQ(other.ask("GET k"), "$4\r\nzero\r\n");
  EXPECT_NE(one.ask("CLIENT INFO").find(" db=1 "), std::string::npos);
  EXPECT_EQ(one.ask_all({"RESET", "GET k"}), "+RESET\r\n$4\r\nzero\r\n");
  const std::string info = other.ask("INFO keyspace");
  EXPECT_NE(info.find("db0:keys=1,expires=0,avg_ttl=0\r\ndb1:keys=1,expires=0,avg_ttl=0\r\n"),
            std::string::npos)
      << info;
}

// INFO says how many keys have an expiry, and how far off these are on average.
TEST_F(DatabaseCommandsTest, AverageTtl) {
  Conversation client(*context_);
  client.ask_all({"SET never x", "SET a x PX 1000", "SET b x PX 3000", "SELECT 3", "SET c x PX 500"});
  const std::string info = client.ask("INFO keyspace");
  EXPECT_NE(info.find("db0:keys=3,expires=2,avg_ttl=2000\r\ndb3:keys=1,expires=1,avg_ttl=500\r\n"),
            std::string::npos)
      << info;
  client.ask("SELECT 0");
  for (int i = 0; i < 2000; ++i) client.ask("SET key" + std::to_string(i) + " x PX 7000");
  const std::string more = client.ask("INFO keyspace");
  const std::size_t at = more.find("avg_ttl=");
  const int average = std::stoi(more.substr(at + 8));
  EXPECT_GT(average, 6500) << more;
  EXPECT_LE(average, 7000) << more;
}

// The requests of one read are about the database that those before them have selected, key by key.
TEST_F(DatabaseCommandsTest, SelectInABatch) {
  std::string batch;
  for (const char* line : {"SET k a", "SELECT 2", "SET k b", "APPEND k B", "SELECT 0", "GET k",
                           "MSET x 1 y 2", "SELECT 2", "MGET k x y", "STRLEN k", "RESET", "STRLEN k"})
    batch += std::string(line) + "\r\n";
  Conversation client(*context_);
  client.ask("PING");  // in RESP
  EXPECT_EQ(
      client.say(batch),
      "+OK\r\n+OK\r\n+OK\r\n:2\r\n+OK\r\n$1\r\na\r\n+OK\r\n+OK\r\n*3\r\n$2\r\nbB\r\n$-1\r\n$-1\r\n:2\r\n"
      "+RESET\r\n:1\r\n");
}

TEST_F(DatabaseCommandsTest, MoveAndCopy) {
  Conversation client(*context_);
  EXPECT_EQ(client.ask_all({"SET k v PX 100000", "MOVE k 3", "GET k", "SELECT 3", "GET k", "PERSIST k"}),
            "+OK\r\n:1\r\n$-1\r\n+OK\r\n$1\r\nv\r\n:1\r\n");
  EXPECT_EQ(client.ask("MOVE k 3"), kSame);
  EXPECT_EQ(client.ask("MOVE none 0"), ":0\r\n");
  EXPECT_EQ(client.ask("MOVE k 16"), kNoDatabase);
  EXPECT_EQ(client.ask("COPY k k"), kSame);
  EXPECT_EQ(client.ask("COPY k k DB 3"), kSame);
  EXPECT_EQ(client.ask("COPY k k DB 16"), kNoDatabase);
  EXPECT_EQ(client.ask_all({"COPY k k DB 0", "MOVE k 0", "SET k w", "COPY k k DB 0", "COPY k k DB 0 REPLACE",
                            "SELECT 0", "GET k"}),
            ":1\r\n:0\r\n+OK\r\n:0\r\n:1\r\n+OK\r\n$1\r\nw\r\n");
}

// FLUSHDB empties one database, FLUSHALL and FLUSH all.
TEST_F(DatabaseCommandsTest, Flush) {
  Conversation client(*context_);
  client.ask_all({"SET k 0", "SELECT 1", "SET k 1", "SELECT 2", "SET k 2", "FLUSHDB ASYNC"});
  EXPECT_EQ(client.ask_all({"DBSIZE", "SELECT 1", "DBSIZE", "FLUSHDB", "DBSIZE", "SELECT 0", "GET k"}),
            ":0\r\n+OK\r\n:1\r\n+OK\r\n:0\r\n+OK\r\n$1\r\n0\r\n");
  EXPECT_EQ(client.ask("FLUSHDB x"), "-ERR syntax error\r\n");
  client.ask_all({"SELECT 1", "SET k 1", "FLUSHALL", "SELECT 0"});
  EXPECT_EQ(client.ask("DBSIZE"), ":0\r\n");
}

TEST_F(DatabaseCommandsTest, Swap) {
  Conversation client(*context_);
  Conversation other(*context_);
  client.ask_all({"SET k 0", "SELECT 1", "SET k 1", "SET l 1"});
  EXPECT_EQ(client.ask("SWAPDB 0 1"), kOk);
  EXPECT_EQ(client.ask_all({"GET k", "DBSIZE"}), "$1\r\n0\r\n:1\r\n");
  EXPECT_EQ(other.ask_all({"GET k", "DBSIZE"}), "$1\r\n1\r\n:2\r\n");
  EXPECT_EQ(client.ask("SWAPDB 0 0"), kOk);
  EXPECT_EQ(client.ask("SWAPDB x 0"), "-ERR invalid first DB index\r\n");
  EXPECT_EQ(client.ask("SWAPDB 0 4294967296"), "-ERR invalid second DB index\r\n");
  EXPECT_EQ(client.ask("SWAPDB 0 16"), kNoDatabase);
  EXPECT_EQ(
      client.ask_all({"MULTI", "SWAPDB 0 1", "EXEC"}),
      "+OK\r\n-ERR Command not allowed inside a transaction\r\n-EXECABORT Transaction discarded because of "
      "previous errors.\r\n");
}

// SELECT inside MULTI counts from its place in EXEC on; of one that is not executed nothing stays.
TEST_F(DatabaseCommandsTest, Transactions) {
  Conversation client(*context_);
  EXPECT_EQ(client.ask_all({"MULTI", "SET k 0", "SELECT 4", "SET k 4", "MOVE k 5", "FLUSHDB", "DBSIZE",
                            "SELECT 77", "SET l 4", "EXEC"}),
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n"
            "*8\r\n+OK\r\n+OK\r\n+OK\r\n:1\r\n+OK\r\n:0\r\n-ERR DB index is out of range\r\n+OK\r\n");
  EXPECT_EQ(client.ask_all({"GET l", "GET k", "SELECT 5", "GET k", "SELECT 0", "GET k"}),
            "$1\r\n4\r\n$-1\r\n+OK\r\n$1\r\n4\r\n+OK\r\n$1\r\n0\r\n");
  Conversation other(*context_);
  client.ask("WATCH k");
  other.ask("SET k changed");
  EXPECT_EQ(client.ask_all({"MULTI", "SELECT 4", "EXEC", "GET k"}),
            "+OK\r\n+QUEUED\r\n*-1\r\n$7\r\nchanged\r\n");
}

// WATCH keeps the database with the key: its FLUSHDB and SWAPDB count, other databases' changes do not.
TEST_F(DatabaseCommandsTest, Watch) {
  Conversation client(*context_);
  Conversation other(*context_);
  client.ask_all({"SET k 0", "SELECT 1", "SET k 1"});
  const auto exec_after = [&](std::initializer_list<const char*> changes) {
    client.ask_all({"SELECT 1", "WATCH k", "SELECT 0"});
    for (const char* change : changes) other.ask(change);
    return client.ask_all({"MULTI", "PING", "EXEC"}) == "+OK\r\n+QUEUED\r\n*1\r\n+PONG\r\n";
  };
  EXPECT_TRUE(exec_after({"SET k 00", "FLUSHDB"}));
  EXPECT_FALSE(exec_after({"SELECT 1", "SET k 11"}));
  EXPECT_FALSE(exec_after({"FLUSHDB", "SET k again"}));
  EXPECT_TRUE(exec_after({"SELECT 2", "FLUSHDB"}));
  EXPECT_TRUE(exec_after({"SWAPDB 2 3"}));
  EXPECT_FALSE(exec_after({"SWAPDB 2 1"}));
}

// The text protocol has the same databases; SUB is about keys of 0.
TEST_F(DatabaseCommandsTest, TextProtocol) {
  EXPECT_EQ(talk("SET k zero\nSELECT 1\nGET k\nSET k one\nGET k\nSELECT 0\nGET k\n"),
            "OK\r\nOK\r\n(null)\r\nOK\r\none\r\nOK\r\nzero\r\n");
  EXPECT_EQ(talk("SELECT 99\n"), "(error) DB index is out of range\r\n");
  EXPECT_EQ(talk("SELECT 1\nSUB k\n"), "OK\r\n(error) SUB is about keys of database 0; SELECT 0 first\r\n");
}

}  // namespace
}  // namespace memento::testing
