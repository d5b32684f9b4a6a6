// ChangeMark: what WATCH keeps of a key. Data; any process, and other nodes.
#pragma once

#include <array>
#include <cstdint>

#include "shm/os/clock.h"

namespace memento {

/// A key as it was at some moment, to tell later whether it was changed since: by whatever write, also when
/// it is afterwards as before, or gone as before. Plain bytes, valid in all processes of the segment.
struct ChangeMark {
  std::uint64_t segment = 0;                ///< which one, as of which recovery
  std::array<std::uint32_t, 4> counters{};  ///< change_counters.h
  std::uint64_t version = 0;                ///< of the slot
  std::uint64_t flush_generation = 0;
  std::uint64_t database_changes = 0;  ///< of its database
  std::int64_t marked_ms = 0;          ///< monotonic
  TimeMs expiry_ms = kNoExpiry;
  std::uint64_t exists = 0;
};

}  // namespace memento
