// A session over a private segment, without sockets: what a client's bytes are answered with.
#include <random>

#include "tests/worker/session/session_fixture.h"
#include "worker/command/command_table.h"

namespace memento::testing {
namespace {

// Shows each string command's replies, hits and misses.
TEST_F(SessionTest, Strings) {
  EXPECT_EQ(talk("SET a hello  world \n"), "OK\r\n");
  EXPECT_EQ(talk("GET a\n"), "hello  world \r\n");
  EXPECT_EQ(talk("GET b\n"), "(null)\r\n");
  EXPECT_EQ(talk("SET e \n"), "OK\r\n");
  EXPECT_EQ(talk("GET e\n"), "\r\n");
  EXPECT_EQ(talk("APPEND a  !\n"), "15\r\n");
  EXPECT_EQ(talk("PREPEND a > \n"), "17\r\n");
  EXPECT_EQ(talk("GET a\n"), "> hello  world  !\r\n");
  EXPECT_EQ(talk("APPEND new x\n"), "1\r\n");
  EXPECT_EQ(talk("PREPEND newer yz\n"), "2\r\n");
  EXPECT_EQ(talk("EXISTS a b new new\n"), "3\r\n");
  EXPECT_EQ(talk("DEL a b new\n"), "2\r\n");
  EXPECT_EQ(talk("GET a\n"), "(null)\r\n");
}

// Shows that GETP names the four properties, with times in milliseconds since the epoch.
TEST_F(SessionTest, Properties) {
  keyspace_->set_now_ms(1'900'000'000'123);
  talk("SET a v\n");
  EXPECT_EQ(talk("GETP a\n"), "key: a\nvalue: v\ncreation_time: 1900000000123\nexpiry: -1\r\n");
  talk("PEXPIRE a 877\n");
  EXPECT_EQ(talk("GETP a\n"), "key: a\nvalue: v\ncreation_time: 1900000000123\nexpiry: 1900000001000\r\n");
  EXPECT_EQ(talk("GETP b\n"), "(null)\r\n");
}

// Shows integers: creation from 0, both signs, and that overflow and non-numbers change nothing.
TEST_F(SessionTest, Integers) {
  EXPECT_EQ(talk("INC n\nINC n 41\nDEC n 2\nDEC n\n"), "1\r\n42\r\n40\r\n39\r\n");
  EXPECT_EQ(talk("DEC m\n"), "-1\r\n");
  talk("SET n 9223372036854775807\n");
  EXPECT_EQ(talk("INC n\n"), "(error) increment or decrement would overflow\r\n");
  EXPECT_EQ(talk("GET n\n"), "9223372036854775807\r\n");
  talk("SET n -9223372036854775808\n");
  EXPECT_EQ(talk("DEC n\n"), "(error) increment or decrement would overflow\r\n");
  EXPECT_EQ(talk("INC n -1\n"), "(error) increment or decrement would overflow\r\n");
  const std::string refused = "(error) value is not an integer or out of range\r\n";
  for (const char* value : {"x", "1x", "+1", "01", "1.5", "", " 1", "9223372036854775808", "-0"}) {
    talk(std::string("SET t ") + value + "\n");
    EXPECT_EQ(talk("INC t\n"), refused) << value;
    EXPECT_EQ(talk("GET t\n"), std::string(value) + "\r\n");
  }
  EXPECT_EQ(talk("INC n 1x\n"), refused);
  EXPECT_EQ(talk("INC none x\n") + talk("EXISTS none\n"), refused + "0\r\n");
}

// Shows decimal numbers in Redis's notation, and that NaN, infinity and non-numbers change nothing.
TEST_F(SessionTest, Floats) {
  EXPECT_EQ(talk("INCF f\nINCF f 0.1\nDECF f 3.1\nDECF f\n"), "1\r\n1.1\r\n-2\r\n-3\r\n");
  talk("SET f 5.0e3\n");
  EXPECT_EQ(talk("INCF f 200.0e-1\n"), "5020\r\n");
  talk("SET f 3.0\n");
  EXPECT_EQ(talk("INCF f 1.000000000000000005\n"), "4.00000000000000001\r\n");
  EXPECT_EQ(talk("DECF z 0\n"), "0\r\n");
  for (const char* bad : {"nan", "inf", "-inf", "x", "1.5x"}) {
    EXPECT_EQ(talk(std::string("INCF g ") + bad + "\n"), "(error) value is not a valid float\r\n") << bad;
  }
  EXPECT_EQ(talk("EXISTS g\n"), "0\r\n");
  EXPECT_EQ(talk("SET h 1e4932\nINCF h 1e4932\nGET h\n"),
            "OK\r\n(error) increment would produce NaN or Infinity\r\n1e4932\r\n");
  EXPECT_EQ(talk("SET h x\nINCF h\nGET h\n"), "OK\r\n(error) value is not a valid float\r\nx\r\n");
}

// Shows expiry by the keyspace's clock: remaining time, refreshing, taking back, passing, deleting at once.
TEST_F(SessionTest, Expiry) {
  keyspace_->set_now_ms(2'000'000'000'000);
  EXPECT_EQ(talk("EXPIRE a 10\nTTL a\nPERSIST a\n"), "0\r\n-2\r\n0\r\n");
  EXPECT_EQ(talk("SET a v\nTTL a\nPTTL a\n"), "OK\r\n-1\r\n-1\r\n");
  EXPECT_EQ(talk("EXPIRE a 10\nTTL a\nPTTL a\n"), "1\r\n10\r\n10000\r\n");
  EXPECT_EQ(talk("PEXPIRE a 1499\nTTL a\n"), "1\r\n1\r\n");
  EXPECT_EQ(talk("INC b\nEXPIRE b 5\nINC b\nAPPEND b 0\nTTL b\n"), "1\r\n1\r\n2\r\n2\r\n5\r\n");
  EXPECT_EQ(talk("PERSIST b\nPERSIST b\nTTL b\n"), "1\r\n0\r\n-1\r\n");
  keyspace_->set_now_ms(2'000'000'001'499);
  EXPECT_EQ(talk("GET a\nTTL a\nINC a\nTTL a\n"), "(null)\r\n-2\r\n1\r\n-1\r\n");
  EXPECT_EQ(talk("EXPIRE a 0\nEXISTS a\nINC a\nEXPIRE a -5\nEXISTS a\n"), "1\r\n0\r\n1\r\n1\r\n0\r\n");
  EXPECT_EQ(talk("EXPIRE b 9223372036854775807\n"), "(error) invalid expire time in 'expire' command\r\n");
  EXPECT_EQ(talk("EXPIRE b 1.5\n"), "(error) value is not an integer or out of range\r\n");
  EXPECT_EQ(talk("TTL b\nSET b x\nEXPIRE b 9\nSET b y\nTTL b\n"), "-1\r\nOK\r\n1\r\nOK\r\n-1\r\n");
}

// Shows the commands over all keys; an empty list is an empty line.
TEST_F(SessionTest, WholeKeyspace) {
  EXPECT_EQ(talk("KEYS\nCOUNT\n"), "\r\n0\r\n");
  talk("SET apple 1\nSET apricot 2\nSET banana 33\n");
  EXPECT_EQ(talk("COUNT\nKEYSPACE\n"), "3\r\nkeys: 3\nbytes: 22\r\n");
  EXPECT_EQ(talk("KEYS ban*\nVALUES ban*\n"), "banana\r\n33\r\n");
  const std::string two = talk("PREFSCAN ap\n");
  EXPECT_TRUE(two == "1\n2\r\n" || two == "2\n1\r\n") << two;
  EXPECT_EQ(talk("FUZZYSCAN aic\nFUZZYSCAN cia\nPREFSCAN b\n"), "2\r\n\r\n33\r\n");
  EXPECT_EQ(talk("KEYS a?????t\nKEYS [a-b]an*\nKEYS a[^p]*\n"), "apricot\r\nbanana\r\n\r\n");
  EXPECT_EQ(talk("FLUSH\nCOUNT\nGET apple\n"), "OK\r\n0\r\n(null)\r\n");
}

// Shows that case does not matter, empty lines are skipped, and both line ends do.
TEST_F(SessionTest, Lines) {
  EXPECT_EQ(talk("set k v\r\n\r\n\nGeT k\r\nping\nPING hey you\necho a b\n"),
            "OK\r\nv\r\nPONG\r\nhey you\r\na b\r\n");
  EXPECT_EQ(talk("  GET   k  \n"), "v\r\n");
  EXPECT_EQ(talk("   \n"), "");
  EXPECT_EQ(talk(std::string("SET z a\0b\nGET z\n", 16)), std::string("OK\r\na\0b\r\n", 9));
}

// Shows the opening PINGs that monitors and redis-benchmark send: ended by \r\n they make the connection
// speak RESP, by \n they are answered so and any later one like others.
TEST_F(SessionTest, OpeningPing) {
  Session session;
  ByteBuffer output;
  session.consume("PING\nPING\nGET a\r\nPING\r\n", *context_, batch_, output);
  EXPECT_EQ(output.view(), "+PONG\r\n+PONG\r\n(null)\r\nPONG\r\n");
  EXPECT_EQ(Conversation(*context_).say("\r\nPING\r\nGET a\r\nECHO \"two words\"\r\nQUIT\r\n"),
            "+PONG\r\n$-1\r\n$9\r\ntwo words\r\n+OK\r\n");
  EXPECT_EQ(Conversation(*context_).say("PING\nPING\r\nGET a\n"), "+PONG\r\n+PONG\r\n$-1\r\n");
  EXPECT_EQ(Conversation(*context_).say("PING a\r\nPING\r\n"), "a\r\nPONG\r\n");
  Conversation resp(*context_);
  resp.session().speak_resp();
  EXPECT_EQ(resp.say("SET k v\r\nGET k\r\n"), "+OK\r\n$1\r\nv\r\n");
}

// Shows that bad input is answered with an error and the connection goes on.
TEST_F(SessionTest, BadInput) {
  EXPECT_EQ(talk("NOPE\nGETX a\nG\n"), "(Unknown command)\r\n(Unknown command)\r\n(Unknown command)\r\n");
  EXPECT_EQ(talk("GET\nGET a b\nSET a\nDEL\nFLUSH now\n"),
            "(error) wrong number of arguments for 'get' command\r\n"
            "(error) wrong number of arguments for 'get' command\r\n"
            "(error) wrong number of arguments for 'set' command\r\n"
            "(error) wrong number of arguments for 'del' command\r\n"
            "(error) wrong number of arguments for 'flush' command\r\n");
  for (const char* name :
       {"INC k 1 2", "DEC k 1 2", "INCF k 1 2", "DECF k 1 2", "KEYS a b", "VALUES a b", "HELP a b"}) {
    EXPECT_TRUE(talk(std::string(name) + "\n").starts_with("(error) wrong number of arguments")) << name;
  }
  EXPECT_FALSE(closed_);
}

// Shows the limits: a key of 64 KiB works and a longer one is refused; so with values at their limit.
TEST_F(SessionTest, Limits) {
  const std::string key(64 << 10, 'k');
  const std::string value(1 << 20, 'v');
  EXPECT_EQ(talk("SET " + key + " x\nGET " + key + "\n"), "OK\r\nx\r\n");
  const std::string key_error = "(error) key is longer than the limit of 65536 bytes\r\n";
  EXPECT_EQ(talk("SET " + key + "k x\nGET " + key + "k\nDEL a " + key + "k\nCOUNT\n"),
            key_error + key_error + key_error + "1\r\n");
  const std::string value_error = "(error) value is longer than the limit of 1048576 bytes\r\n";
  EXPECT_EQ(talk("SET a " + value + "\nSET b " + value + "v\nAPPEND a x\nPREPEND a x\nEXISTS a b\n"),
            "OK\r\n" + value_error + value_error + value_error + "1\r\n");
  EXPECT_EQ(talk("GET a\n"), value + "\r\n");
  EXPECT_FALSE(closed_);
}

// Shows that a line no request can be is refused, whether its end has come or not, and closes the connection.
TEST_F(SessionTest, LineTooLong) {
  const std::string line((1 << 20) + (64 << 10) + 100, 'x');
  const std::string error =
      "(error) Protocol error: line is longer than the limits of a key and a value together, or than 65536 "
      "bytes without a "
      "command; the connection is closed\r\n";
  EXPECT_EQ(talk("PING\nSET a " + line), "PONG\r\n" + error);
  EXPECT_TRUE(closed_);
  EXPECT_EQ(talk("PING\nSET a " + line + "\nPING\n"), "PONG\r\n" + error);
  EXPECT_TRUE(closed_);
  for (const char* first : {"", "$", "NOPE ", "SETX ", " "}) {
    std::string garbage(first);
    garbage.resize(65536, 'x');
    EXPECT_EQ(talk("PING\n" + garbage), "PONG\r\n");
    EXPECT_FALSE(closed_);
    EXPECT_EQ(talk("PING\n" + garbage + "x"), "PONG\r\n" + error);
    EXPECT_TRUE(closed_);
    EXPECT_EQ(talk(garbage + "x\nPING\n"), error);
    EXPECT_TRUE(closed_);
  }
}

// Shows that QUIT and EXIT answer, and nothing behind them is executed.
TEST_F(SessionTest, Quit) {
  for (const char* name : {"QUIT", "exit"}) {
    EXPECT_EQ(talk(std::string(name) + "\nSET a 1\n"), "OK\r\n");
    EXPECT_TRUE(closed_);
  }
  EXPECT_EQ(talk("EXISTS a\n"), "0\r\n");
}

// Shows that replies don't depend on how the bytes were cut: at every single place, byte by byte, at random.
TEST_F(SessionTest, AnySplit) {
  const std::string requests =
      "FLUSH\r\nSET key some value\nGET key\n\nINC n 5\r\nNOPE\nGET\nDEL key n\nMISSING x\nAPPEND q  "
      "z\r\nCOUNT\nGET q\n";
  const std::string expected = talk(requests);
  ASSERT_FALSE(expected.empty());
  for (std::size_t cut = 0; cut <= requests.size(); ++cut) {
    ASSERT_EQ(talk({requests.substr(0, cut), requests.substr(cut)}), expected) << "cut at " << cut;
    ASSERT_EQ(left_bytes_, 0u);
  }
  std::vector<std::string> bytes;
  for (const char byte : requests) bytes.emplace_back(1, byte);
  EXPECT_EQ(talk(bytes), expected);
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::string> parts;
    for (std::size_t at = 0; at < requests.size();) {
      const std::size_t count = 1 + random() % 30;
      parts.push_back(requests.substr(at, count));
      at += count;
    }
    ASSERT_EQ(talk(parts), expected);
  }
}

// Shows that thousands of requests in one fragment are answered in order.
TEST_F(SessionTest, ThousandsInOnePacket) {
  std::string requests;
  std::string expected;
  for (int i = 0; i < 5000; ++i) {
    requests += "SET k" + std::to_string(i % 100) + " " + std::to_string(i) + "\nGET k" +
                std::to_string(i % 100) + "\n";
    expected += "OK\r\n" + std::to_string(i) + "\r\n";
  }
  EXPECT_EQ(talk(requests), expected);
}

// Shows that a session stops as soon as its output piles up, within a batch too, and goes on where it was.
TEST_F(SessionTest, PausesWithFullOutput) {
  talk("SET big " + std::string(900'000, 'b') + "\n");
  Session session;
  ByteBuffer input;
  ByteBuffer output;
  input.append("ECHO 0\n");
  for (int i = 0; i < 64; ++i) input.append("GET big\n");
  std::size_t received = 0;
  int rounds = 0;
  do {
    input.consume(session.consume(input.view(), *context_, batch_, output));
    EXPECT_LE(output.size(), Session::kOutputPauseBytes + 900'002);  // one reply beyond the limit
    received += output.size();
    output.consume(output.size());
    ++rounds;
  } while (session.is_paused());
  EXPECT_EQ(received, 3u + 64 * 900'002u);
  EXPECT_GT(rounds, 1);
  EXPECT_TRUE(input.empty());
}

/// With little memory.
class FullMemoryTest : public SessionTest {
 protected:
  FullMemoryTest() : SessionTest(1 << 20, 16 << 20) {}
};

// Shows that full memory refuses writes with its own answer, changes nothing, and that reads and DEL go on.
TEST_F(FullMemoryTest, IsRefusedAndLosesNothing) {
  const std::string value(10'000, 'v');
  int stored = 0;
  while (talk("SET k" + std::to_string(stored) + " " + value + "\n") == "OK\r\n") ++stored;
  ASSERT_GT(stored, 100);
  EXPECT_EQ(talk("SET other " + value + "\nAPPEND k0 " + value + "\n"),
            "(Out of memory)\r\n(Out of memory)\r\n");
  for (int i = 0; i < stored; ++i) ASSERT_EQ(talk("GET k" + std::to_string(i) + "\n"), value + "\r\n");
  EXPECT_EQ(talk("EXISTS other\nDEL k1 k2\nSET other " + value + "\n"), "0\r\n2\r\nOK\r\n");
}

// Shows that while more memory is in use than may be, what may need more is refused as in Redis, whether or
// not it would find some, also in MULTI, and that what needs none goes on; with eviction nothing is refused.
TEST_F(SessionTest, MoreMemoryInUseThanMayBe) {
  ask("MSET k 1 l 1 m 1");
  keyspace_->set_memory_limit(1);
  const std::string reason = "OOM command not allowed when used memory > 'maxmemory'.\r\n";
  const std::string refusal = "-" + reason;
  const std::string aborted = "-EXECABORT Transaction discarded because of";
  Conversation client(*context_);
  for (const char* const request :
       {"SET k 1", "INCR k", "APPEND k x", "MSET k 1", "COPY k n", "SETBIT k 0 1"})
    EXPECT_EQ(client.ask(request), refusal) << request;
  EXPECT_EQ(client.ask("SET k"), "-ERR wrong number of arguments for 'set' command\r\n");
  EXPECT_EQ(client.ask_all({"GET k", "DEL m", "EXPIRE l 100", "RENAME l m"}),
            "$1\r\n1\r\n:1\r\n:1\r\n+OK\r\n");
  EXPECT_EQ(client.ask_all({"MULTI", "GET k", "SET k 2", "EXEC"}),
            kOk + ("+QUEUED\r\n" + refusal) + aborted + " previous errors.\r\n");
  EXPECT_EQ(client.ask_all({"MULTI", "GET k", "EXEC"}), kOk + std::string("+QUEUED\r\n*1\r\n$1\r\n1\r\n"));
  keyspace_->set_memory_limit(0);
  EXPECT_EQ(client.ask_all({"MULTI", "SET k 2"}), kOk + std::string("+QUEUED\r\n"));
  keyspace_->set_memory_limit(1);
  EXPECT_EQ(client.ask("EXEC"), aborted + ": " + reason);
  EXPECT_EQ(talk("SET k 2\nGET k\n"), "(Out of memory)\r\n1\r\n");
  ASSERT_TRUE(keyspace_->set_eviction(true));
  EXPECT_EQ(client.ask("SET k 2"), kOk);
  keyspace_->set_memory_limit(0);
}

// Shows that every row of the table is found in any case, and HELP lists it.
TEST_F(SessionTest, EveryCommandIsFoundAndHelped) {
  const std::string help = talk("HELP\n");
  for (const Command& command : all_commands()) {
    std::string lower;
    for (const char c : command.name) lower += static_cast<char>(c == '_' ? c : c | 0x20);
    EXPECT_EQ(find_command(lower), &command);
    EXPECT_EQ(find_command(command.name), &command);
    EXPECT_EQ(find_command(lower + "x"), nullptr);
    EXPECT_NE(help.find("\n  " + std::string(command.name) + " "), std::string::npos) << command.name;
    EXPECT_TRUE(talk("HELP " + lower + "\n").starts_with(std::string(command.name) + " "));
  }
  EXPECT_EQ(find_command("SE\x54\x80"), nullptr);
  EXPECT_EQ(find_command("\x13\x05T"), nullptr);
  EXPECT_TRUE(talk("HELP nope\n").starts_with("(error) "));
}

// Shows that a turn that has lasted too long ends between two requests, whatever they are, and another one
// goes on there.
TEST_F(SessionTest, TurnsEnd) {
  Conversation conversation(*context_);
  conversation.say("ECHO -\n");
  const auto begin_late_turn = [&] {
    conversation.session().begin_turn();
    const std::int64_t end_ns = monotonic_time_ns() + static_cast<std::int64_t>(2 * Session::kTurnNs);
    while (monotonic_time_ns() < end_ns) {
    }
  };
  begin_late_turn();
  EXPECT_EQ(conversation.say("EXISTS a b\nEXISTS a b\nEXISTS a b\nGET a\nGET"), "0\r\n");
  EXPECT_TRUE(conversation.session().has_rest());
  begin_late_turn();
  EXPECT_EQ(conversation.say(""), "0\r\n");
  EXPECT_TRUE(conversation.session().has_rest());
  conversation.session().begin_turn();
  EXPECT_EQ(conversation.say(" b\n"), "0\r\n(null)\r\n(null)\r\n");
  EXPECT_FALSE(conversation.session().has_rest());
  std::string many;
  for (int i = 0; i < 80; ++i) many += "GET a\n";
  begin_late_turn();
  std::string replies = conversation.say(many);  // brief ones are looked at by the batch
  EXPECT_TRUE(conversation.session().has_rest());
  conversation.session().begin_turn();
  replies += conversation.say("");
  EXPECT_EQ(replies.size(), 80 * std::string_view("(null)\r\n").size());
}

// Shows that INFO's figures are the keyspace's and its sections can be asked for one by one.
TEST_F(SessionTest, Info) {
  talk("SET a 1\nGET a\nGET b\nNOPE\n");
  const std::string info = talk("INFO\n");
  for (const char* line :
       {"keys:1\n", "keyspace_hits:1\n", "keyspace_misses:1\n", "total_error_replies:1\n", "workers:2\n"}) {
    EXPECT_NE(info.find(line), std::string::npos) << line << info;
  }
  EXPECT_EQ(talk("INFO keyspace\n"), "# Keyspace\ndb0:keys=1,expires=0,avg_ttl=0\r\n");
  EXPECT_EQ(talk("INFO entries\n"), "# Entries\nkeys:1\npayload_bytes:2\r\n");
  const std::string memory = talk("INFO memory\n");
  EXPECT_NE(memory.find("maxmemory:67108864\nmaxmemory_human:64.00M\n"), std::string::npos) << memory;
}

}  // namespace
}  // namespace memento::testing
