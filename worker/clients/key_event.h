// KeyEvent: what happened to a key, by the names that Redis gives to it. Data; runs in workers.
#pragma once

#include <cstdint>
#include <string_view>

#include "shm/format/key_events.h"

namespace memento {

struct KeyEvent {
  /// What of the key is another one now.
  enum class Effect : std::uint8_t { kNothing, kExpiry, kValue };

  std::string_view name;
  KeyEventClass event_class;
  Effect effect = Effect::kValue;
};

namespace key_events {

inline constexpr KeyEvent kAppend{"append", kStringEvents};
inline constexpr KeyEvent kCopyTo{"copy_to", kGenericEvents};
inline constexpr KeyEvent kDel{"del", kGenericEvents};
inline constexpr KeyEvent kEvicted{"evicted", kEvictedEvents};
inline constexpr KeyEvent kExpire{"expire", kGenericEvents, KeyEvent::Effect::kExpiry};
inline constexpr KeyEvent kExpired{"expired", kExpiredEvents};
inline constexpr KeyEvent kIncrBy{"incrby", kStringEvents};
inline constexpr KeyEvent kIncrByFloat{"incrbyfloat", kStringEvents};
inline constexpr KeyEvent kKeyMiss{"keymiss", kMissEvents, KeyEvent::Effect::kNothing};
inline constexpr KeyEvent kMoveFrom{"move_from", kGenericEvents};
inline constexpr KeyEvent kMoveTo{"move_to", kGenericEvents};
inline constexpr KeyEvent kNew{"new", kNewKeyEvents, KeyEvent::Effect::kNothing};
inline constexpr KeyEvent kPersist{"persist", kGenericEvents, KeyEvent::Effect::kExpiry};
inline constexpr KeyEvent kPfAdd{"pfadd", kStringEvents};
inline constexpr KeyEvent kPrepend{"prepend", kStringEvents};  // memento's own
inline constexpr KeyEvent kRenameFrom{"rename_from", kGenericEvents};
inline constexpr KeyEvent kRenameTo{"rename_to", kGenericEvents};
inline constexpr KeyEvent kRestore{"restore", kGenericEvents};
inline constexpr KeyEvent kSet{"set", kStringEvents};
inline constexpr KeyEvent kSetBit{"setbit", kStringEvents};
inline constexpr KeyEvent kSetRange{"setrange", kStringEvents};

}  // namespace key_events
}  // namespace memento
