// The versions that the server and its tools tell. Any process.
#pragma once

namespace memento {

inline constexpr const char* kVersion = "0.1.0";

/// The Redis whose commands are understood, for clients that ask.
inline constexpr const char* kRedisVersion = "7.2.4";

}  // namespace memento
