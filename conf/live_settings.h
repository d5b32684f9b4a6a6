// Settings that change while the workers run, in memory that all processes of a server map. The master writes
// them at start and on HUP, a worker on CONFIG SET, and all read them. Each setting is one atomic word, but
// for the password (password.h); the statistics are in a memory file of their own.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <new>
#include <utility>

#include "conf/password.h"
#include "conf/statistics.h"
#include "shm/os/mapping.h"
#include "shm/os/result.h"

namespace memento {

// Limits, the same for the configuration and CONFIG SET: CONFIG REWRITE writes what the latter took for the
// former to read.
inline constexpr std::int64_t kTcpKeepaliveLimitS = 32'767;  // the kernel's
inline constexpr std::int64_t kIdleTimeoutLimitS = INT32_MAX;
inline constexpr int kBackgroundHzLimit = 500;
inline constexpr std::int64_t kLargestBusyAfterMs = 86'400'000;
inline constexpr std::int64_t kLargestTrackingKeyLimit = 1'000'000'000'000;
inline constexpr std::int64_t kLargestSlowAfterUs = 86'400'000'000;
inline constexpr std::int64_t kLargestSlowShown = 1'000'000;
inline constexpr std::int64_t kLargestLatencyAfterMs = 86'400'000;
inline constexpr std::int64_t kLargestDiskTimeoutMs = 86'400'000;
inline constexpr std::int64_t kLargestSaveS = 31'536'000;
inline constexpr std::int64_t kLargestSnapshotRate = std::int64_t{1} << 40;

struct LiveSettings {
  std::atomic<int> max_clients{0};                 ///< of all workers together
  std::atomic<int> lowered_max_clients{0};         ///< what the limit of open files made of it; 0: it did not
  std::atomic<int> quit_timeout_ms{0};             ///< how long QUIT lets connections finish
  std::atomic<bool> protected_mode{true};          ///< without a password only this machine is served
  std::atomic<std::int64_t> tcp_keepalive_s{300};  ///< of connections from now on; 0: off
  std::atomic<std::int64_t> idle_timeout_s{0};     ///< clients idle for longer are closed; 0: none
  std::atomic<std::int64_t> background_hz{10};     ///< rounds of background work a second
  // The segment has these three too, where the keyspace reads them: whoever changes them tells it
  // (tell_latest()).
  std::atomic<std::int64_t> memory_limit_bytes{0};  ///< 0: all of the segment
  std::atomic<std::int64_t> evicts{0};
  std::atomic<std::int64_t> value_limit_bytes{0};
  Password password;
  std::atomic<std::int64_t> slow_after_us{10'000};  ///< commands that take as long are logged; negative: none
  std::atomic<std::int64_t> slow_shown{128};        ///< lines of SLOWLOG
  std::atomic<std::int64_t> latency_after_ms{
      0};  ///< commands that take as long are samples of LATENCY; 0: none
  std::atomic<bool> expires_in_background{
      true};  ///< workers remove expired keys; DEBUG SET-ACTIVE-EXPIRE clears it
  /// A script that has run for so long lets its worker's other clients be told so.
  std::atomic<std::int64_t> busy_after_ms{5000};
  /// Keys that all workers remember for clients that track them (CLIENT TRACKING); 0: any number.
  std::atomic<std::int64_t> tracking_key_limit{1'000'000};
  /// By process record: the script that it has been running for a while; 0: none (script_word.h).
  std::array<std::atomic<std::uint64_t>, kStatisticsLimit> long_scripts{};
  /// What that is called, and its request, as far as there is room.
  static constexpr std::size_t kScriptTextWords = 32;
  using ScriptText = std::array<std::atomic<std::uint64_t>, kScriptTextWords>;
  std::array<ScriptText, kStatisticsLimit> script_texts{};
  /// Classes of events of keys that clients are told (shm/format/key_events.h); workers look at the segment's
  /// header, where whoever changes this sets them.
  std::atomic<std::uint64_t> key_events{0};
  /// When what was changed is on disk: a SyncPolicy (shm/format/manifest.h). Of a server with a data folder.
  std::atomic<std::int64_t> sync_policy{1};
  /// What the disk does not answer for so long, it does not answer.
  std::atomic<std::int64_t> disk_timeout_ms{10'000};
  /// Then, and while it answers with errors, no data is changed.
  std::atomic<bool> stops_writes_on_disk_error{true};
  /// A snapshot as often, if anything was changed; 0: only when it is needed.
  std::atomic<std::int64_t> save_s{0};
  /// What one writes in a second, at most; 0: without limit.
  std::atomic<std::int64_t> snapshot_rate_bytes{50 << 20};
  StatisticsRecords statistics;
};

/// Tells `apply` the setting's value, again as long as somebody has changed it meanwhile: of several
/// processes that do this at once the last one tells the last value. False: apply() failed.
template <class Apply>
bool tell_latest(const std::atomic<std::int64_t>& setting, Apply&& apply) {
  for (std::int64_t told = setting;;) {
    if (!apply(told)) return false;
    if (const std::int64_t now = setting; std::exchange(told, now) == now) return true;
  }
}

/// Owns the mapping of the settings. Move-only; children inherit the mapping. The settings themselves are
/// never destroyed: all processes share them, and one that ends must not close what the others still use.
class SharedSettings {
 public:
  static Result<SharedSettings> create() {
    Result<Mapping> page = Mapping::shared_memory(sizeof(LiveSettings), "the live settings");
    if (!page) return page.error();
    new (page->data()) LiveSettings;
    return SharedSettings(std::move(*page));
  }

  LiveSettings& operator*() const { return *std::launder(reinterpret_cast<LiveSettings*>(page_.data())); }
  LiveSettings* operator->() const { return &**this; }

 private:
  explicit SharedSettings(Mapping page) : page_(std::move(page)) {}
  Mapping page_;
};

}  // namespace memento
