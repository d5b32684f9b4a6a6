// A worker's end of its channel, with the test as the bus: every request is answered once, whoever dies.
#include "worker/routing/bus_client.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "bus/core/channel.h"
#include "tests/integration/test_server.h"

namespace memento {
namespace {

constexpr std::uint32_t kProcess = 1;
constexpr std::int64_t kTimeoutMs = 1000;

class BusClientTest : public ::testing::Test {
 protected:
  BusClientTest() {
    AttachReport report;
    segment_ = std::move(
        *Segment::create_or_attach({folder_.path() + "/data", 16 << 20, 2, 1 << 20, false}, &report));
    state_.emplace(std::move(*ClusterStateFile::create(folder_.path() + "/data")));
    (*state_)->node_count = 3;
    start_worker();
    start_bus();
  }

  void start_worker() { client_ = std::move(*BusClient::create(*segment_, **state_, kProcess, kTimeoutMs)); }
  // A new bus: what the one before had read is lost.
  void start_bus() {
    channel_.reset();
    channel_.emplace(std::move(*Channel::open(folder_.path() + "/data", kProcess, 3)));
    requests_ = channel_->request_reader();
    replies_ = channel_->reply_writer();
    channel_->header().taken_over = channel_->header().requests.head.load();
    channel_->header().bus_generation.fetch_add(1);
  }

  static constexpr std::uint64_t kClient = 4;
  static constexpr std::uint64_t kOtherClient = 5;  // its requests take another lane

  void ask(std::uint64_t place, bool may_write = true, const std::string& bytes = "request",
           NodeId node = NodeId{1}, std::uint64_t client_id = kClient) {
    client_->send({node, FragmentKind::kCommand, may_write, Protocol::kText}, {3, client_id, place, 0},
                  bytes.size(), [&](char* to) { bytes.copy(to, bytes.size()); });
  }
  // The fragments that the bus reads now.
  std::vector<FragmentHeader> read(bool passes = true) {
    client_->flush();
    std::vector<FragmentHeader> headers;
    const std::string_view fragments = requests_.view();
    for_each_fragment(fragments, [&](const FragmentHeader& header, std::string_view payload) {
      headers.push_back(header);
      bytes_ += payload;
      if (passes)
        channel_->header().passed[header.node.value][header.lane].fetch_add(fragment_bytes(payload.size()));
      return true;
    });
    requests_.advance(fragments.size());
    requests_.release();
    return headers;
  }
  void reply(FragmentHeader header, std::string_view bytes) {
    header.kind = FragmentKind::kReply;
    header.flags = kFirstFragment | kLastFragment;
    header.payload_bytes = static_cast<std::uint32_t>(bytes.size());
    char* const place = replies_.reserve(fragment_bytes(bytes.size()));
    std::memcpy(place, &header, sizeof header);
    bytes.copy(place + sizeof header, bytes.size());
    replies_.advance(fragment_bytes(bytes.size()));
    replies_.publish();
  }
  BusClient::OnReply note() {
    return [this](const ReplyTo& to, NodeId, Failure failure, std::string_view bytes, bool is_last) {
      EXPECT_TRUE(is_last);
      EXPECT_TRUE(answers_
                      .emplace(to.place, failure == Failure::kNone      ? std::string(bytes)
                                         : failure == Failure::kUnknown ? "unknown"
                                                                        : "down")
                      .second)
          << "answered twice";
    };
  }
  using Answers = std::map<std::uint64_t, std::string>;
  Answers receive() {
    client_->receive(note());
    return std::exchange(answers_, {});
  }

  testing::TemporaryFolder folder_;
  std::unique_ptr<Segment> segment_;
  std::optional<ClusterStateFile> state_;
  std::unique_ptr<BusClient> client_;
  std::optional<Channel> channel_;
  RingReader requests_;
  RingWriter replies_;
  std::string bytes_;
  Answers answers_;
};

// Shows that a reply finds its request, in any order, and that nothing is visible before flush().
TEST_F(BusClientTest, RepliesFindTheirRequests) {
  ask(1);
  ask(2);
  EXPECT_FALSE(requests_.has_more());
  const std::vector<FragmentHeader> headers = read();
  ASSERT_EQ(headers.size(), 2u);
  reply(headers[1], "two");
  reply(headers[0], "one");
  reply(headers[0], "one again");
  EXPECT_EQ(receive(), (Answers{{1, "one"}, {2, "two"}}));
}

// Shows what a bus's death makes of requests: those it had read are unknown or refused, those it had answered
// are answered, those it had not read are its successor's.
TEST_F(BusClientTest, ABusDies) {
  ask(1);
  ask(2, false);
  ask(3);
  const std::vector<FragmentHeader> headers = read();
  reply(headers[2], "three");
  ask(4);
  client_->flush();
  start_bus();
  EXPECT_EQ(receive(), (Answers{{1, "unknown"}, {2, "down"}, {3, "three"}}));
  const std::vector<FragmentHeader> left = read();
  ASSERT_EQ(left.size(), 1u);
  reply(left[0], "four");
  EXPECT_EQ(receive(), (Answers{{4, "four"}}));
}

// Shows that what a dead bus had read and not passed on takes no room of the lane.
TEST_F(BusClientTest, ADeadBusLeavesRoom) {
  for (int bus = 0; bus < 3; ++bus) {
    std::uint64_t put = 0;
    for (int i = 0; client_->has_room(NodeId{1}, kClient); ++i)
      ask(static_cast<std::uint64_t>(1000 * bus + i), true, std::string(50'000, 'x'));
    for (const FragmentHeader& header : read(false)) put += fragment_bytes(header.payload_bytes);
    EXPECT_GT(put, 200'000u) << bus;
    start_bus();
    receive();
  }
}

// Shows that a long request of which a dead bus had read the front is refused, for it was not executed, and
// not sent on.
TEST_F(BusClientTest, ABusDiesInALongRequest) {
  ask(1, true, std::string(3'000'000, 'x'));
  ask(2);
  EXPECT_GT(read(false).size(), 1u);
  start_bus();
  EXPECT_EQ(receive(), (Answers{{1, "down"}}));
  channel_->header().passed[1][lane_of(kClient)] = 1ull << 40;
  const std::vector<FragmentHeader> left = read();
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].flags & kFirstFragment, kFirstFragment);
}

// Shows that a message longer than ring and window passes in fragments as the node takes them, and others
// wait behind it.
TEST_F(BusClientTest, ALongRequestPassesInFragments) {
  const std::string value(10'000'000, 'v');
  ask(1, true, value);
  EXPECT_FALSE(client_->has_room(NodeId{1}, kClient));
  EXPECT_TRUE(client_->has_room(NodeId{1}, kOtherClient));
  EXPECT_TRUE(client_->has_room(NodeId{2}, kClient));
  ask(2, true, "for another node", NodeId{2});
  std::vector<FragmentHeader> all;
  while (true) {
    const std::vector<FragmentHeader> headers = read();
    if (headers.empty()) break;
    all.insert(all.end(), headers.begin(), headers.end());
  }
  EXPECT_EQ(all.front().node, NodeId{2}) << "it need not wait";
  EXPECT_EQ(all[1].flags & kFirstFragment, kFirstFragment);
  EXPECT_EQ(all.back().flags & kLastFragment, kLastFragment);
  EXPECT_TRUE(bytes_ == "for another node" + value);
  EXPECT_TRUE(client_->has_room(NodeId{1}, kClient));
}

// Shows that a lane of a node that takes nothing gets no more than its window, and does not keep others from
// theirs.
TEST_F(BusClientTest, ASlowLaneHasAWindow) {
  std::uint64_t put = 0;
  for (int i = 0; client_->has_room(NodeId{1}, kClient); ++i)
    ask(static_cast<std::uint64_t>(i), true, std::string(50'000, 'x'));
  for (const FragmentHeader& header : read(false)) put += fragment_bytes(header.payload_bytes);
  EXPECT_LE(put, 256u * 1024);
  EXPECT_GT(put, 200'000u);
  EXPECT_TRUE(read(false).empty());
  ask(1000, true, "x", NodeId{2});
  ask(1001, true, "x", NodeId{1}, kOtherClient);
  EXPECT_EQ(read(false).size(), 2u);
  channel_->header().passed[1][lane_of(kClient)].fetch_add(put);
  EXPECT_FALSE(read(false).empty());
}

// Shows that a bus that does not run is not waited for for ever: what it may have passed on is unknown, what
// is still here is refused, and a late reply finds nobody. One that runs is waited for, however long a node
// executes.
TEST_F(BusClientTest, ASilentBusIsGivenUp) {
  const std::int64_t begin_ms = monotonic_time_ns() / 1'000'000;
  ask(1);
  ask(2, false);
  const std::vector<FragmentHeader> headers = read(false);
  ask(3, true, std::string(5'000'000, 'x'));
  client_->look(begin_ms + kTimeoutMs, note());
  (*state_)->bus_seen_ms = static_cast<std::uint64_t>(begin_ms + 60'000);
  client_->look(begin_ms + 60'000, note());
  EXPECT_EQ(answers_, Answers{});
  (*state_)->bus_seen_ms = static_cast<std::uint64_t>(begin_ms);
  client_->look(begin_ms + 61'000, note());
  EXPECT_EQ(std::exchange(answers_, {}), (Answers{{1, "unknown"}, {2, "down"}, {3, "down"}}));
  ask(4);
  reply(headers[0], "late");
  EXPECT_EQ(receive(), Answers{});
}

// Shows that replies for a worker that died do not reach the next one.
TEST_F(BusClientTest, AWorkerDies) {
  ask(1);
  const std::vector<FragmentHeader> headers = read();
  start_worker();
  ask(2);
  reply(headers[0], "for the dead");
  EXPECT_EQ(receive(), Answers{});
  const std::vector<FragmentHeader> next = read();
  ASSERT_EQ(next.size(), 1u);
  EXPECT_NE(next[0].generation, headers[0].generation);
  reply(next[0], "two");
  EXPECT_EQ(receive(), (Answers{{2, "two"}}));
}

// Shows that so many requests may be under way as there are numbers for, that there is no room for more, and
// that a reply makes some.
TEST_F(BusClientTest, NumbersRunOut) {
  constexpr std::size_t kNumbers = 1 << 20;
  std::vector<FragmentHeader> headers;
  std::size_t count = 0;
  while (client_->has_numbers()) {
    ASSERT_TRUE(client_->has_room(NodeId{1}, kClient));
    ask(++count, true, "x");
    if (count % 1024 == 0) headers = read();
  }
  headers = read();
  EXPECT_EQ(count, kNumbers - kNodeLimit + 1);
  EXPECT_FALSE(client_->has_room(NodeId{1}, kClient));
  EXPECT_FALSE(client_->has_room(NodeId{2}, kOtherClient));
  reply(headers.back(), "last");
  EXPECT_EQ(receive(), (Answers{{count, "last"}}));
  EXPECT_TRUE(client_->has_room(NodeId{1}, kClient));
}

// Shows that before a sleep replies that are there are seen, and that a bus that comes later finds the wish
// to be woken.
TEST_F(BusClientTest, NothingIsSleptThrough) {
  ask(1);
  const std::vector<FragmentHeader> headers = read();
  EXPECT_TRUE(client_->may_sleep());
  EXPECT_EQ(channel_->header().worker_sleeps.load(), 1u);
  client_->wake();
  reply(headers[0], "x");
  EXPECT_FALSE(client_->may_sleep());
  EXPECT_EQ(channel_->header().worker_sleeps.load(), 0u);
}

}  // namespace
}  // namespace memento
