// Join: one reply out of the parts that several nodes gave, for commands over keys of several nodes or over
// all keys. The parts are asked for in RESP2, whatever the client speaks. Runs in workers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bus/core/channel.h"
#include "bus/core/cluster_state.h"
#include "worker/command/join_kind.h"
#include "worker/wire/reply_writer.h"

namespace memento {

struct JoinPart {
  NodeId node;
  Failure failure = Failure::kNone;
  std::string reply{};
  std::vector<std::uint32_t> places{};  ///< kElements, kWatch: of its elements in the whole
};

struct Join {
  JoinKind kind = JoinKind::kNone;
  bool may_write = false;
  std::vector<JoinPart> parts{};
  std::size_t missing = 0;          ///< parts that have yet to be answered
  std::size_t element_count = 0;    ///< kElements
  std::vector<std::string> keys{};  ///< kWatch
};

/// The part whose fault is to be told; nullptr: all were answered.
const JoinPart* worst_part(const Join& join);

/// Writes the reply. REQUIRES: no part is missing, and `kind` is neither kNone nor kWatch.
void finish_join(const Join& join, const ClusterState& state, ReplyWriter& reply);

/// What is answered when a node did not: names it.
void write_failure(Failure failure, const NodeState& node, ReplyWriter& reply);

}  // namespace memento
