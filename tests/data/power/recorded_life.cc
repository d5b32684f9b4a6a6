// See recorded_life.h.
#include "tests/data/power/recorded_life.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <sstream>
#include <thread>

#include "shm/format/limits.h"

namespace memento::testing {
namespace {

constexpr std::uint32_t kClients = 4;
constexpr std::uint64_t kFileBytes = 2 << 20;  // a journal's file: so that there are many

void pause(std::mt19937_64& random, unsigned most_ms) {
  usleep(static_cast<useconds_t>(random() % (most_ms * 1000)));
}

bool is_gone(pid_t process) {
  return kill(process, 0) != 0 ||
         read_file("/proc/" + std::to_string(process) + "/stat").find(") Z") != std::string::npos;
}

}  // namespace

RecordedLife::RecordedLife(LifePlan plan)
    : plan_(std::move(plan)), log_(DiskLog::create(outer_.path() + "/log")) {
  std::mt19937_64 random(plan_.seed);
  begin();
  if (!::testing::Test::HasFailure()) live(random);
  DiskModel model = *base_;
  const DiskRecord* record = log_.first();
  for (std::uint64_t i = log_.count(); i-- > 0; record = DiskLog::next(record)) model.apply(*record);
  EXPECT_EQ(model.difference_to(root()), "") << "the log is not all that was asked of the disk";
  data_.reset();
  disk_.reset();
  unsetenv(kShimLogVariable);
}

std::vector<std::string> RecordedLife::arguments() const {
  return {"--fsync",         plan_.always ? "always" : "everysec",
          "--save",          "1",
          "--snapshot-rate", plan_.seed % 2 == 0 ? "2MiB" : "0",
          "--disk-timeout",  "60",
          "--dir",           outer_.path() + "/memory"};
}

// A server without a data folder leaves it there.
void RecordedLife::fill_memory() {
  TestServer server({"--dir", outer_.path() + "/memory"});
  Client client = server.connect();
  for (std::size_t i = 0; i < plan_.holds.size(); ++i) {
    EXPECT_EQ(*client.request("SELECT " + std::to_string(i)), "OK");
    for (const auto& [key, item] : plan_.holds[i]) {
      EXPECT_EQ(*client.request("SET " + key + " " + item.value), "OK");
      if (item.expiry_ms != kNoExpiry) {
        EXPECT_EQ(*client.request("PEXPIREAT " + key + " " + std::to_string(item.expiry_ms)), "1");
      }
    }
  }
}

void RecordedLife::begin() {
  disk_ = std::make_unique<DiskControl>();
  disk_->shim().journal_file_bytes = kFileBytes;
  setenv(kShimLogVariable, (outer_.path() + "/log").c_str(), 1);
  if (plan_.has_memory) fill_memory();
  data_ = std::make_unique<DataServer>(arguments(), [this](const std::string& folder) {
    const std::filesystem::path root = std::filesystem::path(folder).parent_path();
    if (!plan_.base.empty()) {
      for (const auto& entry : std::filesystem::directory_iterator(plan_.base))
        std::filesystem::rename(entry.path(), root / entry.path().filename());
    }
    disk_->watch(root);
    base_ = std::make_unique<DiskModel>(root, plan_.seed);
  });
  for (std::uint32_t i = 0; i < kClients; ++i) {
    DataItems holds = i < plan_.holds.size() ? plan_.holds[i] : DataItems();
    clients_.push_back(std::make_unique<RecordedClient>(i, plan_.seed * kClients + i, log_, std::move(holds),
                                                        !plan_.always));
  }
  if (plan_.holds.empty() || ::testing::Test::HasFailure()) return;
  const std::vector<DataItems> found = contents_of(data_->server());
  for (std::size_t i = 0; i < found.size(); ++i)
    EXPECT_TRUE(found[i] == plan_.holds[i]) << "database " << i << " of a real start on a drawn disk";
}

// Behind the first part the server ends or is killed, and the machine goes on. Memory is lost where nothing
// else is by that.
void RecordedLife::live(std::mt19937_64& random) {
  const auto end = static_cast<End>(random() % 3);
  let_clients_run(random, end);
  if (::testing::Test::HasFailure()) return;
  if (plan_.always || end == End::kClean) std::filesystem::remove_all(outer_.path() + "/memory");
  data_->start();
  if (::testing::Test::HasFailure()) return;
  const std::vector<DataItems> found = contents_of(data_->server());
  for (const auto& client : clients_) {
    EXPECT_TRUE(client->settle(found[client->database()]))
        << "database " << client->database() << " behind the end of all processes";
    if (end == End::kClean) client->is_on_disk();
  }
  let_clients_run(random, End::kKilled);
}

void RecordedLife::let_clients_run(std::mt19937_64& random, End end) {
  std::vector<std::thread> threads;
  for (const auto& client : clients_)
    threads.emplace_back([&client, port = data_->server().port()] { client->run(port); });
  const int snapshot_at = static_cast<int>(random() % static_cast<unsigned>(plan_.events));
  for (int i = 0; i < plan_.events; ++i) {
    if (i == snapshot_at) await_snapshot();
    event(random);
  }
  if (plan_.has_memory && ready_at_ == 0) await_readiness();
  if (end == End::kOnBadDisk) {
    disk_->shim().failures = -1;
    disk_->shim().sync_error = EIO;
    pause(random, 100);
  }
  if (end == End::kClean) {
    EXPECT_EQ(data_->server().stop(), 0) << data_->server().log();
  } else {
    const DiskLog::Lock lock(log_);  // nobody dies within a call
    data_->kill_all();
  }
  disk_->heal();
  for (std::thread& thread : threads) thread.join();
  for (const auto& client : clients_) EXPECT_EQ(client->fault(), "");
}

// What memory held is on disk, and from now on what is answered is as the policy says.
void RecordedLife::await_readiness() {
  Client client = data_->server().connect();
  EXPECT_EQ(*client.request("SELECT " + std::to_string(kClients)), "OK");
  EXPECT_EQ(*client.request("SET ready 1"), "OK");
  EXPECT_TRUE(wait_until([&] { return client.request("WAITAOF 1 0 1000")->starts_with("1"); }));
  ready_at_ = log_.note("what was in memory is on disk");
  for (const auto& recorded : clients_) recorded->is_promised_from(ready_at_);
}

void RecordedLife::event(std::mt19937_64& random) {
  ShimControl& shim = disk_->shim();
  shim.sync_us = static_cast<int>(random() % 3000);
  pause(random, 120);
  switch (random() % 9) {
    case 0:
      return kill_archiver();
    case 1:
    case 2: {  // it dies in front of some call, or behind it
      const pid_t archiver = data_->archiver();
      const int calls = static_cast<int>(random() % 20) + 1;
      shim.dies_in = random() % 2 == 0 ? calls : -calls;
      return data_->wait_for_archiver(archiver);
    }
    case 3:
      return fail_once(shim.sync_error);
    case 4:
      return fail_once(shim.write_error);
    case 5:
      fail_once(shim.sync_error);
      return kill_archiver();
    default:
      return;
  }
}

void RecordedLife::fail_once(std::atomic<int>& error) {
  ShimControl& shim = disk_->shim();
  shim.failures = 1;
  error = EIO;
  EXPECT_TRUE(wait_until([&] { return shim.failures == 0; }));
  disk_->heal();
}

void RecordedLife::kill_archiver() {
  const pid_t archiver = data_->archiver();
  if (archiver == 0) return data_->wait_for_archiver(0);
  {
    const DiskLog::Lock lock(log_);
    kill(archiver, SIGKILL);
    EXPECT_TRUE(wait_until([&] { return is_gone(archiver); }));
  }
  data_->wait_for_archiver(archiver);
}

// One is complete; or has failed, then the next one comes much later.
void RecordedLife::await_snapshot() {
  const auto ended = [&] {
    const std::string log = data_->server().log();
    return count_in(log, "is complete") + count_in(log, "no snapshot: ");
  };
  const std::size_t before = ended();
  EXPECT_TRUE(wait_until([&] { return ended() > before; })) << data_->server().log();
}

std::vector<DataItems> contents_of(const TestServer& server) {
  std::vector<DataItems> databases(kDatabaseLimit);
  Client client = server.connect();
  for (std::uint32_t i = 0; i < kDatabaseLimit; ++i) {
    EXPECT_EQ(*client.request("SELECT " + std::to_string(i)), "OK");
    std::istringstream names(*client.request("KEYS *"));
    for (std::string name; std::getline(names, name);) {
      if (name.empty() || name == "(null)") continue;
      DataItem& item = databases[i][name];
      item.value = *client.request("GET " + name);
      item.expiry_ms = std::stoll(*client.request("PEXPIRETIME " + name));
    }
  }
  return databases;
}

}  // namespace memento::testing
