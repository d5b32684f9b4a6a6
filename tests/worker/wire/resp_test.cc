// RESP requests and replies: what the bytes mean, at any cut, with bad and hostile bytes among them.
#include <random>

#include "tests/worker/session/session_fixture.h"

namespace memento::testing {
namespace {

class RespTest : public SessionTest {
 protected:
  std::string talk_in(const std::vector<std::string>& parts) {
    segment_->header().client_ids = 0;  // HELLO tells the number
    Conversation conversation(*context_);
    std::string replies;
    for (const std::string& part : parts) replies += conversation.say(part);
    closed_ = conversation.session().is_closing();
    left_bytes_ = conversation.left_bytes();
    return replies;
  }

  /// The replies do not depend on where the bytes are cut. `requests` begin by emptying the keyspace.
  void expect_same_at_any_cut(const std::string& requests) {
    const std::string expected = talk_in({requests});
    for (std::size_t cut = 0; cut <= requests.size(); ++cut) {
      ASSERT_EQ(talk_in({requests.substr(0, cut), requests.substr(cut)}), expected) << "cut at " << cut;
    }
    std::vector<std::string> bytes;
    for (const char byte : requests) bytes.emplace_back(1, byte);
    EXPECT_EQ(talk_in(bytes), expected);
  }
};

// Shows the types of replies in both versions.
TEST_F(RespTest, ReplyTypes) {
  Conversation client(*context_);
  EXPECT_EQ(client.ask({"SET", "k", "a\r\nb"}), "+OK\r\n");
  EXPECT_EQ(client.ask("GET k"), "$4\r\na\r\nb\r\n");
  EXPECT_EQ(client.ask("GET none"), "$-1\r\n");
  EXPECT_EQ(client.ask("EXISTS k k"), ":2\r\n");
  EXPECT_EQ(client.ask("KEYS *"), "*1\r\n$1\r\nk\r\n");
  EXPECT_EQ(client.ask("KEYSPACE"), "*4\r\n$4\r\nkeys\r\n:1\r\n$5\r\nbytes\r\n:5\r\n");
  EXPECT_EQ(client.ask("NOPE a b"), "-ERR unknown command 'NOPE', with args beginning with: 'a' 'b' \r\n");
  EXPECT_EQ(client.ask(Words{"NO\r\nPE"}), "-ERR unknown command 'NO  PE', with args beginning with: \r\n");
  EXPECT_EQ(client.ask("GET"), "-ERR wrong number of arguments for 'get' command\r\n");
  EXPECT_EQ(client.ask("CLIENT"), "-ERR wrong number of arguments for 'client' command\r\n");
  EXPECT_EQ(client.ask("CLIENT nope"), "-ERR unknown subcommand 'nope'. Try CLIENT HELP.\r\n");
  EXPECT_EQ(client.ask("client id x"), "-ERR wrong number of arguments for 'client|id' command\r\n");
  EXPECT_TRUE(client.ask("HELLO 3").starts_with("%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n"));
  EXPECT_EQ(client.ask("GET none"), "_\r\n");
  EXPECT_EQ(client.ask("KEYSPACE"), "%2\r\n$4\r\nkeys\r\n:1\r\n$5\r\nbytes\r\n:5\r\n");
  EXPECT_TRUE(client.ask("CLIENT INFO").starts_with("="));
  EXPECT_EQ(client.ask("RESET"), "+RESET\r\n");
  EXPECT_EQ(client.ask("GET none"), "$-1\r\n");
  EXPECT_EQ(client.ask("QUIT"), "+OK\r\n");
  EXPECT_TRUE(client.session().is_closing());
}

// Shows what the writer has beside what commands use today.
TEST_F(RespTest, Writer) {
  const auto written = [](Protocol protocol, auto&& write) {
    ByteBuffer output;
    ReplyWriter reply(output, protocol);
    write(reply);
    return std::string(output.view());
  };
  const auto number = [](ReplyWriter& reply) { reply.number(0.5), reply.number(-3), reply.boolean(true); };
  EXPECT_EQ(written(Protocol::kText, number), "0.5\r\n-3\r\n1\r\n");
  EXPECT_EQ(written(Protocol::kResp2, number), "$3\r\n0.5\r\n$2\r\n-3\r\n:1\r\n");
  EXPECT_EQ(written(Protocol::kResp3, number), ",0.5\r\n,-3\r\n#t\r\n");
  const auto nothing = [](ReplyWriter& reply) { reply.nil_array(), reply.verbatim("a\nb\n"); };
  EXPECT_EQ(written(Protocol::kText, nothing), "(null)\r\na\nb\r\n");
  EXPECT_EQ(written(Protocol::kResp2, nothing), "*-1\r\n$4\r\na\nb\n\r\n");
  EXPECT_EQ(written(Protocol::kResp3, nothing), "_\r\n=8\r\ntxt:a\nb\n\r\n");
  const auto nested = [](ReplyWriter& reply) {
    reply.begin_push(2);
    reply.bulk("x");
    reply.begin_map(2);
    reply.field("a");
    reply.begin_set(2);
    reply.integer(1);
    reply.integer(2);
    reply.end();
    reply.field("b");
    reply.nil();
    reply.end();
    reply.end();
  };
  EXPECT_EQ(written(Protocol::kText, nested), "x\n  a:\n    1\n    2\n  b: (null)\r\n");
  EXPECT_EQ(written(Protocol::kResp2, nested),
            "*2\r\n$1\r\nx\r\n*4\r\n$1\r\na\r\n*2\r\n:1\r\n:2\r\n$1\r\nb\r\n$-1\r\n");
  EXPECT_EQ(written(Protocol::kResp3, nested),
            ">2\r\n$1\r\nx\r\n%2\r\n$1\r\na\r\n~2\r\n:1\r\n:2\r\n$1\r\nb\r\n_\r\n");
}

// Shows that replies do not depend on the cuts, for whole sequences of both protocols.
TEST_F(RespTest, AnySplit) {
  expect_same_at_any_cut("*1\r\n$5\r\nFLUSH\r\n" + frame({"SET", "k\r\n", "v\r\n$1\r\n"}) +
                         frame({"GET", "k\r\n"}) + "*0\r\n*-1\r\n\r\n" + frame({"", "x"}) +
                         "PING\r\nECHO \"a\\x41 \\n\" \r\n" + frame({"DEL", "a", "k\r\n"}) +
                         frame({"ECHO", ""}) + frame({"NOPE"}));
  expect_same_at_any_cut("PING\r\nFLUSH\nGET a\n" + frame({"SET", "a", "1"}) + "PING\nGET a\nHELLO 3\r\n" +
                         frame({"GET", "b"}) + "QUIT\r\nX");
  expect_same_at_any_cut("\r\nPING\r\nECHO 'a b'\r\nPING\r\n" + frame({"GET", "b"}) + "QUIT\r\nX");
  expect_same_at_any_cut("FLUSH\r\nSET a b\r\nHELLO 2\r\nGET a\r\nGET 'a'\r\n");
}

// Shows that what cannot be a request is named in the error, after the replies before it, and ends the
// connection.
TEST_F(RespTest, ProtocolErrors) {
  const std::string ping = frame({"PING"});
  const std::pair<std::string, std::string> cases[] = {
      {"*x\r\n", "invalid multibulk length"},
      {"*01\r\n", "invalid multibulk length"},
      {"*-0\r\n", "invalid multibulk length"},
      {"*\r\n", "invalid multibulk length"},
      {"*1073741825\r\n", "invalid multibulk length"},
      {"*99999999999999999999\r\n", "invalid multibulk length"},
      {"*1\r\nGET\r\n", "expected '$', got 'G'"},
      {"*1\r\n$-1\r\n", "invalid bulk length"},
      {"*1\r\n$x\r\n", "invalid bulk length"},
      {"*1\r\n$1048577\r\n", "invalid bulk length"},
      {"*" + std::string(70'000, '1'), "too big mbulk count string"},
      {"*1\r\n$" + std::string(70'000, '1'), "too big bulk count string"},
      {"PING \"x\r\n", "unbalanced quotes in request"},
      {"PING \"x\"y\r\n", "unbalanced quotes in request"},
      {std::string(70'000, 'x'), "too big inline request"},
  };
  for (const auto& [bytes, error] : cases) {
    const std::string expected = "+PONG\r\n-ERR Protocol error: " + error + "\r\n";
    EXPECT_EQ(talk_in({ping + bytes}), expected);
    EXPECT_TRUE(closed_);
    EXPECT_EQ(talk_in({ping, bytes}), expected);
    if (bytes.size() < 100) expect_same_at_any_cut(ping + bytes);
  }
}

// Shows that declared lengths alone cost nothing, and that many small words come through byte by byte in good
// time.
TEST_F(RespTest, DeclaredLengths) {
  Conversation client(*context_);
  EXPECT_EQ(client.say("*1000000000\r\n$3\r\nDEL\r\n$1000000\r\nxxx"), "");
  Conversation patient(*context_);
  Words words{"EXISTS"};
  for (int i = 0; i < 20'000; ++i) words.push_back("k" + std::to_string(i));
  std::string replies;
  for (const char byte : frame(words)) replies += patient.say(std::string(1, byte));
  EXPECT_EQ(replies, ":0\r\n");
}

// Shows the limits before the password was given: 10 words, 16 KiB a word; and that AUTH lifts them
// within one packet.
TEST_F(RespTest, Strangers) {
  settings_.password.set("secret", Password::kMaster);
  const auto stranger = [&](const std::vector<std::string>& parts) {
    Conversation client(*context_);
    client.session().client().authenticated = false;
    std::string replies;
    for (const std::string& part : parts) replies += client.say(part);
    closed_ = client.session().is_closing();
    return replies;
  };
  const Words many(11, "x");
  const std::string noauth = "-NOAUTH Authentication required.\r\n";
  EXPECT_EQ(stranger({frame({"GET", "a"})}), noauth);
  EXPECT_EQ(stranger({frame(Words(10, "x"))}).substr(0, 30), "-ERR unknown command 'x', with");
  EXPECT_EQ(stranger({frame(many)}), "-ERR Protocol error: unauthenticated multibulk length\r\n");
  EXPECT_EQ(stranger({frame({"ECHO", std::string(16'385, 'x')})}),
            "-ERR Protocol error: unauthenticated bulk length\r\n");
  EXPECT_TRUE(closed_);
  EXPECT_EQ(stranger({frame({"ECHO", std::string(16'384, 'x')})}), noauth);
  const std::string value(20'000, 'v');
  EXPECT_EQ(stranger({frame({"AUTH", "secret"}) + frame({"SET", "a", value}) + frame(Words(11, "GET"))}),
            "+OK\r\n+OK\r\n-ERR wrong number of arguments for 'get' command\r\n");
  EXPECT_EQ(stranger({"GET a\n"}), "(error) NOAUTH Authentication required.\r\n");
  const std::string too_much =
      "(error) Protocol error: before the password is given a request may have 10 words";
  const auto refuses = [&](const std::string& line) {
    return stranger({line}).starts_with(too_much) && closed_;
  };
  EXPECT_TRUE(refuses("GET " + std::string(65'536, 'a')));
  EXPECT_TRUE(refuses("GET " + std::string(16'385, 'a') + "\n"));
  EXPECT_EQ(stranger({"GET " + std::string(16'384, 'a') + "\n"}),
            "(error) NOAUTH Authentication required.\r\n");
  EXPECT_TRUE(refuses("DEL 1 2 3 4 5 6 7 8 9 10\n"));
  EXPECT_TRUE(refuses("DEL 1 2 3 4 5 6 7 8 9 10" + std::string(60, ' ') + "\n"));
  EXPECT_EQ(stranger({"AUTH secret\nDEL 1 2 3 4 5 6 7 8 9 10\n"}), "OK\r\n0\r\n");
  EXPECT_EQ(
      stranger({"AUTH wrong\nAUTH secret\nGET a\n"}),
      "(error) WRONGPASS invalid username-password pair or user is disabled.\r\nOK\r\n" + value + "\r\n");
  EXPECT_EQ(
      stranger({frame({"AUTH", "default", "secret"}) + frame({"AUTH", "other", "secret"})}).substr(0, 15),
      "+OK\r\n-WRONGPASS");
  EXPECT_TRUE(stranger({frame({"HELLO", "3"})}).starts_with("-NOAUTH HELLO must be called"));
  EXPECT_TRUE(
      stranger({frame({"HELLO", "3", "AUTH", "default", "secret", "SETNAME", "me"})}).starts_with("%7\r\n"));
  EXPECT_TRUE(stranger({frame({"HELLO", "3", "AUTH", "default", "no"})}).starts_with("-WRONGPASS"));
}

// Shows HELLO's errors and what it leaves when it fails: everything as before.
TEST_F(RespTest, Hello) {
  Conversation client(*context_);
  EXPECT_EQ(client.ask("HELLO 4"), "-NOPROTO unsupported protocol version\r\n");
  EXPECT_EQ(client.ask("HELLO x"), "-ERR Protocol version is not an integer or out of range\r\n");
  EXPECT_EQ(client.ask("HELLO 3 NAME x"), "-ERR Syntax error in HELLO option 'NAME'\r\n");
  EXPECT_EQ(client.ask({"HELLO", "3", "SETNAME", "a b"}),
            "-ERR Client names cannot contain spaces, newlines or special characters.\r\n");
  EXPECT_EQ(client.ask("GET none"), "$-1\r\n");
  EXPECT_TRUE(client.ask("HELLO").starts_with("*14\r\n"));
  EXPECT_TRUE(client.ask("HELLO 3 SETNAME me").starts_with("%7\r\n"));
  EXPECT_EQ(client.ask("CLIENT GETNAME"), "$2\r\nme\r\n");
}

// Shows CLIENT's subcommands about the own connection, and replies turned off.
TEST_F(RespTest, Client) {
  Conversation client(*context_);
  client.session().client().id = 7;
  EXPECT_EQ(client.ask("CLIENT ID"), ":7\r\n");
  EXPECT_EQ(client.ask("CLIENT GETNAME"), "$-1\r\n");
  EXPECT_EQ(client.ask("CLIENT SETNAME worker:1"), "+OK\r\n");
  EXPECT_EQ(client.ask({"CLIENT", "SETNAME", "a\nb"}).substr(0, 5), "-ERR ");
  EXPECT_EQ(client.ask("CLIENT GETNAME"), "$8\r\nworker:1\r\n");
  EXPECT_EQ(client.ask("CLIENT SETINFO lib-name redis-py"), "+OK\r\n");
  EXPECT_EQ(client.ask("CLIENT SETINFO LIB-VER 4.3"), "+OK\r\n");
  EXPECT_EQ(client.ask("CLIENT SETINFO LIB-X 4.3"), "-ERR Unrecognized option 'LIB-X'\r\n");
  EXPECT_EQ(client.ask({"CLIENT", "SETINFO", "lib-ver", "1 2"}),
            "-ERR lib-ver cannot contain spaces, newlines or special characters.\r\n");
  const std::string info = client.ask("CLIENT INFO");
  for (const char* part : {"id=7 ", " name=worker:1 ", " resp=2 ", " lib-name=redis-py lib-ver=4.3\n",
                           " cmd=client|info ", " multi=-1 "}) {
    EXPECT_NE(info.find(part), std::string::npos) << part << info;
  }
  EXPECT_EQ(client.ask_all({"CLIENT REPLY SKIP", "PING", "PING"}), "+PONG\r\n");
  EXPECT_EQ(client.ask_all({"CLIENT REPLY OFF", "PING", "NOPE", "CLIENT REPLY ON"}), "+OK\r\n");
  EXPECT_EQ(client.ask("CLIENT REPLY MAYBE"), "-ERR syntax error\r\n");
  EXPECT_EQ(client.ask_all({"CLIENT REPLY SKIP", "CLIENT REPLY ON", "ECHO a"}), "+OK\r\n$1\r\na\r\n");
  EXPECT_EQ(client.ask_all({"CLIENT REPLY SKIP", "CLIENT REPLY SKIP", "ECHO a", "ECHO b"}), "$1\r\nb\r\n");
  EXPECT_EQ(client.ask_all({"CLIENT REPLY SKIP", "CLIENT REPLY SKIP", "NOPE", "ECHO b"}), "$1\r\nb\r\n");
  EXPECT_EQ(client.ask_all({"CLIENT REPLY SKIP", "CLIENT REPLY OFF", "ECHO a", "CLIENT REPLY ON"}),
            "+OK\r\n");
  EXPECT_EQ(client.ask_all({"CLIENT REPLY SKIP", "RESET", "CLIENT REPLY OFF", "RESET"}), "+RESET\r\n");
  for (const char* mode : {"SKIP", "OFF", "ON"}) {
    EXPECT_EQ(
        client.ask_all({"MULTI", "PING", std::string("CLIENT REPLY ") + mode, "ECHO a", "EXEC", "ECHO z"}),
        "+OK\r\n+QUEUED\r\n-ERR Command not allowed inside a transaction\r\n+QUEUED\r\n"
        "-EXECABORT Transaction discarded because of previous errors.\r\n$1\r\nz\r\n");
  }
  EXPECT_EQ(client.ask_all({"CLIENT NO-EVICT on", "CLIENT NO-TOUCH off"}), "+OK\r\n+OK\r\n");
  EXPECT_EQ(client.ask("CLIENT NO-EVICT x"), "-ERR syntax error\r\n");
  EXPECT_EQ(client.ask("CLIENT HELP").substr(0, 14), "*37\r\n+CLIENT <");
}

// Shows that a browser's request ends the connection without an answer, in both protocols.
TEST_F(RespTest, Http) {
  EXPECT_EQ(talk_in({"POST / HTTP/1.1\r\nHost: x\r\n\r\nSET a 1\r\n"}), "");
  EXPECT_TRUE(closed_);
  EXPECT_EQ(talk_in({"GET / HTTP/1.1\r\nHost: x\r\n\r\nSET a 1\r\n"}),
            "(error) wrong number of arguments for 'get' command\r\n");
  EXPECT_TRUE(closed_);
  EXPECT_EQ(talk_in({frame({"PING"}) + "post /\r\nSET a 1\r\n"}), "+PONG\r\n");
  EXPECT_TRUE(closed_);
  EXPECT_EQ(ask("EXISTS a"), ":0\r\n");
}

// Shows that thousands of requests in one piece are answered in order, whatever the pieces.
TEST_F(RespTest, Pipelines) {
  std::string requests;
  std::string expected;
  for (int i = 0; i < 3000; ++i) {
    const std::string number = std::to_string(i);
    requests +=
        frame({"SET", "k" + std::to_string(i % 97), number}) + frame({"GET", "k" + std::to_string(i % 97)});
    expected += "+OK\r\n$" + std::to_string(number.size()) + "\r\n" + number + "\r\n";
  }
  EXPECT_EQ(talk_in({requests}), expected);
  std::mt19937 random(1);
  std::vector<std::string> parts;
  for (std::size_t at = 0; at < requests.size();) {
    const std::size_t count = 1 + random() % 300;
    parts.push_back(requests.substr(at, count));
    at += count;
  }
  EXPECT_EQ(talk_in(parts), expected);
}

// Shows HELLO inside EXEC: the replies behind it are in its protocol; in the text protocol it is refused.
TEST_F(RespTest, HelloInsideExec) {
  Conversation client(*context_);
  client.ask_all({"MULTI", "GET none", "HELLO 3 SETNAME x", "GET none", "CLIENT GETNAME"});
  const std::string reply = client.ask("EXEC");
  EXPECT_TRUE(reply.starts_with("*4\r\n$-1\r\n%7\r\n")) << reply;
  EXPECT_TRUE(reply.ends_with("_\r\n$1\r\nx\r\n")) << reply;
  EXPECT_EQ(client.ask("GET none"), "_\r\n");
  EXPECT_EQ(talk("MULTI\nHELLO 3\nEXEC\nPING\n"),
            "OK\r\nQUEUED\r\n(error) HELLO is not allowed in a transaction of the text protocol\r\nPONG\r\n");
}

// Shows that what a command inside EXEC set for the connection is not seen by those before it when EXEC works
// on its commands again: a large value makes it do so.
TEST_F(RespTest, TraitsInsideExec) {
  Conversation client(*context_);
  client.ask("CLIENT SETNAME before");
  client.ask_all({"MULTI", "CLIENT GETNAME"});
  client.ask({"SET", "k", std::string(100'000, 'x')});
  client.ask_all({"CLIENT SETNAME after", "HELLO 3", "APPEND k y"});
  const std::string reply = client.ask("EXEC");
  EXPECT_TRUE(reply.starts_with("*5\r\n$6\r\nbefore\r\n+OK\r\n+OK\r\n%7\r\n")) << reply;
  EXPECT_EQ(client.ask("CLIENT GETNAME"), "$5\r\nafter\r\n");
}

}  // namespace
}  // namespace memento::testing
