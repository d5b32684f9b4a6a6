// Lines of the text protocol that end within 64 bytes, as most do: one look at those bytes yields where
// spaces are and where the line ends, and words are found among bits, without another look at any byte. A
// pipelined SET of 16 + 32 bytes took a third fewer instructions with it. What lies behind shorter input is
// read with it, where that is on the same page of memory, and counts for nothing. Runs in workers.
#pragma once

#include <emmintrin.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace memento {

/// Bit i is set where byte i of the 64 at `bytes` is `wanted`.
inline std::uint64_t find_in_64(const char* bytes, char wanted) {
  std::uint64_t found = 0;
  const __m128i pattern = _mm_set1_epi8(wanted);
  for (int i = 0; i < 4; ++i) {
    const __m128i part = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes) + i);
    const auto mask = static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(part, pattern)));
    found |= static_cast<std::uint64_t>(mask) << 16 * i;
  }
  return found;
}

class ShortLine {
 public:
  /// REQUIRES: not empty, so that the page of its first byte is there.
  explicit ShortLine(std::string_view bytes) : bytes_(bytes.data()) {
    assert(!bytes.empty());
    if (bytes.size() >= 64) [[likely]] {
      look(bytes_, ~0ull);
    } else if (may_read_64(bytes_)) {
      look(bytes_, (1ull << bytes.size()) - 1);
    } else {
      alignas(16) std::array<char, 64> copy{};
      std::memcpy(copy.data(), bytes.data(), bytes.size());
      look(copy.data(), ~0ull);
    }
  }

  /// The line ends within the 64 bytes: the rest may be called.
  bool is_whole() const { return ends_ != 0; }
  /// Bytes of the line and its end.
  std::size_t bytes_with_end() const { return static_cast<std::size_t>(std::countr_zero(ends_)) + 1; }
  std::string_view text() const { return {bytes_, size_}; }

  /// The bytes up to the first space, or to the end.
  std::size_t name_bytes() const {
    return static_cast<std::size_t>(std::countr_zero(spaces_ | 1ull << size_));
  }
  /// The line's first eight bytes, the first of them lowest; what follows the line may be among them.
  std::uint64_t head() const { return head_; }
  /// The words of a line that begins with a word and has one space between each two of them, as take_word()
  /// and take_rest() find them; the `rest_index`-th (0: none) is the line's rest. How many they are; 0: the
  /// line is otherwise, or has more words than there are places. REQUIRES: name_bytes() > 0.
  template <std::size_t kPlaces>
  std::size_t split_plainly(std::size_t rest_index, std::string_view* words) const {
    const std::uint64_t stops = spaces_ | 1ull << size_;
    auto end = static_cast<std::size_t>(std::countr_zero(stops));
    words[0] = {bytes_, end};
    std::size_t count = 1;
    for (; end < size_; ++count) {
      if (count == kPlaces) [[unlikely]]
        return 0;
      const std::size_t begin = end + 1;
      const bool is_rest = count == rest_index;
      end = is_rest ? size_ : static_cast<std::size_t>(std::countr_zero(stops & ~0ull << begin));
      if (end == begin && !is_rest) [[unlikely]]
        return 0;
      words[count] = {bytes_ + begin, end - begin};
    }
    return count;
  }

  /// As Line's.
  std::string_view take_word() {
    if (letters_ == 0) return {};
    const auto begin = static_cast<std::size_t>(std::countr_zero(letters_));
    const std::uint64_t behind = spaces_ & ~0ull << begin;
    at_ = behind == 0 ? size_ : static_cast<std::size_t>(std::countr_zero(behind));
    letters_ &= ~0ull << at_;
    return {bytes_ + begin, at_ - begin};
  }
  bool take_rest(std::string_view* rest) const {
    if (at_ == size_) return false;
    *rest = {bytes_ + at_ + 1, size_ - at_ - 1};
    return true;
  }

 private:
  // A processor may, whatever they are, when they are of one page. Sanitizers look closer.
  static bool may_read_64(const char* at) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(__clang__)
    (void)at;
    return false;
#else
    constexpr std::uintptr_t kPage = 4096;
    return reinterpret_cast<std::uintptr_t>(at) % kPage <= kPage - 64;
#endif
  }

  // `valid`: a bit for each of the 64 bytes at `at` that is input. REQUIRES: they may be read.
  void look(const char* at, std::uint64_t valid) {
    ends_ = find_in_64(at, '\n') & valid;
    if (ends_ == 0) return;
    size_ = static_cast<std::size_t>(std::countr_zero(ends_));
    if (size_ > 0 && at[size_ - 1] == '\r') --size_;
    const std::uint64_t line = (1ull << size_) - 1;
    spaces_ = find_in_64(at, ' ') & line;
    letters_ = ~spaces_ & line;
    std::memcpy(&head_, at, sizeof head_);
  }

  const char* bytes_;
  std::uint64_t ends_ = 0;
  std::uint64_t head_ = 0;
  std::uint64_t spaces_ = 0;
  std::uint64_t letters_ = 0;  ///< of words not yet taken
  std::size_t size_ = 0;       ///< of the line without its end; at most 63
  std::size_t at_ = 0;         ///< behind the last word
};

}  // namespace memento
