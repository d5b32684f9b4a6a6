// A column of the command table: what a cluster's node makes of a command over keys of several nodes, or over
// all keys.
#pragma once

#include <cstdint>

namespace memento {

/// In a cluster: how one reply is made of those of several nodes (cluster_join.h).
enum class JoinKind : std::uint8_t {
  kNone,       ///< it is not: its keys have to be one node's
  kSum,        ///< of integers: DEL, EXISTS, COUNT
  kSumOfSome,  ///< the same, of the nodes that answered: PUBLISH
  kAllOk,      ///< MSET, FLUSH
  kSame,       ///< each answers the same: SCRIPT LOAD
  kElements,   ///< each part's elements have places in the whole: MGET
  kLists,      ///< one behind the other: KEYS
  kFields,     ///< sums by name: KEYSPACE
  kAny,        ///< a key, with a node's chance by how many it has: RANDOMKEY by CLUSTER RANDOMKEY
  kWatch,      ///< each part holds what its keys are like; not written by finish_join()
  kScan,       ///< one part; its cursor goes on with the next node
};

}  // namespace memento
