// See shown_words.h.
#include "worker/command/shown_words.h"

#include <algorithm>
#include <cstdio>

#include "worker/command/command.h"
#include "worker/text/words.h"

namespace memento {
namespace {

constexpr std::string_view kHidden = "(redacted)";

// The letter behind a backslash; 0: it has none.
constexpr char escape_letter(char c) {
  switch (c) {
    case '\\':
      return '\\';
    case '"':
      return '"';
    case '\n':
      return 'n';
    case '\r':
      return 'r';
    case '\t':
      return 't';
    case '\a':
      return 'a';
    case '\b':
      return 'b';
    default:
      return 0;
  }
}

// Of a parameter, here or in Redis: requirepass, masterauth, tls-key-file-pass.
bool names_password(std::string_view parameter) {
  const std::string lower = lower_case(parameter);
  return lower.find("pass") != lower.npos || lower.find("auth") != lower.npos;
}

constexpr bool is_plain(char c) { return c >= ' ' && c <= '~' && c != '\\' && c != '"'; }

}  // namespace

bool is_secret(const Command& command, std::span<const std::string_view> words, std::size_t index) {
  const auto is_auth = [](std::string_view word) { return is_word(word, "AUTH") || is_word(word, "AUTH2"); };
  switch (command.secrets) {
    case Secrets::kNone:
      return false;
    case Secrets::kAllWords:
      return index > 0;
    case Secrets::kBehindAuth:
      return index > 2 && std::ranges::any_of(
                              words.subspan(std::max<std::size_t>(index - 2, 2), index > 3 ? 2 : 1), is_auth);
    case Secrets::kPasswordValues:
      return index > 2 && names_password(words[index - 1]);
  }
  return false;
}

std::string_view shown_word(const Command& command, std::span<const std::string_view> words,
                            std::size_t index) {
  return is_secret(command, words, index) ? kHidden : words[index];
}

void append_quoted(std::string_view word, std::size_t limit_bytes, std::string* text) {
  constexpr const char* kDigits = "0123456789abcdef";
  text->append(" \"");
  while (!word.empty() && text->size() < limit_bytes) {
    const auto plain = static_cast<std::size_t>(std::ranges::find_if_not(word, is_plain) - word.begin());
    text->append(word.substr(0, std::min(plain, limit_bytes - text->size())));
    word.remove_prefix(plain);
    if (word.empty()) break;
    const char c = word.front();
    word.remove_prefix(1);
    text->append(1, '\\');
    if (const char letter = escape_letter(c); letter != 0) {
      text->append(1, letter);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      text->append(1, 'x').append(1, kDigits[byte >> 4]).append(1, kDigits[byte & 15]);
    }
  }
  text->append(1, '"');
}

std::string monitor_line(std::int64_t time_us, DatabaseId database, std::string_view address,
                         const Command& command, std::span<const std::string_view> words,
                         std::size_t limit_bytes) {
  char front[48];
  std::snprintf(front, sizeof front, "%lld.%06lld [%u ", static_cast<long long>(time_us / 1'000'000),
                static_cast<long long>(time_us % 1'000'000), database.value);
  std::string line(front);
  line.append(address).append(1, ']');
  for (std::size_t i = 0; i < words.size() && line.size() < limit_bytes; ++i) {
    append_quoted(shown_word(command, words, i), limit_bytes, &line);
  }
  return line;
}

}  // namespace memento
