// Messages between nodes (messages.h) as bytes: u8 which, cluster id, sender, then its fields. They go in
// frames, which have the checksum; reading takes any bytes all the same, and looks at every bound.
#pragma once

#include <string>
#include <string_view>

#include "bus/core/messages.h"
#include "shm/os/result.h"

namespace memento::bus {

std::string message_bytes(const Message& message);
/// Error: what does not fit.
Result<Message> read_message(std::string_view bytes);

}  // namespace memento::bus
