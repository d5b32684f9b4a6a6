// StepSource: random requests of several clients of one server: messages, MONITOR, CLIENT, SLOWLOG, LATENCY,
// HELLO, RESET. A step is what one client sends at once and what must not be parted: a transaction, CLIENT
// REPLY OFF until ON.
#pragma once

#include <string>
#include <vector>

#include "tests/differential/peer.h"
#include "tests/differential/random_choice.h"

namespace memento::testing {

struct Step {
  std::size_t client = 0;
  std::vector<Words> requests;
};

class StepSource : private RandomChoice {
 public:
  StepSource(std::uint64_t seed, std::size_t client_count)
      : RandomChoice(seed), client_count_(client_count) {}

  Step next();

 private:
  Words words_of(const char* pattern);
  std::string argument(std::string_view placeholder);

  const std::size_t client_count_;
};

}  // namespace memento::testing
