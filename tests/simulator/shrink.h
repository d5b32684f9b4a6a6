// A smaller case of what was found: the same seed with as few faults as possible.
#pragma once

#include <functional>

#include "tests/simulator/run.h"

namespace memento::simulator {

/// Leaves out faults, by halves first and one by one at last, as long as the same kind of finding remains; at
/// most `runs_limit` runs. REQUIRES: run(options) finds something.
RunOptions shrink(RunOptions options, std::size_t runs_limit);

}  // namespace memento::simulator
