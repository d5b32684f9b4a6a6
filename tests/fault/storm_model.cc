// See storm_model.h.
#include "tests/fault/storm_model.h"

#include <charconv>

namespace memento::testing {
namespace {

std::uint64_t mix(std::uint64_t number) {
  number = (number ^ number >> 31) * 0x9e3779b97f4a7c15;
  return number ^ number >> 29;
}

// Mostly small, one in 64 large enough for a run of its own.
std::size_t padding_bytes(std::uint64_t number) {
  const std::uint64_t random = mix(number);
  return random % 64 == 0 ? 20'000 + random / 64 % 200'000 : random / 64 % 700;
}

}  // namespace

std::string Series::token(std::uint64_t number) const {
  return "<" + key_ + ":" + std::to_string(number) + ">";
}

const char* Series::command(std::uint64_t number) const {
  if (removes(number)) return "DEL";
  if (kind_ == Kind::kStored) return "SET";
  return kind_ == Kind::kAppended ? "APPEND" : "PREPEND";
}

std::string Series::operand(std::uint64_t number) const {
  if (kind_ != Kind::kStored) return token(number);
  std::string text = token(number);
  text.append(padding_bytes(number), static_cast<char>('a' + number % 26));
  return text.append(token(number));
}

std::string Series::reply(std::uint64_t number) const {
  if (removes(number)) return value(number - 1) ? "1" : "0";
  return kind_ == Kind::kStored ? "OK" : std::to_string(value(number)->size());
}

std::optional<std::string> Series::value(std::uint64_t number) const {
  if (removes(number)) return std::nullopt;
  if (kind_ == Kind::kStored) return operand(number);
  std::string text;
  for (std::uint64_t i = number - number % kPeriod + 1; i <= number; ++i) {
    text = kind_ == Kind::kAppended ? text + token(i) : token(i) + text;
  }
  return text;
}

std::optional<std::uint64_t> Series::number_of(const std::string& value) const {
  const std::size_t begin = kind_ == Kind::kAppended ? value.rfind('<') : value.find('<');
  const std::string head = "<" + key_ + ":";
  if (begin == std::string::npos || value.compare(begin, head.size(), head) != 0) return std::nullopt;
  std::uint64_t number = 0;
  const char* const digits = value.data() + begin + head.size();
  const auto [end, failure] = std::from_chars(digits, value.data() + value.size(), number);
  if (failure != std::errc() || end == digits) return std::nullopt;
  return number;
}

}  // namespace memento::testing
