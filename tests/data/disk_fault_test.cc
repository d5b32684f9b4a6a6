// Servers on a bad disk: it answers with errors, is full, or does not answer. What was promised with `always`
// is kept, clients are told, reads go on, and so does the server when the disk does.
#include <gtest/gtest.h>

#include <cerrno>
#include <optional>
#include <string>
#include <thread>

#include "tests/data/data_server.h"
#include "tests/data/disk_control.h"

namespace memento::testing {
namespace {

/// A server whose data folder's disk a test decides about.
class BadDisk : public ::testing::Test {
 protected:
  ~BadDisk() override { disk_.heal(); }
  ShimControl& shim() { return disk_.shim(); }
  /// Starts it; the disk works.
  void start(const std::string& policy, const std::string& timeout_s = "1") {
    data_.emplace(std::vector<std::string>{"--fsync", policy, "--disk-timeout", timeout_s},
                  [this](const std::string& folder) { disk_.watch(folder); });
  }
  TestServer& server() { return data_->server(); }
  std::string request(const std::string& line) { return server().request(line); }
  void heal() { disk_.heal(); }
  bool is_written(const std::string& line) {
    return wait_until([&] { return request(line) == "OK"; });
  }
  bool is_refused(const std::string& line) {
    return wait_until([&] { return request(line).find("MISCONF") != std::string::npos; });
  }
  void expect_after_reboot(const std::string& key, const std::string& value) {
    data_->reboot();
    EXPECT_EQ(request("GET " + key), value);
  }

  DiskControl disk_;
  std::optional<DataServer> data_;
};

// Shows that one sync, or one write, that fails is nobody's business: what it may have lost is in a new file.
TEST_F(BadDisk, OneFailureIsMadeGood) {
  start("always");
  int number = 0;
  for (std::atomic<int>* error : {&shim().sync_error, &shim().write_error}) {
    for (int i = 0; i < 3; ++i) {
      shim().failures = 1;
      *error = EIO;
      EXPECT_EQ(request("SET key " + std::to_string(++number)), "OK");
      EXPECT_TRUE(wait_until([&] { return shim().failures == 0; }));
      *error = 0;
    }
  }
  EXPECT_TRUE(log_says(server(), "the journal goes on in"));
  expect_after_reboot("key", std::to_string(number));
}

// Shows that while the disk fails changes are refused and reads are not; and that it goes on by itself.
TEST_F(BadDisk, WritesAreRefusedUntilItWorks) {
  start("always");
  ASSERT_EQ(request("SET key before"), "OK");
  shim().sync_error = EIO;
  std::thread waits([&] { request("SET key meanwhile"); });  // its outcome is unknown, or it is written later
  EXPECT_TRUE(is_refused("SET other 1"));
  EXPECT_EQ(request("GET nothing"), "(null)");
  EXPECT_NE(request("SET other 1").find("MISCONF"), std::string::npos);
  heal();
  EXPECT_TRUE(is_written("SET key after"));
  waits.join();
  expect_after_reboot("key", "after");
}

// Shows the same for a disk that is full, which the error names.
TEST_F(BadDisk, AFullDiskIsNamed) {
  start("always");
  ASSERT_EQ(request("SET key before"), "OK");
  shim().write_error = shim().reserve_error = ENOSPC;
  std::thread waits([&] { request("SET key meanwhile"); });
  EXPECT_TRUE(wait_until([&] { return request("SET other 1").find("No space left") != std::string::npos; }));
  EXPECT_EQ(request("GET nothing"), "(null)");
  heal();
  EXPECT_TRUE(is_written("SET key after"));
  waits.join();
  expect_after_reboot("key", "after");
}

// Shows that a disk that does not answer is noticed, without anything but the time to tell.
TEST_F(BadDisk, AHangIsNoticed) {
  for (const char* policy : {"always", "everysec"}) {
    start(policy);
    ASSERT_EQ(request("SET key before"), "OK");
    shim().hangs = 1;
    std::thread waits([&] { request("SET key meanwhile"); });
    EXPECT_TRUE(is_refused("SET other 1")) << policy;
    EXPECT_EQ(request("GET nothing"), "(null)");
    heal();
    EXPECT_TRUE(is_written("SET key after"));
    waits.join();
    EXPECT_EQ(server().stop(), 0);
    data_->start();
    EXPECT_EQ(request("GET key"), "after");
    data_.reset();
  }
}

// Shows that what was not answered, because the disk did not, is said to be unknown, and that the client is
// let go.
TEST_F(BadDisk, UnknownOutcomesAreSaidToBe) {
  start("always");
  Client client = server().connect();
  shim().hangs = 1;
  ASSERT_TRUE(client.send_line("SET key value"));
  const Result<std::string> reply = client.read_reply();
  ASSERT_TRUE(reply);
  EXPECT_NE(reply->find("UNKNOWN"), std::string::npos) << *reply;
  EXPECT_FALSE(client.request("GET key"));
  heal();
  EXPECT_TRUE(is_written("SET key after"));
}

// Shows that a server ends while the disk hangs, and that the next start has what memory has.
TEST_F(BadDisk, EndsWhileItHangs) {
  start("everysec");
  ASSERT_EQ(request("SET key value"), "OK");
  shim().hangs = 1;
  EXPECT_EQ(server().stop(), 0);
  heal();
  data_->start();
  EXPECT_EQ(request("GET key"), "value");
  EXPECT_TRUE(is_written("SET key after"));
}

}  // namespace
}  // namespace memento::testing
