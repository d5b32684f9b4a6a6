// RequestSource: random requests, most of them sensible, some with wrong, hostile or missing arguments. The
// same seed gives the same requests.
#pragma once

#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace memento::testing {

class RequestSource {
 public:
  explicit RequestSource(std::uint64_t seed) : random_(seed) {}

  /// The next requests: one, or a transaction with what belongs to it.
  std::vector<std::vector<std::string>> next();
  /// From time to time, so that keys do not become many.
  bool is_time_to_flush() { return one_in(50); }

 private:
  using Words = std::vector<std::string>;

  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(random_() % limit); }
  bool one_in(std::size_t count) { return below(count) == 0; }
  template <std::size_t kCount>
  std::string pick(const char* const (&choices)[kCount]) {
    return choices[below(kCount)];
  }

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

  std::mt19937_64 random_;
};

}  // namespace memento::testing
