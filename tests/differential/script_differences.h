// Where memento's replies to a script, and the keys it leaves, may differ from redis-server's, and why. What
// is not on this list has to be the same to the byte.
#pragma once

#include <string>

#include "tests/differential/script_source.h"

namespace memento::testing {

struct ScriptOutcome {
  std::string reply;
  std::string keys;  ///< the reply to MGET behind it
  bool operator==(const ScriptOutcome&) const = default;
};

/// The reason why these outcomes may differ; nullptr: they may not.
const char* reason_to_differ(const GeneratedScript& script, const ScriptOutcome& redis,
                             const ScriptOutcome& memento);

}  // namespace memento::testing
