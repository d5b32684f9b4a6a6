// Strangers at the port where a cluster's nodes meet: they keep no node out, and fill no disk.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "bus/core/frame.h"
#include "tests/cluster/test_cluster.h"

namespace memento::testing {
namespace {

Result<Fd> connect_to_bus(const TestCluster& cluster, std::size_t node) {
  return connect_tcp({"127.0.0.1", static_cast<std::uint16_t>(cluster.port(node) + 100)});
}

// As long as a greeting can be.
std::string long_greeting() {
  return bus::FrameSender().frame(bus::FrameType::kHello, std::string(bus::kHandshakePayloadLimitBytes, 'x'));
}

// Holds more connections than there are places, on each of which a byte of a greeting comes now and then.
// Those that are closed are made anew.
class SlowGreeters {
 public:
  SlowGreeters(const TestCluster& cluster, std::size_t node, std::size_t count)
      : cluster_(cluster), node_(node), strangers_(count), thread_([this] { run(); }) {}
  ~SlowGreeters() {
    {
      const std::lock_guard lock(mutex_);
      stops_ = true;
    }
    stopping_.notify_one();
    thread_.join();
  }
  /// How often each has sent a byte, or tried to connect.
  int rounds() const { return rounds_; }

 private:
  static constexpr std::chrono::milliseconds kPause{200};
  struct Stranger {
    Fd socket;
    std::size_t sent_bytes = 0;
  };

  void run() {
    std::unique_lock lock(mutex_);
    while (!stopping_.wait_for(lock, kPause, [this] { return stops_; })) {
      for (Stranger& stranger : strangers_) send_byte(stranger);
      ++rounds_;
    }
  }
  void send_byte(Stranger& stranger) const {
    if (stranger.socket && stranger.sent_bytes < greeting_.size() &&
        ::send(stranger.socket.get(), &greeting_[stranger.sent_bytes++], 1, MSG_NOSIGNAL) == 1) {
      return;
    }
    Result<Fd> fresh = connect_to_bus(cluster_, node_);
    stranger = {fresh ? std::move(*fresh) : Fd(), 0};
  }

  const TestCluster& cluster_;
  const std::size_t node_;
  const std::string greeting_ = long_greeting();
  std::vector<Stranger> strangers_;
  std::atomic<int> rounds_{0};
  std::mutex mutex_;
  std::condition_variable stopping_;
  bool stops_ = false;
  std::thread thread_;
};

// Shows that a node comes back while strangers hold all places for greetings, and that members' links stand.
TEST(HostileBusPort, SlowGreetingsKeepNobodyOut) {
  TestCluster cluster({2, false, {"--workers", "1"}});
  {
    const SlowGreeters strangers(cluster, 0, 700);
    ASSERT_TRUE(wait_until([&] { return strangers.rounds() >= 3; }));
    cluster.kill_node(1);
    const int rounds = strangers.rounds();
    ASSERT_TRUE(wait_until([&] { return strangers.rounds() >= rounds + 4; })) << "to take its place too";
    cluster.start(1);
    EXPECT_TRUE(wait_until([&] { return cluster.request(1, "EXISTS " + cluster.key_of(0)) == "0"; }))
        << cluster.request(1, "EXISTS " + cluster.key_of(0)) << cluster.log(1);
    EXPECT_TRUE(wait_until([&] { return cluster.request(0, "EXISTS " + cluster.key_of(1)) == "0"; }));
  }
  EXPECT_EQ(cluster.request(1, "SET " + cluster.key_of(0) + " x"), "OK");
}

// Shows that a greeting has limited time as a whole, however busily it goes on.
TEST(HostileBusPort, AGreetingEnds) {
  TestCluster cluster({2, false, {"--workers", "1"}});
  Result<Fd> socket = connect_to_bus(cluster, 0);
  ASSERT_TRUE(socket);
  const std::string greeting = long_greeting();
  std::size_t sent_bytes = 0;
  char byte = 0;
  EXPECT_TRUE(wait_until([&] {  // a byte at each look
    if (sent_bytes < greeting.size()) ::send(socket->get(), &greeting[sent_bytes++], 1, MSG_NOSIGNAL);
    const ssize_t got = ::recv(socket->get(), &byte, 1, MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN);
  }));
  EXPECT_LT(sent_bytes, greeting.size());
}

// Shows that what strangers send is told a few times, and then counted.
TEST(HostileBusPort, BadConnectionsDoNotFillTheLog) {
  TestCluster cluster({2, false, {"--workers", "1"}});
  constexpr int kConnections = 300;
  for (int i = 0; i < kConnections; ++i) {
    Result<Fd> socket = connect_to_bus(cluster, 0);
    ASSERT_TRUE(socket);
    const std::string garbage(100, 'x');
    ASSERT_GT(::send(socket->get(), garbage.data(), garbage.size(), MSG_NOSIGNAL), 0);
    char byte = 0;
    while (::recv(socket->get(), &byte, 1, 0) > 0) {
    }
  }
  EXPECT_GE(cluster.log_count(0, "to the bus is closed"), 1u);
  EXPECT_LE(cluster.log_count(0, "to the bus is closed"), 60u) << "10 each 10 s";
  EXPECT_EQ(cluster.request(1, "SET " + cluster.key_of(0) + " x"), "OK");
}

}  // namespace
}  // namespace memento::testing
