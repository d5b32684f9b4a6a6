// KeyDistribution: which key each request is for. Keys are numbers below key_count.
//
//   uniform      each key as often as any other
//   seq          0, 1, 2, ... and from the start again
//   zipf:THETA   key k (from 0) is drawn with a probability proportional to 1 / (k+1)^THETA; THETA > 0
//   normal       mean key_count/2, standard deviation key_count/6, drawn again when it falls outside
//
// Drawn before the clock starts. The same random generator's state gives the same keys.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>

namespace memento {

class KeyDistribution {
 public:
  enum class Kind : std::uint8_t { kUniform, kSequence, kZipf, kNormal };

  /// What the text form says; nothing when it isn't one.
  static std::optional<KeyDistribution> parse(std::string_view text);

  std::size_t next(std::mt19937_64& random, std::size_t key_count);

  Kind kind() const { return kind_; }
  std::string to_string() const;

 private:
  std::size_t next_zipf(std::mt19937_64& random, std::size_t key_count) const;

  Kind kind_ = Kind::kUniform;
  double theta_ = 0;
  std::string theta_text_;  ///< as given
  std::size_t sequence_next_ = 0;
};

}  // namespace memento
