// Messages between the workers of a real server: each connection's worker is known, so that they cross
// processes.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <vector>

#include "tests/integration/test_server.h"

namespace memento::testing {
namespace {

/// A connection to this worker, or to any other one.
Client connect_to(const TestServer& server, pid_t worker, bool is_other) {
  for (;;) {
    Client client = server.connect();
    if ((worker_of(client) == worker) != is_other) return client;
  }
}

std::string next(Client& client) {
  const Result<std::string> reply = client.read_reply();
  return reply ? *reply : "no reply: " + reply.error().message;
}

std::string ask(Client& client, const std::string& line) {
  const Result<std::string> reply = client.request(line);
  return reply ? *reply : "no reply: " + reply.error().message;
}

// Shows that messages and values reach clients of both workers, in the order of their publisher, large ones
// whole.
TEST(PubSub, ReachesAllWorkers) {
  TestServer server;
  Client publisher = server.connect();
  const pid_t worker = worker_of(publisher);
  Client near = connect_to(server, worker, false);
  Client far = connect_to(server, worker, true);
  for (Client* client : {&near, &far}) {
    EXPECT_EQ(ask(*client, "SUBSCRIBE news"), "subscribe\nnews\n1");
    EXPECT_EQ(ask(*client, "SUB k"), "sub\nk\n1");
  }
  EXPECT_EQ(ask(far, "PSUBSCRIBE oth*"), "psubscribe\noth*\n2");
  EXPECT_EQ(ask(publisher, "PUBSUB NUMSUB news"), "news\n2");
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(ask(publisher, "PUBLISH news " + std::to_string(i)), "2");
  const std::string large(2'000'000, 'x');
  EXPECT_EQ(ask(publisher, "PUBLISH news " + large), "2");
  EXPECT_EQ(ask(publisher, "SET k v"), "OK");
  EXPECT_EQ(ask(publisher, "PUBLISH other y"), "1");
  for (Client* client : {&near, &far}) {
    for (int i = 0; i < 1000; ++i) ASSERT_EQ(next(*client), "message\nnews\n" + std::to_string(i));
    EXPECT_EQ(next(*client), "message\nnews\n" + large);
    EXPECT_EQ(next(*client), "value\nk\nv");
  }
  EXPECT_EQ(next(far), "pmessage\noth*\nother\ny");
}

// Shows that a publisher's worker killed in the middle of sending leaves whole messages in order, and that
// the next worker goes on; and that the subscribers of a killed worker no longer count.
TEST(PubSub, KilledWorkers) {
  TestServer server;
  Client subscriber = server.connect();
  const pid_t listening = worker_of(subscriber);
  EXPECT_EQ(ask(subscriber, "SUBSCRIBE news"), "subscribe\nnews\n1");
  const std::string padding(50'000, 'p');  // several fragments
  int last = -1;
  for (int round = 0; round < 10; ++round) {
    Client publisher = connect_to(server, listening, true);
    const pid_t sending = worker_of(publisher);
    for (int i = 0; i < 40; ++i) {
      if (!publisher.send_line("PUBLISH news " + std::to_string(round * 40 + i) + " " + padding)) break;
      if (i == 10 + 2 * round) kill(sending, SIGKILL);
    }
    // Those of this round that were sent, up to one that says that the round is over.
    Client closer = connect_to(server, listening, false);
    ASSERT_TRUE(wait_until([&] {
      const std::vector<pid_t> pids = server.workers(2);
      return std::ranges::find(pids, sending) == pids.end();
    }));
    EXPECT_EQ(ask(closer, "PUBLISH news end"), "1");
    for (std::string got; (got = next(subscriber)) != "message\nnews\nend";) {
      ASSERT_TRUE(got.starts_with("message\nnews\n") && got.ends_with(" " + padding)) << got.substr(0, 100);
      const int number = std::atoi(got.c_str() + 13);
      ASSERT_GT(number, last);
      last = number;
    }
  }
  Client publisher = connect_to(server, listening, true);
  kill(listening, SIGKILL);
  EXPECT_TRUE(wait_until([&] { return ask(publisher, "PUBLISH news x") == "0"; }));
}

// Shows that a subscriber that takes nothing is closed, and that another one gets all.
TEST(PubSub, SlowSubscriberIsClosed) {
  TestServer server;
  Client slow = server.connect();
  Client quick = server.connect();
  Client publisher = server.connect();
  ask(slow, "SUBSCRIBE news");
  ask(quick, "SUBSCRIBE news");
  const std::string message(1 << 20, 'x');
  int sent = 0;
  std::string count;
  do {
    count = ask(publisher, "PUBLISH news " + message);
    ASSERT_EQ(next(quick), "message\nnews\n" + message);
  } while (count == "2" && ++sent < 200);
  EXPECT_EQ(count, "1");
  EXPECT_GT(sent, 30);
}

// Shows that a worker that was stopped holds nobody up, whatever is published and written meanwhile, and
// tells its subscribers, and the log, that they missed some of it.
TEST(PubSub, StoppedWorker) {
  TestServer server;
  Client subscriber = server.connect();
  const pid_t listening = worker_of(subscriber);
  Client publisher = connect_to(server, listening, true);
  ask(subscriber, "SUBSCRIBE news");
  ask(subscriber, "SUB k");
  kill(listening, SIGSTOP);
  const std::string message(1'000'000, 'x');
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(ask(publisher, "PUBLISH news " + message), "1");
    EXPECT_EQ(ask(publisher, "SET k " + message), "OK");
  }
  kill(listening, SIGCONT);
  Result<std::string> got = subscriber.read_reply();
  while (got) got = subscriber.read_reply();
  EXPECT_TRUE(wait_until([&] {
    return server.log().find("1 subscribers are closed: this worker did not read in time") !=
           std::string::npos;
  })) << server.log();
  EXPECT_TRUE(wait_until([&] { return ask(publisher, "PUBLISH news x") == "0"; }));
}

// Shows that subscribers of the old binary's workers get what clients of the new one's publish.
TEST(PubSub, AcrossAnUpgrade) {
  TestServer server({"--quit-timeout", "60"});
  Client subscriber = server.connect();
  EXPECT_EQ(ask(subscriber, "SUBSCRIBE news"), "subscribe\nnews\n1");
  const std::vector<pid_t> old = server.workers(2);
  server.signal(SIGUSR2);
  const auto is_new = [&](pid_t pid) { return std::ranges::find(old, pid) == old.end(); };
  pid_t worker = 0;
  ASSERT_TRUE(wait_until([&] {
    Result<Client> client = Client::connect({"127.0.0.1", server.port()});
    if (client) worker = worker_of(*client);
    return worker != 0 && is_new(worker);
  }));
  Client publisher = connect_to(server, worker, false);
  EXPECT_EQ(ask(publisher, "PUBLISH news across"), "1");
  EXPECT_EQ(next(subscriber), "message\nnews\nacross");
}

}  // namespace
}  // namespace memento::testing
