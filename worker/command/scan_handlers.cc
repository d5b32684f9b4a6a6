// SCAN and RANDOMKEY: parts of the keyspace.
//
// A cursor is a slot (13 bits) and a place in the order of the hashes of its keys (40 bits): 53 in all, which clients that
// keep numbers as doubles can hold. A key's hash never changes, however tables grow and entries move, so a key that is
// there from a walk's beginning to its end is met. 0 begins and ends a walk.
#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "worker/command/glob.h"
#include "worker/command/handler_support.h"
#include "worker/command/handlers.h"
#include "worker/command/number_text.h"
#include "worker/command/words.h"

namespace memento::handlers {
namespace {

constexpr int kPlaceBits = kScanPlaceBits;
constexpr std::uint64_t kPlaceLimit = 1ull << kPlaceBits;
constexpr std::int64_t kDefaultCount = 10;

std::uint64_t place_of(const HashedKey& key) { return key.hash >> (64 - kPlaceBits); }

struct ScanOptions {
  std::string_view pattern = "*";
  std::int64_t count = kDefaultCount;
  bool wants_strings = true;
};

bool take_options(CommandContext& context, const Call& call, ScanOptions* options) {
  for (std::size_t i = 2; i < call.count(); i += 2) {
    const bool has_value = i + 1 < call.count();
    if (has_value && is_word(call[i], "COUNT")) {
      if (!parse_integer(call[i + 1], &options->count)) return context.reply.error(kNotAnInteger), false;
      if (options->count < 1) return context.reply.error(kSyntaxError), false;
    } else if (has_value && is_word(call[i], "MATCH")) {
      options->pattern = call[i + 1];
    } else if (has_value && is_word(call[i], "TYPE")) {
      options->wants_strings = is_word(call[i + 1], "STRING");
    } else {
      return context.reply.error(kSyntaxError), false;
    }
  }
  return true;
}

// As strtoul() reads it, which takes a sign too.
bool parse_cursor(std::string_view text, std::uint64_t* cursor) {
  const std::string copy(text);
  char* end = nullptr;
  errno = 0;
  *cursor = std::strtoul(copy.c_str(), &end, 10);
  return !std::isspace(static_cast<unsigned char>(copy[0])) && *end == '\0' && errno == 0;
}

struct PlacedKey {
  std::uint64_t place;
  std::string key;
};

// The keys of a slot from a place on, in order.
std::vector<PlacedKey> keys_from(Keyspace& keyspace, std::uint32_t slot, std::uint64_t place) {
  std::vector<PlacedKey> keys;
  for (std::string& key : keyspace.slot_keys(slot)) {
    const std::uint64_t its_place = place_of(keyspace.hash(key));
    if (its_place >= place) keys.push_back(PlacedKey{its_place, std::move(key)});
  }
  std::ranges::sort(keys, {}, &PlacedKey::place);
  return keys;
}

// At least `count` keys when there are so many, and the cursor behind them.
std::uint64_t walk(Keyspace& keyspace, std::uint64_t cursor, std::int64_t count, std::vector<std::string>* found) {
  auto slot = static_cast<std::uint32_t>(std::min<std::uint64_t>(cursor >> kPlaceBits, kSlotCount));
  std::uint64_t place = cursor % kPlaceLimit;
  for (; slot < kSlotCount; ++slot, place = 0) {
    std::vector<PlacedKey> keys = keys_from(keyspace, slot, place);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (count <= 0 && (i == 0 || keys[i].place != keys[i - 1].place)) {
        return static_cast<std::uint64_t>(slot) << kPlaceBits | keys[i].place;
      }
      found->push_back(std::move(keys[i].key));
      --count;
    }
  }
  return 0;
}

}  // namespace

void scan(CommandContext& context, const Call& call) {
  std::uint64_t cursor = 0;
  if (!parse_cursor(call[1], &cursor)) return context.reply.error("ERR invalid cursor");
  ScanOptions options;
  if (!take_options(context, call, &options)) return;
  std::vector<std::string> keys;
  cursor = walk(context.keyspace, cursor, options.count, &keys);
  const Glob glob(options.pattern);
  std::erase_if(keys, [&](const std::string& key) { return !options.wants_strings || !glob.matches_key(key); });
  context.reply.begin_array(2);
  context.reply.bulk(std::to_string(cursor));
  context.reply.begin_array(keys.size());
  for (const std::string& key : keys) context.reply.bulk(key);
  context.reply.end();
  context.reply.end();
}

// Some key of the first slot that has one from a random slot on.
void randomkey(CommandContext& context, const Call&) {
  static thread_local std::minstd_rand random(std::random_device{}());
  const std::uint32_t first = static_cast<std::uint32_t>(random()) % kSlotCount;
  for (std::uint32_t i = 0; i < kSlotCount; ++i) {
    const std::vector<std::string> keys = context.keyspace.slot_keys((first + i) % kSlotCount);
    if (!keys.empty()) return context.reply.bulk(keys[random() % keys.size()]);
  }
  context.reply.nil();
}

}  // namespace memento::handlers
