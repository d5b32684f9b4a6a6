// Clients of a real server whose archiver does not get on: it is stopped, and later goes on.
#include <gtest/gtest.h>

#include <thread>

#include "tests/data/data_server.h"
#include "tests/data/stopped_archiver.h"

namespace memento::testing {
namespace {

bool info_comes_to(TestServer& server, const std::string& line) {
  return wait_until([&] { return server.request("INFO").find(line) != std::string::npos; });
}

std::string reply_of(Client& client) {
  const Result<std::string> reply = client.read_reply();
  return reply ? *reply : "(none)";
}

// Shows that with `always` nothing that is not on disk is told: replies to writes wait, those to readers of
// what was written too, other keys' do not; and that all come, in order, when the archiver goes on.
TEST(Waiting, RepliesWaitForTheDisk) {
  DataServer data({"--fsync", "always", "--workers", "1"});
  TestServer& server = data.server();
  Client writer = server.connect();
  Client reader = server.connect();
  Client quitting = server.connect();
  EXPECT_EQ(*writer.request("SET a 1"), "OK");
  const StoppedArchiver stopped(server.master());
  ASSERT_TRUE(writer.send_line("SET a 2"));
  ASSERT_TRUE(writer.send_line("INC a"));
  EXPECT_TRUE(info_comes_to(server, "journal_parked_replies:1"));
  ASSERT_TRUE(reader.send_line("GET a"));
  ASSERT_TRUE(quitting.send_line("SET b 1"));
  EXPECT_TRUE(info_comes_to(server, "journal_parked_replies:3"));
  EXPECT_EQ(server.request("GET elsewhere"), "(null)");
  stopped.go_on();
  EXPECT_EQ(reply_of(writer), "OK");
  EXPECT_EQ(reply_of(writer), "3");
  EXPECT_NE(reply_of(reader), "1");
  EXPECT_EQ(reply_of(quitting), "OK");
  EXPECT_EQ(server.request("GET a"), "3");
}

// Shows that writes wait when the ring is full: one client's pipeline, a transaction, and a script; that
// reads go on meanwhile; and that all is answered, and was done once, when the archiver goes on.
TEST(Waiting, WritesWaitForRoom) {
  DataServer data({"--workers", "1", "--journal-ring", "16MiB"});
  TestServer& server = data.server();
  Client writer = server.connect();
  Client transaction = server.connect();
  Client script = server.connect();
  constexpr int kCount = 1500;
  const std::string value(8000, 'v');  // longer ones are not copied into the ring
  EXPECT_EQ(server.request("SET number 1"), "OK");
  const StoppedArchiver stopped(server.master());
  std::thread pipeline([&] {
    for (int i = 0; i < kCount; ++i)
      EXPECT_TRUE(writer.send_line("SET key" + std::to_string(i) + " " + value));
  });
  EXPECT_TRUE(info_comes_to(server, "blocked_clients:1"));
  EXPECT_EQ(*transaction.request("MULTI"), "OK");
  EXPECT_EQ(*transaction.request("INC number"), "QUEUED");
  ASSERT_TRUE(transaction.send_line("EXEC"));
  ASSERT_TRUE(script.send_line("EVAL return(redis.call('INCR','number')) 0"));
  EXPECT_TRUE(info_comes_to(server, "blocked_clients:3"));
  EXPECT_EQ(server.request("GET number"), "1");
  EXPECT_EQ(server.request("GET key0"), value);
  stopped.go_on();
  for (int i = 0; i < kCount; ++i) ASSERT_EQ(reply_of(writer), "OK") << i;
  pipeline.join();
  EXPECT_EQ(reply_of(transaction), "2");
  EXPECT_EQ(reply_of(script), "3");
  EXPECT_EQ(server.request("GET number"), "3");
  EXPECT_EQ(server.request("COUNT"), std::to_string(kCount + 1));
}

// Shows that a client whose reply waits for the disk longer than the disk may take is told that the outcome
// is unknown, and closed; and that writes are served again when the archiver goes on.
TEST(Waiting, ADiskThatDoesNotAnswer) {
  DataServer data({"--fsync", "always", "--workers", "1", "--disk-timeout", "1"});
  TestServer& server = data.server();
  Client writer = server.connect();
  {
    const StoppedArchiver stopped(server.master());
    const Result<std::string> reply = writer.request("SET a 1");
    ASSERT_TRUE(static_cast<bool>(reply));
    EXPECT_TRUE(reply->starts_with("(error) UNKNOWN the disk does not answer")) << *reply;
    EXPECT_TRUE(wait_until([&] { return writer.is_closed_by_server(); }));
  }
  EXPECT_TRUE(wait_until([&] { return server.request("SET b 1") == "OK"; }));
  EXPECT_EQ(server.request("GET a"), "1");
}

// Shows that WAITAOF is answered when the archiver has synced what the client wrote.
TEST(Waiting, WaitAof) {
  DataServer data({"--workers", "1"});
  TestServer& server = data.server();
  Client client = server.connect();
  const StoppedArchiver stopped(server.master());
  EXPECT_EQ(*client.request("SET a 1"), "OK");
  ASSERT_TRUE(client.send_line("WAITAOF 1 0 0"));
  EXPECT_TRUE(info_comes_to(server, "blocked_clients:1"));
  stopped.go_on();
  EXPECT_EQ(reply_of(client).substr(0, 1), "1");
}

// Shows that a worker that is told to stop lets replies leave that wait for the disk: the idle client is
// closed already when the archiver goes on.
TEST(Waiting, AWorkerThatLeaves) {
  DataServer data({"--fsync", "always", "--workers", "1"});
  TestServer& server = data.server();
  Client writer = server.connect();
  Client idle = server.connect();
  EXPECT_EQ(*idle.request("GET a"), "(null)");
  const pid_t worker = worker_of(idle);
  const StoppedArchiver stopped(server.master());
  ASSERT_TRUE(writer.send_line("SET a 1"));
  EXPECT_TRUE(info_comes_to(server, "journal_parked_replies:1"));
  kill(worker, SIGTERM);
  EXPECT_TRUE(wait_until([&] { return idle.is_closed_by_server(); }));
  stopped.go_on();
  EXPECT_EQ(reply_of(writer), "OK");
  EXPECT_TRUE(wait_until([&] { return writer.is_closed_by_server(); }));
}

}  // namespace
}  // namespace memento::testing
