// LiveValues: one set of values of the settings that both the configuration and CONFIG SET determine. The
// master keeps the set that it last read from the configuration. On HUP and after an upgrade it applies only
// values that differ from that set, so that HUP does not undo a CONFIG SET. CONFIG REWRITE, in a worker,
// writes those into the file that differ from what it says. Master, workers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "conf/config_rewrite.h"
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
  std::int64_t tracking_key_limit = 1'000'000;
  std::int64_t key_events = 0;  ///< classes (shm/format/key_events.h)
  std::int64_t idle_timeout_s = 0;
  std::int64_t background_hz = 10;
  std::int64_t busy_after_ms = 5000;
  std::int64_t memory_limit_bytes = 0;
  std::int64_t evicts = 0;  ///< 0: off
  std::int64_t value_limit_bytes = 0;
  std::int64_t sync_policy = 1;
  std::int64_t disk_timeout_ms = 10'000;
  std::int64_t stops_writes_on_disk_error = 1;  ///< 0: off
  std::int64_t save_s = 0;
  std::int64_t snapshot_rate_bytes = 50 << 20;
  std::string password;

  static LiveValues configured(const Options& options, const std::string& password);
  static LiveValues in_use(const LiveSettings& settings);

  /// Sets what differs from `before`.
  void apply_changes_since(const LiveValues& before, LiveSettings& settings) const;
  void apply(LiveSettings& settings) const;

  /// The lines of a configuration file that make these values of `before`.
  std::vector<ConfigChange> lines_since(const LiveValues& before) const;

  /// All of it in one line of printable characters, for a handover; an empty or unknown text changes nothing.
  std::string text() const;
  void read(std::string_view text);
};

}  // namespace memento
