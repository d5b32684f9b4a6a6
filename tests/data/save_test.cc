// Snapshots that clients ask for, and the journal turned off and on: SAVE, BGSAVE, BGREWRITEAOF, LASTSAVE,
// SHUTDOWN SAVE, CONFIG SET save and appendonly, and what INFO says meanwhile.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "shm/archive/snapshot_file.h"
#include "tests/data/data_server.h"
#include "tests/data/stopped_archiver.h"

namespace memento::testing {
namespace {

bool says(TestServer& server, const std::string& line) {
  return server.request("INFO persistence").find("\n" + line) != std::string::npos;
}
bool comes_to_say(TestServer& server, const std::string& line) {
  return wait_until([&] { return says(server, line); });
}

std::string reply_of(Client& client) {
  const Result<std::string> reply = client.read_reply();
  return reply ? *reply : "(none)";
}

bool has_snapshot(const DataServer& data) { return files_like(data.folder(), "snapshot-") != 0; }

// One key is set before the journal is off, one behind it.
void turn_off_between_writes(TestServer& server) {
  EXPECT_EQ(server.request("SET before 1"), "OK");
  EXPECT_EQ(server.request("CONFIG SET appendonly no"), "OK");
  EXPECT_TRUE(comes_to_say(server, "journal_state:off"));
  EXPECT_EQ(server.request("SET meanwhile 2"), "OK");
}

// Shows that SAVE is answered when the snapshot is there, that INFO and LASTSAVE tell of it, also after a
// reboot, and that all data comes back from it.
TEST(Save, IsAnsweredWhenTheSnapshotIsThere) {
  DataServer data;
  TestServer& server = data.server();
  for (int i = 0; i < 100; ++i) server.request("SET key:" + std::to_string(i) + " " + std::to_string(i));
  EXPECT_TRUE(says(server, "rdb_changes_since_last_save:100"));
  EXPECT_FALSE(has_snapshot(data));
  EXPECT_EQ(server.request("SAVE"), "OK");
  EXPECT_TRUE(has_snapshot(data));
  for (const char* line : {"rdb_saves:1", "rdb_changes_since_last_save:0", "rdb_bgsave_in_progress:0",
                           "rdb_last_bgsave_status:ok", "aof_rewrites:1", "snapshot_progress_perc:0.00"})
    EXPECT_TRUE(says(server, line)) << line;
  const std::string saved = server.request("LASTSAVE");
  EXPECT_TRUE(says(server, "rdb_last_save_time:" + saved));
  EXPECT_FALSE(says(server, "aof_base_size:0"));
  Client client = server.connect();
  EXPECT_EQ(*client.request("SET later 1"), "OK");
  EXPECT_TRUE(says(server, "rdb_changes_since_last_save:1"));
  EXPECT_EQ(client.request("WAITAOF 1 0 0")->substr(0, 1), "1");
  data.reboot();
  EXPECT_EQ(server.request("COUNT"), "101");
  EXPECT_EQ(server.request("GET key:99"), "99");
  EXPECT_EQ(server.request("LASTSAVE"), saved);
  EXPECT_TRUE(says(server, "rdb_changes_since_last_save:0"));
}

// Shows that who waits for a snapshot keeps nobody else waiting, and what others are told meanwhile.
TEST(Save, OthersGoOn) {
  DataServer data({"--workers", "1"});
  TestServer& server = data.server();
  server.request("SET a 1");
  Client saving = server.connect();
  const StoppedArchiver stopped(server.master());
  ASSERT_TRUE(saving.send_line("SAVE"));
  EXPECT_TRUE(wait_until(
      [&] { return server.request("INFO clients").find("blocked_clients:1") != std::string::npos; }));
  EXPECT_EQ(server.request("SET b 2"), "OK");
  EXPECT_TRUE(says(server, "rdb_bgsave_in_progress:1"));
  EXPECT_EQ(server.request("BGSAVE"), "(error) Background save already in progress");
  EXPECT_EQ(server.request("BGSAVE SCHEDULE"), "Background saving scheduled");
  EXPECT_EQ(server.request("BGREWRITEAOF"), "Background append only file rewriting scheduled");
  EXPECT_TRUE(server.request("BGSAVE NOW").starts_with("(error) syntax error"));
  stopped.go_on();
  EXPECT_EQ(reply_of(saving), "OK");
  EXPECT_TRUE(comes_to_say(server, "rdb_bgsave_in_progress:0"));
  EXPECT_EQ(server.request("BGSAVE"), "Background saving started");
  EXPECT_TRUE(comes_to_say(server, "rdb_bgsave_in_progress:0"));
  EXPECT_EQ(server.request("BGREWRITEAOF"), "Background append only file rewriting started");
  EXPECT_TRUE(comes_to_say(server, "aof_rewrite_in_progress:0"));
}

// Shows that a client that leaves while its SAVE waits is missed by nobody.
TEST(Save, OfAClientThatLeaves) {
  DataServer data({"--workers", "1"});
  TestServer& server = data.server();
  const StoppedArchiver stopped(server.master());
  {
    Client leaving = server.connect();
    ASSERT_TRUE(leaving.send_line("SAVE"));
    EXPECT_TRUE(wait_until(
        [&] { return server.request("INFO clients").find("blocked_clients:1") != std::string::npos; }));
  }
  stopped.go_on();
  EXPECT_TRUE(comes_to_say(server, "rdb_saves:1"));
  EXPECT_EQ(server.request("SAVE"), "OK");
}

// Shows that a snapshot that fails is told, costs nothing, and the next one works.
TEST(Save, ThatFails) {
  DataServer data;
  TestServer& server = data.server();
  server.request("SET a 1");
  const std::string in_the_way = data.folder() + "/" + snapshot_file_name(1);
  std::filesystem::create_directory(in_the_way);
  const std::string reply = server.request("SAVE");
  EXPECT_TRUE(reply.starts_with("(error) the snapshot failed: Is a directory")) << reply;
  EXPECT_TRUE(says(server, "rdb_last_bgsave_status:err"));
  EXPECT_TRUE(server.request("SHUTDOWN SAVE").starts_with("(error) the snapshot failed"));
  EXPECT_EQ(server.request("GET a"), "1");
  std::filesystem::remove(in_the_way);
  EXPECT_EQ(server.request("SAVE"), "OK");
  EXPECT_TRUE(says(server, "rdb_last_bgsave_status:ok"));
}

// Shows that without a data folder there is nothing to save to, and that who asks is told what to do.
TEST(Save, WithoutAFolder) {
  TestServer server;
  for (const char* command : {"SAVE", "BGSAVE", "BGREWRITEAOF", "SHUTDOWN SAVE"})
    EXPECT_TRUE(server.request(command).starts_with("(error) there is no data folder")) << command;
  EXPECT_EQ(server.request("SET a 1"), "OK");
  EXPECT_TRUE(server.request("CONFIG SET appendonly yes").find("--data") != std::string::npos);
  EXPECT_EQ(server.request("CONFIG SET appendonly no"), "OK");
}

// Shows that SHUTDOWN SAVE ends the server behind a snapshot.
TEST(Save, Shutdown) {
  DataServer data;
  data.server().request("SET a 1");
  Client client = data.server().connect();
  EXPECT_FALSE(client.request("SHUTDOWN SAVE"));
  EXPECT_EQ(data.server().wait(), 0);
  EXPECT_TRUE(has_snapshot(data));
  std::filesystem::remove_all(data.server().data_folder());
  data.start();
  EXPECT_EQ(data.server().request("GET a"), "1");
}

// Shows that snapshots are made as often as CONFIG SET says, if anything was changed.
TEST(Save, Period) {
  DataServer data;
  TestServer& server = data.server();
  EXPECT_EQ(server.request("CONFIG GET save"), "save: ");
  EXPECT_TRUE(server.request("CONFIG SET save 1").starts_with("OK"));
  EXPECT_EQ(server.request("CONFIG GET save"), "save: 1 1");
  server.request("SET a 1");
  EXPECT_TRUE(comes_to_say(server, "rdb_saves:1"));
  server.request("SET a 2");
  EXPECT_TRUE(comes_to_say(server, "rdb_saves:2"));
  EXPECT_EQ(ask(server, {"CONFIG", "SET", "save", "3600 1 300 100 60 10000"}), "OK");
  EXPECT_EQ(server.request("CONFIG GET save"), "save: 3600 1");
  for (const char* bad : {"x", "1 2 3", "-1", "99999999"})
    EXPECT_NE(ask(server, {"CONFIG", "SET", "save", bad}).find("CONFIG SET failed"), std::string::npos)
        << bad;
}

// Shows that the journal can be turned off and on again: off, nobody waits for the disk and nothing is
// written; on again, all that is in memory comes to disk, what was changed meanwhile included.
TEST(AppendOnly, OffAndOn) {
  DataServer data({"--fsync", "always"});
  TestServer& server = data.server();
  turn_off_between_writes(server);
  EXPECT_EQ(server.request("CONFIG GET appendonly"), "appendonly: no");
  EXPECT_TRUE(server.request("SAVE").starts_with("(error) there is no data folder"));
  const pid_t archiver = data.archiver();
  kill(archiver, SIGKILL);  // its successor finds the journal off
  data.wait_for_archiver(archiver);
  EXPECT_EQ(server.request("CONFIG SET appendonly yes"), "OK");
  EXPECT_TRUE(comes_to_say(server, "rdb_saves:1"));
  EXPECT_EQ(server.request("CONFIG GET appendonly"), "appendonly: yes");
  EXPECT_EQ(server.request("SET after 3"), "OK");
  data.reboot();
  EXPECT_EQ(server.request("COUNT"), "3");
  EXPECT_EQ(server.request("GET meanwhile"), "2");
  EXPECT_EQ(server.request("GET after"), "3");
}

// Shows that a folder that the journal was turned off for is not taken for the newest data: the server says
// so, and serves it on demand.
TEST(AppendOnly, AFolderThatWasLeftBehind) {
  DataServer data;
  TestServer& server = data.server();
  turn_off_between_writes(server);
  data.lose_memory();
  const Finished refused = data.start_refused();
  EXPECT_NE(refused.status, 0);
  EXPECT_NE((refused.output + refused.errors).find("--recover detached"), std::string::npos)
      << refused.errors;
  TestServer copy({"--data", data.folder(), "--state", data.state_folder(), "--recover", "detached"});
  EXPECT_TRUE(wait_until([&] { return is_serving(copy); })) << copy.log();
  EXPECT_EQ(copy.request("GET before"), "1");
  EXPECT_EQ(copy.request("COUNT"), "1");
}

// Shows that data in memory is used when a server is started again that had its journal off, and that it goes
// to disk from then on.
TEST(AppendOnly, OffThenStartedAgain) {
  DataServer data;
  TestServer& server = data.server();
  turn_off_between_writes(server);
  EXPECT_EQ(server.stop(), 0);
  data.start();
  EXPECT_EQ(server.request("GET meanwhile"), "2");
  EXPECT_TRUE(wait_until([&] { return has_snapshot(data) && says(server, "rdb_bgsave_in_progress:0"); }))
      << server.log();
  data.reboot();
  EXPECT_EQ(server.request("COUNT"), "2");
}

}  // namespace
}  // namespace memento::testing
