// See live_values.h. The text: `key=value` words; the password's bytes in hexadecimal.
#include "conf/live_values.h"

#include <algorithm>
#include <charconv>
#include <type_traits>

#include "conf/key_event_flags.h"
#include "conf/sync_policy.h"

namespace memento {
namespace {

std::string digits(std::int64_t value) { return std::to_string(value); }
std::string yes_or_no(std::int64_t value) { return value != 0 ? "yes" : "no"; }
std::string fsync_policy(std::int64_t policy) {
  return std::string(sync_policy_text(static_cast<SyncPolicy>(policy)));
}
std::string policy(std::int64_t evicts) { return evicts != 0 ? "allkeys" : "noeviction"; }

struct NumberField {
  std::string_view key;  ///< of the configuration file
  std::int64_t LiveValues::*value;
  std::string (*line_value)(std::int64_t);
  std::int64_t (*configured)(const Options&);
  std::int64_t (*in_use)(const LiveSettings&);
  void (*set)(LiveSettings&, std::int64_t);
};

template <auto Option, auto Setting>
constexpr NumberField field(std::string_view key, std::int64_t LiveValues::*value,
                            std::string (*line_value)(std::int64_t) = digits) {
  return {key,
          value,
          line_value,
          [](const Options& o) { return static_cast<std::int64_t>(o.*Option); },
          [](const LiveSettings& s) { return static_cast<std::int64_t>((s.*Setting).load()); },
          [](LiveSettings& s, std::int64_t v) {
            s.*Setting = static_cast<typename std::remove_cvref_t<decltype(s.*Setting)>::value_type>(v);
          }};
}

using L = LiveSettings;
using O = Options;
using V = LiveValues;

// The password, which is no number, stands beside this table.
constexpr NumberField kNumbers[] = {
    field<&O::max_clients, &L::max_clients>("max-clients", &V::max_clients),
    field<&O::protected_mode, &L::protected_mode>("protected-mode", &V::protected_mode, yes_or_no),
    field<&O::slow_after_us, &L::slow_after_us>("slowlog-log-slower-than", &V::slow_after_us),
    field<&O::slow_shown, &L::slow_shown>("slowlog-max-len", &V::slow_shown),
    field<&O::latency_after_ms, &L::latency_after_ms>("latency-monitor-threshold", &V::latency_after_ms),
    field<&O::tcp_keepalive_s, &L::tcp_keepalive_s>("tcp-keepalive", &V::tcp_keepalive_s),
    field<&O::tracking_key_limit, &L::tracking_key_limit>("tracking-table-max-keys", &V::tracking_key_limit),
    {"notify-keyspace-events", &V::key_events,
     [](std::int64_t classes) { return key_event_flags_text(static_cast<std::uint64_t>(classes)); },
     [](const Options& o) {
       return static_cast<std::int64_t>(parse_key_event_flags(o.key_events).value_or(0));
     },
     [](const LiveSettings& s) { return static_cast<std::int64_t>(s.key_events.load()); },
     [](LiveSettings& s, std::int64_t value) { s.key_events = static_cast<std::uint64_t>(value); }},
    field<&O::idle_timeout_s, &L::idle_timeout_s>("timeout", &V::idle_timeout_s),
    field<&O::background_hz, &L::background_hz>("hz", &V::background_hz),
    field<&O::busy_after_ms, &L::busy_after_ms>("busy-reply-threshold", &V::busy_after_ms),
    field<&O::memory_limit_bytes, &L::memory_limit_bytes>("maxmemory", &V::memory_limit_bytes),
    field<&O::eviction, &L::evicts>("eviction", &V::evicts, policy),
    field<&O::value_limit_bytes, &L::value_limit_bytes>("value-limit", &V::value_limit_bytes),
    field<&O::sync_policy, &L::sync_policy>("fsync", &V::sync_policy, fsync_policy),
    {"disk-timeout", &V::disk_timeout_ms, [](std::int64_t value) { return digits(value / 1000); },
     [](const Options& o) { return std::int64_t{o.disk_timeout_s} * 1000; },
     [](const LiveSettings& s) { return s.disk_timeout_ms.load(); },
     [](LiveSettings& s, std::int64_t value) { s.disk_timeout_ms = value; }},
    field<&O::stops_writes_on_disk_error, &L::stops_writes_on_disk_error>(
        "stop-writes-on-disk-error", &V::stops_writes_on_disk_error, yes_or_no),
    field<&O::save_s, &L::save_s>("save", &V::save_s),
    field<&O::snapshot_rate_bytes, &L::snapshot_rate_bytes>("snapshot-rate", &V::snapshot_rate_bytes),
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
  LiveValues values;
  for (const NumberField& number : kNumbers) values.*number.value = number.configured(options);
  values.password = password;
  return values;
}

LiveValues LiveValues::in_use(const LiveSettings& settings) {
  LiveValues values;
  for (const NumberField& number : kNumbers) values.*number.value = number.in_use(settings);
  values.password = settings.password.text();
  return values;
}

void LiveValues::apply_changes_since(const LiveValues& before, LiveSettings& settings) const {
  for (const NumberField& number : kNumbers) {
    if (this->*number.value != before.*number.value) number.set(settings, this->*number.value);
  }
  if (password != before.password) settings.password.set(password, Password::kMaster);
}

void LiveValues::apply(LiveSettings& settings) const {
  for (const NumberField& number : kNumbers) number.set(settings, this->*number.value);
  settings.password.set(password, Password::kMaster);
}

std::vector<ConfigChange> LiveValues::lines_since(const LiveValues& before) const {
  std::vector<ConfigChange> changes;
  for (const NumberField& number : kNumbers) {
    if (this->*number.value != before.*number.value)
      changes.push_back({std::string(number.key), number.line_value(this->*number.value)});
  }
  if (password != before.password) {
    changes.push_back({"requirepass", password});
    if (password.empty()) changes.push_back({"requirepass-file", ""});
  }
  return changes;
}

std::string LiveValues::text() const {
  std::string text;
  for (const NumberField& number : kNumbers)
    text.append(number.key).append("=").append(std::to_string(this->*number.value)).append(" ");
  return text.append(kPassword).append("=").append(to_hex(password));
}

void LiveValues::read(std::string_view text) {
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    const std::size_t name_bytes = std::min(word.find('='), word.size());
    const std::string_view name = word.substr(0, name_bytes);
    const std::string_view value = word.substr(std::min(name_bytes + 1, word.size()));
    for (const NumberField& number : kNumbers) {
      if (name == number.key) std::from_chars(value.data(), value.data() + value.size(), this->*number.value);
    }
    if (name == kPassword) password = from_hex(value);
  }
}

}  // namespace memento
