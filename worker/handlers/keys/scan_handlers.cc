// SCAN and RANDOMKEY: parts of the keyspace.
//
// A cursor is a slot (13 bits) and a place in it (Keyspace::scan(); the upper 24 of 40 bits): 53 in all,
// which clients that keep numbers as doubles can hold. 0 begins and ends a walk.
#include <algorithm>
#include <bit>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "shm/messages/glob.h"
#include "worker/command/scan_cursor.h"
#include "worker/handlers/handler_support.h"
#include "worker/handlers/handlers.h"
#include "worker/text/number_text.h"
#include "worker/text/words.h"

namespace memento::handlers {
namespace {

constexpr std::uint64_t kPlaceMask = (1ull << kScanPlaceBits) - 1;
constexpr int kPlaceShift = kScanPlaceBits - std::countr_zero(kScanEnd);
constexpr std::int64_t kDefaultCount = 10;
constexpr std::int64_t kLargestCount = 1ll << 40;
constexpr std::uint64_t kStepsPerKey = 10;
constexpr std::uint64_t kFreeSteps =
    2 * kSlotCount;  // a slot is a step at least: empty ones are not worth a call

struct ScanOptions {
  std::string_view pattern = "*";
  std::int64_t count = kDefaultCount;
  bool wants_strings = true;
};

// Nothing: an error was written.
std::optional<ScanOptions> take_options(CommandContext& context, const Call& call) {
  ScanOptions options;
  for (std::size_t i = 2; i < call.count(); i += 2) {
    const bool has_value = i + 1 < call.count();
    if (has_value && is_word(call[i], "COUNT")) {
      const std::optional<std::int64_t> count = take_integer(context, call[i + 1]);
      if (!count) return std::nullopt;
      if (*count < 1) return context.reply.error(kSyntaxError), std::nullopt;
      options.count = std::min(*count, kLargestCount);
    } else if (has_value && is_word(call[i], "MATCH")) {
      options.pattern = call[i + 1];
    } else if (has_value && is_word(call[i], "TYPE")) {
      options.wants_strings = is_word(call[i + 1], "STRING");
    } else {
      return context.reply.error(kSyntaxError), std::nullopt;
    }
  }
  return options;
}

// As strtoul() reads it, which takes a sign too.
std::optional<std::uint64_t> parse_cursor(std::string_view text) {
  const std::string copy(text);
  char* end = nullptr;
  errno = 0;
  const std::uint64_t cursor = std::strtoul(copy.c_str(), &end, 10);
  if (std::isspace(static_cast<unsigned char>(copy[0])) || *end != '\0' || errno != 0) return std::nullopt;
  return cursor;
}

// Keys from the cursor on, about `count` of them, and the cursor behind them. Where there are few among many
// that have expired or many empty places, the walk goes on with the next call, as in Redis: no call looks at
// more than a few times what it was asked for.
template <class Visit>
std::uint64_t walk(Keyspace& keyspace, std::uint64_t cursor, std::uint64_t count, Visit&& visit) {
  std::uint64_t place = (cursor & kPlaceMask) >> kPlaceShift;
  ScanLimit limit{count, kFreeSteps + kStepsPerKey * count};
  if (cursor >> kScanPlaceBits >= kSlotCount) return 0;
  for (SlotId slot(static_cast<std::uint32_t>(cursor >> kScanPlaceBits)); slot < kSlotEnd;
       ++slot, place = 0) {
    const std::uint64_t slot_begin = std::uint64_t{slot.value} << kScanPlaceBits;
    if (limit.keys == 0 || limit.steps == 0) return slot_begin;
    place = keyspace.scan(slot, place, &limit, visit);
    if (place < kScanEnd) return slot_begin | place << kPlaceShift;
  }
  return 0;
}

}  // namespace

void scan(CommandContext& context, const Call& call) {
  const std::optional<std::uint64_t> cursor = parse_cursor(call[1]);
  if (!cursor) return context.reply.error("ERR invalid cursor");
  const std::optional<ScanOptions> options = take_options(context, call);
  if (!options) return;
  const Glob glob(options->pattern);
  std::vector<std::string> keys;
  const std::uint64_t next =
      walk(context.keyspace, *cursor, static_cast<std::uint64_t>(options->count), [&](std::string_view key) {
        if (options->wants_strings && glob.matches_key(key)) keys.emplace_back(key);
      });
  context.reply.begin_array(2);
  context.reply.bulk(std::to_string(next));
  context.reply.begin_array(keys.size());
  for (const std::string& key : keys) context.reply.bulk(key);
  context.reply.end();
  context.reply.end();
}

void randomkey(CommandContext& context, const Call&) {
  static thread_local std::mt19937_64 random(std::random_device{}());
  const std::optional<std::string> key = context.keyspace.random_key(random);
  key ? context.reply.bulk(*key) : context.reply.nil();
}

}  // namespace memento::handlers
