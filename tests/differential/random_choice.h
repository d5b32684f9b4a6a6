// RandomChoice: what sources of random requests draw with. The same seed gives the same draws.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>

namespace memento::testing {

class RandomChoice {
 protected:
  explicit RandomChoice(std::uint64_t seed) : random_(seed) {}
  ~RandomChoice() = default;

  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(random_() % limit); }
  bool one_in(std::size_t count) { return below(count) == 0; }
  template <std::size_t kCount>
  std::string pick(const char* const (&choices)[kCount]) {
    return choices[below(kCount)];
  }

  std::mt19937_64 random_;
};

}  // namespace memento::testing
