// Other nodes' requests at the worker that executes them, with the test as the bus.
#include "worker/session/peer_requests.h"

#include "tests/integration/test_server.h"
#include "tests/worker/session/journalled_session.h"
#include "worker/clients/watched_key.h"
#include "worker/routing/bus_client.h"
#include "worker/wire/word_list.h"

namespace memento::testing {
namespace {

constexpr std::uint32_t kNodes = 3;  // this one is the last
constexpr int kWhole = kFirstFragment | kLastFragment;

std::string word_list(const Words& words) {
  const std::vector<std::string_view> views(words.begin(), words.end());
  std::string bytes(word_list_bytes(views), '\0');
  write_word_list(views, bytes.data());
  return bytes;
}

class PeerRequestsTest : public SessionTest {
 protected:
  PeerRequestsTest()
      : SessionTest(4 << 20),
        channel_(std::move(*Channel::create(folder_.path(), 1, kNodes))),
        state_(std::move(*ClusterStateFile::create(folder_.path() + "/"))),
        peers_{{channel_.peer_request_writer(NodeId{0}), channel_.peer_reply_reader(NodeId{0})},
               {channel_.peer_request_writer(NodeId{1}), channel_.peer_reply_reader(NodeId{1})}} {
    state_->node_count = kNodes;
    state_->self = NodeId{kNodes - 1};
    start_worker();
  }
  void start_worker() {
    requests_ = std::make_unique<PeerRequests>(channel_, *state_, *keyspace_, *services_);
  }

  // A turn may end in between.
  void serve() {
    do {
      requests_->serve();
    } while (requests_->has_work());
  }

  void put(std::size_t node, const std::string& bytes, int flags = kWhole,
           FragmentKind kind = FragmentKind::kCommand, Protocol protocol = Protocol::kResp2) {
    FragmentHeader header{};
    if ((flags & kFirstFragment) != 0) ++number_;
    header.number = number_;
    header.kind = kind;
    header.flags = static_cast<std::uint8_t>(flags);
    header.protocol = static_cast<std::uint8_t>(protocol) & 15;
    header.payload_bytes = static_cast<std::uint32_t>(bytes.size());
    char* const place = peers_[node].first.reserve(fragment_bytes(bytes.size()));
    std::memcpy(place, &header, sizeof header);
    bytes.copy(place + sizeof header, bytes.size());
    peers_[node].first.advance(fragment_bytes(bytes.size()));
    peers_[node].first.publish();
  }
  void ask_node(std::size_t node, const Words& words, Protocol protocol = Protocol::kResp2) {
    put(node, word_list(words), kWhole, FragmentKind::kCommand, protocol);
  }
  // The replies that are there, whole and in part.
  std::vector<std::string> take(std::size_t node) {
    std::vector<std::string> replies;
    RingReader& ring = peers_[node].second;
    const std::string_view fragments = ring.view();
    for_each_fragment(fragments, [&](const FragmentHeader& header, std::string_view payload) {
      EXPECT_EQ(header.kind, FragmentKind::kReply);
      if ((header.flags & kFirstFragment) != 0) replies.emplace_back();
      if (replies.empty()) replies.emplace_back();
      replies.back() += payload;
      return true;
    });
    ring.advance(fragments.size());
    ring.release();
    return replies;
  }
  using Replies = std::vector<std::string>;

  TemporaryFolder folder_;
  Channel channel_;
  ClusterStateFile state_;
  std::vector<std::pair<RingWriter, RingReader>> peers_;
  std::unique_ptr<PeerRequests> requests_;
  std::uint32_t number_ = 0;
};

constexpr const char* kNoRequest = "-ERR what another node sent is not a request\r\n";

// Shows that requests are executed in order and answered as each one's client wants it; and that only those
// are that any node may execute for a client it does not know.
TEST_F(PeerRequestsTest, ExecutesInOrder) {
  ask_node(0, {"SET", "a", "1"}, Protocol::kText);
  ask_node(0, {"INCR", "a"});
  ask_node(0, {"GET", "nothing"}, Protocol::kResp3);
  ask_node(0, {"AUTH", "x"});
  ask_node(0, {"CONFIG", "GET", "port"});
  ask_node(0, {"GET"});
  put(0, "no list");
  put(0, "no list", kWhole, FragmentKind::kExec);
  ask_node(0, {"GET", "a"});
  EXPECT_TRUE(requests_->has_work());
  serve();
  EXPECT_EQ(take(0), (Replies{"OK\r\n", ":2\r\n", "_\r\n", kNoRequest, kNoRequest,
                              "-ERR wrong number of arguments for 'get' command\r\n", kNoRequest, kNoRequest,
                              "$1\r\n2\r\n"}));
  EXPECT_FALSE(requests_->has_work());
  EXPECT_TRUE(requests_->is_idle());
  EXPECT_EQ(state_->nodes[0].executed.load(), 9u);
}

// Shows that a reply that finds no room holds up its node's requests and nobody else's, and goes on with the
// room.
TEST_F(PeerRequestsTest, ALongReplyWaits) {
  const std::string value(3 << 20, 'v');
  ask({"SET", "long", value});
  ask_node(0, {"GET", "long"});
  ask_node(0, {"SET", "after", "x"});
  ask_node(1, {"SET", "other", "x"});
  serve();
  EXPECT_FALSE(requests_->has_work());
  EXPECT_FALSE(requests_->is_idle());
  EXPECT_EQ(channel_.peer(NodeId{0}).worker_waits.load(), 1u);
  EXPECT_EQ(ask("GET after"), "$-1\r\n");
  EXPECT_EQ(ask("GET other"), "$1\r\nx\r\n");
  std::string all;
  while (!requests_->is_idle()) {
    for (const std::string& part : take(0)) all += part;
    ASSERT_TRUE(requests_->has_work());
    serve();
  }
  for (const std::string& part : take(0)) all += part;
  EXPECT_TRUE(all == "$" + std::to_string(value.size()) + "\r\n" + value + "\r\n+OK\r\n");
  EXPECT_EQ(channel_.peer(NodeId{0}).worker_waits.load(), 0u);
}

// Shows that a message in fragments is put together, and that one longer than the limit is answered once.
TEST_F(PeerRequestsTest, LongMessages) {
  const std::string message = word_list({"SET", "k", std::string(100'000, 'x')});
  put(0, message.substr(0, 60'000), kFirstFragment);
  serve();
  EXPECT_EQ(take(0), Replies{});
  put(0, message.substr(60'000), kLastFragment);
  serve();
  EXPECT_EQ(take(0), Replies{"+OK\r\n"});
  EXPECT_EQ(ask("STRLEN k"), ":100000\r\n");
  put(0, std::string(60'000, 'x'), kFirstFragment);
  for (int i = 0; i < 1300; ++i) {
    put(0, std::string(60'000, 'x'), 0);
    serve();
  }
  put(0, "end", kLastFragment);
  serve();
  EXPECT_EQ(take(0), Replies{"-OOM the request is longer than its node takes, or has memory for\r\n"});
}

// Shows that a transaction whose check fails is answered once and does nothing.
TEST_F(PeerRequestsTest, ARefusedTransactionDoesNothing) {
  const std::string long_key(kKeyLimitBytes + 1, 'k');
  put(0, word_list({}) + word_list({"SET", "done", "x"}) + word_list({"SET", long_key, "x"}), kWhole,
      FragmentKind::kExec);
  put(0, word_list({}) + word_list({"SET", "done", "x"}) + word_list({"CONFIG", "GET", "port"}), kWhole,
      FragmentKind::kExec);
  ask_node(0, {"EXISTS", "done"});
  put(0, word_list({}) + word_list({"SET", "done", "x"}), kWhole, FragmentKind::kExec);
  serve();
  EXPECT_EQ(take(0), (Replies{kNoRequest, kNoRequest, ":0\r\n", "*1\r\n+OK\r\n"}));
}

// Shows that WATCH is answered with what EXEC gives back.
TEST_F(PeerRequestsTest, WatchesAndExecutes) {
  put(0, word_list({"w"}), kWhole, FragmentKind::kWatch);
  serve();
  const Replies marks = take(0);
  ASSERT_EQ(marks.size(), 1u);
  const std::string database(sizeof(DatabaseId), '\0');
  const std::string exec = word_list({database, "w", marks[0]}) + word_list({"SET", "w", "x"});
  put(0, exec, kWhole, FragmentKind::kExec);
  put(0, exec, kWhole, FragmentKind::kExec);
  serve();
  EXPECT_EQ(take(0), (Replies{"*1\r\n+OK\r\n", "*-1\r\n"}));
}

// Shows that a request for which the journal has no room stays where it is, with those of its node behind it,
// and is executed when there is room: one in a batch, one in fragments, and a transaction. Another node's
// reads are executed meanwhile.
TEST_F(PeerRequestsTest, WaitForRoomInTheJournal) {
  ASSERT_TRUE(static_cast<bool>(segment_->begin_journal(kJournalForDisk, 1 << 20)));
  JournalState& ring = segment_->process(1).journal;
  const std::string message = word_list({"SET", "long", std::string(70'000, 'x')});
  const auto put_long = [&] {
    put(0, message.substr(0, 60'000), kFirstFragment);
    put(0, message.substr(60'000), kLastFragment);
  };
  const auto put_exec = [&] {
    put(0, word_list({}) + word_list({"SET", "a", "2"}) + word_list({"GET", "a"}), kWhole,
        FragmentKind::kExec);
  };
  struct Case {
    std::function<void()> put;
    std::string reply;
  };
  const std::vector<Case> cases = {{[&] {
                                      ask_node(0, {"SET", "a", "1"});
                                    },
                                    kOk},
                                   {put_long, kOk},
                                   {put_exec, "*2\r\n+OK\r\n" + bulk("2")}};
  for (const Case& one : cases) {
    fill_ring(*keyspace_, 1024);
    fill_ring(*keyspace_, 1);
    ask_node(0, {"GET", "nothing"});
    one.put();
    ask_node(0, {"STRLEN", "filler"});
    ask_node(1, {"STRLEN", "filler"});
    serve();
    EXPECT_EQ(take(0), Replies{kNil});
    EXPECT_EQ(take(1), Replies{":1\r\n"});
    EXPECT_FALSE(requests_->has_work());
    EXPECT_FALSE(requests_->is_idle());
    EXPECT_EQ(channel_.peer(NodeId{0}).taken.load(), channel_.peer(NodeId{0}).requests.head.load());
    ASSERT_NE(hub_->disk().begin_retry(), nullptr);
    serve();
    EXPECT_FALSE(hub_->disk().end_retry());
    ring.heads[0].store(ring.tail.load());
    ASSERT_NE(hub_->disk().begin_retry(), nullptr);
    serve();
    EXPECT_TRUE(hub_->disk().end_retry());
    EXPECT_EQ(take(0), (Replies{one.reply, ":1\r\n"}));
    EXPECT_TRUE(requests_->is_idle());
  }
}

// Shows that replies to another node that wait for the disk are not published before, nor more of that node
// executed, while a third one is served; and that they say so when the disk does not answer.
TEST_F(PeerRequestsTest, RepliesWaitForTheDisk) {
  ASSERT_TRUE(static_cast<bool>(segment_->begin_journal(kJournalForDisk, 1 << 20)));
  JournalState& ring = segment_->process(1).journal;
  DiskWaits& disk = hub_->disk();
  segment_->header().disk.release_rule.store(DiskState::kWaitForDisk);
  ask_node(0, {"GET", "nothing"});
  ask_node(0, {"SET", "a", "1"});
  put(0, word_list({}) + word_list({"SET", "b", "1"}), kWhole, FragmentKind::kExec);
  ask_node(1, {"GET", "nothing"});
  serve();
  EXPECT_EQ(take(0), Replies{});
  EXPECT_EQ(take(1), Replies{kNil});
  EXPECT_FALSE(requests_->is_idle());
  EXPECT_EQ(ask("EXISTS b"), ":0\r\n");
  ring.durable.store(ring.tail.load());
  EXPECT_EQ(disk.take_durable().size(), 1u);
  serve();
  EXPECT_EQ(take(0), (Replies{kNil, kOk}));
  ring.durable.store(ring.tail.load());
  EXPECT_EQ(disk.take_durable().size(), 1u);
  serve();
  EXPECT_EQ(take(0), Replies{"*1\r\n+OK\r\n"});

  ask_node(0, {"SET", "a", "2"});
  ask_node(0, {"GET", "a"}, Protocol::kText);
  serve();
  EXPECT_EQ(take(0), Replies{});
  const std::vector<ClientState*> lost = disk.take_lost(monotonic_time_ms() + 20'000, 10'000);
  ASSERT_EQ(lost.size(), 1u);
  requests_->lose(*lost[0]);
  serve();
  const Replies replies = take(0);
  ASSERT_EQ(replies.size(), 2u);
  EXPECT_TRUE(replies[0].starts_with("-UNKNOWN its node's disk does not answer")) << replies[0];
  EXPECT_TRUE(replies[1].starts_with("(error) UNKNOWN its node's disk")) << replies[1];
  EXPECT_TRUE(requests_->is_idle());
}

// Shows that what is executed is noted before, and that the ring is freed behind.
TEST_F(PeerRequestsTest, NotesWhatItTakes) {
  ask_node(0, {"SET", "a", "1"});
  const std::uint64_t first = peers_[0].first.position();
  serve();
  EXPECT_EQ(channel_.peer(NodeId{0}).taken.load(), first);
  EXPECT_EQ(channel_.peer(NodeId{0}).requests.head.load(), first);
}

}  // namespace
}  // namespace memento::testing
