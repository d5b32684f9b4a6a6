// What is refused while the disk fails or hangs, and while the data is being loaded; WAITAOF; and what INFO
// and CONFIG say of the journal. The test is the archiver.
#include <cerrno>

#include "tests/worker/session/journalled_session.h"
#include "worker/session/brief_turns.h"

namespace memento::testing {
namespace {

const std::string kLoadingError = "-LOADING memento is loading the dataset in memory\r\n";

class DiskStateTest : public JournalledSessionTest {
 protected:
  DiskState& state() { return segment_->header().disk; }
  void set_status(DiskStatus status, int error_number) {
    state().status.store(static_cast<std::uint64_t>(status) | static_cast<std::uint64_t>(error_number) << 8);
  }
  static bool is_misconf(const std::string& reply) { return reply.starts_with("-MISCONF the disk "); }
  bool info_has(const std::string& line) {
    const std::string info = ask("INFO persistence");
    return info.find(line + "\r\n") != std::string::npos;
  }
};

// Shows that what would change data is refused while the disk answers with errors, alone, queued, in EXEC and
// in scripts, and nothing else; and that the text says why.
TEST_F(DiskStateTest, WritesAreRefused) {
  Conversation client(*context_);
  Conversation queued(*context_);
  client.ask("SET a 1");
  queued.ask_all({"MULTI", "INCR a"});
  set_status(DiskStatus::kFull, ENOSPC);
  EXPECT_TRUE(client.ask("SET a 2").starts_with("-MISCONF the disk takes no more: No space left on device;"));
  EXPECT_TRUE(is_misconf(client.ask("FLUSHALL")));
  EXPECT_TRUE(queued.ask("EXEC").starts_with("-EXECABORT Transaction discarded because of: MISCONF"));
  EXPECT_EQ(client.ask("MULTI"), kOk);
  EXPECT_TRUE(is_misconf(client.ask("DEL a")));
  EXPECT_TRUE(client.ask("EXEC").starts_with("-EXECABORT"));
  EXPECT_EQ(client.ask_all({"MULTI", "GET a", "EXEC"}), kOk + std::string("+QUEUED\r\n*1\r\n") + bulk("1"));
  EXPECT_EQ(client.ask({"EVAL", "return redis.call('GET', 'a')", "0"}), bulk("1"));
  const std::string scripted = client.ask({"EVAL", "return redis.call('SET', 'a', '2')", "0"});
  EXPECT_NE(scripted.find("MISCONF the disk"), std::string::npos) << scripted;
  EXPECT_EQ(client.ask({"PUBLISH", "news", "flash"}), ":0\r\n");
  set_status(DiskStatus::kFailed, EIO);
  EXPECT_TRUE(client.ask("SET a 2").starts_with("-MISCONF the disk answers with an error: Input/output"));
  settings_.stops_writes_on_disk_error = false;
  EXPECT_EQ(client.ask("SET a 2"), kOk);
  set_status(DiskStatus::kWorks, 0);
  settings_.stops_writes_on_disk_error = true;
  EXPECT_EQ(client.ask("SET a 3"), kOk);
}

// Shows the same of a disk that was asked and has not answered in its time, of brief turns too.
TEST_F(DiskStateTest, OfADiskThatHangs) {
  Conversation client(*context_);
  const std::int64_t now_ns = monotonic_time_ns();
  settings_.disk_timeout_ms = 1000;
  state().asked_ns[1].store(static_cast<std::uint64_t>(now_ns));
  EXPECT_EQ(client.ask("SET alpha value"), kOk);
  state().asked_ns[1].store(static_cast<std::uint64_t>(now_ns - 2'000'000'000));
  EXPECT_TRUE(client.ask("SET alpha value").starts_with("-MISCONF the disk has not answered for 1000 ms;"));
  EXPECT_TRUE(info_has("journal_state:hung"));
  BriefTurns turns(*context_);
  ByteBuffer input;
  ByteBuffer output;
  input.append(frame({"SET", "alpha", "value"}));
  client.session().prepare(input.view(), *keyspace_, batch_);
  EXPECT_FALSE(turns.execute(client.session(), input, batch_, output));
  turns.end();
}

// Shows that a request that waits for room is refused when the disk fails meanwhile, also where writes go on
// without it; then others try again.
TEST_F(DiskStateTest, WhoWaitsForRoomIsToldToo) {
  Conversation one(*context_);
  Conversation other(*context_);
  settings_.stops_writes_on_disk_error = false;
  fill_ring(true);
  EXPECT_EQ(one.ask("SET a 1") + other.ask("SET b 1"), "");
  set_status(DiskStatus::kFailed, EIO);
  const std::vector<std::string> replies = retry({&one, &other});
  ASSERT_EQ(replies.size(), 2u);
  EXPECT_TRUE(is_misconf(replies[0]) && is_misconf(replies[1])) << replies[0];
  EXPECT_FALSE(disk().is_waiting());
  archive();
  EXPECT_EQ(one.ask("SET a 1"), kOk);
}

// Shows what is executed while the data is being loaded.
TEST_F(DiskStateTest, WhileTheDataIsLoaded) {
  Conversation client(*context_);
  client.ask("ECHO -");
  state().load.store(static_cast<std::uint64_t>(LoadState::kUnderWay));
  state().load_bytes.store(1000);
  state().loaded_bytes.store(250);
  for (const char* const line :
       {"GET a", "SET a 1", "PING", "DBSIZE", "EVAL return 0", "DEBUG OBJECT a", "KEYS *"})
    EXPECT_EQ(client.ask(line), kLoadingError) << line;
  for (const char* const line : {"INFO server", "SELECT 0", "CONFIG GET port", "MULTI"})
    EXPECT_FALSE(client.ask(line).starts_with("-")) << line;
  EXPECT_EQ(client.ask("GET a"), kLoadingError);
  EXPECT_TRUE(client.ask("EXEC").starts_with("-EXECABORT"));
  EXPECT_EQ(talk("PING\n"), "(error) " + kLoadingError.substr(1));
  EXPECT_TRUE(info_has("loading:1"));
  EXPECT_TRUE(info_has("loading_total_bytes:1000"));
  EXPECT_TRUE(info_has("loading_loaded_perc:25.00"));
  state().load.store(0);
  EXPECT_EQ(client.ask("GET a"), kNil);
  EXPECT_TRUE(info_has("loading:0"));
}

// Shows that WAITAOF waits until what the client has written is on disk, or for as long as it says; and not
// for what others have written, nor in EXEC.
TEST_F(DiskStateTest, WaitAof) {
  Conversation client(*context_);
  Conversation other(*context_);
  client.session().client().descriptor = 1000;
  other.session().client().descriptor = 1001;
  EXPECT_EQ(client.ask("WAITAOF 1 0 0"), "*2\r\n:1\r\n:0\r\n");
  client.ask("SET a 1");
  EXPECT_EQ(other.ask("WAITAOF 1 0 0"), "*2\r\n:1\r\n:0\r\n");
  EXPECT_EQ(client.ask("WAITAOF 0 0 0"), "*2\r\n:0\r\n:0\r\n");
  EXPECT_EQ(client.ask_all({"MULTI", "WAITAOF 1 0 0", "EXEC"}),
            kOk + std::string("+QUEUED\r\n*1\r\n*2\r\n:0\r\n:0\r\n"));
  EXPECT_EQ(client.ask("WAITAOF 1 0 0"), "");
  EXPECT_TRUE(disk().take_synced(monotonic_time_ms() + 1'000'000).empty());
  ring().durable.store(ring().tail.load());
  EXPECT_EQ(disk().take_synced(monotonic_time_ms()).size(), 1u);
  EXPECT_EQ(client.say(""), "*2\r\n:1\r\n:0\r\n");
  client.ask("SET a 2");
  EXPECT_EQ(client.ask("WAITAOF 1 0 1"), "");
  burn_ms(2);
  EXPECT_EQ(disk().take_synced(monotonic_time_ms()).size(), 1u);
  EXPECT_EQ(client.say(""), "*2\r\n:0\r\n:0\r\n");
  EXPECT_FALSE(disk().is_waiting());
  segment_->header().journal.store(0);
  EXPECT_TRUE(client.ask("WAITAOF 1 0 0").starts_with("-ERR WAITAOF cannot be used when numlocal is set"));
}

// Shows what INFO says of a journal, and of none.
TEST_F(DiskStateTest, Info) {
  segment_->header().data_id = {1, 0xabc};
  ask("SET a 1");
  const std::uint64_t bytes = ring().tail.load();
  state().syncs.store(3);
  state().sync_times[9].store(98);
  state().sync_times[11].store(2);
  for (const std::string& line :
       {std::string("aof_enabled:1"), std::string("journal_state:ok"), std::string("journal_policy:everysec"),
        "journal_waiting_bytes:" + std::to_string(bytes), "journal_unsynced_bytes:" + std::to_string(bytes),
        std::string("journal_fsyncs:3"), std::string("journal_fsync_us_p99:4096"),
        std::string("journal_parked_replies:0"), std::string("aof_last_write_status:ok"),
        std::string("data_id:00000000000000010000000000000abc")})
    EXPECT_TRUE(info_has(line)) << line << ask("INFO persistence");
  EXPECT_EQ(ask("CONFIG GET appendonly"), "*2\r\n" + bulk("appendonly") + bulk("yes"));
  EXPECT_TRUE(ask("CONFIG SET appendfsync always").find("started without --data") != std::string::npos);
  EXPECT_EQ(ask("CONFIG SET disk-timeout 3 stop-writes-on-disk-error no"), kOk);
  EXPECT_EQ(settings_.disk_timeout_ms.load(), 3000);
  EXPECT_FALSE(settings_.stops_writes_on_disk_error.load());
  segment_->header().journal.store(0);
  EXPECT_TRUE(info_has("aof_enabled:0"));
  EXPECT_TRUE(info_has("journal_state:off"));
}

}  // namespace
}  // namespace memento::testing
