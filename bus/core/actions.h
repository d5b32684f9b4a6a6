// What the rules between nodes want done, in this order. Whoever runs them performs it: the bus with sockets
// and files, the simulator with virtual ones.
#pragma once

#include <variant>
#include <vector>

#include "bus/core/messages.h"
#include "bus/core/stored_state.h"

namespace memento::bus {

/// To a member, or to a node that has said this uuid.
struct Send {
  Uuid to;
  MessageBody body;
};
/// To an address of the file, or of --join, by its place there.
struct SendToSeed {
  std::size_t seed;
  MessageBody body;
};
/// This document is committed; the newest so far that this node knows of.
struct Committed {
  DocumentPtr document;
};
/// A committed document, newer than one with this node, is without it: it has left the cluster.
struct Removed {
  DocumentPtr document;
};
/// The node may answer for its slots until then, by its own clock. Behind the document that is committed in
/// the same breath: its roles are taken before the lease is.
struct ExtendLease {
  TimeNs until;
};
using Action = std::variant<Send, SendToSeed, Persist, Committed, Removed, ExtendLease>;
using Actions = std::vector<Action>;

}  // namespace memento::bus
