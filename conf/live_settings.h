// Settings that change while the workers run, in memory that all processes of a server map. The master writes
// them at start and on HUP, a worker on CONFIG SET, and all read them. Each setting is one atomic word, but
// for the password (password.h); the statistics are in a memory file of their own.
#pragma once

#include <sys/mman.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <new>
#include <utility>

#include "conf/password.h"
#include "conf/statistics.h"
#include "shm/os/result.h"

namespace memento {

inline constexpr std::int64_t kTcpKeepaliveLimitS = 32'767;  // the kernel's

struct LiveSettings {
  std::atomic<int> max_clients{0};         ///< of all workers together
  std::atomic<int> quit_timeout_ms{0};     ///< how long QUIT lets connections finish
  std::atomic<bool> protected_mode{true};  ///< without a password only this machine is served
  std::atomic<std::int64_t> tcp_keepalive_s{300};  ///< of connections from now on; 0: off
  Password password;
  std::atomic<std::int64_t> slow_after_us{10'000};  ///< commands that take as long are logged; negative: none
  std::atomic<std::int64_t> slow_shown{128};        ///< lines of SLOWLOG
  std::atomic<std::int64_t> latency_after_ms{0};    ///< commands that take as long are samples of LATENCY; 0: none
  std::atomic<bool> expires_in_background{
      true};  ///< workers remove expired keys; DEBUG SET-ACTIVE-EXPIRE clears it
  StatisticsRecords statistics;
};

/// Owns the mapping of the settings. Move-only; children inherit the mapping.
class SharedSettings {
 public:
  static Result<SharedSettings> create() {
    void* page =
        mmap(nullptr, sizeof(LiveSettings), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return system_error("mmap of the live settings");
    return SharedSettings(new (page) LiveSettings);
  }
  SharedSettings(SharedSettings&& other) noexcept : page_(std::exchange(other.page_, nullptr)) {}
  SharedSettings& operator=(SharedSettings&&) = delete;
  ~SharedSettings() {
    if (page_ != nullptr) munmap(page_, sizeof(LiveSettings));
  }

  LiveSettings& operator*() const { return *page_; }
  LiveSettings* operator->() const { return page_; }

 private:
  explicit SharedSettings(LiveSettings* page) : page_(page) {}
  LiveSettings* page_;
};

}  // namespace memento
