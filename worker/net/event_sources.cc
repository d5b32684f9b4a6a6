// See event_sources.h.
#include "worker/net/event_sources.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <csignal>

#include "shm/commit/robust_lock.h"
#include "shm/os/child_process.h"

namespace memento {

bool set_timer(const Fd& timer, std::int64_t after_ms) {
  const itimerspec times{{}, timespec{after_ms / 1000, after_ms % 1000 * 1'000'000}};
  return timerfd_settime(timer.get(), 0, &times, nullptr) == 0;
}

Fd make_timer(std::int64_t after_ms) {
  Fd timer(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  if (timer && !set_timer(timer, after_ms)) timer.reset();
  return timer;
}

Fd make_signals() {
  sigset_t masters;  // the terminal sends these to all
  sigemptyset(&masters);
  for (const int number : {SIGINT, SIGHUP}) sigaddset(&masters, number);
  sigprocmask(SIG_BLOCK, &masters, nullptr);
  return signal_file({SIGTERM, SIGQUIT, SIGUSR1, SIGUSR2});
}

bool watch_input(const Fd& epoll, int descriptor) {
  epoll_event event{EPOLLIN, {.fd = descriptor}};
  return epoll_ctl(epoll.get(), EPOLL_CTL_ADD, descriptor, &event) == 0;
}

bool tell_master_to_end(int pipe) {
  constexpr StuckLock kNone;  // where no lock can be
  return ::write(pipe, &kNone, sizeof kNone) == sizeof kNone;
}

}  // namespace memento
