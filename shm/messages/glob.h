// Glob: a pattern as Redis matches it (* ? [a-z] [^x] and \ for a literal), compiled once and matched often.
// Immutable; any process.
//
// A pattern is parts between stars, and a part is elements that match one byte each. Between the first and
// the last part each part is looked for where the one before ended, as far left as it is found: nothing is
// ever gained by a place further right. So a match costs the text's length once, not once for each star, and
// a part that keeps failing late is looked for 64 places at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace memento {

class Glob {
 public:
  /// Keys, channels and other names that patterns are for are no longer.
  static constexpr std::size_t kTextLimitBytes = 64 * 1024;

  explicit Glob(std::string_view pattern);

  /// False for a longer text than kTextLimitBytes. An empty text is matched by the empty pattern only, as in
  /// Redis.
  bool matches(std::string_view text) const;
  /// The same for keys, which a lone * all matches.
  bool matches_key(std::string_view key) const { return is_lone_star_ || matches(key); }

 private:
  /// What matches one byte: the byte itself, kAny, or kFirstClass + an index among the classes.
  using Element = std::uint32_t;
  static constexpr Element kAny = 256;
  static constexpr Element kFirstClass = 257;

  /// A set of bytes, a bit for each.
  struct Class {
    std::array<std::uint64_t, 4> bits{};

    void add(char c) {
      bits[static_cast<unsigned char>(c) / 64] |= 1ull << static_cast<unsigned char>(c) % 64;
    }
    bool has(unsigned char c) const { return (bits[c / 64] >> c % 64 & 1) != 0; }
    int count() const;
  };

  /// Elements without a star among them.
  struct Part {
    std::size_t begin = 0;
    std::size_t size = 0;
    bool is_literal = true;  ///< its elements are bytes
  };

  static Class take_class(std::string_view* pattern);
  bool add_element(std::string_view* pattern);
  bool matches_byte(Element element, unsigned char c) const {
    return element < kAny ? element == c : element == kAny || classes_[element - kFirstClass].has(c);
  }
  bool matches_at(const Part& part, const char* text) const;
  std::size_t find(const Part& part, std::string_view text) const;
  std::size_t find_in_steps(const Part& part, std::string_view text, std::size_t* from) const;
  std::size_t find_by_words(const Part& part, std::string_view text, std::size_t from) const;
  std::vector<std::uint64_t> rows_of(const Part& part, std::size_t row_words) const;

  std::vector<Element> elements_;
  std::string bytes_;  ///< those of the elements, where they are bytes
  std::vector<Class> classes_;
  std::vector<Part> parts_;  ///< one more than stars; runs of stars are one
  bool is_lone_star_;
  bool is_hopeless_ = false;  ///< matches no text
};

/// Whether the pattern's bytes are all in the text, in this order.
bool is_subsequence(std::string_view pattern, std::string_view text);

}  // namespace memento
