// The segment checker: walks everything and proves that each block in use is in exactly one place, each key
// is in its slot and found once, and all counts are right. REQUIRES: nobody writes meanwhile.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace memento {

class Segment;

struct CheckReport {
  std::uint64_t key_count = 0;
  std::vector<std::string> errors;  ///< empty: all is well; at most 20 are kept
};

CheckReport check_segment(Segment& segment);

}  // namespace memento
