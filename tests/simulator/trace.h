// What happened: a hash over all of it, by which two runs of a seed are compared, and the last entries, which
// are shown when something was found.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <string>

#include "bus/core/timing.h"

namespace memento::simulator {

enum class Happening : std::uint8_t {
  kDelivered,  ///< x: which message; y: its term or version
  kTicked,
  kWritten,    ///< x: ticket
  kStands,     ///< x: term
  kLeads,      ///< x: term
  kStepsDown,  ///< x: term
  kPublishes,  ///< x: term, y: version
  kCommits,    ///< x: term, y: version
  kLearns,     ///< x: term, y: version
  kForms,
  kRemoved,
  kStarts,
  kDies,    ///< x: how
  kPauses,  ///< x: milliseconds
  kCut,     ///< other: to whom
  kHealed,
  kDiskFails,
  kVotersChange,  ///< x, y: nodes of the voters before and now, as bits
  kFences,
  kGranted,
  kFault,  ///< x: its number, y: which
  kCalm,
  kCount
};

struct TraceEntry {
  bus::TimeNs at;
  Happening what;
  std::uint8_t node;
  std::uint8_t other;
  std::uint64_t x;
  std::uint64_t y;
};

inline constexpr std::uint8_t kNobody = 0xff;

class Trace {
 public:
  explicit Trace(std::size_t kept) : kept_(kept) {}

  void note(const TraceEntry& entry);
  std::uint64_t hash() const { return hash_; }
  std::string text() const;

 private:
  std::size_t kept_;
  std::uint64_t hash_ = 0;
  std::deque<TraceEntry> last_;
};

}  // namespace memento::simulator
