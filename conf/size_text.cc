// See size_text.h.
#include "conf/size_text.h"

#include <cctype>
#include <charconv>
#include <cstdio>

namespace memento {

std::optional<std::uint64_t> parse_size(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc()) return std::nullopt;
  std::string unit;
  for (const char* c = end; c != text.data() + text.size(); ++c) {
    unit += static_cast<char>(std::tolower(static_cast<unsigned char>(*c)));
  }
  std::uint64_t factor = 1;
  if (!unit.empty() && unit != "b") {
    constexpr std::string_view kUnits = "kmgt";
    const std::size_t power = kUnits.find(unit[0]);
    const std::string_view tail = std::string_view(unit).substr(1);
    if (power == kUnits.npos || (!tail.empty() && tail != "b" && tail != "ib")) return std::nullopt;
    factor = 1ull << (10 * (power + 1));
  }
  std::uint64_t size_bytes = 0;
  if (__builtin_mul_overflow(number, factor, &size_bytes)) return std::nullopt;
  return size_bytes;
}

std::string format_size(std::uint64_t size_bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto amount = static_cast<double>(size_bytes);
  std::size_t unit = 0;
  for (; amount >= 1024 && unit < 4; ++unit) amount /= 1024;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", amount, kUnits[unit]);
  return text;
}

}  // namespace memento
