// A request as others may see it, in MONITOR, SLOWLOG and the client's history: passwords hidden, bytes
// quoted. Which words are passwords says the command table, nothing else. Any process.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "shm/keyspace/hash.h"

namespace memento {

struct Command;

/// This word is a password, or stands where one does.
bool is_secret(const Command& command, std::span<const std::string_view> words, std::size_t index);

/// A word of a request, or what stands for it when it is a password.
std::string_view shown_word(const Command& command, std::span<const std::string_view> words,
                            std::size_t index);

/// Appends ` "word"` with what is not printable ASCII escaped; nothing of what lies beyond `limit_bytes` of
/// `*text`.
void append_quoted(std::string_view word, std::size_t limit_bytes, std::string* text);

/// A line of MONITOR without its end: time, database and address, words. It ends at about `limit_bytes`.
std::string monitor_line(std::int64_t time_us, DatabaseId database, std::string_view address,
                         const Command& command, std::span<const std::string_view> words,
                         std::size_t limit_bytes);

}  // namespace memento
