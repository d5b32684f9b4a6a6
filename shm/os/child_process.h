// What each child of the master does alike: it takes its signals from a descriptor, and tells when it is
// ready. Any process.
#pragma once

#include <initializer_list>

#include "shm/os/fd.h"

namespace memento {

/// Readable when one of these signals has come, which are not delivered otherwise any more. Empty: errno says
/// why.
Fd signal_file(std::initializer_list<int> signals);

/// Writes this process's id into the pipe, and closes it: the master goes on with what waits for that.
void tell_ready(Fd pipe);

}  // namespace memento
