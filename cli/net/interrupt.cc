// See interrupt.h. The flag is the one thing a handler may touch.
#include "cli/net/interrupt.h"

#include <cerrno>

namespace memento::cli {
namespace {

volatile std::sig_atomic_t g_interrupted = 0;

}  // namespace

void note_interrupts() {
  struct sigaction action {};
  action.sa_handler = [](int) { g_interrupted = 1; };
  sigaction(SIGINT, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

// Signals are let through in the wait alone.
int poll_or_interrupt(pollfd* descriptors, nfds_t count, int wait_ms) {
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGINT);
  sigprocmask(SIG_BLOCK, &blocked, &before);
  int ready = -1;
  int failure = EINTR;
  if (!is_interrupted()) {
    const timespec wait{wait_ms / 1000, wait_ms % 1000 * 1'000'000};
    ready = ::ppoll(descriptors, count, wait_ms < 0 ? nullptr : &wait, &before);
    failure = errno;
  }
  sigprocmask(SIG_SETMASK, &before, nullptr);
  errno = failure;
  return ready;
}

bool is_interrupted() { return g_interrupted != 0; }

bool take_interrupt() {
  const bool was_set = g_interrupted != 0;
  g_interrupted = 0;
  return was_set;
}

}  // namespace memento::cli
