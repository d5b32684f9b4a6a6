// See number_text.h.
#include "worker/text/number_text.h"

#include <cctype>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace memento {
namespace {

constexpr std::size_t kFloatLimitBytes = 5 * 1024;  // the largest long double has 4933 digits

}  // namespace

std::optional<std::int64_t> parse_integer(std::string_view text) {
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  if (digits.empty() || (digits[0] == '0' && text.size() > 1)) return std::nullopt;
  std::int64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<long double> parse_float(std::string_view text, FloatRange range) {
  if (text.empty() || text.size() >= kFloatLimitBytes || std::isspace(static_cast<unsigned char>(text[0])))
    return std::nullopt;
  const std::string copy(text);
  char* end = nullptr;
  errno = 0;
  const long double number = std::strtold(copy.c_str(), &end);
  if (end != copy.c_str() + copy.size() || std::isnan(number)) return std::nullopt;
  if (errno == ERANGE && (std::isinf(number) || number == 0)) return std::nullopt;
  if (range == FloatRange::kFinite && !std::isfinite(number)) return std::nullopt;
  return number;
}

std::string format_float(long double number) {
  char digits[kFloatLimitBytes];
  std::size_t length = static_cast<std::size_t>(std::snprintf(digits, sizeof digits, "%.17Lf", number));
  while (digits[length - 1] == '0') --length;
  if (digits[length - 1] == '.') --length;
  const std::string_view text(digits, length);
  return std::string(text == "-0" ? "0" : text);
}

}  // namespace memento
