// KeySpec: where the keys stand among a call's words; one column of the command table. Data and pure
// functions; any process.
//
// A range stands at fixed places (GET, MSET). Keys that are counted stand behind a word that says how many
// they are (EVAL script 2 key key argument). Keys behind a word are the first half of all that follows it
// (XREAD STREAMS key key id id).
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

#include "worker/text/words.h"

namespace memento {

/// The keys of one call: its words from `first` to in front of `end`, each `step`th. `first == end`: none.
struct KeyRange {
  std::size_t first = 0;
  std::size_t end = 0;
  std::size_t step = 1;
};

struct KeySpec {
  enum class Kind : std::uint8_t { kRange, kCounted, kBehindWord, kMigrated };

  /// `first` of what stands at no fixed place: behind all words that there may be.
  static constexpr int kMovable = std::numeric_limits<int>::max();

  // A range, as COMMAND tells it; first == last: one key, or none.
  int first = 0;  ///< 0: there are no keys
  int last = 0;   ///< negative: from the end, -1 is the last word
  int step = 0;
  Kind kind = Kind::kRange;
  int count_at = 0;            ///< kCounted: index of the word with the number; the keys follow it
  std::string_view word = {};  ///< kBehindWord: in upper case

  static constexpr KeySpec counted(int count_at) { return {kMovable, 0, 1, Kind::kCounted, count_at, {}}; }
  static constexpr KeySpec behind(std::string_view word) {
    return {kMovable, 0, 1, Kind::kBehindWord, 0, word};
  }

  /// MIGRATE's: the third word, or where that is empty all words behind KEYS.
  static constexpr KeySpec migrated() { return {kMovable, 0, 1, Kind::kMigrated, 3, "KEYS"}; }

  constexpr bool is_movable() const { return kind != Kind::kRange; }

  /// Of a call that has too few words for its keys, or a number of keys that is none, there are none.
  constexpr KeyRange find(std::span<const std::string_view> words) const {
    if (kind == Kind::kCounted) return find_counted(words);
    if (kind == Kind::kBehindWord) return find_behind(words);
    if (kind == Kind::kMigrated) return find_migrated(words);
    if (first == 0) return {};
    const auto begin = static_cast<std::size_t>(first);
    const std::size_t back = last < 0 ? static_cast<std::size_t>(-last) - 1 : 0;  // words behind the last key
    const std::size_t end =
        last < 0 ? (back < words.size() ? words.size() - back : 0) : static_cast<std::size_t>(last) + 1;
    if (begin >= end || end > words.size()) return {};
    return {begin, end, static_cast<std::size_t>(step)};
  }
  // find() for each kind.
  constexpr KeyRange find_counted(std::span<const std::string_view> words) const {
    const std::size_t begin = static_cast<std::size_t>(count_at) + 1;
    if (begin > words.size()) return {};
    std::size_t count = 0;
    const std::string_view digits = words[begin - 1];
    if (digits.empty() || digits.size() > 9) return {};
    for (const char digit : digits) {
      if (digit < '0' || digit > '9') return {};
      count = count * 10 + static_cast<std::size_t>(digit - '0');
    }
    if (count > words.size() - begin) return {};
    return {begin, begin + count, 1};
  }
  constexpr KeyRange find_migrated(std::span<const std::string_view> words) const {
    const auto place = static_cast<std::size_t>(count_at);
    if (words.size() <= place) return {};
    if (!words[place].empty()) return {place, place + 1, 1};
    // Behind the database, the timeout, and options, of which AUTH has one word and AUTH2 two.
    for (std::size_t i = place + 3; i < words.size(); ++i) {
      if (is_word(words[i], word)) return {i + 1, words.size(), 1};
      i += is_word(words[i], "AUTH") ? 1 : is_word(words[i], "AUTH2") ? 2 : 0;
    }
    return {};
  }
  constexpr KeyRange find_behind(std::span<const std::string_view> words) const {
    for (std::size_t i = 1; i < words.size(); ++i) {
      if (is_word(words[i], word)) return {i + 1, i + 1 + (words.size() - i - 1) / 2, 1};
    }
    return {};
  }
};

}  // namespace memento
