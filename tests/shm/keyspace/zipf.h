// Zipf-distributed numbers: rank r is drawn with a probability proportional to 1 / r^theta. By inverting a
// table of sums, exact and slow to build; the ranks are scattered over the numbers.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace memento::testing {

class Zipf {
 public:
  Zipf(std::uint64_t count, double theta) : sums_(count) {
    double sum = 0;
    for (std::uint64_t rank = 0; rank < count; ++rank)
      sums_[rank] = sum += 1 / std::pow(static_cast<double>(rank + 1), theta);
  }

  /// 0..count-1.
  std::uint64_t operator()(std::mt19937_64& random) const {
    const double at = std::uniform_real_distribution<double>(0, sums_.back())(random);
    const auto rank = static_cast<std::uint64_t>(std::ranges::lower_bound(sums_, at) - sums_.begin());
    return rank * 0x9e3779b97f4a7c15ull % sums_.size();
  }

 private:
  std::vector<double> sums_;
};

}  // namespace memento::testing
