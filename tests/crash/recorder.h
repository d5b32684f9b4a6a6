// Recorder: executes an operation instruction by instruction and notes every distinct state of what the other
// processes and the kernel would find should it be killed there: the segment's words that changed, and the
// two words of its robust list.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/crash/death.h"
#include "tests/crash/memory_operand.h"
#include "tests/crash/stepper.h"

namespace memento {
class Segment;
}

namespace memento::crash {

struct WordChange {
  std::uint64_t offset = 0;
  std::uint64_t value = 0;
};

/// What differs from the state before is changes[..end of the previous state.., changes_end).
struct State {
  std::size_t changes_end = 0;
  std::uint64_t instruction = 0;  ///< counted from the operation's first
  RobustList list;
};

/// The parts of a segment that can be in use: [begin, end) pairs.
struct Range {
  std::uint64_t begin = 0, end = 0;
};
std::vector<Range> used_ranges(Segment& segment);

class Recorder {
 public:
  /// `head`: of the thread and Keyspace whose operations are recorded.
  Recorder(Stepper& stepper, Segment& segment, const robust_list_head* head);

  /// Takes the segment's memory as the state before the next operation.
  void sync();

  /// Steps through `body` and replaces the recorded states. Not empty: why the record is not to be trusted.
  template <class Body>
  std::string record(Body&& body) {
    begin();
    stepper_.run(body, [this](const greg_t* registers) { return observe(registers); });
    return finish();
  }

  const std::vector<State>& states() const { return states_; }
  const std::vector<WordChange>& changes() const { return changes_; }
  std::uint64_t instructions() const { return instructions_; }

 private:
  void begin();
  bool observe(const greg_t* registers);
  bool note_changes(std::uint64_t operand);
  std::string finish();

  Stepper& stepper_;
  Segment& segment_;
  const robust_list_head* head_;
  char* base_;
  std::uint64_t size_bytes_;
  std::vector<char> seen_;  ///< the segment as of the last state
  std::vector<State> states_;
  std::vector<WordChange> changes_;
  std::uint64_t instructions_ = 0;
  greg_t last_at_ = 0;
  std::uint64_t operand_ = 0;  ///< offset the instruction now executing may write to, + 1; 0: none
  bool overflow_ = false;
};

}  // namespace memento::crash
