// Signals while the tool waits: Ctrl-C (SIGINT) ends a wait, not the tool; the code that waits asks
// interrupted() after EINTR.
#pragma once

#include <poll.h>

#include <csignal>

namespace memento::cli {

/// From here on SIGINT is noted, and ends system calls with EINTR; SIGPIPE is ignored.
void note_interrupts();

/// True once after each SIGINT.
bool take_interrupt();
bool is_interrupted();

/// poll() that SIGINT ends with EINTR even when it came just before.
int poll_or_interrupt(pollfd* descriptors, nfds_t count, int wait_ms);

}  // namespace memento::cli
