// What a worker's event loop waits for beside sockets: timers and signals, as descriptors. Runs in workers.
#pragma once

#include <cstdint>

#include "shm/os/fd.h"

namespace memento {

/// The timer runs out once, `after_ms` from now; set it again to use it again. False: errno says why.
bool set_timer(const Fd& timer, std::int64_t after_ms);
/// A timer that is set. Empty: errno says why.
Fd make_timer(std::int64_t after_ms);

/// Readable when one of the signals that are the worker's has come; blocks the delivery of these, and of
/// those that the terminal sends to all processes but that are the master's. Empty: errno says why.
Fd make_signals();

/// Adds the descriptor to the epoll set, for input. False: errno says why.
bool watch_input(const Fd& epoll, int descriptor);

/// Tells the master through the pipe of stuck locks to end the server: a signal would be refused when it is
/// root's. False: errno says why.
bool tell_master_to_end(int pipe);

}  // namespace memento
