// A worker that was stopped while it holds a lock. It is brought there exactly: stepped by ptrace,
// instruction by instruction, through a SET until the lock's word in the segment names it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <algorithm>
#include <functional>
#include <memory>

#include "shm/format/layout.h"
#include "shm/keyspace/hash.h"
#include "shm/os/clock.h"
#include "tests/integration/test_server.h"

namespace memento::testing {
namespace {

constexpr std::int64_t kPatienceNs = 30'000'000'000;

/// A running server's segment, seen from outside.
class SegmentView {
 public:
  explicit SegmentView(const TestServer& server)
      : file_(open((server.data_folder() + "/segment").c_str(), O_RDWR | O_CLOEXEC)) {
    struct stat status {};
    fstat(file_.get(), &status);
    bytes_ = static_cast<std::size_t>(status.st_size);
    base_ = static_cast<char*>(mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0));
  }
  ~SegmentView() { munmap(base_, bytes_); }
  SegmentView(const SegmentView&) = delete;
  SegmentView& operator=(const SegmentView&) = delete;

  RobustLock& slot_lock(std::string_view key) const {
    return SlotArray(base_ + header().slots_offset)[slot_of_key(key)].lock;
  }
  RobustLock& repair_lock(pid_t pid) const {
    auto* records = reinterpret_cast<ProcessRecord*>(base_ + header().processes_offset);
    return std::find_if(
               records, records + header().process_count,
               [&](const ProcessRecord& record) { return record.pid == static_cast<std::uint32_t>(pid); })
        ->repair;
  }
  /// And said so: who comes after its death repairs its record.
  static bool is_held_by_name(const RobustLock& lock, pid_t pid) {
    return is_held(lock, pid) && lock.holder != 0;
  }
  static bool is_held(const RobustLock& lock, pid_t pid) {
    return (lock.word & FUTEX_TID_MASK) == static_cast<std::uint32_t>(pid);
  }

 private:
  Header& header() const { return *reinterpret_cast<Header*>(base_); }
  Fd file_;
  std::size_t bytes_ = 0;
  char* base_ = nullptr;
};

/// Halts a process, and lets it go on instruction by instruction.
class Stepper {
 public:
  explicit Stepper(pid_t pid) : pid_(pid) {
    is_attached_ = ptrace(PTRACE_SEIZE, pid, nullptr, nullptr) == 0 &&
                   ptrace(PTRACE_INTERRUPT, pid, nullptr, nullptr) == 0 &&
                   waitpid(pid, nullptr, __WALL) == pid;
  }
  bool is_attached() const { return is_attached_; }

  /// Stops the process for good when it holds the lock. False: it does not come to that.
  bool stop_when(const std::function<bool()>& holds) {
    const std::int64_t end_ns = monotonic_time_ns() + kPatienceNs;
    bool is_halted = true;
    while (!(is_halted && holds()) && monotonic_time_ns() < end_ns) {
      if (is_halted && ptrace(PTRACE_SINGLESTEP, pid_, nullptr, nullptr) != 0) break;
      is_halted = waitpid(pid_, nullptr, __WALL | WNOHANG) == pid_;
    }
    kill(pid_, SIGSTOP);  // pending, and then in force
    ptrace(PTRACE_DETACH, pid_, nullptr, nullptr);
    return holds();
  }

 private:
  pid_t pid_;
  bool is_attached_ = false;
};

/// Two connections, to two workers.
class StuckLock : public ::testing::Test {
 protected:
  void start(std::vector<std::string> arguments) {
    server_ = std::make_unique<TestServer>(std::move(arguments));
    segment_ = std::make_unique<SegmentView>(*server_);
    one_ = connect();
    other_ = connect();
    while (worker_of(one_) == worker_of(other_)) other_ = connect();
    holder_ = worker_of(one_);
    waiter_ = worker_of(other_);
    const Result<std::string> stored = one_.request("SET a before");
    ASSERT_TRUE(stored && *stored == "OK");
  }
  /// Stops the first connection's worker in a SET. False: no ptrace here.
  bool stop_holder() {
    Stepper stepper(holder_);
    if (!stepper.is_attached()) return false;
    EXPECT_TRUE(one_.send_line("SET a held"));
    const RobustLock& lock = segment_->slot_lock("a");
    EXPECT_TRUE(stepper.stop_when([&] { return SegmentView::is_held_by_name(lock, holder_); }));
    return true;
  }
  /// Gives up on a reply after a minute.
  Client connect() const {
    Result<Fd> socket = connect_tcp({"127.0.0.1", server_->port()});
    if (!socket) return Client(Fd());
    const timeval patience{60, 0};
    setsockopt(socket->get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return Client(std::move(*socket));
  }
  bool log_says(const std::string& text) const {
    return wait_until([&] { return server_->log().find(text) != std::string::npos; });
  }
  bool is_gone(pid_t pid) const {
    return wait_until([&] {
      return kill(pid, 0) != 0 ||
             read_file("/proc/" + std::to_string(pid) + "/stat").find(") Z") != std::string::npos;
    });
  }

  std::unique_ptr<TestServer> server_;
  std::unique_ptr<SegmentView> segment_;
  Client one_{Fd()};
  Client other_{Fd()};
  pid_t holder_ = 0;
  pid_t waiter_ = 0;
};

// Shows that the master kills a stopped worker whose lock another waits for, and that the waiter then goes
// on.
TEST_F(StuckLock, StoppedHolderIsKilled) {
  start({"--lock-timeout", "1"});
  if (!stop_holder()) GTEST_SKIP() << "no ptrace here";
  const Result<std::string> stored = other_.request("SET a after");
  ASSERT_TRUE(stored) << server_->log();
  EXPECT_EQ(*stored, "OK");
  EXPECT_TRUE(log_says("the process with pid " + std::to_string(holder_) +
                       " kept a lock or a value that others waited for, 1 s long"));
  EXPECT_FALSE(one_.read_reply());
  EXPECT_EQ(server_->request("GET a"), "after");
}

// Shows the same when the workers are another user's, who may not signal the master, and after an upgrade,
// when the waiter is the old binary's.
TEST_F(StuckLock, StoppedHolderOfAnotherUserIsKilled) {
  if (geteuid() != 0) GTEST_SKIP() << "only root starts workers of another user";
  start({"--lock-timeout", "1", "--user", "nobody"});
  if (!stop_holder()) GTEST_SKIP() << "no ptrace here";
  server_->signal(SIGUSR2);
  EXPECT_TRUE(log_says("Upgraded to version"));
  const Result<std::string> stored = other_.request("SET a after");
  ASSERT_TRUE(stored) << server_->log();
  EXPECT_EQ(*stored, "OK");
  EXPECT_TRUE(log_says("the process with pid " + std::to_string(holder_) +
                       " kept a lock or a value that others waited for, 1 s long"));
  EXPECT_EQ(server_->request("GET a"), "after");
}

// Shows that the master, when it has to wait itself for a lock that a stopped worker holds, to repair what a
// dead one left, kills that worker and goes on.
TEST_F(StuckLock, StoppedRepairerIsKilled) {
  start({"--lock-timeout", "1"});
  if (!stop_holder()) GTEST_SKIP() << "no ptrace here";
  server_->signal(SIGSTOP);  // lest it repairs first
  const RobustLock& repair = segment_->repair_lock(holder_);
  Stepper stepper(waiter_);
  ASSERT_TRUE(stepper.is_attached());
  ASSERT_TRUE(other_.send_line("SET a after"));
  kill(holder_, SIGKILL);
  EXPECT_TRUE(stepper.stop_when([&] { return SegmentView::is_held(repair, waiter_); }));
  server_->signal(SIGCONT);
  EXPECT_TRUE(log_says("(pid " + std::to_string(waiter_) + ") was killed"));
  EXPECT_EQ(server_->request("SET a again"), "OK");
  EXPECT_EQ(server_->request("GET a"), "again");
}

// Shows that a worker which waits for a lock leaves when its master is dead, though the lock's holder,
// stopped, is not.
TEST_F(StuckLock, WaiterLeavesWithItsMaster) {
  start({"--lock-timeout", "3600"});
  if (!stop_holder()) GTEST_SKIP() << "no ptrace here";
  ASSERT_TRUE(other_.send_line("SET a after"));
  const RobustLock& lock = segment_->slot_lock("a");
  EXPECT_TRUE(wait_until([&] { return (lock.word & FUTEX_WAITERS) != 0; }));
  server_->signal(SIGKILL);
  server_->wait();
  EXPECT_FALSE(other_.read_reply());
  EXPECT_TRUE(is_gone(waiter_));
  EXPECT_TRUE(SegmentView::is_held(lock, holder_));
  kill(holder_, SIGKILL);
  EXPECT_TRUE(is_gone(holder_));
  server_->start();
  const std::string value = server_->request("GET a");
  EXPECT_TRUE(value == "before" || value == "held") << value;
  EXPECT_EQ(server_->request("SET a again"), "OK");
}

}  // namespace
}  // namespace memento::testing
