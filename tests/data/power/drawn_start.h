// A start on a drawn disk, in this process: what the master and the archiver do with the two folders of a
// server whose memory is gone, up to where it would be served.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/data/power/data_print.h"

namespace memento::testing {

struct DrawnStart {
  std::string refusal;               ///< why there is no start; empty: there is one
  bool has_data = false;             ///< it is the folder's; else it begins with nothing
  std::vector<DataItems> databases;  ///< by number
};

/// `root` has the folders `data` and `state`, or will have them. What recovery changes in them it changes.
DrawnStart start_on_drawn_disk(const std::string& root);

}  // namespace memento::testing
