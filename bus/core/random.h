// Numbers by chance, xoshiro256** (Blackman, Vigna 2018). Whoever makes one passes the seed in, so that the
// rules of this folder draw nothing by themselves, and a run with the same seed draws the same.
#pragma once

#include <array>
#include <bit>
#include <cassert>
#include <cstdint>

namespace memento::bus {

class Random {
 public:
  explicit Random(std::uint64_t seed) {
    for (std::uint64_t& word : words_) {  // splitmix64 fills the state
      seed += 0x9e3779b97f4a7c15;
      std::uint64_t mixed = (seed ^ (seed >> 30)) * 0xbf58476d1ce4e5b9;
      mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
      word = mixed ^ (mixed >> 31);
    }
  }

  std::uint64_t next() {
    const std::uint64_t result = std::rotl(words_[1] * 5, 7) * 9;
    const std::uint64_t shifted = words_[1] << 17;
    words_[2] ^= words_[0];
    words_[3] ^= words_[1];
    words_[1] ^= words_[2];
    words_[0] ^= words_[3];
    words_[2] ^= shifted;
    words_[3] = std::rotl(words_[3], 45);
    return result;
  }

  /// 0 .. end - 1. REQUIRES: end > 0.
  std::uint64_t below(std::uint64_t end) {
    assert(end > 0);
    return next() % end;  // its bias is beyond notice for the small ends here
  }
  /// first .. last, both included.
  std::int64_t between(std::int64_t first, std::int64_t last) {
    return first + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(last - first) + 1));
  }
  bool chance(double probability) { return static_cast<double>(next() >> 11) * 0x1p-53 < probability; }

 private:
  std::array<std::uint64_t, 4> words_;
};

}  // namespace memento::bus
