// Whether another process has done anything: one that computes has, one that is stopped, sleeps or is dead
// has not.
#include "shm/os/process_time.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace memento {
namespace {

class Child {
 public:
  explicit Child(bool computes) : pid_(fork()) {
    if (pid_ != 0) return;
    for (volatile bool goes_on = true; goes_on;) {
      if (!computes) pause();
    }
  }
  ~Child() { end(); }
  void end() {
    if (pid_ == 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  void stop() const {
    kill(pid_, SIGSTOP);
    waitpid(pid_, nullptr, WUNTRACED);
  }
  std::uint32_t id() const { return static_cast<std::uint32_t>(pid_); }

 private:
  pid_t pid_;
};

// Shows it of each kind: the watch of one that computes is never idle for long, that of the others from the
// first look on.
TEST(ShmProcessTime, TellsBusyFromStopped) {
  Child busy(true);
  ActivityWatch watch;
  watch.look(busy.id(), 1000);
  const std::uint64_t begin_ns = active_time_ns(busy.id());
  while (active_time_ns(busy.id()) == begin_ns) {
  }
  watch.look(busy.id(), 5000);
  EXPECT_EQ(watch.idle_ms(5000), 0);
  EXPECT_EQ(watch.waited_ms(5000), 4000);
  busy.stop();
  watch.look(busy.id(), 6000);
  watch.look(busy.id(), 9000);
  EXPECT_EQ(watch.idle_ms(9000), 3000);
  watch.reset();
  EXPECT_EQ(watch.idle_ms(9000), 0);
}

// Shows that no process is not active: its number is 0, or nobody's any more.
TEST(ShmProcessTime, NoProcessIsIdle) {
  EXPECT_EQ(active_time_ns(0), 0u);
  Child child(true);
  const std::uint32_t id = child.id();
  child.end();
  EXPECT_EQ(active_time_ns(id), 0u);
  ActivityWatch watch;
  watch.look(0, 1000);
  watch.look(0, 3000);
  EXPECT_EQ(watch.idle_ms(3000), 2000);
}

}  // namespace
}  // namespace memento
