// StepSource: random requests of several clients of one server: messages, MONITOR, CLIENT, SLOWLOG, LATENCY,
// HELLO, RESET. A step is what one client sends at once and what must not be parted: a transaction, CLIENT
// REPLY OFF until ON.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "tests/differential/peer.h"

namespace memento::testing {

struct Step {
  std::size_t client = 0;
  std::vector<Words> requests;
};

class StepSource {
 public:
  StepSource(std::uint64_t seed, std::size_t client_count) : random_(seed), client_count_(client_count) {}

  Step next();

 private:
  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(random_() % limit); }
  bool one_in(std::size_t count) { return below(count) == 0; }
  Words words_of(const char* pattern);
  std::string argument(std::string_view placeholder);

  std::mt19937_64 random_;
  const std::size_t client_count_;
};

}  // namespace memento::testing
