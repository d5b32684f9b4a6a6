// Scripts in a real server: what all workers know of them, and who can stop one that loops. What a killed
// worker leaves of one is in tests/fault.
#include <gtest/gtest.h>

#include <string>

#include "tests/integration/test_server.h"

namespace memento::testing {
namespace {

// The text protocol's words have no spaces in them; nor need scripts.
constexpr const char* kLoop = "EVAL redis.call('set','half','done')while(true)do(tostring)(1)end 0";

// A connection to another worker than this one.
Client connect_elsewhere(const TestServer& server, pid_t worker) {
  for (;;) {
    Client client = server.connect();
    if (worker_of(client) != worker) return client;
  }
}

std::string ask(Client& client, const std::string& line) {
  const Result<std::string> reply = client.request(line);
  return reply ? *reply : "(failed) " + reply.error().message;
}

// Shows that each worker knows what was loaded in one, also behind kills of all, and behind a restart.
TEST(Scripts, TextsOutliveWorkersAndServers) {
  TestServer server;
  const std::string call = "EVALSHA " + server.request("SCRIPT LOAD return(1)") + " 0";
  const auto all_know_it = [&] {
    for (int i = 0; i < 8; ++i) EXPECT_EQ(server.request(call), "1");
  };
  all_know_it();
  for (const pid_t worker : server.workers(2)) kill(worker, SIGKILL);
  all_know_it();
  server.kill_all();
  server.wait();
  server.start();
  all_know_it();
  EXPECT_EQ(server.request("SCRIPT FLUSH"), "OK");
  for (int i = 0; i < 8; ++i)
    EXPECT_EQ(server.request(call), "(error) NOSCRIPT No matching script. Please use EVAL.");
}

// Shows that a client of another worker stops a script, and that others' commands do not wait for it.
TEST(Scripts, AnotherWorkerKillsALoop) {
  TestServer server;
  Client looping = server.connect();
  Client other = connect_elsewhere(server, worker_of(looping));
  ASSERT_TRUE(looping.send_line(kLoop));
  EXPECT_EQ(ask(other, "SET half other"), "OK");
  ASSERT_TRUE(wait_until([&] { return ask(other, "SCRIPT KILL") == "OK"; }));
  const Result<std::string> reply = looping.read_reply();
  ASSERT_TRUE(reply);
  EXPECT_TRUE(reply->starts_with("(error) Script killed by user with SCRIPT KILL.")) << *reply;
  EXPECT_EQ(ask(looping, "GET half"), "other");
  EXPECT_TRUE(ask(other, "SCRIPT KILL").starts_with("(error) NOTBUSY"));
}

// Shows that clients of the same worker are told that it is busy, new ones too, and that one of them can stop
// the script.
TEST(Scripts, ClientsOfTheSameWorkerAreNotLeftWaiting) {
  TestServer server({"--workers", "1"});
  Client looping = server.connect();
  Client other = server.connect();
  EXPECT_EQ(ask(other, "CONFIG SET busy-reply-threshold 100"), "OK");
  ASSERT_TRUE(looping.send_line(kLoop));
  ASSERT_TRUE(wait_until([&] { return ask(other, "GET half").starts_with("(error) BUSY"); }));
  Client late = server.connect();
  EXPECT_EQ(ask(late, "PING x"), "x");
  EXPECT_TRUE(ask(late, "SET half late").starts_with("(error) BUSY"));
  EXPECT_EQ(ask(late, "SCRIPT KILL"), "OK");
  const Result<std::string> reply = looping.read_reply();
  ASSERT_TRUE(reply);
  EXPECT_TRUE(reply->starts_with("(error) Script killed by user")) << *reply;
  EXPECT_EQ(ask(late, "GET half"), "(null)");
  EXPECT_EQ(ask(other, "CONFIG SET busy-reply-threshold 5000"), "OK");
}

// Shows that a stop of the server does not wait for a script for ever.
TEST(Scripts, AServerThatEndsEndsItsScripts) {
  TestServer server({"--workers", "1"});
  EXPECT_EQ(server.request("CONFIG SET busy-reply-threshold 10"), "OK");
  Client looping = server.connect();
  ASSERT_TRUE(looping.send_line(kLoop));
  Client other = server.connect();
  ASSERT_TRUE(wait_until([&] { return ask(other, "GET half").starts_with("(error) BUSY"); }));
  EXPECT_EQ(server.stop(), 0);
}

}  // namespace
}  // namespace memento::testing
