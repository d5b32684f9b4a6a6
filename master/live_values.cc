// See live_values.h. The text: `name=value` words; the password's bytes in hexadecimal.
#include "master/live_values.h"

#include <charconv>

#include "conf/key_event_flags.h"
#include "worker/wire/text_codec.h"

namespace memento {
namespace {

struct NumberField {
  std::string_view name;
  std::int64_t LiveValues::*value;
  void (*set)(LiveSettings&, std::int64_t);
};

// The password, which is no number, stands beside this table.
constexpr NumberField kNumbers[] = {
    {"max_clients", &LiveValues::max_clients,
     [](LiveSettings& s, std::int64_t value) { s.max_clients = static_cast<int>(value); }},
    {"protected_mode", &LiveValues::protected_mode,
     [](LiveSettings& s, std::int64_t value) { s.protected_mode = value != 0; }},
    {"slow_after_us", &LiveValues::slow_after_us,
     [](LiveSettings& s, std::int64_t value) { s.slow_after_us = value; }},
    {"slow_shown", &LiveValues::slow_shown,
     [](LiveSettings& s, std::int64_t value) { s.slow_shown = value; }},
    {"latency_after_ms", &LiveValues::latency_after_ms,
     [](LiveSettings& s, std::int64_t value) { s.latency_after_ms = value; }},
    {"tcp_keepalive_s", &LiveValues::tcp_keepalive_s,
     [](LiveSettings& s, std::int64_t value) { s.tcp_keepalive_s = value; }},
    {"key_events", &LiveValues::key_events,
     [](LiveSettings& s, std::int64_t value) { s.key_events = static_cast<std::uint64_t>(value); }},
};
constexpr std::string_view kPassword = "password";
constexpr std::string_view kHexDigits = "0123456789abcdef";

std::string to_hex(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    text += kHexDigits[static_cast<unsigned char>(byte) >> 4];
    text += kHexDigits[static_cast<unsigned char>(byte) & 15];
  }
  return text;
}

std::string from_hex(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < text.size() && bytes.size() < Password::kLimitBytes; i += 2) {
    bytes += static_cast<char>(kHexDigits.find(text[i]) << 4 | kHexDigits.find(text[i + 1]));
  }
  return bytes;
}

}  // namespace

LiveValues LiveValues::configured(const Options& options, const std::string& password) {
  return {options.max_clients,
          options.protected_mode,
          options.slow_after_us,
          options.slow_shown,
          options.latency_after_ms,
          options.tcp_keepalive_s,
          static_cast<std::int64_t>(parse_key_event_flags(options.key_events).value_or(0)),
          password};
}

LiveValues LiveValues::in_use(const LiveSettings& settings) {
  return {settings.max_clients,
          settings.protected_mode,
          settings.slow_after_us,
          settings.slow_shown,
          settings.latency_after_ms,
          settings.tcp_keepalive_s,
          static_cast<std::int64_t>(settings.key_events.load()),
          settings.password.text()};
}

void LiveValues::apply_changes_since(const LiveValues& before, LiveSettings& settings) const {
  for (const NumberField& field : kNumbers) {
    if (this->*field.value != before.*field.value) field.set(settings, this->*field.value);
  }
  if (password != before.password) settings.password.set(password, Password::kMaster);
}

void LiveValues::apply(LiveSettings& settings) const {
  for (const NumberField& field : kNumbers) field.set(settings, this->*field.value);
  settings.password.set(password, Password::kMaster);
}

std::string LiveValues::text() const {
  std::string text;
  for (const NumberField& field : kNumbers)
    text.append(field.name).append("=").append(std::to_string(this->*field.value)).append(" ");
  return text.append(kPassword).append("=").append(to_hex(password));
}

void LiveValues::read(std::string_view text) {
  for (std::string_view word; !(word = take_word(&text)).empty();) {
    const std::size_t name_bytes = std::min(word.find('='), word.size());
    const std::string_view name = word.substr(0, name_bytes);
    const std::string_view value = word.substr(std::min(name_bytes + 1, word.size()));
    for (const NumberField& field : kNumbers) {
      if (name == field.name) std::from_chars(value.data(), value.data() + value.size(), this->*field.value);
    }
    if (name == kPassword) password = from_hex(value);
  }
}

}  // namespace memento
