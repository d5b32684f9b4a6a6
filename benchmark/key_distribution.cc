// Draws keys: see key_distribution.h.
//
// Zipf is drawn by rejection-inversion (W. Hoermann, G. Derflinger, "Rejection-inversion to generate variates
// from monotone discrete distributions", 1996): exact, without tables, for any THETA > 0. A uniform draw is
// inverted through the integral H of x^-THETA; the nearest integer is taken when it lies under the true step,
// which it almost always does.
#include "benchmark/key_distribution.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace memento {
namespace {

double uniform_fraction(std::mt19937_64& random) { return static_cast<double>(random() >> 11U) * 0x1p-53; }

}  // namespace

std::optional<KeyDistribution> KeyDistribution::parse(std::string_view text) {
  KeyDistribution distribution;
  if (text == "uniform") return distribution;
  if (text == "seq" || text == "normal") {
    distribution.kind_ = text == "seq" ? Kind::kSequence : Kind::kNormal;
    return distribution;
  }
  constexpr std::string_view kZipfPrefix = "zipf:";
  if (!text.starts_with(kZipfPrefix)) return std::nullopt;
  distribution.kind_ = Kind::kZipf;
  distribution.theta_text_ = text.substr(kZipfPrefix.size());
  char* end = nullptr;
  distribution.theta_ = std::strtod(distribution.theta_text_.c_str(), &end);
  const bool is_number = !distribution.theta_text_.empty() && *end == '\0';
  if (!is_number || !(distribution.theta_ > 0) || distribution.theta_ > 100) return std::nullopt;
  return distribution;
}

std::size_t KeyDistribution::next(std::mt19937_64& random, std::size_t key_count) {
  switch (kind_) {
    case Kind::kUniform:
      return std::uniform_int_distribution<std::size_t>(0, key_count - 1)(random);
    case Kind::kSequence:
      return sequence_next_++ % key_count;
    case Kind::kZipf:
      return next_zipf(random, key_count);
    case Kind::kNormal: {
      std::normal_distribution<double> normal(static_cast<double>(key_count) / 2,
                                              std::max(1.0, static_cast<double>(key_count) / 6));
      for (;;) {
        const double drawn = std::floor(normal(random));
        if (drawn >= 0 && drawn < static_cast<double>(key_count)) return static_cast<std::size_t>(drawn);
      }
    }
  }
  return 0;
}

std::size_t KeyDistribution::next_zipf(std::mt19937_64& random, std::size_t key_count) const {
  const double one_less = 1 - theta_;
  // H(x): integral of t^-theta up to x, and its inverse; at theta = 1 their limits, log and exp.
  const bool is_log = std::abs(one_less) < 1e-9;
  const auto integral = [&](double x) {
    return is_log ? std::log(x) : (std::pow(x, one_less) - 1) / one_less;
  };
  const auto inverse = [&](double y) {
    return is_log ? std::exp(y) : std::pow(1 + y * one_less, 1 / one_less);
  };
  const auto last = static_cast<double>(key_count);
  const double low = integral(1.5) - 1;  // the first step is drawn whole: its height is 1
  const double high = integral(last + 0.5);
  for (;;) {
    const double drawn = low + uniform_fraction(random) * (high - low);
    const double rank = std::clamp(std::round(inverse(drawn)), 1.0, last);
    if (drawn >= integral(rank + 0.5) - std::pow(rank, -theta_)) return static_cast<std::size_t>(rank) - 1;
  }
}

std::string KeyDistribution::to_string() const {
  switch (kind_) {
    case Kind::kUniform:
      return "uniform";
    case Kind::kSequence:
      return "seq";
    case Kind::kZipf:
      return "zipf:" + theta_text_;
    case Kind::kNormal:
      return "normal";
  }
  return "";
}

}  // namespace memento
