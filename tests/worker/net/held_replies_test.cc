// Replies that wait for the disk (`fsync always`), with the test as the archiver and as the clients at the
// other ends of sockets.
#include <sys/socket.h>

#include "tests/worker/session/journalled_session.h"
#include "worker/net/connection.h"
#include "worker/session/brief_turns.h"

namespace memento::testing {
namespace {

using Wait = Connection::Wait;

/// A connection as the worker has it, and its client's end.
class Peer {
 public:
  Peer(SessionContext& context, BriefTurns& brief) : context_(context), brief_(brief) {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    connection_ = std::make_unique<Connection>(Fd(ends[0]));
    own_ = Fd(ends[1]);
    ClientState& client = state();
    client.id = context.services.hub.clients().next_id();
    client.descriptor = connection_->descriptor();
    context.services.hub.clients().add(client);
  }
  ~Peer() { context_.services.hub.remove(state()); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  ClientState& state() { return connection_->session().client(); }
  Connection& connection() { return *connection_; }
  Wait wait() const { return connection_->registered; }

  /// The connection's turn with these bytes.
  Wait say(std::string_view bytes) {
    EXPECT_EQ(::send(own_.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    Wait wait = connection_->receive(turn_, context_.keyspace);
    if (wait == Wait::kInput) {
      connection_->prepare(turn_, context_.keyspace);
      wait = connection_->execute(turn_, context_, brief_);
      brief_.end();
      wait = connection_->answer(turn_, context_);
    }
    return settle(wait);
  }
  Wait ask(const std::string& line) { return say(line + "\n"); }
  Wait release() { return settle(connection_->on_durable(turn_, context_)); }
  Wait lose() { return settle(connection_->on_lost(turn_, context_)); }
  Wait push() { return settle(connection_->push(context_.keyspace)); }
  Wait resume() { return settle(connection_->resume(turn_, context_)); }
  Wait end() { return settle(connection_->end()); }

  /// What has come.
  std::string take() {
    std::string bytes(1 << 20, '\0');
    const ssize_t got = ::recv(own_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    is_ended_ = got == 0;
    bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return bytes;
  }
  bool is_ended() {
    take();
    return is_ended_;
  }

 private:
  Wait settle(Wait wait) { return connection_->registered = wait; }

  SessionContext& context_;
  BriefTurns& brief_;
  std::unique_ptr<Connection> connection_;
  Fd own_;
  Turn turn_;
  bool is_ended_ = false;
};

class HeldRepliesTest : public JournalledSessionTest {
 protected:
  HeldRepliesTest() : JournalledSessionTest(1 << 20) {
    segment_->header().disk.release_rule.store(DiskState::kWaitForDisk);
  }
  void sync(std::uint32_t process = 1) { ring(process).durable.store(ring(process).tail.load()); }
  /// As the worker does when something has moved.
  std::size_t release(const std::vector<Peer*>& peers) {
    const std::vector<ClientState*> durable = disk().take_durable();
    for (ClientState* const client : durable) {
      for (Peer* const peer : peers) {
        if (&peer->state() == client) peer->release();
      }
    }
    return durable.size();
  }
  /// Whether the reply to this, of a client that has nothing else, is held while a key has been changed, by
  /// another process, that is not on disk.
  bool is_held(const std::string& words) {
    const std::string lines = words + "\n";
    Peer peer(*context_, brief_);
    peer.say("ECHO -\n");
    peer.take();
    for (std::string_view rest = lines; !rest.empty() && peer.wait() == Wait::kInput;) {
      const std::size_t line_bytes = rest.find('\n') + 1;
      peer.say(rest.substr(0, line_bytes));
      rest.remove_prefix(line_bytes);
    }
    return peer.wait() == Wait::kDisk;
  }

  Keyspace other_{*segment_, 0};  // of another process
  BriefTurns brief_{*context_};
};

// Shows that what a client has written is answered when it is on disk and not before; that it goes on then
// with what it has sent meanwhile; and that another client's reads of other keys are not held up.
TEST_F(HeldRepliesTest, AWriteIsAnsweredWhenItIsOnDisk) {
  Peer writer(*context_, brief_);
  Peer reader(*context_, brief_);
  EXPECT_EQ(writer.ask("SET a 1"), Wait::kDisk);
  EXPECT_EQ(reader.ask("GET b"), Wait::kInput);
  EXPECT_EQ(reader.take(), "(null)\r\n");
  EXPECT_EQ(release({&writer}), 0u);
  EXPECT_EQ(writer.take(), "");
  sync();
  EXPECT_EQ(release({&writer}), 1u);
  EXPECT_EQ(writer.wait(), Wait::kInput);
  EXPECT_EQ(writer.take(), "OK\r\n");
  EXPECT_EQ(writer.ask("GET a"), Wait::kInput);
  EXPECT_EQ(writer.take(), "1\r\n");
}

// Shows that a reader of what is not on disk waits for it, whichever process has written it, and only for
// that; in a pipeline all replies leave together, in their order.
TEST_F(HeldRepliesTest, AReadWaitsForWhatItHasSeen) {
  other_.set(other_.hash("a"), "new");
  Peer reader(*context_, brief_);
  EXPECT_EQ(reader.say("GET b\nGET a\nGET c\n"), Wait::kDisk);
  EXPECT_EQ(reader.take(), "");
  sync(0);
  EXPECT_EQ(release({&reader}), 1u);
  EXPECT_EQ(reader.take(), "(null)\r\nnew\r\n(null)\r\n");
}

// Shows which commands tell of a key that another process has changed: those that name it, whether or not
// they change it, and those that may see any.
TEST_F(HeldRepliesTest, WhatTellsOfAKey) {
  other_.set(other_.hash("text"), "new");
  for (const char* const line :
       {"GET text", "EXISTS text", "MGET x text", "SETNX text 1", "INCR text", "DBSIZE", "KEYS", "SCAN 0",
        "RANDOMKEY", "EVAL return(redis.call('get','text')) 0", "EVAL_RO return(1) 0",
        "MULTI\nGET text\nEXEC", "MULTI\nDBSIZE\nEXEC", "MULTI\nEVAL return(1) 0\nEXEC",
        "WATCH text\nMULTI\nEXEC", "TTL text", "DEL text nothing"})
    EXPECT_TRUE(is_held(line)) << line;
  sync();
  for (const char* const line : {"GET other", "PING", "INFO", "MULTI\nGET text", "MULTI\nGET other\nEXEC",
                                 "COMMAND COUNT", "CONFIG GET port", "TTL other", "SELECT 1\nGET text"})
    EXPECT_FALSE(is_held(line)) << line;
  keyspace_->open_database(DatabaseId(1));
  other_.select(DatabaseId(1));
  other_.set(other_.hash("elsewhere"), "new");
  sync(0);
  other_.set(other_.hash("elsewhere"), "newer");
  EXPECT_FALSE(is_held("GET elsewhere"));
  EXPECT_TRUE(is_held("SELECT 1\nGET elsewhere"));
  EXPECT_TRUE(is_held("MULTI\nSELECT 1\nGET elsewhere\nEXEC"));
  EXPECT_TRUE(is_held("COPY text elsewhere DB 1"));
}

// Shows that what is pushed to a client whose replies are held follows them, and that one that wants no
// replies is not held.
TEST_F(HeldRepliesTest, PushesFollow) {
  Peer subscriber(*context_, brief_);
  subscriber.say(frame({"HELLO", "3"}) + frame({"SUBSCRIBE", "news"}));
  subscriber.take();
  EXPECT_EQ(subscriber.say(frame({"SET", "a", "1"})), Wait::kDisk);
  hub_->publish(SubscriptionKind::kChannel, "news", "flash");
  ASSERT_EQ(hub_->take_pushed(), &subscriber.state());
  EXPECT_EQ(subscriber.push(), Wait::kDisk);
  EXPECT_EQ(subscriber.take(), "");
  sync();
  release({&subscriber});
  EXPECT_EQ(subscriber.take(), kOk + pushed({"message", "news", "flash"}, '>'));

  Peer silent(*context_, brief_);
  silent.say(frame({"CLIENT", "REPLY", "OFF"}));
  EXPECT_EQ(silent.say(frame({"SET", "b", "1"})), Wait::kInput);
  EXPECT_EQ(silent.say(frame({"CLIENT", "REPLY", "ON"})), Wait::kInput);
  EXPECT_EQ(silent.take(), kOk);
}

// Shows that nothing is lost of a client that quits, whose input makes no sense, or that the worker ends: it
// gets all replies, and then the end.
TEST_F(HeldRepliesTest, WhoIsClosedGetsItsRepliesFirst) {
  Peer quits(*context_, brief_);
  Peer breaks(*context_, brief_);
  Peer ends(*context_, brief_);
  EXPECT_EQ(quits.say(frame({"SET", "a", "1"}) + frame({"QUIT"})), Wait::kDisk);
  EXPECT_EQ(breaks.say(frame({"SET", "b", "1"}) + "*1\r\n$-7\r\n"), Wait::kDisk);
  EXPECT_EQ(ends.say(frame({"SET", "c", "1"})), Wait::kDisk);
  EXPECT_EQ(ends.end(), Wait::kDisk);
  EXPECT_EQ(quits.take() + breaks.take() + ends.take(), "");
  sync();
  EXPECT_EQ(release({&quits, &breaks, &ends}), 3u);
  EXPECT_EQ(quits.take(), std::string(kOk) + kOk);
  EXPECT_EQ(quits.wait(), Wait::kClosed);
  EXPECT_TRUE(breaks.take().starts_with(std::string(kOk) + "-ERR Protocol error"));
  EXPECT_TRUE(breaks.is_ended());
  EXPECT_EQ(ends.take(), kOk);
  EXPECT_TRUE(ends.is_ended());
}

// Shows that requests that wait behind those whose replies are held, here for room in the ring, are executed
// when the replies have left.
TEST_F(HeldRepliesTest, ThenForRoom) {
  Peer client(*context_, brief_);
  fill_ring(false);
  sync();
  EXPECT_EQ(client.say(frame({"SET", "a", "1"}) + frame({"SET", "b", std::string(4000, 'b')})), Wait::kDisk);
  EXPECT_EQ(client.state().waits, ClientWait::kJournal);
  EXPECT_NE(client.state().held, nullptr);
  sync();
  EXPECT_EQ(release({&client}), 1u);
  EXPECT_EQ(client.take(), kOk);
  EXPECT_EQ(client.wait(), Wait::kDisk);
  archive();
  ASSERT_EQ(disk().begin_retry(), &client.state());
  EXPECT_EQ(client.resume(), Wait::kDisk);
  EXPECT_TRUE(disk().end_retry());
  sync();
  EXPECT_EQ(release({&client}), 1u);
  EXPECT_EQ(client.take(), kOk);
  EXPECT_EQ(client.wait(), Wait::kInput);
}

// Shows that a client whose replies wait for a disk that does not answer is told that nobody knows what came
// of its requests, and gets no more; not before its time, and not while the disk gets on.
TEST_F(HeldRepliesTest, ADiskThatDoesNotAnswer) {
  Peer client(*context_, brief_);
  client.say(frame({"SET", "a", "1"}) + frame({"GET", "a"}));
  const std::int64_t now_ms = monotonic_time_ms();
  EXPECT_TRUE(disk().take_lost(now_ms + 500, 1000).empty());
  EXPECT_TRUE(disk().take_progress());
  sync(0);
  segment_->header().disk.status.store(static_cast<std::uint64_t>(DiskStatus::kFailed));
  EXPECT_TRUE(disk().take_lost(now_ms + 500, 1000).empty());
  ASSERT_EQ(disk().take_lost(now_ms + 2000, 1000), std::vector<ClientState*>{&client.state()});
  client.lose();
  const std::string reply = client.take();
  EXPECT_TRUE(reply.starts_with("-UNKNOWN the disk does not answer")) << reply;
  EXPECT_EQ(reply.find('\n'), reply.size() - 1);
  EXPECT_TRUE(client.is_ended());
  EXPECT_TRUE(client.connection().drops_input());
  EXPECT_FALSE(disk().is_waiting());
}

// Shows that a held client's replies leave when replies need not wait any more, and that one that is gone is
// forgotten.
TEST_F(HeldRepliesTest, TheRuleIsTakenBack) {
  auto gone = std::make_unique<Peer>(*context_, brief_);
  Peer client(*context_, brief_);
  gone->ask("SET a 1");
  client.ask("SET b 1");
  EXPECT_TRUE(disk().has_held());
  gone.reset();
  disk().take_progress();
  EXPECT_TRUE(disk().may_sleep());
  segment_->header().disk.release_rule.store(0);
  EXPECT_FALSE(disk().may_sleep());
  EXPECT_EQ(release({&client}), 1u);
  EXPECT_EQ(client.take(), "OK\r\n");
  EXPECT_EQ(client.ask("SET c 1"), Wait::kInput);
}

}  // namespace
}  // namespace memento::testing
