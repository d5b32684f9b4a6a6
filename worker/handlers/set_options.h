// The options that SET and GETEX take behind their fixed arguments, and expiries as commands name them. Runs
// in workers.
#pragma once

#include <optional>

#include "worker/handlers/context.h"

namespace memento::handlers {

/// How a number in a command says when a key expires.
struct ExpiryForm {
  std::int64_t unit_ms;
  bool is_absolute;
};
inline constexpr ExpiryForm kInSeconds{1000, false};
inline constexpr ExpiryForm kInMilliseconds{1, false};
inline constexpr ExpiryForm kAtSeconds{1000, true};
inline constexpr ExpiryForm kAtMilliseconds{1, true};

/// The time in milliseconds since 1970, which may be past; nothing when it is beyond 64 bits.
std::optional<TimeMs> expiry_time(std::int64_t amount, ExpiryForm form, TimeMs now_ms);

struct ValueOptions {
  SetCondition condition = SetCondition::kAlways;
  std::string_view wanted;    ///< IFEQ: what the value has to be; data() == nullptr: anything
  bool gets = false;          ///< GET
  bool keeps_expiry = false;  ///< KEEPTTL
  bool persists = false;      ///< PERSIST
  std::string_view expiry;  ///< EX, PX, EXAT, PXAT: the number as it came; data() == nullptr: none was given
  ExpiryForm form{};
};

enum class OptionsOf { kSet, kGetex };

/// Reads the options from args[first] on; nothing when they are not what the command takes.
std::optional<ValueOptions> parse_value_options(const Call& call, std::size_t first, OptionsOf command);

/// A positive expiry. Nothing: an error that names `command` was written.
std::optional<TimeMs> take_positive_expiry(CommandContext& context, std::string_view number, ExpiryForm form,
                                           const char* command);

}  // namespace memento::handlers
