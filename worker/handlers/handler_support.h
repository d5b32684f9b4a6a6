// What several handlers share: error texts, and the reply to a write.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "worker/handlers/context.h"
#include "worker/text/words.h"

namespace memento::handlers {

inline constexpr const char* kNotAnInteger = "ERR value is not an integer or out of range";
inline constexpr const char* kNotAFloat = "ERR value is not a valid float";
inline constexpr const char* kSyntaxError = "ERR syntax error";
inline constexpr const char* kBadClientName =
    "ERR Client names cannot contain spaces, newlines or special characters.";

/// REQUIRES: kOutOfMemory or kBusy.
void write_refusal(CommandContext& context, WriteStatus status);
/// A write that was refused: writes why and returns true.
inline bool answer_refusal(CommandContext& context, WriteStatus status) {
  if (status != WriteStatus::kOutOfMemory && status != WriteStatus::kBusy) [[likely]]
    return false;
  write_refusal(context, status);
  return true;
}
void value_too_long(CommandContext& context);
/// False: too long, an error was written.
inline bool check_value_length(CommandContext& context, std::uint64_t size_bytes) {
  if (size_bytes <= context.keyspace.value_limit_bytes()) [[likely]]
    return true;
  value_too_long(context);
  return false;
}
/// `command` in any case.
void wrong_argument_count(CommandContext& context, std::string_view command);

/// An integer among a command's words. Nothing: an error was written.
std::optional<std::int64_t> take_integer(CommandContext& context, std::string_view text,
                                         const char* error = kNotAnInteger);

/// The database of this number, which can be used from now on. Nothing: an error was written.
std::optional<DatabaseId> open_database(CommandContext& context, std::string_view index);

/// Another database for a scope.
class InDatabase {
 public:
  InDatabase(Keyspace& keyspace, DatabaseId database) : keyspace_(keyspace), before_(keyspace.database()) {
    keyspace_.select(database);
  }
  ~InDatabase() { keyspace_.select(before_); }
  InDatabase(const InDatabase&) = delete;
  InDatabase& operator=(const InDatabase&) = delete;

 private:
  Keyspace& keyspace_;
  const DatabaseId before_;
};

inline TimeMs kept_expiry(const EntryView* old) { return old != nullptr ? old->expiry_ms : kNoExpiry; }

/// Nothing follows the words in front of `index`, or one word that says whether to wait for a flush's end:
/// SYNC or ASYNC.
inline bool ends_with_flush_mode(const Call& call, std::size_t index) {
  return call.count() <= index ||
         (call.count() == index + 1 && (is_word(call[index], "SYNC") || is_word(call[index], "ASYNC")));
}

/// Places from `first` to in front of `end`.
struct IndexRange {
  std::int64_t first = 0;
  std::int64_t end = 0;
  std::int64_t count() const { return end - first; }
};

/// What two indexes, inclusive and from the end when negative, select of `size` elements.
IndexRange index_range(std::int64_t first, std::int64_t last, std::int64_t size);

/// Both from the end and the last in front of the first: GETRANGE and BITCOUNT select nothing then, even
/// where index_range() clamps both to the first element.
constexpr bool is_backwards(std::int64_t first, std::int64_t last) {
  return first < 0 && last < 0 && first > last;
}

/// A command's statistics over all workers since CONFIG RESETSTAT (slow_handlers.cc).
struct CommandTotals {
  std::uint64_t calls = 0;
  std::uint64_t nanoseconds = 0;
  std::uint64_t rejected = 0;
  std::uint64_t failed = 0;
  std::array<std::uint64_t, kLatencyBuckets> buckets{};
};
CommandTotals command_totals(CommandContext& context, const Command& command);

/// Closes clients of any worker, this one after its reply (client_list_handlers.cc).
void close_clients(CommandContext& context, std::vector<std::uint64_t> ids);

/// At the end of EXEC or of a script, and of a change of several keys by one command: then not
/// `is_of_several` (pubsub_handlers.cc).
void carry_out(CommandContext& context, const ExecPlan& plan, bool is_of_several = true);
/// At the end of a change of several keys: what was planned, when it has come to be.
void tell_planned(CommandContext& context, WriteStatus status);

/// May a connection be called so? (client_handlers.cc)
bool is_client_name(std::string_view name);

}  // namespace memento::handlers
