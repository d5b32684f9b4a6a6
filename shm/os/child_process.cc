// See child_process.h.
#include "shm/os/child_process.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>

namespace memento {

Fd signal_file(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : signals) sigaddset(&set, number);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  return Fd(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
}

void tell_ready(Fd pipe) {
  const auto pid = static_cast<std::uint32_t>(getpid());
  [[maybe_unused]] const ssize_t written = ::write(pipe.get(), &pid, sizeof pid);
}

}  // namespace memento
