// See archiver_wakeups.h.
#include "archiver/archiver_wakeups.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <iterator>

#include "shm/os/child_process.h"

namespace memento {
namespace {

constexpr unsigned long kTimerSlackNs = 2000;

}  // namespace

ArchiverWakeups::ArchiverWakeups(Segment& segment, std::uint32_t process, Log& log)
    : disk_(segment.header().disk),
      log_(log),
      signals_(signal_file({SIGTERM, SIGQUIT, SIGINT, SIGHUP, SIGUSR1, SIGUSR2})),
      fifo_(segment.path(), process) {
  prctl(PR_SET_TIMERSLACK, kTimerSlackNs);  // or pauses in front of a sync become three times as long
}

void ArchiverWakeups::sleep(int timeout_ms, int descriptor) {
  pollfd waits[] = {{signals_.get(), POLLIN, 0}, {fifo_.descriptor(), POLLIN, 0}, {descriptor, POLLIN, 0}};
  poll(waits, std::size(waits), timeout_ms);
  disk_.sleeps.store(0);
  if ((waits[1].revents & POLLIN) != 0) fifo_.drain();
  if ((waits[0].revents & POLLIN) != 0) take_signals();
}

void ArchiverWakeups::take_signals() {
  signalfd_siginfo signal;
  while (::read(signals_.get(), &signal, sizeof signal) == sizeof signal) {
    ends_ |= signal.ssi_signo == SIGTERM || signal.ssi_signo == SIGQUIT;
    nobody_writes_ |= signal.ssi_signo == SIGQUIT;
    if (signal.ssi_signo != SIGUSR1) continue;
    if (const Outcome reopened = log_.reopen(); !reopened) log_.warning(reopened.error().message);
  }
}

}  // namespace memento
