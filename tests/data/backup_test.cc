// Backups: a copy of a data folder that a server is using is what its data was at one moment, and a server
// starts on it; a copy that could not be made whole is none.
#include "shm/archive/backup.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "tests/data/data_server.h"

namespace memento::testing {
namespace {

void no_progress(std::uint64_t, std::uint64_t) {}

Finished back_up_with_tool(DataServer& data, const std::string& to) {
  return run_program("memento-cli", {"127.0.0.1", std::to_string(data.server().port()), "--backup", to});
}

// Shows that the copy has all that was acknowledged when it was asked for, and for two keys that are always
// set together the same value, while clients go on writing; and that the server goes on too.
TEST(Backup, IsTheDataOfOneMoment) {
  DataServer data({"--workers", "2"});
  TestServer& server = data.server();
  const TemporaryFolder outer;
  for (int i = 0; i < 2000; ++i) server.request("SET key:" + std::to_string(i) + " " + std::to_string(i));
  server.request("SCRIPT LOAD return'kept'");
  std::atomic<bool> ends{false};
  std::thread writer([&] {
    Client client = server.connect();
    for (int i = 0; !ends; ++i) {
      const std::string value = std::to_string(i);
      ASSERT_EQ(*client.request("MSET pair:a " + value + " pair:b " + value), "OK");
    }
  });
  for (int round = 0; round < 3; ++round) {
    const std::string to = outer.path() + "/copy" + std::to_string(round);
    server.request("SET round " + std::to_string(round));
    const Finished made = back_up_with_tool(data, to);
    EXPECT_EQ(made.status, 0) << made.errors;
    EXPECT_NE(made.errors.find("keys"), std::string::npos);
    TestServer copy({"--data", to, "--state", to + "-state"});
    EXPECT_TRUE(wait_until([&] { return is_serving(copy); })) << copy.log();
    EXPECT_EQ(copy.request("GET round"), std::to_string(round));
    EXPECT_EQ(copy.request("GET key:1999"), "1999");
    EXPECT_EQ(copy.request("GET pair:a"), copy.request("GET pair:b"));
    EXPECT_TRUE(copy.request("INFO").find("number_of_cached_scripts:1") != std::string::npos);
    EXPECT_EQ(copy.request("SET a 1"), "OK");
  }
  ends = true;
  writer.join();
  EXPECT_EQ(server.request("GET round"), "2");
}

// Shows that a copy is put back in place of a folder that was lost, by --recover detached, as the server's
// refusal says.
TEST(Backup, IsPutBack) {
  DataServer data;
  TestServer& server = data.server();
  const TemporaryFolder outer;
  server.request("SET a 1");
  EXPECT_EQ(back_up_with_tool(data, outer.path() + "/copy").status, 0);
  server.request("SET a 2");
  data.lose_memory();
  std::filesystem::remove_all(data.folder());
  std::filesystem::rename(outer.path() + "/copy", data.folder());
  const Finished refused = data.start_refused();
  EXPECT_NE(refused.status, 0);
  EXPECT_NE(refused.errors.find("--recover detached"), std::string::npos) << refused.errors;
  TestServer back({"--data", data.folder(), "--state", data.state_folder(), "--recover", "detached"});
  EXPECT_TRUE(wait_until([&] { return is_serving(back); })) << back.log();
  EXPECT_EQ(back.request("GET a"), "1");
}

// Shows what is refused, in words: a server without a folder, a folder that is not empty, and one that is
// none.
TEST(Backup, Refusals) {
  DataServer data;
  const TemporaryFolder outer;
  std::ofstream(outer.path() + "/file") << "here";
  const Finished full = back_up_with_tool(data, outer.path());
  EXPECT_NE(full.status, 0);
  EXPECT_NE(full.errors.find("is not empty"), std::string::npos) << full.errors;
  TestServer without;
  const Finished none = run_program(
      "memento-cli", {"127.0.0.1", std::to_string(without.port()), "--backup", outer.path() + "/x"});
  EXPECT_NE(none.status, 0);
  EXPECT_NE(none.errors.find("keeps no data on disk"), std::string::npos) << none.errors;
  const Result<BackupReport> nothing = back_up(outer.path(), outer.path() + "/y", no_progress);
  ASSERT_FALSE(nothing);
  EXPECT_NE(nothing.error().message.find("no data folder"), std::string::npos) << nothing.error().message;
}

// Shows that a snapshot that is damaged where nobody has looked yet makes no backup, and leaves nothing that
// looks like one.
TEST(Backup, OfADamagedFolder) {
  DataServer data;
  TestServer& server = data.server();
  const TemporaryFolder outer;
  for (int i = 0; i < 1000; ++i) server.request("SET key:" + std::to_string(i) + " " + std::to_string(i));
  EXPECT_EQ(server.request("SAVE"), "OK");
  for (const auto& entry : std::filesystem::directory_iterator(data.folder())) {
    if (!entry.path().filename().string().starts_with("snapshot-")) continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(entry.file_size() / 2));
    file.put('\x55');
    file.put('\xaa');
  }
  const std::string to = outer.path() + "/copy";
  const Result<BackupReport> made = back_up(data.folder(), to, no_progress);
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message.find("damaged"), std::string::npos) << made.error().message;
  EXPECT_TRUE(std::filesystem::is_empty(to));
}

}  // namespace
}  // namespace memento::testing
