// What a data folder is for: all processes are killed at once and memory is gone, at any moment under load;
// what was promised is there again. In `make test` a few times, in `make kill-test` as often as REBOOTS=
// says.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/data/data_server.h"
#include "tests/data/stopped_archiver.h"

namespace memento::testing {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kClients = 6;
constexpr int kKeysPerClient = 40;

int reboots(int usual) {
  const char* const given = std::getenv("REBOOTS");
  return given != nullptr ? std::atoi(given) : usual;
}

/// One client that writes numbers, each higher than the one before, to keys of its own, in turn, until the
/// server dies. It knows what was answered, and what was asked for and not answered.
class Writer {
 public:
  explicit Writer(int number) : number_(number) {}

  void run(std::uint16_t port) {
    Result<Client> client = Client::connect({"127.0.0.1", port});
    if (!client) return;
    for (;;) {
      times_.push_back({Clock::now(), Clock::time_point::max()});
      const std::uint64_t value = ++asked_;
      const Result<std::string> reply = client->request(line(value));
      if (!reply) return;
      ASSERT_EQ(*reply, "OK");
      answered_ = value;
      times_.back().answered = Clock::now();
    }
  }

  /// What is there: all that was answered, and of what was not at most the last. Then that is what it goes on
  /// from. `is_exact`: nothing is missing; else what is missing is the end of what was written.
  void check(const TestServer& server, bool is_exact) {
    Client client = server.connect();
    std::uint64_t found = 0;
    std::map<int, std::uint64_t> values;
    for (int key = 0; key < kKeysPerClient; ++key) {
      const Result<std::string> reply = client.request("GET " + name(key));
      ASSERT_TRUE(reply);
      values[key] = reply->find_first_not_of("0123456789") == std::string::npos ? std::stoull(*reply) : 0;
      found = std::max(found, values[key]);
    }
    if (is_exact) {
      EXPECT_GE(found, answered_) << "client " << number_ << " lost what was answered; the log:\n"
                                  << server.log();
    }
    EXPECT_LE(found, asked_);
    for (int key = 0; key < kKeysPerClient; ++key) {
      // The highest number up to `found` that this key was ever given.
      std::uint64_t wanted = found;
      while (wanted > 0 && key_of(wanted) != key) --wanted;
      EXPECT_EQ(values[key], wanted) << name(key) << " of client " << number_;
    }
    last_kept_asked = found > begin_ ? times_[found - begin_ - 1].asked : Clock::time_point::min();
    first_lost_answered =
        found - begin_ < times_.size() ? times_[found - begin_].answered : Clock::time_point::max();
    times_.clear();
    begin_ = asked_ = answered_ = found;
  }

  // Of what was written since the check before:
  Clock::time_point last_kept_asked = Clock::time_point::min();
  Clock::time_point first_lost_answered = Clock::time_point::max();

 private:
  struct Times {
    Clock::time_point asked, answered;
  };
  static int key_of(std::uint64_t value) { return static_cast<int>(value % kKeysPerClient); }
  std::string name(int key) const { return "w" + std::to_string(number_) + ":" + std::to_string(key); }
  std::string line(std::uint64_t value) const {
    return "SET " + name(key_of(value)) + " " + std::to_string(value);
  }

  const int number_;
  std::uint64_t asked_ = 0;
  std::uint64_t answered_ = 0;
  std::uint64_t begin_ = 0;  ///< number in front of the first of times_
  std::vector<Times> times_;
};

// What was answered before something else was asked for is there if that is.
void check_order(const std::vector<Writer>& writers) {
  for (const Writer& kept : writers) {
    for (const Writer& lost : writers) EXPECT_FALSE(lost.first_lost_answered < kept.last_kept_asked);
  }
}

/// Lets the writers run until `happen` has come back; it is called when all of them were answered something.
template <class Happen>
void write_until(DataServer& data, std::vector<Writer>& writers, Happen&& happen) {
  std::vector<std::thread> threads;
  for (Writer& writer : writers)
    threads.emplace_back([&writer, port = data.server().port()] { writer.run(port); });
  happen();
  for (std::thread& thread : threads) thread.join();
}

void pause(std::mt19937_64& random, int most_ms) {
  std::this_thread::sleep_for(std::chrono::microseconds(random() % static_cast<unsigned>(most_ms * 1000)));
}

void lose_memory_under_load(const char* policy, int count) {
  DataServer data({"--fsync", policy});
  std::mt19937_64 random(std::random_device{}());
  std::vector<Writer> writers;
  for (int i = 0; i < kClients; ++i) writers.emplace_back(i);
  for (int i = 0; i < count && !::testing::Test::HasFailure(); ++i) {
    write_until(data, writers, [&] {
      pause(random, 200);
      data.lose_memory();
    });
    data.start();
    for (Writer& writer : writers) writer.check(data.server(), std::string(policy) == "always");
    check_order(writers);
  }
}

// Shows that with `always` nothing that was answered is lost with the machine.
TEST(Reboot, LosesNothingWithAlways) { lose_memory_under_load("always", reboots(8)); }

// Shows that with `everysec` what is lost is the end of what was written, and nothing in its midst.
TEST(Reboot, LeavesAPrefixWithEverysec) { lose_memory_under_load("everysec", reboots(4)); }

// Shows that the archiver may be killed whenever, also while its successor has hardly begun: nothing is lost
// when the machine ends afterwards.
TEST(Reboot, LosesNothingAfterDeathsOfTheArchiver) {
  DataServer data({"--fsync", "always"});
  std::mt19937_64 random(std::random_device{}());
  std::vector<Writer> writers;
  for (int i = 0; i < kClients; ++i) writers.emplace_back(i);
  for (int i = 0; i < reboots(20) / 10 + 1 && !::testing::Test::HasFailure(); ++i) {
    write_until(data, writers, [&] {
      for (int k = 0; k < 10; ++k) {
        pause(random, 20);
        if (const pid_t archiver = data.archiver(); archiver != 0) kill(archiver, SIGKILL);
        data.wait_for_archiver(0);
      }
      data.lose_memory();
    });
    data.start();
    for (Writer& writer : writers) writer.check(data.server(), true);
  }
}

// Shows that what memory still has is used, and goes to disk: deaths of all processes with memory kept and
// lost.
TEST(Reboot, GoesOnFromMemory) {
  DataServer data;
  std::mt19937_64 random(std::random_device{}());
  std::vector<Writer> writers;
  for (int i = 0; i < kClients; ++i) writers.emplace_back(i);
  for (int i = 0; i < 4 && !::testing::Test::HasFailure(); ++i) {
    write_until(data, writers, [&] {
      pause(random, 100);
      data.kill_all();
    });
    data.start();
    for (Writer& writer : writers) writer.check(data.server(), true);
  }
  Client client = data.server().connect();
  ASSERT_EQ(*client.request("SET last 1"), "OK");
  // From then on the folder has all that was in memory when it began.
  EXPECT_TRUE(wait_until([&] { return client.request("WAITAOF 1 0 1000")->starts_with("1"); }));
  EXPECT_EQ(data.server().stop(), 0);  // all is on disk then
  std::filesystem::remove_all(data.server().data_folder());
  data.start();
  for (Writer& writer : writers) writer.check(data.server(), true);
}

// Shows that a loader may be killed: another one begins anew, and all is there.
TEST(Reboot, SurvivesDeathsOfTheLoader) {
  DataServer data;
  Client client = data.server().connect();
  constexpr int kKeys = 20'000;
  for (int i = 0; i < kKeys; i += 1000) {
    std::string lines;
    for (int k = i; k < i + 1000; ++k) {
      lines += "SET key:" + std::to_string(k) + " " + std::to_string(k);
      ASSERT_TRUE(client.send_line(lines));
      lines.clear();
    }
    for (int k = i; k < i + 1000; ++k) ASSERT_EQ(*client.read_reply(), "OK");
  }
  EXPECT_EQ(data.server().stop(), 0);
  std::filesystem::remove_all(data.server().data_folder());
  data.server().start();
  for (int k = 0; k < 3; ++k) {
    data.wait_for_archiver(0);
    kill(data.archiver(), SIGKILL);
  }
  EXPECT_TRUE(wait_until([&] { return is_serving(data.server()); })) << data.server().log();
  EXPECT_EQ(data.server().request("COUNT"), std::to_string(kKeys));
  EXPECT_EQ(data.server().request("GET key:19999"), "19999");
}

// Shows that what a server that was killed while it loaded has left in memory is not taken for data by one
// that is started without the folder.
TEST(Reboot, HalfLoadedMemoryIsNoData) {
  DataServer data;
  Client client = data.server().connect();
  const std::string value(500'000, 'v');
  for (int i = 0; i < 100; ++i)
    ASSERT_EQ(*client.request("SET key:" + std::to_string(i) + " " + value), "OK");
  EXPECT_EQ(data.server().stop(), 0);
  const auto loading_stopped = [&] {
    std::filesystem::remove_all(data.server().data_folder());
    data.server().start();
    const StoppedArchiver stopped(data.server().master());
    const bool is_loading =
        data.server().request("INFO persistence").find("loading:1\n") != std::string::npos;
    data.kill_all();
    return is_loading;
  };
  ASSERT_TRUE(wait_until(loading_stopped));
  TestServer without({"--dir", data.server().data_folder()});
  EXPECT_EQ(without.request("COUNT"), "0");
  EXPECT_TRUE(log_says(without, "it was set aside as"));  // whether a check has found it first, or not
  EXPECT_EQ(without.stop(), 0);
  std::filesystem::remove_all(data.server().data_folder());
  data.start();
  EXPECT_EQ(data.server().request("COUNT"), "100");
}

// Shows that upgrades go on with the folder: no write that is acknowledged before, between and behind them is
// lost with memory.
TEST(Reboot, AfterUpgrades) {
  DataServer data({"--fsync", "always"});
  std::vector<Writer> writers;
  for (int i = 0; i < kClients; ++i) writers.emplace_back(i);
  for (int round = 0; round < 2; ++round) {
    write_until(data, writers, [&] {
      for (int upgrade = 1; upgrade <= 2; ++upgrade) {
        const std::size_t upgrades = count_in(data.server().log(), "Upgraded to version");
        const pid_t archiver = data.archiver();
        data.server().signal(SIGUSR2);
        EXPECT_TRUE(wait_until([&] {
          return count_in(data.server().log(), "Upgraded to version") > upgrades;
        })) << data.server().log();
        data.wait_for_archiver(archiver);
        EXPECT_EQ(data.server().request("SET last " + std::to_string(10 * round + upgrade)), "OK");
      }
      data.lose_memory();
    });
    data.start();
    for (Writer& writer : writers) writer.check(data.server(), true);
    EXPECT_EQ(data.server().request("GET last"), std::to_string(10 * round + 2));
  }
}

}  // namespace
}  // namespace memento::testing
