// The listening sockets: one per worker, all on one port by SO_REUSEPORT. The master opens them before it
// forks and keeps them, so that a worker's death resets no connection that waits to be accepted.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shm/os/fd.h"
#include "shm/os/result.h"

namespace memento {

/// `count` non-blocking sockets, bound but not yet listening. Fails (kSystem) when another server has the
/// port; SO_REUSEPORT alone would share it. Waits a moment first for the workers of a killed master to leave.
Result<std::vector<Fd>> bind_listen_sockets(const std::string& address, std::uint16_t port,
                                            std::uint32_t count);

/// "127.0.0.1:6737", "[::1]:6737".
std::string socket_address_text(const std::string& address, std::uint16_t port);

/// From here on clients can connect.
Outcome start_listening(const std::vector<Fd>& sockets);

/// Adds listening sockets on the first one's address until there are `count`.
Outcome add_listen_sockets(std::vector<Fd>& sockets, std::uint32_t count);

/// New connections go to the first `count` of the sockets, in the order in which they began to listen, to
/// each as often as to the others. A socket is never closed to have fewer: that would reset connections that
/// wait in its queue.
Outcome use_first_sockets(const std::vector<Fd>& sockets, std::uint32_t count);

}  // namespace memento
