// The value of notify-keyspace-events: which events of keys clients are told, as letters. Master, at start
// and on HUP; workers, in CONFIG.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace memento {

/// Classes of events (shm/format/key_events.h). Nothing: a letter means nothing.
std::optional<std::uint64_t> parse_key_event_flags(std::string_view letters);

/// In the order in which Redis shows them.
std::string key_event_flags_text(std::uint64_t classes);

inline constexpr const char* kBadKeyEventFlags = "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.";

}  // namespace memento
