// Redis's commands in RESP: replies, errors to the letter, and what they leave. Numbers of arguments and
// hostile ones are the differential test's.
#include <set>

#include "tests/worker/session/session_fixture.h"
#include "worker/command/command_table.h"

namespace memento::testing {
namespace {

constexpr TimeMs kNow = 2'000'000'000'000;

class CommandsTest : public SessionTest {
 protected:
  CommandsTest() { keyspace_->set_now_ms(kNow); }
  void pass_ms(TimeMs ms) { keyspace_->set_now_ms(keyspace_->now_ms() + ms); }
};

// Shows SET's conditions, GET, and what becomes of an expiry.
TEST_F(CommandsTest, Set) {
  EXPECT_EQ(ask("SET k 1 XX"), kNil);
  EXPECT_EQ(ask("SET k 1 NX"), kOk);
  EXPECT_EQ(ask("SET k 2 NX"), kNil);
  EXPECT_EQ(ask("SET k 2 NX GET"), bulk("1"));
  EXPECT_EQ(ask("SET k 2 XX GET EX 100"), bulk("1"));
  EXPECT_EQ(ask("SET new 2 GET"), kNil);
  EXPECT_EQ(ask("GET new"), bulk("2"));
  EXPECT_EQ(ask("TTL k"), ":100\r\n");
  EXPECT_EQ(ask("SET k 3 KEEPTTL"), kOk);
  EXPECT_EQ(ask("PTTL k"), ":100000\r\n");
  EXPECT_EQ(ask("SET k 3"), kOk);
  EXPECT_EQ(ask("TTL k"), ":-1\r\n");
  EXPECT_EQ(ask("SET k 3 PXAT 2000000001500"), kOk);
  EXPECT_EQ(ask("PTTL k"), ":1500\r\n");
  pass_ms(1500);
  EXPECT_EQ(ask("GET k"), kNil);
  for (const char* bad : {"SET k 1 NX XX", "SET k 1 EX", "SET k 1 EX 1 PX 1", "SET k 1 EX 1 KEEPTTL",
                          "SET k 1 PERSIST", "SET k 1 x"}) {
    EXPECT_EQ(ask(bad), kSyntax) << bad;
  }
  EXPECT_EQ(ask("SET k 1 EX 0"), "-ERR invalid expire time in 'set' command\r\n");
  EXPECT_EQ(ask("SET k 1 PX x"), "-ERR value is not an integer or out of range\r\n");
  EXPECT_EQ(ask("SETEX k -1 v"), "-ERR invalid expire time in 'setex' command\r\n");
  EXPECT_EQ(ask("EXISTS k"), ":0\r\n");
  EXPECT_EQ(ask({"SET", "k", std::string(1 << 20, 'v')}), kOk);
  EXPECT_EQ(ask("APPEND k x"), "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n");
}

// Shows GETEX, GETDEL, GETSET, SETNX.
TEST_F(CommandsTest, GetAndChange) {
  ask("SET k v");
  EXPECT_EQ(ask("GETEX k PX 5000"), bulk("v"));
  EXPECT_EQ(ask("PTTL k"), ":5000\r\n");
  EXPECT_EQ(ask("GETEX k PERSIST"), bulk("v"));
  EXPECT_EQ(ask("PTTL k"), ":-1\r\n");
  EXPECT_EQ(ask("GETEX none EX x"), kNil);
  EXPECT_EQ(ask("GETEX k EX 0"), "-ERR invalid expire time in 'getex' command\r\n");
  EXPECT_EQ(ask("GETEX k EXAT 1"), bulk("v"));
  EXPECT_EQ(ask("EXISTS k"), ":0\r\n");
  EXPECT_EQ(ask("GETSET k 1"), kNil);
  EXPECT_EQ(ask("GETSET k 2"), bulk("1"));
  EXPECT_EQ(ask("SETNX k 3"), ":0\r\n");
  EXPECT_EQ(ask("GETDEL k"), bulk("2"));
  EXPECT_EQ(ask("GETDEL k"), kNil);
  EXPECT_EQ(ask("SETNX k 3"), ":1\r\n");
}

// Shows parts of values.
TEST_F(CommandsTest, Ranges) {
  ask({"SET", "k", "Hello World"});
  EXPECT_EQ(ask("GETRANGE k 0 4"), bulk("Hello"));
  EXPECT_EQ(ask("GETRANGE k -5 -1"), bulk("World"));
  EXPECT_EQ(ask("GETRANGE k -1 -5"), bulk(""));
  EXPECT_EQ(ask("GETRANGE k 5 100"), bulk(" World"));
  EXPECT_EQ(ask("GETRANGE none 0 -1"), bulk(""));
  EXPECT_EQ(ask("SETRANGE k 6 Redis"), ":11\r\n");
  EXPECT_EQ(ask("GET k"), bulk("Hello Redis"));
  EXPECT_EQ(ask("SETRANGE z 2 x"), ":3\r\n");
  EXPECT_EQ(ask("GET z"), bulk(std::string("\0\0x", 3)));
  EXPECT_EQ(ask({"SETRANGE", "none", "9", ""}), ":0\r\n");
  EXPECT_EQ(ask("EXISTS none"), ":0\r\n");
  EXPECT_EQ(ask("SETRANGE k -1 x"), "-ERR offset is out of range\r\n");
  EXPECT_EQ(ask("SETRANGE k 1048576 x"), "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n");
  EXPECT_EQ(ask({"APPEND", "empty", ""}), ":0\r\n");
  EXPECT_EQ(ask("EXISTS empty"), ":1\r\n");
  EXPECT_EQ(ask("STRLEN k"), ":11\r\n");
}

// Shows bits, single and counted.
TEST_F(CommandsTest, Bits) {
  EXPECT_EQ(ask("SETBIT b 7 1"), ":0\r\n");
  EXPECT_EQ(ask("SETBIT b 7 1"), ":1\r\n");
  EXPECT_EQ(ask("SETBIT b 20 1"), ":0\r\n");
  EXPECT_EQ(ask("GET b"), bulk(std::string("\x01\x00\x08", 3)));
  EXPECT_EQ(ask("GETBIT b 20"), ":1\r\n");
  EXPECT_EQ(ask("GETBIT b 1000"), ":0\r\n");
  EXPECT_EQ(ask("SETBIT b 0 2"), "-ERR bit is not an integer or out of range\r\n");
  EXPECT_EQ(ask("SETBIT b -1 1"), "-ERR bit offset is not an integer or out of range\r\n");
  EXPECT_EQ(ask("BITCOUNT b"), ":2\r\n");
  EXPECT_EQ(ask("BITCOUNT b 8 -1 BIT"), ":1\r\n");
  EXPECT_EQ(ask("BITCOUNT b 0"), kSyntax);
  EXPECT_EQ(ask("BITCOUNT none x y"), "-ERR value is not an integer or out of range\r\n");
  EXPECT_EQ(ask("BITPOS b 1"), ":7\r\n");
  EXPECT_EQ(ask("BITPOS b 1 8 -1 BIT"), ":20\r\n");
  ask({"SET", "ones", std::string(20, '\xff')});
  EXPECT_EQ(ask("BITPOS ones 0"), ":160\r\n");
  EXPECT_EQ(ask("BITPOS ones 0 0 -1"), ":-1\r\n");
  EXPECT_EQ(ask("BITPOS ones 2"), "-ERR The bit argument must be 1 or 0.\r\n");
}

// Shows that several keys change together, and one that is in the way stops all.
TEST_F(CommandsTest, SeveralKeys) {
  EXPECT_EQ(ask("MSET a 1 b 2 a 3"), kOk);
  EXPECT_EQ(ask("MGET a none b"), "*3\r\n" + bulk("3") + kNil + bulk("2"));
  EXPECT_EQ(ask("MSETNX c 1 a 9"), ":0\r\n");
  EXPECT_EQ(ask("EXISTS c"), ":0\r\n");
  EXPECT_EQ(ask("MSET a 1 b"), "-ERR wrong number of arguments for 'mset' command\r\n");
  ask("EXPIRE a 100");
  EXPECT_EQ(ask("RENAME a d"), kOk);
  EXPECT_EQ(ask("TTL d"), ":100\r\n");
  EXPECT_EQ(ask("RENAME a d"), "-ERR no such key\r\n");
  EXPECT_EQ(ask("RENAMENX d b"), ":0\r\n");
  EXPECT_EQ(ask("COPY d b"), ":0\r\n");
  EXPECT_EQ(ask("COPY d b REPLACE"), ":1\r\n");
  EXPECT_EQ(ask("TTL b"), ":100\r\n");
  EXPECT_EQ(ask("COPY d d"), "-ERR source and destination objects are the same\r\n");
}

// Shows the conditions of expiries and the times they answer.
TEST_F(CommandsTest, Expiry) {
  ask("SET k v");
  EXPECT_EQ(ask("EXPIRE k 100 XX"), ":0\r\n");
  EXPECT_EQ(ask("EXPIRE k 100 GT"), ":0\r\n");
  EXPECT_EQ(ask("EXPIRE k 100 LT"), ":1\r\n");
  EXPECT_EQ(ask("EXPIRE k 200 NX"), ":0\r\n");
  EXPECT_EQ(ask("EXPIRE k 50 GT"), ":0\r\n");
  EXPECT_EQ(ask("EXPIRE k 200 GT"), ":1\r\n");
  EXPECT_EQ(ask("EXPIRETIME k"), ":2000000200\r\n");
  EXPECT_EQ(ask("PEXPIRETIME k"), ":2000000200000\r\n");
  EXPECT_EQ(ask("EXPIRE k 1 NX GT"),
            "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n");
  EXPECT_EQ(ask("EXPIRE k 1 GT LT"), "-ERR GT and LT options at the same time are not compatible\r\n");
  EXPECT_EQ(ask("EXPIRE k 1 AB"), "-ERR Unsupported option AB\r\n");
  EXPECT_EQ(ask("PEXPIREAT k 1"), ":1\r\n");
  EXPECT_EQ(ask("EXISTS k"), ":0\r\n");
}

// Shows that a walk meets every key that is there from its beginning to its end, while others come and go and
// tables grow.
TEST_F(CommandsTest, ScanMeetsEveryKey) {
  for (int i = 0; i < 3000; ++i) ask("SET {same}" + std::to_string(i) + " v");  // one slot
  for (int i = 0; i < 3000; ++i) ask("SET stays" + std::to_string(i) + " v");
  std::set<std::string> met;
  std::string cursor = "0";
  int added = 0;
  do {
    const std::string reply = ask("SCAN " + cursor + " COUNT 100");
    ASSERT_TRUE(reply.starts_with("*2\r\n$"));
    const std::size_t begin = reply.find("\r\n", 4) + 2;
    cursor = reply.substr(begin, reply.find("\r\n", begin) - begin);
    for (std::size_t at = reply.find("\r\n", begin); (at = reply.find("\r\n$", at)) != std::string::npos;) {
      const std::size_t key = reply.find("\r\n", at + 2) + 2;
      at = reply.find("\r\n", key);
      met.insert(reply.substr(key, at - key));
    }
    EXPECT_LT(std::stoull(cursor), 1ull << 53);
    for (int i = 0; i < 50; ++i, ++added) ask("SET {same}new" + std::to_string(added) + " v");
    ask("DEL {same}new" + std::to_string(added / 2));
  } while (cursor != "0");
  for (int i = 0; i < 3000; ++i) {
    ASSERT_TRUE(met.contains("{same}" + std::to_string(i))) << i;
    ASSERT_TRUE(met.contains("stays" + std::to_string(i))) << i;
  }
  EXPECT_EQ(ask("SCAN x"), "-ERR invalid cursor\r\n");
  EXPECT_EQ(ask("SCAN 0 COUNT 0"), kSyntax);
  EXPECT_EQ(ask("SCAN 0 COUNT 100000 TYPE list"), "*2\r\n$1\r\n0\r\n*0\r\n");
  EXPECT_EQ(ask("SCAN 0 COUNT 100000 MATCH stays7"), "*2\r\n$1\r\n0\r\n*1\r\n" + bulk("stays7"));
}

// Shows that what DUMP gives comes back, and that every damaged byte is noticed.
TEST_F(CommandsTest, DumpAndRestore) {
  const std::string value("a\0b\r\n", 5);
  ask({"SET", "k", value});
  const std::string reply = ask("DUMP k");
  const std::string payload = reply.substr(reply.find('\n') + 1, reply.size() - reply.find('\n') - 3);
  EXPECT_EQ(ask({"RESTORE", "k", "0", payload}), "-BUSYKEY Target key name already exists.\r\n");
  EXPECT_EQ(ask({"RESTORE", "k2", "5000", payload}), kOk);
  EXPECT_EQ(ask("GET k2"), bulk(value));
  EXPECT_EQ(ask("PTTL k2"), ":5000\r\n");
  EXPECT_EQ(ask({"RESTORE", "k2", "1999999999999", payload, "REPLACE", "ABSTTL"}), kOk);
  EXPECT_EQ(ask("EXISTS k2"), ":0\r\n");
  for (std::size_t i = 0; i < payload.size(); ++i) {
    std::string damaged = payload;
    damaged[i] = static_cast<char>(damaged[i] ^ 4);
    ASSERT_EQ(ask({"RESTORE", "x", "0", damaged}), "-ERR DUMP payload version or checksum are wrong\r\n")
        << i;
  }
  EXPECT_EQ(ask("DUMP none"), kNil);
  const std::string old("MSab\1\x25\x43\x36\x53\x8f\x68\x83\xd2", 13);  // of version 0.1.0
  EXPECT_EQ(ask({"RESTORE", "old", "0", old}), kOk);
  EXPECT_EQ(ask("GET old"), bulk("ab"));
}

// Shows LCS's three answers.
TEST_F(CommandsTest, Lcs) {
  ask("MSET a ohmytext b mynewtext");
  EXPECT_EQ(ask("LCS a b"), bulk("mytext"));
  EXPECT_EQ(ask("LCS a b LEN"), ":6\r\n");
  EXPECT_EQ(
      ask("LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN"),
      "*4\r\n$7\r\nmatches\r\n*1\r\n*3\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n:4\r\n$3\r\nlen\r\n:6\r\n");
  EXPECT_EQ(ask("LCS a none"), bulk(""));
  EXPECT_EQ(ask("LCS a b LEN IDX"), "-ERR If you want both the length and indexes, please just use IDX.\r\n");
}

// Shows transactions: queued, executed as one, refused when a watched key changed, thrown away after an
// error.
TEST_F(CommandsTest, Transactions) {
  Conversation client(*context_);
  EXPECT_EQ(client.ask_all({"MULTI", "SET a 1", "INCR a", "GET a", "EXEC"}),
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n:2\r\n$1\r\n2\r\n");
  EXPECT_EQ(client.ask_all({"MULTI", "SET a x", "INCR a", "FLUSHALL", "DBSIZE", "EXEC"}),
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*4\r\n+OK\r\n-ERR value is not an integer or "
            "out of range\r\n+OK\r\n:0\r\n");
  EXPECT_EQ(client.ask_all({"MULTI", "NOPE", "SET a 1", "EXEC", "EXISTS a"}),
            "+OK\r\n-ERR unknown command 'NOPE', with args beginning with: \r\n+QUEUED\r\n"
            "-EXECABORT Transaction discarded because of previous errors.\r\n:0\r\n");
  EXPECT_EQ(
      client.ask_all({"EXEC", "DISCARD", "MULTI", "MULTI", "WATCH a", "SET a 1", "DISCARD", "EXISTS a"}),
      "-ERR EXEC without MULTI\r\n-ERR DISCARD without MULTI\r\n+OK\r\n-ERR MULTI calls can not be nested\r\n"
      "-ERR WATCH inside MULTI is not allowed\r\n+QUEUED\r\n+OK\r\n:0\r\n");
  const auto watched = [&](const std::string& between) {
    client.ask_all({"SET w 1", "WATCH w missing"});
    ask(between);
    return client.ask_all({"MULTI", "PING", "EXEC"});
  };
  const std::string refused = "+OK\r\n+QUEUED\r\n*-1\r\n";
  const std::string executed = "+OK\r\n+QUEUED\r\n*1\r\n+PONG\r\n";
  EXPECT_EQ(watched("GET w"), executed);
  EXPECT_EQ(watched("SET w 2"), refused);
  EXPECT_EQ(watched("SET w 1"), refused);
  EXPECT_EQ(watched("EXPIRE w 100"), refused);
  EXPECT_EQ(watched("DEL w"), refused);
  EXPECT_EQ(watched("FLUSHALL"), refused);
  EXPECT_EQ(watched("SET missing 1"), refused);
  EXPECT_EQ(watched("DEL other"), executed);
  client.ask_all({"SET {w}1 1", "WATCH {w}1"});
  ask("SET {w}2 1");  // the same slot, another key
  EXPECT_EQ(client.ask_all({"MULTI", "PING", "EXEC"}), executed);
  client.ask_all({"WATCH {w}1", "SET {w}1 2", "UNWATCH"});
  EXPECT_EQ(client.ask_all({"MULTI", "PING", "EXEC"}), executed);
  client.ask("HELLO 3");
  client.ask_all({"WATCH w", "SET w 5"});
  EXPECT_EQ(client.ask_all({"MULTI", "PING", "EXEC"}), "+OK\r\n+QUEUED\r\n_\r\n");
  EXPECT_EQ(talk("MULTI\nSET t a b\nGET t\nGETP none\nEXEC\n"),
            "OK\r\nQUEUED\r\nQUEUED\r\nQUEUED\r\nOK\na b\n(null)\r\n");
}

// Shows that COMMAND's answers come from the table, and its subcommands' arguments.
TEST_F(CommandsTest, Command) {
  EXPECT_EQ(ask("COMMAND COUNT"), ":" + std::to_string(all_commands().size()) + "\r\n");
  EXPECT_TRUE(ask("COMMAND").starts_with("*" + std::to_string(all_commands().size()) +
                                         "\r\n*10\r\n$3\r\nset\r\n:-3\r\n"));
  EXPECT_EQ(ask("COMMAND INFO nope"), "*1\r\n*-1\r\n");
  EXPECT_TRUE(
      ask("COMMAND INFO get")
          .starts_with("*1\r\n*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n"));
  EXPECT_TRUE(ask("COMMAND INFO client|id").starts_with("*1\r\n*10\r\n$9\r\nclient|id\r\n:2\r\n"));
  EXPECT_TRUE(ask("COMMAND DOCS mget").starts_with("*2\r\n$4\r\nmget\r\n*10\r\n$7\r\nsummary\r\n"));
  EXPECT_EQ(ask("COMMAND LIST FILTERBY PATTERN *getd*"), "*1\r\n$6\r\ngetdel\r\n");
  EXPECT_EQ(ask("COMMAND LIST FILTERBY x y"), kSyntax);
  EXPECT_EQ(ask("COMMAND GETKEYS MSET a 1 b 2"), "*2\r\n" + bulk("a") + bulk("b"));
  EXPECT_EQ(ask("COMMAND GETKEYS MEMORY USAGE k"), "*1\r\n" + bulk("k"));
  EXPECT_EQ(ask("COMMAND GETKEYS PING"), "-ERR The command has no key arguments\r\n");
  EXPECT_EQ(ask("COMMAND GETKEYS NOPE"), "-ERR Invalid command specified\r\n");
}

// Shows parameters: reading by globs, changing all or none, and that what cannot change takes only its value.
TEST_F(CommandsTest, Config) {
  settings_.max_clients = 10;
  EXPECT_EQ(ask("CONFIG GET maxclients save"),
            "*4\r\n$10\r\nmaxclients\r\n$2\r\n10\r\n$4\r\nsave\r\n$0\r\n\r\n");
  EXPECT_EQ(ask("CONFIG GET nope*"), "*0\r\n");
  EXPECT_EQ(ask("CONFIG SET maxclients 20 protected-mode no"), kOk);
  EXPECT_EQ(settings_.max_clients, 20);
  EXPECT_FALSE(settings_.protected_mode);
  EXPECT_EQ(ask("CONFIG SET maxclients 30 port 1"),
            "-ERR CONFIG SET failed (possibly related to argument 'port') - can't set immutable config\r\n");
  EXPECT_EQ(ask("CONFIG SET maxclients x"),
            "-ERR CONFIG SET failed (possibly related to argument 'maxclients') - argument couldn't be "
            "parsed into an integer\r\n");
  EXPECT_EQ(settings_.max_clients, 20);
  EXPECT_EQ(ask("CONFIG SET port 6737 appendonly no"), kOk);
  EXPECT_EQ(ask("CONFIG SET nope 1"),
            "-ERR Unknown option or number of arguments for CONFIG SET - 'nope'\r\n");
  EXPECT_EQ(ask("CONFIG SET requirepass secret"), kOk);
  EXPECT_TRUE(settings_.password.matches("secret"));
  ask("GET none");
  EXPECT_NE(ask("INFO stats").find("keyspace_misses:1\r\n"), std::string::npos);
  EXPECT_EQ(ask("CONFIG RESETSTAT"), kOk);
  EXPECT_NE(ask("INFO stats").find("keyspace_misses:0\r\n"), std::string::npos);
}

// Shows what is told of keys and of the server.
TEST_F(CommandsTest, Introspection) {
  ask("MSET int 12 short abc");
  ask({"SET", "long", std::string(100, 'x')});
  EXPECT_EQ(ask("OBJECT ENCODING int"), bulk("int"));
  EXPECT_EQ(ask("OBJECT ENCODING short"), bulk("embstr"));
  EXPECT_EQ(ask("OBJECT ENCODING long"), bulk("raw"));
  EXPECT_EQ(ask("OBJECT ENCODING none"), kNil);
  EXPECT_EQ(ask("OBJECT REFCOUNT int"), ":2147483647\r\n");
  EXPECT_EQ(ask("OBJECT REFCOUNT short"), ":1\r\n");
  EXPECT_TRUE(ask("OBJECT FREQ int").starts_with("-ERR An LFU maxmemory policy is not selected"));
  pass_ms(7000);
  EXPECT_EQ(ask("OBJECT IDLETIME int"), ":7\r\n");
  EXPECT_EQ(ask("MEMORY USAGE short"), ":24\r\n");
  EXPECT_EQ(ask("TYPE int"), "+string\r\n");
  EXPECT_EQ(ask("TYPE none"), "+none\r\n");
  EXPECT_TRUE(ask("TIME").starts_with("*2\r\n$10\r\n"));
  EXPECT_EQ(ask("DEBUG SLEEP 0"), kOk);
  EXPECT_EQ(ask("FLUSHALL NOW"), kSyntax);
  EXPECT_EQ(ask("SELECT 0"), kOk);
  EXPECT_EQ(ask("SELECT 16"), "-ERR DB index is out of range\r\n");
  const std::string info = ask("INFO ALL");
  for (const char* line : {"redis_version:7.2.4\r\n",
                           "memento_version:", "db0:keys=3,expires=0,avg_ttl=0\r\n", "role:master\r\n"}) {
    EXPECT_NE(info.find(line), std::string::npos) << line << info;
  }
  EXPECT_EQ(ask("FLUSHALL ASYNC"), kOk);
  EXPECT_EQ(ask("RANDOMKEY"), kNil);
}

// Shows what DEBUG answers: a key's facts, and one reply of each type as RESP2 and RESP3 have it.
TEST_F(CommandsTest, Debug) {
  ask("MSET int 12 text abc");
  pass_ms(3000);
  EXPECT_EQ(ask("DEBUG OBJECT none"), "-ERR no such key\r\n");
  EXPECT_NE(ask("DEBUG OBJECT int").find(" refcount:2147483647 encoding:int serializedlength:"),
            std::string::npos);
  const std::string facts = ask("DEBUG OBJECT text");
  EXPECT_TRUE(facts.starts_with("+Value at:0x") && facts.ends_with(" lru_seconds_idle:3\r\n")) << facts;
  EXPECT_EQ(ask("DEBUG SET-ACTIVE-EXPIRE x"), "-ERR value is not an integer or out of range\r\n");
  EXPECT_EQ(ask("DEBUG SET-ACTIVE-EXPIRE 0"), kOk);
  EXPECT_FALSE(settings_.expires_in_background);
  EXPECT_EQ(ask("DEBUG SET-ACTIVE-EXPIRE 1"), kOk);
  EXPECT_TRUE(settings_.expires_in_background);
  struct Row {
    const char* type;
    const char* resp2;
    const char* resp3;
  };
  constexpr Row kRows[] = {
      {"string", "$11\r\nHello World\r\n", "$11\r\nHello World\r\n"},
      {"integer", ":12345\r\n", ":12345\r\n"},
      {"double", "$5\r\n3.141\r\n", ",3.141\r\n"},
      {"null", "$-1\r\n", "_\r\n"},
      {"array", "*3\r\n:0\r\n:1\r\n:2\r\n", "*3\r\n:0\r\n:1\r\n:2\r\n"},
      {"set", "*3\r\n:0\r\n:1\r\n:2\r\n", "~3\r\n:0\r\n:1\r\n:2\r\n"},
      {"map", "*6\r\n:0\r\n:0\r\n:1\r\n:1\r\n:2\r\n:0\r\n", "%3\r\n:0\r\n#f\r\n:1\r\n#t\r\n:2\r\n#f\r\n"},
      {"attrib", "$39\r\nSome real reply following the attribute\r\n",
       "|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n$39\r\nSome real reply following the "
       "attribute\r\n"},
      {"push", "-ERR RESP2 is not supported by this command\r\n", ">2\r\n$16\r\nserver-cpu-usage\r\n:42\r\n"},
      {"verbatim", "$25\r\nThis is a verbatim\nstring\r\n", "=29\r\ntxt:This is a verbatim\nstring\r\n"},
      {"true", ":1\r\n", "#t\r\n"},
      {"false", ":0\r\n", "#f\r\n"},
      {"bignum", "$37\r\n1234567999999999999999999999999999999\r\n",
       "(1234567999999999999999999999999999999\r\n"},
  };
  Conversation resp3(*context_);
  resp3.ask("HELLO 3");
  for (const Row& row : kRows) {
    EXPECT_EQ(ask({"DEBUG", "PROTOCOL", row.type}), row.resp2);
    EXPECT_EQ(resp3.ask({"DEBUG", "PROTOCOL", row.type}), row.resp3);
  }
  EXPECT_TRUE(ask("DEBUG PROTOCOL x").starts_with("-ERR Wrong protocol type name."));
  EXPECT_EQ(talk("DEBUG PROTOCOL map\nDEBUG PROTOCOL bignum\n"),
            "0: 0\n1: 1\n2: 0\r\n1234567999999999999999999999999999999\r\n");
}

// Shows that COMMAND LIST has subcommands too.
TEST_F(CommandsTest, CommandList) {
  const std::string all = ask("COMMAND LIST");
  for (const char* name : {"\r\nget\r\n", "\r\nclient\r\n", "\r\nclient|list\r\n"})
    EXPECT_NE(all.find(name), std::string::npos) << name;
}

// Shows that every subcommand is found, in any case, and its container's HELP lists it.
TEST_F(CommandsTest, Subcommands) {
  for (const Command& row : all_subcommands()) {
    const std::size_t bar = row.name.find('|');
    const std::string_view words[] = {row.name.substr(0, bar), row.name.substr(bar + 1)};
    const Command* container = find_command(words[0]);
    ASSERT_NE(container, nullptr) << row.name;
    EXPECT_EQ(resolve_subcommand(container, words), &row);
    EXPECT_NE(ask(std::string(words[0]) + " HELP").find("\n+" + std::string(words[1])), std::string::npos)
        << row.name;
  }
}

}  // namespace
}  // namespace memento::testing
