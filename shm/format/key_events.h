// Classes of events of keys, and which of them the server's clients are told: bits of Header::key_watchers'
// last word, above those of processes, so that one look tells whether anybody wants to know of a change. The
// letters are those of Redis's parameter notify-keyspace-events. Any process.
#pragma once

#include <array>
#include <cstdint>

#include "shm/format/layout.h"

namespace memento {

enum KeyEventClass : std::uint64_t {
  kKeyspaceChannels = 1ull << 32,  ///< to __keyspace@<db>__:<key>
  kKeyeventChannels = 1ull << 33,  ///< to __keyevent@<db>__:<event>
  kGenericEvents = 1ull << 34,
  kStringEvents = 1ull << 35,
  kListEvents = 1ull << 36,
  kSetEvents = 1ull << 37,
  kHashEvents = 1ull << 38,
  kSortedSetEvents = 1ull << 39,
  kExpiredEvents = 1ull << 40,
  kEvictedEvents = 1ull << 41,
  kStreamEvents = 1ull << 42,
  kModuleEvents = 1ull << 43,
  kMissEvents = 1ull << 44,
  kNewKeyEvents = 1ull << 45,
};

/// What the letter A stands for.
inline constexpr std::uint64_t kUsualEvents = kGenericEvents | kStringEvents | kListEvents | kSetEvents |
                                              kHashEvents | kSortedSetEvents | kExpiredEvents |
                                              kEvictedEvents | kStreamEvents | kModuleEvents;
inline constexpr std::uint64_t kAllKeyEvents =
    kUsualEvents | kKeyspaceChannels | kKeyeventChannels | kMissEvents | kNewKeyEvents;
static_assert(kAllKeyEvents % (1ull << 32) == 0 && kProcessLimit <= 2 * 64 + 32);

}  // namespace memento
