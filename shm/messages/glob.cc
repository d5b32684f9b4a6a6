// See glob.h.
#include "shm/messages/glob.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace memento {
namespace {

constexpr std::size_t kWordBits = 64;
constexpr std::size_t kNotFound = std::string_view::npos;
// What looking for a part place by place may cost before it is done by words: so many times what the latter
// costs.
constexpr std::size_t kPatience = 4;

}  // namespace

int Glob::Class::count() const {
  int sum = 0;
  for (const std::uint64_t word : bits) sum += std::popcount(word);
  return sum;
}

// From behind the opening bracket to behind the closing one, which may be missing at the pattern's end.
Glob::Class Glob::take_class(std::string_view* pattern) {
  Class members;
  std::string_view left = *pattern;
  const bool is_negated = left.starts_with('^');
  if (is_negated) left.remove_prefix(1);
  while (!left.empty()) {
    if (left[0] == '\\' && left.size() >= 2) {
      members.add(left[1]);
      left.remove_prefix(2);
    } else if (left[0] == ']') {
      left.remove_prefix(1);
      break;
    } else if (left.size() >= 3 && left[1] == '-') {
      const auto [low, high] = std::minmax({left[0], left[2]});
      for (char c = low; c != high; ++c) members.add(c);
      members.add(high);
      left.remove_prefix(3);
    } else {
      members.add(left[0]);
      left.remove_prefix(1);
    }
  }
  *pattern = left;
  if (is_negated) {
    for (std::uint64_t& word : members.bits) word = ~word;
  }
  return members;
}

// Appends the element that the pattern begins with. False: nothing matches it.
bool Glob::add_element(std::string_view* pattern) {
  Element element = static_cast<unsigned char>(pattern->front());
  pattern->remove_prefix(1);
  if (element == '?') {
    element = kAny;
  } else if (element == '\\' && !pattern->empty()) {
    element = static_cast<unsigned char>(pattern->front());
    pattern->remove_prefix(1);
  } else if (element == '[') {
    const Class members = take_class(pattern);
    const int count = members.count();
    if (count == 0) return false;
    element = kFirstClass + static_cast<Element>(classes_.size());
    if (count == 1) {
      for (element = 0; !members.has(static_cast<unsigned char>(element));) ++element;
    } else if (count == 256) {
      element = kAny;
    } else {
      classes_.push_back(members);
    }
  }
  elements_.push_back(element);
  bytes_.push_back(static_cast<char>(element));
  ++parts_.back().size;
  parts_.back().is_literal &= element < kAny;
  return true;
}

Glob::Glob(std::string_view pattern) : parts_(1), is_lone_star_(pattern == "*") {
  while (!pattern.empty() && !is_hopeless_) {
    if (pattern.front() != '*') {
      is_hopeless_ = elements_.size() == kTextLimitBytes || !add_element(&pattern);
      continue;
    }
    pattern.remove_prefix(std::min(pattern.find_first_not_of('*'), pattern.size()));
    parts_.push_back({elements_.size()});
  }
}

bool Glob::matches_at(const Part& part, const char* text) const {
  if (part.is_literal) return std::memcmp(bytes_.data() + part.begin, text, part.size) == 0;
  for (std::size_t i = 0; i < part.size; ++i) {
    if (!matches_byte(elements_[part.begin + i], static_cast<unsigned char>(text[i]))) return false;
  }
  return true;
}

bool Glob::matches(std::string_view text) const {
  if (is_hopeless_ || text.size() > kTextLimitBytes || text.size() < elements_.size()) return false;
  if (text.empty()) return parts_.size() == 1;
  const Part& first = parts_.front();
  if (parts_.size() == 1) return text.size() == first.size && matches_at(first, text.data());
  const Part& last = parts_.back();
  if (!matches_at(first, text.data()) || !matches_at(last, text.data() + text.size() - last.size))
    return false;
  text = text.substr(first.size, text.size() - first.size - last.size);
  for (std::size_t i = 1; i + 1 < parts_.size(); ++i) {
    const std::size_t place = find(parts_[i], text);
    if (place == kNotFound) return false;
    text.remove_prefix(place + parts_[i].size);
  }
  return true;
}

// The first place in the text where the part matches.
std::size_t Glob::find(const Part& part, std::string_view text) const {
  if (part.is_literal) {  // memmem() is linear, unlike std::string_view::find()
    const void* const found = memmem(text.data(), text.size(), bytes_.data() + part.begin, part.size);
    return found == nullptr ? kNotFound
                            : static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
  }
  std::size_t from = 0;
  const std::size_t found = find_in_steps(part, text, &from);
  return found != kNotFound || from + part.size > text.size() ? found : find_by_words(part, text, from);
}

// The same place by place, as long as it goes well. `from`: where it would go on, when it did not find the
// part.
std::size_t Glob::find_in_steps(const Part& part, std::string_view text, std::size_t* from) const {
  const std::size_t row_words = part.size / kWordBits + 1;
  std::size_t steps_left = kPatience * (text.size() + 256) * row_words;
  for (std::size_t& at = *from; at + part.size <= text.size(); ++at) {
    std::size_t i = 0;
    while (i < part.size && matches_byte(elements_[part.begin + i], static_cast<unsigned char>(text[at + i])))
      ++i;
    if (i == part.size) return at;
    if (i >= steps_left) break;
    steps_left -= i + 1;
  }
  return kNotFound;
}

// For each byte a row of bits, one for each element: it matches the byte.
std::vector<std::uint64_t> Glob::rows_of(const Part& part, std::size_t row_words) const {
  std::vector<std::uint64_t> rows(256 * row_words, 0);
  for (std::size_t i = 0; i < part.size; ++i) {
    const Element element = elements_[part.begin + i];
    const std::uint64_t bit = 1ull << i % kWordBits;
    if (element < kAny) {
      rows[element * row_words + i / kWordBits] |= bit;
      continue;
    }
    for (std::size_t c = 0; c < 256; ++c) {
      if (matches_byte(element, static_cast<unsigned char>(c))) rows[c * row_words + i / kWordBits] |= bit;
    }
  }
  return rows;
}

// The same again by the bits of machine words: bit i says that the part's first i + 1 elements match the text
// up to here (Baeza-Yates, Gonnet, "A New Approach to Text Searching", 1992).
std::size_t Glob::find_by_words(const Part& part, std::string_view text, std::size_t from) const {
  const std::size_t row_words = (part.size + kWordBits - 1) / kWordBits;
  const std::vector<std::uint64_t> rows = rows_of(part, row_words);
  std::vector<std::uint64_t> matched(row_words, 0);
  const std::uint64_t last_bit = 1ull << (part.size - 1) % kWordBits;
  for (std::size_t at = from; at < text.size(); ++at) {
    const std::uint64_t* const row = rows.data() + static_cast<unsigned char>(text[at]) * row_words;
    std::uint64_t carry = 1;
    for (std::size_t w = 0; w < row_words; ++w) {
      const std::uint64_t before = matched[w];
      matched[w] = (before << 1 | carry) & row[w];
      carry = before >> (kWordBits - 1);
    }
    if ((matched[row_words - 1] & last_bit) != 0) return at + 1 - part.size;
  }
  return kNotFound;
}

bool is_subsequence(std::string_view pattern, std::string_view text) {
  std::size_t p = 0;
  for (std::size_t t = 0; t < text.size() && p < pattern.size(); ++t) p += pattern[p] == text[t];
  return p == pattern.size();
}

}  // namespace memento
