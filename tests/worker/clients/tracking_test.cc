// CLIENT TRACKING between clients of one worker and of two: each worker here is a hub on the same segment.
#include <unistd.h>

#include <new>

#include "tests/shm/messages/no_mailbox_memory.h"
#include "tests/worker/failing_allocations.h"
#include "tests/worker/session/session_fixture.h"
#include "worker/clients/message_hub.h"
#include "worker/handlers/script/script_word.h"

namespace memento::testing {
namespace {

std::string invalidated(const Words& keys) { return ">2\r\n" + bulk("invalidate") + pushed(keys); }
const std::string kDropAll = ">2\r\n" + bulk("invalidate") + "_\r\n";

class TrackingTest : public TwoWorkersTest {
 protected:
  TrackingTest() {
    for (Conversation* client : {&near_, &far_}) client->ask("HELLO 3");
  }

  void redirect_near_to_far() {
    segment_->process(2).pid.store(static_cast<std::uint32_t>(getpid()));
    const std::string far_id = std::to_string(far_.session().client().id);
    EXPECT_EQ(near_.ask("CLIENT TRACKING ON REDIRECT " + far_id), "");
    other_hub_->serve();
    hub_->serve();
    ASSERT_EQ(hub_->clients().take_ready().size(), 1u);
    EXPECT_EQ(near_.say(""), kOk);
    hub_->clients().close_question();
    other_hub_->serve();
  }

  Conversation near_{*context_};
  Conversation far_{*other_context_};
  Conversation writer_{*context_};
};

// Shows that a read is tracked until the next change, in this worker and in another, and that an own change
// is told behind its reply.
TEST_F(TrackingTest, ReadsAreTrackedOnce) {
  near_.ask("CLIENT TRACKING ON");
  far_.ask("CLIENT TRACKING ON");
  EXPECT_EQ(near_.ask("GET k") + far_.ask("TTL k"), "_\r\n:-2\r\n");
  writer_.ask("SET k 1");
  EXPECT_EQ(near_.pushes(), invalidated({"k"}));
  EXPECT_EQ(received(far_), invalidated({"k"}));
  writer_.ask("SET k 2");
  EXPECT_EQ(near_.pushes() + received(far_), "");
  EXPECT_EQ(near_.ask("GET k"), bulk("2"));
  EXPECT_EQ(near_.ask("SET k 3"), kOk + invalidated({"k"}));
  EXPECT_EQ(near_.ask("CLIENT TRACKING OFF"), kOk);
  near_.ask("GET k");
  writer_.ask("SET k 4");
  EXPECT_EQ(near_.pushes(), "");
}

// Shows that what another worker has sent comes before the answer to the next request, without a wake-up.
TEST_F(TrackingTest, MessagesComeBeforeTheNextReply) {
  far_.ask("CLIENT TRACKING ON");
  far_.ask("GET k");
  writer_.ask("SET k 1");
  EXPECT_EQ(far_.ask("PING"), invalidated({"k"}) + "+PONG\r\n");
}

// Shows that a worker is told of few keys but those that its clients track.
TEST_F(TrackingTest, OthersHearOfTrackedKeysOnly) {
  far_.ask("CLIENT TRACKING ON");
  far_.ask("GET k");
  const Word& tail = segment_->process(1).mailbox.tail;
  const std::uint64_t before = tail.load();
  for (int i = 0; i < 20; ++i) writer_.ask("SET other" + std::to_string(i) + " 1");
  EXPECT_EQ(tail.load(), before);
  writer_.ask("SET k 1");
  EXPECT_GT(tail.load(), before);
}

// Shows what changes keys without a command that names them: a script, expiry, flushing and swapping.
TEST_F(TrackingTest, WhateverChangesAKey) {
  far_.ask("CLIENT TRACKING ON");
  writer_.ask("SET k 1 PX 100000");
  far_.ask("GET k");
  writer_.ask({"EVAL", "return redis.call('set', 'k', '2', 'px', '5')", "0"});
  EXPECT_EQ(received(far_), invalidated({"k"}));
  EXPECT_EQ(far_.ask("EXISTS k"), ":1\r\n");
  keyspace_->set_now_ms(keyspace_->now_ms() + 10);
  keyspace_->maintain(100'000);
  hub_->tracking().tell(nullptr);
  EXPECT_EQ(received(far_), invalidated({"k"}));
  for (const char* const request : {"FLUSHALL", "FLUSHDB", "SWAPDB 0 1"}) {
    far_.ask("GET k");
    writer_.ask(request);
    EXPECT_EQ(received(far_), kDropAll) << request;
  }
  writer_.ask_all({"MULTI", "FLUSHALL", "EXEC"});
  EXPECT_EQ(received(far_), kDropAll);
}

// Shows that somebody who reads a key that has expired does not know more than those that track it.
TEST_F(TrackingTest, ExpiryThatIsSeenIsTold) {
  far_.ask("CLIENT TRACKING ON");
  writer_.ask("SET k 1 PX 5");
  far_.ask("GET k");
  keyspace_->set_now_ms(keyspace_->now_ms() + 10);
  EXPECT_EQ(writer_.ask("GET k"), kNil);
  EXPECT_EQ(received(far_), invalidated({"k"}));
}

// Shows NOLOOP: an own change is not told and ends the tracking; but a key that was read behind the own
// change, in the same EXEC, is tracked.
TEST_F(TrackingTest, NoLoop) {
  near_.ask("CLIENT TRACKING ON NOLOOP");
  near_.ask("GET k");
  EXPECT_EQ(near_.ask("SET k 1"), kOk);
  writer_.ask("SET k 2");
  EXPECT_EQ(near_.pushes(), "");
  near_.ask_all({"MULTI", "SET k 3", "GET k"});
  EXPECT_EQ(near_.ask("EXEC"), "*2\r\n+OK\r\n" + bulk("3"));
  writer_.ask("SET k 4");
  EXPECT_EQ(near_.pushes(), invalidated({"k"}));
}

// Shows that a process's death, messages that were overwritten and want of memory make clients drop all.
TEST_F(TrackingTest, WhatMayBeMissedIsToldAsAll) {
  far_.ask("CLIENT TRACKING ON");
  far_.ask("GET k");
  segment_->process(0).incarnation.fetch_add(1);
  EXPECT_EQ(far_.ask("PING"), kDropAll + "+PONG\r\n");
  EXPECT_EQ(far_.ask("PING"), "+PONG\r\n");
  far_.ask("GET k");
  segment_->process(1).mailbox.reserved.fetch_add(kRingBytes + 8);
  writer_.ask("SET k 1");
  EXPECT_EQ(received(far_), kDropAll);
  far_.ask("GET k");
  {
    const NoMailboxMemory full;
    EXPECT_EQ(writer_.ask("SET k " + std::string(100'000, 'v')), kOk);
  }
  EXPECT_EQ(received(far_), kDropAll);
  writer_.ask("SET k 2");
  EXPECT_EQ(received(far_), "");
}

// Shows that more keys changed at once than are noted are all.
TEST_F(TrackingTest, ManyChangesAreAll) {
  near_.ask("CLIENT TRACKING ON");
  Words request{"MSET"};
  for (std::size_t i = 0; i * 1000 < ChangedKeys::kLimitBytes + 10'000; ++i) {
    request.push_back(std::string(1000, 'k') + std::to_string(i));
    request.push_back("v");
  }
  EXPECT_EQ(writer_.ask(request), kOk);
  EXPECT_EQ(near_.pushes(), kDropAll);
}

// Shows BCAST: keys by their beginning, one message for each prefix, in this worker and in another.
TEST_F(TrackingTest, Broadcast) {
  near_.ask("CLIENT TRACKING ON BCAST PREFIX a PREFIX bc NOLOOP");
  far_.ask("CLIENT TRACKING ON BCAST");
  writer_.ask("MSET a2 1 a1 1 bcd 1 b 1");
  EXPECT_EQ(near_.pushes(), invalidated({"a1", "a2"}) + invalidated({"bcd"}));
  EXPECT_EQ(received(far_), invalidated({"a1", "a2", "b", "bcd"}));
  EXPECT_EQ(near_.ask("SET a1 2"), kOk);
  EXPECT_EQ(received(far_), invalidated({"a1"}));
}

// Shows that a client's messages reach a client of another worker, in both protocols, and what is told when
// that client has gone.
TEST_F(TrackingTest, RedirectToAnotherWorker) {
  const std::string far_id = std::to_string(far_.session().client().id);
  redirect_near_to_far();
  EXPECT_EQ(near_.ask("CLIENT GETREDIR"), ":" + far_id + "\r\n");
  near_.ask("GET k");
  writer_.ask("SET k 1");
  EXPECT_EQ(near_.pushes(), "");
  EXPECT_EQ(received(far_), invalidated({"k"}));
  far_.ask("HELLO 2");
  far_.ask("SUBSCRIBE __redis__:invalidate");
  near_.ask("GET k");
  writer_.ask("SET k 1");
  const std::string head = "*3\r\n" + bulk("message") + bulk("__redis__:invalidate");
  EXPECT_EQ(received(far_), head + pushed({"k"}));
  writer_.ask("FLUSHALL");
  EXPECT_EQ(received(far_), head + "$-1\r\n");
  near_.ask("GET k");
  other_hub_->remove(far_.session().client());
  EXPECT_EQ(near_.ask("SET k 1"), kOk + (">2\r\n" + bulk("tracking-redir-broken")) + ":" + far_id + "\r\n");
  other_hub_->clients().add(far_.session().client());
  segment_->process(2).pid.store(0);
}

// Shows that a client that messages are redirected to drops everything when some of them are lost, and still
// hears of what is changed then.
TEST_F(TrackingTest, RedirectOutlivesLostMessages) {
  redirect_near_to_far();
  const std::string too_long(MessageRing::kMessageLimitBytes, 'k');
  hub_->send(MessageType::kRedirected, far_.session().client().id, too_long, 1 << 2);
  EXPECT_EQ(received(far_), kDropAll);
  hub_->serve();
  near_.ask("GET k");
  writer_.ask("SET k 2");
  EXPECT_EQ(near_.pushes() + received(far_), invalidated({"k"}));
  near_.ask("GET k");
  segment_->process(1).mailbox.reserved.fetch_add(kRingBytes + 8);
  writer_.ask("SET k 0");
  EXPECT_NE(received(far_).find(kDropAll), std::string::npos);
  hub_->serve();
  received(far_);
  near_.ask("GET k");
  writer_.ask("SET k 3");
  EXPECT_EQ(near_.pushes() + received(far_), invalidated({"k"}));
  segment_->process(2).pid.store(0);
}

// Shows that no worker remembers more keys than its share, and tells the clients what it forgets.
TEST_F(TrackingTest, KeysAreLimited) {
  settings_.tracking_key_limit = 4;  // of two workers
  near_.ask("CLIENT TRACKING ON");
  near_.ask_all({"GET a", "GET b"});
  EXPECT_EQ(near_.pushes(), "");
  const std::string reply = near_.ask("GET c");
  EXPECT_NE(reply.find("invalidate"), std::string::npos) << reply;
  EXPECT_EQ(hub_->tracking().figures().keys, 2u);
}

// Shows that a limit that is much lower than before is come down to bit by bit.
TEST_F(TrackingTest, LoweredLimitIsReachedInSteps) {
  constexpr std::size_t kKeys = 2000;
  settings_.tracking_key_limit = 0;
  near_.ask("CLIENT TRACKING ON");
  for (std::size_t i = 0; i < kKeys; ++i) near_.ask("GET k" + std::to_string(i));
  settings_.tracking_key_limit = 2;
  near_.ask("GET k0");
  EXPECT_GT(hub_->tracking().figures().keys, kKeys - 100);
  EXPECT_LT(hub_->tracking().figures().keys, kKeys);
  for (std::size_t i = 0; i < kKeys; ++i) near_.ask("GET new");
  EXPECT_EQ(hub_->tracking().figures().keys, 1u);
}

// Shows that clients of SUB are told no value that a script has not committed, when messages are received
// beside it because a client that tracks keys asks for something, and are told all values behind it.
TEST_F(TrackingTest, ValuesWaitForTheScriptBesideThem) {
  Conversation watcher(*context_);
  watcher.ask("SUB k");
  watcher.pushes();
  near_.ask("CLIENT TRACKING ON");
  ASSERT_EQ(keyspace_->set(keyspace_->hash("k"), "not told"), WriteStatus::kDone);
  settings_.busy_after_ms = 0;
  int looks = 0;
  std::string beside;
  services_->serve_beside = [&] {
    if (looks++ > 0) kill_scripts(settings_, RunKind::kScript);
    other_hub_->send(MessageType::kAllChanged, 0, {}, 1 << 1);
    beside = near_.ask("PING") + watcher.pushes();
    return false;
  };
  const std::string loops = "redis.call('set', 'k', 'uncommitted') while true do end";
  EXPECT_EQ(writer_.ask({"EVAL", loops, "0"}).substr(0, 18), "-ERR Script killed");
  EXPECT_EQ(beside, "+PONG\r\n");
  EXPECT_GE(looks, 2);
  hub_->serve();
  EXPECT_EQ(watcher.pushes(), pushed({"value", "k", "not told"}));
}

// Shows that an EXEC that reads more keys than are remembered tells nobody before it is done, and that all is
// forgotten when it reads far more.
TEST_F(TrackingTest, LimitIsKeptBehindExec) {
  settings_.tracking_key_limit = 2000;  // of two workers
  near_.ask("CLIENT TRACKING ON");
  const auto read = [&](std::size_t count) {
    near_.ask("MULTI");
    for (std::size_t i = 0; i < count; ++i) near_.ask("GET k" + std::to_string(i));
    const std::string reply = near_.ask("EXEC");
    const std::string array = "*" + std::to_string(count) + "\r\n";
    EXPECT_TRUE(reply.starts_with(array + "_\r\n"));
    return reply.substr(array.size() + count * 3);
  };
  std::size_t told = 0;
  const std::string invalidations = read(1010);
  for (std::size_t at = 0; (at = invalidations.find("invalidate", at)) != std::string::npos; ++at) ++told;
  EXPECT_EQ(told, 10u);
  EXPECT_EQ(hub_->tracking().figures().keys, 1000u);
  EXPECT_EQ(read(4000), kDropAll);
  EXPECT_EQ(hub_->tracking().figures().keys, 0u);
  EXPECT_EQ(read(10), "");
  EXPECT_EQ(hub_->tracking().figures().keys, 10u);
}

// Shows that others hear of a changed key in front of its events and of what the same EXEC or script
// publishes, and the client that changed it behind them, as in Redis.
TEST_F(TrackingTest, OrderAmongEventsAndMessages) {
  writer_.ask("CONFIG SET notify-keyspace-events KEA");
  for (Conversation* client : {&near_, &far_}) {
    client->ask("CLIENT TRACKING ON");
    client->ask("SUBSCRIBE __keyevent@0__:set __keyevent@0__:del c");
    client->pushes();
  }
  const auto event = [](const std::string& name, const std::string& key) {
    return pushed({"message", "__keyevent@0__:" + name, key}, '>');
  };
  const auto ask_both = [&](Words keys) {
    for (Conversation* client : {&near_, &far_}) {
      for (const std::string& key : keys) client->ask("GET " + key);
      client->pushes();
    }
  };
  const auto expect = [&](const std::string& near, const std::string& far) {
    EXPECT_EQ(near_.pushes(), near);
    EXPECT_EQ(received(far_), far);
  };
  const std::string set_k = invalidated({"k"}) + event("set", "k");
  ask_both({"k"});
  writer_.ask("SET k 1");
  expect(set_k, set_k);
  ask_both({"k"});
  EXPECT_EQ(near_.ask("SET k 2"), kOk + event("set", "k") + invalidated({"k"}));
  expect("", set_k);
  const std::string message = pushed({"message", "c", "m"}, '>');
  const std::string events = event("set", "k") + message + event("set", "l");
  const std::string near_all = invalidated({"k"}) + invalidated({"l"}) + events;
  const std::string far_all = near_all;
  ask_both({"k", "l"});
  writer_.ask_all({"MULTI", "SET k 3", "PUBLISH c m", "SET l 3", "EXEC"});
  expect(near_all, far_all);
  ask_both({"k", "l"});
  near_.ask_all({"MULTI", "SET k 3", "PUBLISH c m", "SET l 3"});
  EXPECT_EQ(near_.ask("EXEC"),
            "*3\r\n+OK\r\n:2\r\n+OK\r\n" + events + invalidated({"k"}) + invalidated({"l"}));
  expect("", far_all);
  ask_both({"k", "l"});
  writer_.ask(
      {"EVAL", "redis.call('set','k','1') redis.call('publish','c','m') redis.call('set','l','2')", "0"});
  expect(near_all, far_all);
  ask_both({"k", "l"});
  EXPECT_EQ(near_.ask("DEL k l"),
            ":2\r\n" + event("del", "k") + event("del", "l") + invalidated({"k"}) + invalidated({"l"}));
  received(far_);
}

// Shows that whatever memory is short for when a key is changed, and when that is received, its readers hear
// of it, if only that all may have changed.
TEST_F(TrackingTest, WantOfMemoryLosesNoChange) {
  near_.ask("CLIENT TRACKING ON");
  far_.ask("CLIENT TRACKING ON BCAST PREFIX k PREFIX l");
  Conversation reader(*other_context_);
  reader.ask_all({"HELLO 3", "CLIENT TRACKING ON"});
  const std::vector<Conversation*> all{&near_, &far_, &reader};
  const auto try_at = [&](std::uint64_t allowed_count, auto&& act) {
    const FailingAllocations failing(allowed_count);
    try {
      act();
    } catch (const std::bad_alloc&) {  // the connection whose turn it was ends
    }
    return failing.has_failed();
  };
  bool goes_on = true;
  for (std::uint64_t n = 0; goes_on; ++n) {
    for (Conversation* client : all) {
      client->ask("GET key1");
      client->pushes();
    }
    Conversation other(*context_);
    const std::string before = other.ask("GET key1");
    const std::string request = frame({"MSET", "key1", std::to_string(n), "long name of key2", "x"});
    goes_on = try_at(n, [&] { Conversation(*context_).say(request); });
    other_hub_->serve();
    const bool has_changed = other.ask("GET key1") != before;  // and what was not told yet is told
    other_hub_->serve();
    for (Conversation* client : all) EXPECT_EQ(!client->pushes().empty(), has_changed) << n;
  }
  goes_on = true;
  for (std::uint64_t n = 0; goes_on; ++n) {
    far_.ask("GET key1");
    reader.ask("GET key1");
    writer_.ask({"MSET", "key1", std::to_string(n), "key2", "x", "long name of l", "y"});
    goes_on = try_at(n, [&] { other_hub_->serve(); });
    other_hub_->serve();
    EXPECT_FALSE(far_.pushes().empty()) << n;
    EXPECT_FALSE(reader.pushes().empty()) << n;
  }
}

// Shows that a client that could not be made to track, for want of memory, tracks as before, if it did.
TEST_F(TrackingTest, WantOfMemoryBeginsNothing) {
  bool goes_on = true;
  for (std::uint64_t n = 0; goes_on; ++n) {
    Conversation client(*context_);
    client.ask_all({"HELLO 3", "CLIENT TRACKING ON BCAST PREFIX a"});
    {
      const std::string request = frame({"CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "bc", "PREFIX", "d"});
      const FailingAllocations failing(n);
      try {
        client.say(request);
      } catch (const std::bad_alloc&) {
      }
      goes_on = failing.has_failed();
    }
    const std::size_t prefix_count = client.session().client().tracking->prefixes.size();
    EXPECT_EQ(prefix_count, goes_on ? 1u : 3u) << n;
    EXPECT_EQ(hub_->tracking().figures().prefixes, prefix_count) << n;
    client.pushes();
    writer_.ask("MSET a1 x bc1 x");
    EXPECT_EQ(client.pushes(),
              prefix_count == 1 ? invalidated({"a1"}) : invalidated({"a1"}) + invalidated({"bc1"}));
  }
  EXPECT_EQ(hub_->tracking().figures().prefixes, 0u);
}

// Shows that nothing is left when nobody tracks any more.
TEST_F(TrackingTest, EndsWithItsLastClient) {
  {
    Conversation client(*context_);
    client.ask_all({"HELLO 3", "CLIENT TRACKING ON", "GET k"});
    EXPECT_NE(segment_->header().trackers.load(), 0u);
    EXPECT_EQ(hub_->tracking().figures().clients, 1u);
  }
  hub_->serve();
  EXPECT_EQ(segment_->header().trackers.load(), 0u);
  EXPECT_EQ(segment_->process(1).mailbox.tracks.load(), 0u);
  EXPECT_EQ(hub_->tracking().figures().keys, 0u);
}

}  // namespace
}  // namespace memento::testing
