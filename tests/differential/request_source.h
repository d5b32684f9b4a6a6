// RequestSource: random requests, most of them sensible, some with wrong, hostile or missing arguments. The
// same seed gives the same requests.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tests/differential/random_choice.h"

namespace memento::testing {

class RequestSource : private RandomChoice {
 public:
  explicit RequestSource(std::uint64_t seed) : RandomChoice(seed) {}

  /// The next requests: one, or a transaction with what belongs to it.
  std::vector<std::vector<std::string>> next();
  /// From time to time, so that keys do not become many.
  bool is_time_to_flush() { return one_in(50); }

 private:
  using Words = std::vector<std::string>;

  Words single();
  std::vector<Words> transaction();
  /// One word for a placeholder of a pattern; see kPatterns.
  void append_argument(std::string_view placeholder, Words* words);
  void append_field_step(Words* words);
  void spoil(Words* words);
  std::string key();
  std::string value();
  std::string glob();
  std::string integer();
  std::string decimal();
  std::string bytes(std::size_t limit);
};

}  // namespace memento::testing
