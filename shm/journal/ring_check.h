// Proves that the journal's rings are sound: whole records from the lowest head to the tail, and each slot's
// positions among them one behind the other, the last one the slot's. REQUIRES: nobody writes meanwhile.
#pragma once

#include <string>
#include <vector>

namespace memento {

class Segment;

/// What is wrong; empty: nothing. A ring whose file is gone is not looked at.
std::vector<std::string> check_rings(Segment& segment);

}  // namespace memento
