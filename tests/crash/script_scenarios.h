// Scenarios of scripts: EVAL, as a worker runs it, one instruction after the other, the interpreter's
// included. What it leaves when its process dies in it is nothing or all of what it does.
#pragma once

#include <vector>

#include "tests/crash/scenario.h"

namespace memento::crash {

std::vector<Scenario> scenarios_of_scripts();

}  // namespace memento::crash
