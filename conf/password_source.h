// Where the server's password comes from. Master, at start and on HUP.
#pragma once

#include <string>

#include "conf/options.h"
#include "shm/os/result.h"

namespace memento {

/// The option requirepass, else the first line of the file that requirepass-file names, else the environment
/// variable MEMENTO_REQUIREPASS; empty when there is none of them. An error when the file cannot be read,
/// holds no password, or a password is too long.
Result<std::string> find_password(const Options& options);

/// An error when clients of a cluster's node need a password, but a connection to its bus needs no secret.
Outcome check_bus_is_guarded(const std::string& password, bool has_secret);

/// The secret that the nodes of the cluster prove to each other that they know; empty when the cluster has
/// none, as it may on one machine. Errors: the file cannot be read or holds no secret; there is no secret
/// though the bus listens beyond this machine, or clients need a password. REQUIRES: options.cluster.
Result<std::string> find_cluster_secret(const Options& options);

}  // namespace memento
