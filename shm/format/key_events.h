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

/// TAIL keeps values of some keys (shm/texts/value_history.h).
inline constexpr std::uint64_t kKeptValues = 1ull << 31;

/// What the letter A stands for.
inline constexpr std::uint64_t kUsualEvents = kGenericEvents | kStringEvents | kListEvents | kSetEvents |
                                              kHashEvents | kSortedSetEvents | kExpiredEvents |
                                              kEvictedEvents | kStreamEvents | kModuleEvents;
inline constexpr std::uint64_t kAllKeyEvents =
    kUsualEvents | kKeyspaceChannels | kKeyeventChannels | kMissEvents | kNewKeyEvents;
static_assert(kAllKeyEvents % (1ull << 32) == 0 && kProcessLimit <= 2 * 64 + 31);

/// From now on these classes are told. The master calls it, and CONFIG SET.
inline void set_key_events(Header& header, std::uint64_t classes) {
  Word& word = header.key_watchers.back();
  std::uint64_t before = word.load();
  while (!word.compare_exchange_weak(before, (before & ~kAllKeyEvents) | classes)) {
  }
}

/// Somebody is told of keys that expire or are evicted: of the events, or because clients track keys.
inline bool tells_removed_keys(const Header& header) {
  if (header.trackers.load(std::memory_order_relaxed) != 0) return true;
  const auto& watchers = header.key_watchers;
  const std::uint64_t last = watchers[2].load(std::memory_order_relaxed);
  return (watchers[0].load(std::memory_order_relaxed) | watchers[1].load(std::memory_order_relaxed) |
          (last & ~(kAllKeyEvents | kKeptValues)) | (last & (kExpiredEvents | kEvictedEvents))) != 0;
}

}  // namespace memento
