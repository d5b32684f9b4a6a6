// Replies with what belongs to one server put in a common form: times, addresses, numbers of connections,
// versions.
#pragma once

#include <string>
#include <vector>

#include "tests/differential/step_source.h"

namespace memento::testing {

/// REQUIRES: what ask_until() gave.
std::vector<std::string> canonical(std::vector<std::string> replies);

/// The reason why the replies to the step need only have the same lines, in any order; nullptr: there is
/// none.
const char* reason_for_another_order(const Step& step);

/// All lines of the replies, sorted.
std::vector<std::string> sorted_lines(const std::vector<std::string>& replies);

}  // namespace memento::testing
