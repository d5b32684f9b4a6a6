// See shrink.h.
#include "tests/simulator/shrink.h"

#include <algorithm>
#include <vector>

namespace memento::simulator {
namespace {

/// Findings that differ in numbers alone are of one kind.
std::string kind_of(const RunResult& result) {
  std::string kind;
  for (const char letter : result.finding.substr(0, result.finding.find(" of ")))
    if (letter < '0' || letter > '9') kind += letter;
  return kind;
}

}  // namespace

RunOptions shrink(RunOptions options, std::size_t runs_limit) {
  const RunResult first = run(options);
  std::uint64_t fault_count = first.faults;
  std::size_t runs = 0;
  for (std::uint64_t piece = fault_count / 2; piece > 0 && runs < runs_limit; piece /= 2) {
    for (std::uint64_t begin = 0; begin < fault_count && runs < runs_limit; begin += piece) {
      RunOptions smaller = options;
      for (std::uint64_t fault = begin; fault < std::min(begin + piece, fault_count); ++fault)
        smaller.skipped_faults.insert(fault);
      if (smaller.skipped_faults.size() == options.skipped_faults.size()) continue;
      ++runs;
      const RunResult result = run(smaller);
      if (result.verdict != first.verdict || kind_of(result) != kind_of(first)) continue;
      options = std::move(smaller);
      fault_count = result.faults;
    }
  }
  return options;
}

}  // namespace memento::simulator
