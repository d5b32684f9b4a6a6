// The lines of INFO: a title, `name:value` lines, an empty line between sections. Runs in workers.
#pragma once

#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace memento {

inline std::string format_number(const char* format, double number) {
  char text[64];
  std::snprintf(text, sizeof text, format, number);
  return text;
}

/// Bytes as Redis shows them to people, and its tools read them: 516B, 516.00K, 1.25M.
inline std::string human_bytes(std::uint64_t bytes) {
  if (bytes < 1024) return std::to_string(bytes) + "B";
  auto amount = static_cast<double>(bytes);
  std::string_view units = "KMGTPE";
  for (amount /= 1024; amount >= 1024; amount /= 1024) units.remove_prefix(1);
  return format_number("%.2f", amount) + units.front();
}

class InfoLines {
 public:
  explicit InfoLines(std::string_view line_end) : line_end_(line_end) {}

  void title(std::string_view title) {
    if (!text_.empty()) text_ += line_end_;
    text_.append("# ").append(title).append(line_end_);
  }
  void add(std::string_view name, std::string_view value) {
    text_.append(name).append(":").append(value).append(line_end_);
  }
  void add(std::string_view name, std::uint64_t value) { add(name, std::to_string(value)); }
  /// Bytes, and behind them the same for people.
  void add_bytes(std::string_view name, std::uint64_t bytes) {
    add(name, bytes);
    add(std::string(name) + "_human", human_bytes(bytes));
  }
  using Constant = std::pair<std::string_view, std::string_view>;
  void add_all(std::span<const Constant> lines) {
    for (const auto& [name, value] : lines) add(name, value);
  }
  const std::string& text() const { return text_; }

 private:
  std::string_view line_end_;
  std::string text_;
};

}  // namespace memento
