// Snapshots of real servers: the journal stays bounded, data that is older than the folder comes into it, and
// neither a death in the midst of one nor one that fails costs anything.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/data/data_server.h"

namespace memento::testing {
namespace {

bool has_snapshot(const DataServer& data) { return files_like(data.folder(), "snapshot-") == 1; }

void set(Client& client, const std::string& key, const std::string& value) {
  ASSERT_EQ(*client.request("SET " + key + " " + value), "OK");
}

// Writes some files' worth of the journal into few keys: `round` tells the values apart.
void write_much(const TestServer& server, int round) {
  Client client = server.connect();
  const std::string bytes(60'000, static_cast<char>('a' + round % 26));
  for (int i = 0; i < 3000; ++i) set(client, "long:" + std::to_string(i % 50), bytes + std::to_string(i));
}

// Shows that the journal does not grow for ever: when it is longer than the data it is cut behind a snapshot,
// and what is there then is the data.
TEST(Snapshot, BoundsTheJournal) {
  DataServer data({"--snapshot-rate", "0"});
  for (int round = 0; round < 3; ++round) {
    write_much(data.server(), round);
    EXPECT_TRUE(wait_until([&] { return has_snapshot(data); })) << data.server().log();
  }
  EXPECT_TRUE(log_says(data.server(), "is complete"));
  EXPECT_TRUE(wait_until([&] { return files_like(data.folder(), "journal-") <= 6; })) << data.server().log();
  EXPECT_EQ(data.server().stop(), 0);
  std::filesystem::remove_all(data.server().data_folder());
  data.start();
  const std::string last = data.server().request("GET long:49");
  EXPECT_EQ(last, std::string(60'000, 'c') + "2999");
  EXPECT_EQ(data.server().request("COUNT"), "50");
}

// Shows that the keys of a server that had no folder come into one, as soon as it is started with it.
TEST(Snapshot, TakesWhatWasThereBefore) {
  const TemporaryFolder outer;
  TestServer before({"--dir", outer.path() + "/memory"});
  for (int i = 0; i < 1000; ++i) before.request("SET key:" + std::to_string(i) + " " + std::to_string(i));
  EXPECT_EQ(before.stop(), 0);
  DataServer data({"--dir", outer.path() + "/memory"});
  EXPECT_TRUE(wait_until([&] { return has_snapshot(data); })) << data.server().log();
  EXPECT_TRUE(log_says(data.server(), "snapshot 1 is complete"));
  data.server().request("SET key:0 new");
  EXPECT_EQ(data.server().stop(), 0);
  std::filesystem::remove_all(outer.path() + "/memory");
  data.start();
  EXPECT_EQ(data.server().request("COUNT"), "1000");
  EXPECT_EQ(data.server().request("GET key:0"), "new");
  EXPECT_EQ(data.server().request("GET key:999"), "999");
}

// Shows that an archiver that dies in the midst of a snapshot costs nothing, and that the next one makes
// another.
TEST(Snapshot, SurvivesDeathsOfTheArchiver) {
  DataServer data({"--snapshot-rate", "1MiB"});
  write_much(data.server(), 0);
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(wait_until([&] { return has_snapshot(data); })) << data.server().log();
    const pid_t archiver = data.archiver();
    kill(archiver, SIGKILL);
    data.wait_for_archiver(archiver);
    write_much(data.server(), i + 1);
  }
  data.reboot();
  EXPECT_EQ(data.server().request("COUNT"), "50");
  EXPECT_GT(data.server().request("GET long:0").size(), 60'000u);
}

}  // namespace
}  // namespace memento::testing
