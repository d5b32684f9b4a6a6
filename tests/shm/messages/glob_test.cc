// Patterns: against a matcher that tries everything, and what the worst of them cost.
#include "shm/messages/glob.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/cpu_growth.h"

namespace memento {
namespace {

using testing::cpu_growth;
using testing::kClearlyBelowQuadratic;

// One element of a pattern against one byte, read anew each time; how long the element is.
std::size_t element_bytes(std::string_view pattern, char c, bool* matches) {
  if (pattern[0] == '?') return *matches = true, 1;
  if (pattern[0] == '\\' && pattern.size() > 1) return *matches = pattern[1] == c, 2;
  if (pattern[0] != '[') return *matches = pattern[0] == c, 1;
  std::size_t at = 1;
  const bool is_negated = at < pattern.size() && pattern[at] == '^';
  at += is_negated;
  bool is_member = false;
  for (; at < pattern.size() && pattern[at] != ']'; ++at) {
    if (pattern[at] == '\\' && at + 1 < pattern.size()) {
      is_member |= pattern[++at] == c;
    } else if (at + 2 < pattern.size() && pattern[at + 1] == '-') {
      const char low = std::min(pattern[at], pattern[at + 2]);
      const char high = std::max(pattern[at], pattern[at + 2]);
      is_member |= low <= c && c <= high;
      at += 2;
    } else {
      is_member |= pattern[at] == c;
    }
  }
  *matches = is_member != is_negated;
  return std::min(at + 1, pattern.size());
}

// By the definition: which beginnings of the text the pattern up to here matches.
bool matches_by_definition(std::string_view pattern, std::string_view text) {
  if (text.empty()) return pattern.empty();
  std::vector<bool> ends(text.size() + 1);
  ends[0] = true;
  while (!pattern.empty()) {
    std::vector<bool> next(text.size() + 1);
    std::size_t taken = 1;
    if (pattern[0] == '*') {
      bool any = false;
      for (std::size_t i = 0; i <= text.size(); ++i) next[i] = any = any || ends[i];
    } else {
      for (std::size_t i = 0; i < text.size(); ++i) {
        bool matches = false;
        taken = element_bytes(pattern, text[i], &matches);
        next[i + 1] = ends[i] && matches;
      }
    }
    pattern.remove_prefix(taken);
    ends = next;
  }
  return ends.back();
}

class RandomText {
 public:
  std::string of(std::string_view alphabet, std::size_t size) {
    std::string text(size, '\0');
    for (char& c : text) c = alphabet[random_() % alphabet.size()];
    return text;
  }
  std::size_t below(std::size_t limit) { return random_() % limit; }

 private:
  std::mt19937_64 random_{7};
};

// Shows that short patterns of all elements, whole and broken, match exactly what the definition says.
TEST(Glob, AgreesWithTheDefinition) {
  RandomText random;
  int matched = 0;
  for (int i = 0; i < 500'000; ++i) {
    const std::string pattern = random.of("ab*?[^]-\\\x80\xff", random.below(10));
    const std::string text = random.of("aab[]-\\^*\x80\xff", random.below(8));
    const bool expected = matches_by_definition(pattern, text);
    ASSERT_EQ(Glob(pattern).matches(text), expected) << pattern << " and " << text;
    matched += expected;
  }
  EXPECT_GT(matched, 10'000);
}

// Shows the same of parts so long that they fail late, which are looked for by machine words.
TEST(Glob, LongPartsAgreeWithTheDefinition) {
  RandomText random;
  int matched = 0;
  for (int i = 0; i < 300; ++i) {
    const std::string part = std::string(100 + random.below(400), 'a') + random.of("ab?", random.below(3));
    std::string pattern = "*" + part + random.of("*a?", random.below(4)) + "b*";
    pattern[1 + random.below(part.size())] = '?';
    if (random.below(2) == 0) pattern.insert(2, "[ac]");
    std::string text(2000, 'a');
    for (std::size_t n = random.below(8); n > 0; --n)
      text[random.below(text.size())] = random.of("abc", 1)[0];
    const bool expected = matches_by_definition(pattern, text);
    ASSERT_EQ(Glob(pattern).matches(text), expected) << pattern << " and " << text;
    matched += expected;
  }
  EXPECT_GT(matched, 30);
  EXPECT_LT(matched, 270);
}

// Shows what Redis does with an empty text, and where keys differ.
TEST(Glob, EmptyTexts) {
  EXPECT_TRUE(Glob("").matches(""));
  EXPECT_FALSE(Glob("*").matches(""));
  EXPECT_TRUE(Glob("*").matches_key(""));
  EXPECT_FALSE(Glob("**").matches_key(""));
  EXPECT_FALSE(Glob("").matches("a"));
}

// Shows that texts up to the limit are matched, and that a pattern may be longer than what it matches.
TEST(Glob, Limits) {
  const std::string text(Glob::kTextLimitBytes, 'a');
  EXPECT_TRUE(Glob(text).matches(text));
  EXPECT_TRUE(Glob("*" + text + "*").matches(text));
  EXPECT_TRUE(Glob("*").matches(text));
  EXPECT_FALSE(Glob("*").matches(text + "a"));
  EXPECT_FALSE(Glob(text + "a").matches(text));
  EXPECT_FALSE(Glob(text + "[" + std::string(1 << 20, 'z') + "]").matches(text));
  EXPECT_TRUE(Glob("[" + std::string(1 << 20, 'z') + "a]*").matches(text));
  EXPECT_TRUE(Glob(std::string(1 << 20, '*')).matches(text));
}

// Shows that a class is read once, not for each byte of the text, and that a part is not tried at each place,
// nor each division of the text between stars.
TEST(Glob, CostGrowsWithTextAndPattern) {
  const auto growth = [](auto&& pattern_of) {
    return cpu_growth(4'000, [&](std::size_t size) {
      const std::string text(size, 'a');
      for (int i = 0; i < 20; ++i) EXPECT_FALSE(Glob(pattern_of(size)).matches(text));
    });
  };
  const auto repeated = [](std::string_view piece, std::size_t size) {
    std::string text;
    while (text.size() < size) text += piece;
    return text;
  };
  EXPECT_LT(growth([](std::size_t size) { return "*[" + std::string(size, 'z') + "]"; }),
            kClearlyBelowQuadratic);
  EXPECT_LT(growth([](std::size_t size) { return "*" + std::string(size / 2, 'a') + "b*"; }),
            kClearlyBelowQuadratic);
  EXPECT_LT(growth([&](std::size_t size) { return repeated("*a", size) + "*b*"; }), kClearlyBelowQuadratic);
  EXPECT_LT(growth([&](std::size_t size) { return repeated("*?a?", size) + "*b*"; }), kClearlyBelowQuadratic);
}

// Shows that a part which fails at its last byte at each place, and so is looked for 64 places at a time, is
// found where it is and nowhere else.
TEST(Glob, PartsThatFailLate) {
  const Glob glob("*" + std::string(8'000, 'a') + "?" + std::string(8'000, 'a') + "b*");
  const std::string text(32'000, 'a');
  EXPECT_FALSE(glob.matches(text));
  EXPECT_FALSE(glob.matches(std::string(16'000, 'a') + "b" + text));
  EXPECT_TRUE(glob.matches(text + "b"));
  EXPECT_TRUE(glob.matches(text + "b" + text));
}

}  // namespace
}  // namespace memento
