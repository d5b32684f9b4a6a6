// The numbers that every room of the server counts with: slots, databases, the longest key, an expiry that
// never comes, and the counters of a process. Constants only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "shm/os/clock.h"

namespace memento {

inline constexpr TimeMs kNoExpiry = -1;
inline constexpr std::uint32_t kSlotCount = 8192;
inline constexpr std::uint32_t kDatabaseLimit = 16;
inline constexpr std::size_t kKeyLimitBytes = 64 * 1024;

/// Process-local counters live in the process's record in the segment; INFO sums them over processes.
enum class Counter : std::uint32_t {
  kConnectionsAccepted,
  kConnectionsClosed,
  kCommands,
  kHits,
  kMisses,
  kErrors,
  kExpired,
  kEvicted,
  kBytesRead,
  kBytesWritten,
  kCount
};

}  // namespace memento
