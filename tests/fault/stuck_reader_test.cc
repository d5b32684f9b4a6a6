// A process that was stopped while it copies large values without a lock: its pins keep replaced runs from
// being freed, and whoever has no place left for another one waits for it.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <ctime>
#include <string>
#include <thread>

#include "shm/commit/robust_lock.h"
#include "shm/format/layout.h"
#include "shm/os/fd.h"
#include "tests/shm/keyspace/keyspace_fixture.h"

namespace memento {
namespace {

using testing::expect_sound;
using testing::get;
using testing::make_segment;

constexpr std::size_t kValueBytes = 40'000;  // a run
constexpr std::uint32_t kReaders = 4;        // records from 2 on; 1 is the writer's
constexpr std::uint32_t kPinsOfOne = kOldRunLimit / kReaders;
static_assert(kPinsOfOne <= kPinLimit && kReaders * kPinsOfOne == kOldRunLimit);

std::string name(std::uint32_t number) { return "k" + std::to_string(number); }

std::uint64_t entry_offset(Segment& segment, Keyspace& keyspace, const std::string& key) {
  std::uint64_t offset = 0;
  keyspace.read(keyspace.hash(key), [&](const EntryView& view) {
    offset = static_cast<std::uint64_t>(view.value.data() - segment.base()) - key.size() - 3 * sizeof(Word);
  });
  return offset;
}

// Shows that a writer with no place left for a replaced run has the stopped readers whose pins are in its way
// ended, and then goes on.
TEST(StuckReader, IsEndedForAWriterThatWaits) {
  auto segment = make_segment(64ull << 20, 1 + kReaders);
  std::array<pid_t, kReaders> readers{};
  {
    Keyspace keyspace(*segment, 1);
    for (std::uint32_t i = 0; i <= kOldRunLimit; ++i) {
      ASSERT_EQ(keyspace.set(keyspace.hash(name(i)), std::string(kValueBytes, 'a')), WriteStatus::kDone);
    }
    for (std::uint32_t i = 0; i < kReaders; ++i) {
      readers[i] = fork();
      if (readers[i] == 0) {
        for (;;) pause();
      }
      ProcessRecord& record = segment->process(2 + i);
      record.pid = static_cast<std::uint32_t>(readers[i]);
      for (std::uint32_t k = 0; k < kPinsOfOne; ++k) {
        record.pins[k] = entry_offset(*segment, keyspace, name(i * kPinsOfOne + k));
      }
      kill(readers[i], SIGSTOP);
    }
    segment->watch_locks(getpid(), 1);  // we are the master, too
  }
  std::thread writer([&] {
    Keyspace keyspace(*segment, 1);
    for (std::uint32_t i = 0; i <= kOldRunLimit; ++i) {
      EXPECT_EQ(keyspace.set(keyspace.hash(name(i)), std::string(kValueBytes, 'b')), WriteStatus::kDone);
    }
  });
  for (std::uint32_t i = 0; i < kReaders; ++i) {
    int status = 0;
    ASSERT_EQ(waitpid(readers[i], &status, 0), readers[i]);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    segment->recover_process(2 + i);
  }
  writer.join();
  Keyspace keyspace(*segment, 1);
  std::string value;
  for (std::uint32_t i = 0; i <= kOldRunLimit; ++i) {
    ASSERT_TRUE(get(keyspace, name(i), &value));
    EXPECT_EQ(value, std::string(kValueBytes, 'b'));
  }
  expect_sound(*segment);
}

// Shows that a holder which runs is waited for, though it takes several times as long as a stopped one would
// be given.
TEST(BusyHolder, IsWaitedFor) {
  constexpr int kLockTimeoutMs = 1000;
  constexpr std::int64_t kBusyCpuS = 3;
  auto segment = make_segment(16ull << 20, 2);
  RobustLock& lock = segment->header().flush_lock;
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const Fd reader(pipe_ends[0]);
  Fd writer(pipe_ends[1]);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    LockOwner owner(segment->base(), 1);
    owner.lock(lock);
    [[maybe_unused]] const ssize_t told = write(writer.get(), "!", 1);
    timespec used{};
    while (used.tv_sec < kBusyCpuS) clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    owner.unlock(lock);
    _exit(0);
  }
  char told = 0;
  ASSERT_EQ(read(reader.get(), &told, 1), 1);
  segment->watch_locks(getpid(), kLockTimeoutMs);  // we are the master: this process would kill it
  LockOwner waiter(segment->base(), 2);
  waiter.lock(lock);
  waiter.unlock(lock);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "it was killed";
}

// Shows that a process which is no child of the master is not killed, whatever a lock says: root's master
// would obey a worker.
TEST(StuckReader, IsNotKilledUnlessItIsAChild) {
  auto segment = make_segment(16ull << 20, 2);
  int question[2];
  int answer[2];
  ASSERT_EQ(pipe(question), 0);
  ASSERT_EQ(pipe(answer), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (fork() != 0) _exit(0);
    const pid_t stranger = getpid();
    [[maybe_unused]] ssize_t done = write(answer[1], &stranger, sizeof stranger);
    done = read(question[0], &done, 1);
    done = write(answer[1], "!", 1);
    _exit(0);
  }
  close(answer[1]);
  pid_t stranger = 0;
  ASSERT_EQ(read(answer[0], &stranger, sizeof stranger), static_cast<ssize_t>(sizeof stranger));
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  segment->watch_locks(getpid(), 1);
  {
    LockOwner waiter(segment->base(), 2);
    SlowWait wait;
    waiter.on_slow_wait(&segment->header().flush_lock, static_cast<std::uint32_t>(stranger), &wait);
  }
  char told = 0;
  ASSERT_EQ(write(question[1], "?", 1), 1);
  EXPECT_EQ(read(answer[0], &told, 1), 1) << "it was killed";
  for (const int end : {question[0], question[1], answer[0]}) close(end);
}

// Shows what the master believes of a report: a pin that is set names its process, one that is not names
// nobody.
TEST(StuckReader, IsNamedByItsPin) {
  auto segment = make_segment(16ull << 20, 2);
  ProcessRecord& record = segment->process(2);
  record.pid = 4711;
  record.pins[1] = 4096;
  const auto offset_of = [&](const Word& pin) {
    return static_cast<std::uint64_t>(reinterpret_cast<const char*>(&pin) - segment->base());
  };
  EXPECT_EQ(segment->lock_holder(offset_of(record.pins[1])), 4711u);
  EXPECT_EQ(segment->lock_holder(offset_of(record.pins[0])), 0u);
  EXPECT_EQ(segment->lock_holder(offset_of(record.counters[0])), 0u);
  record.pid = 0;
  record.pins[1] = 0;
}

}  // namespace
}  // namespace memento
