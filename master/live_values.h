// LiveValues: one set of values of the settings that both the configuration and CONFIG SET determine. The
// master keeps the set that it last read from the configuration. On HUP and after an upgrade it applies only
// values that differ from that set, so that HUP does not undo a CONFIG SET. Master.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "conf/live_settings.h"
#include "conf/options.h"

namespace memento {

struct LiveValues {
  std::int64_t max_clients = 0;
  std::int64_t protected_mode = 1;  ///< 0: off
  std::int64_t slow_after_us = 0;
  std::int64_t slow_shown = 0;
  std::int64_t latency_after_ms = 0;
  std::int64_t tcp_keepalive_s = 0;
  std::int64_t key_events = 0;  ///< classes (shm/format/key_events.h)
  std::string password;

  static LiveValues configured(const Options& options, const std::string& password);
  static LiveValues in_use(const LiveSettings& settings);

  /// Sets what differs from `before`.
  void apply_changes_since(const LiveValues& before, LiveSettings& settings) const;
  void apply(LiveSettings& settings) const;

  /// All of it in one line of printable characters, for a handover; an empty or unknown text changes nothing.
  std::string text() const;
  void read(std::string_view text);
};

}  // namespace memento
