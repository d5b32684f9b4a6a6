// Keys one by one: removing, counting, what is known of them. Walking over all keys is in
// keyspace_handlers.cc.
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "shm/format/entry.h"
#include "shm/format/size_class.h"
#include "worker/handlers/atomically.h"
#include "worker/handlers/handler_support.h"
#include "worker/handlers/handlers.h"
#include "worker/handlers/keys/dump_format.h"
#include "worker/text/number_text.h"
#include "worker/text/words.h"

namespace memento::handlers {
namespace {

constexpr std::size_t kLargestEmbeddedBytes = 44;  // Redis keeps shorter values beside their header
constexpr std::int64_t kSharedIntegers = 10'000;   // of these it keeps one object each, for ever
constexpr TimeMs kRedisClockMask = (1 << 24) - 1;  // of seconds

// Of the block that holds such an entry, and of its cell.
std::uint64_t entry_bytes(std::size_t key_bytes, const EntryView& entry) {
  const std::uint64_t bytes =
      Entry::shape(key_bytes, entry.value.size(), entry.expiry_ms != kNoExpiry, 0).total_bytes();
  if (bytes <= kLargestBlockBytes)
    return kSizeClasses.geometry[class_of_size(bytes)].block_bytes + sizeof(Word);
  return (bytes + 8 + kUnitBytes - 1) / kUnitBytes * kUnitBytes + sizeof(Word);
}

/// How Redis would keep the value when it was stored by SET.
struct RedisObject {
  const char* encoding = "raw";
  std::int64_t references = 1;
};

RedisObject redis_object(std::string_view stored) {
  if (stored.size() > kLargestEmbeddedBytes) return {};
  const std::string value(stored);
  const std::optional<std::int64_t> number = parse_integer(value);
  if (!number) return {"embstr", 1};
  return {"int", *number >= 0 && *number < kSharedIntegers ? INT32_MAX : 1};
}

// Calls tell(entry) with the entry of args[2]; nil without one. tell may be called several times.
template <class Tell>
bool read_subject(CommandContext& context, const Call& call, Tell&& tell) {
  if (context.keyspace.read(call.key, tell)) return true;
  context.reply.nil();
  return false;
}

template <class Removes>
void for_each_key(CommandContext& context, const Call& call, Removes&& counts) {
  std::int64_t count = 0;
  for (std::size_t i = 1; i < call.count(); ++i)
    count += counts(i == 1 ? call.key : context.keyspace.hash(call[i]));
  context.reply.integer(count);
}

bool remove_key(CommandContext& context, const HashedKey& key) {
  if (context.keyspace.erase(key) != WriteStatus::kDone) return false;
  context.changed(key, key_events::kDel);
  return true;
}

// All or none: when the journal has no room for some, the request is executed again, and has to count those
// before them.
void del_together(CommandContext& context, const Call& call) {
  std::vector<HashedKey> keys;
  for (std::size_t i = 1; i < call.count(); ++i)
    keys.push_back(i == 1 ? call.key : context.keyspace.hash(call[i]));
  std::int64_t count = 0;
  const WriteStatus status = atomically(context, keys, [&] {
    count = 0;
    for (const HashedKey& key : keys) count += remove_key(context, key) ? 1 : 0;
    return count > 0;
  });
  if (!answer_refusal(context, status)) context.reply.integer(count);
}

bool is_there(CommandContext& context, const HashedKey& key) {
  if (context.keyspace.read(key, [](const EntryView&) {})) return true;
  context.missed(key);
  return false;
}

// Since the value was stored, by a clock that may have been set back meanwhile.
std::int64_t idle_seconds(CommandContext& context, TimeMs created_ms) {
  return std::max<TimeMs>(context.keyspace.now_ms() - created_ms, 0) / 1000;
}

}  // namespace

void del(CommandContext& context, const Call& call) {
  if (call.count() > 2 && context.keyspace.is_journalled()) return del_together(context, call);
  for_each_key(context, call, [&](const HashedKey& key) { return remove_key(context, key); });
}

void exists(CommandContext& context, const Call& call) {
  for_each_key(context, call, [&](const HashedKey& key) { return is_there(context, key); });
}

void type(CommandContext& context, const Call& call) {
  context.reply.status(is_there(context, call.key) ? "string" : "none");
}

void object_encoding(CommandContext& context, const Call& call) {
  RedisObject object;
  if (read_subject(context, call, [&](const EntryView& entry) { object = redis_object(entry.value); })) {
    context.reply.bulk(object.encoding);
  }
}

void object_refcount(CommandContext& context, const Call& call) {
  RedisObject object;
  if (read_subject(context, call, [&](const EntryView& entry) { object = redis_object(entry.value); })) {
    context.reply.integer(object.references);
  }
}

// Times are those of when the value was stored, as OBJECT IDLETIME has them.
void debug_object(CommandContext& context, const Call& call) {
  std::string text;
  const auto describe = [&](const EntryView& entry) {
    const RedisObject object = redis_object(entry.value);
    char address[24];
    std::snprintf(address, sizeof address, "%p", static_cast<const void*>(entry.value.data()));
    text = std::string("Value at:") + address + " refcount:" + std::to_string(object.references) +
           " encoding:" + object.encoding +
           " serializedlength:" + std::to_string(dump_value(entry.value).size()) +
           " lru:" + std::to_string(entry.created_ms / 1000 & kRedisClockMask) +
           " lru_seconds_idle:" + std::to_string(idle_seconds(context, entry.created_ms));
  };
  if (!context.keyspace.read(call.key, describe)) return context.reply.error("ERR no such key");
  context.reply.status(text);
}

void object_idletime(CommandContext& context, const Call& call) {
  TimeMs created_ms = 0;
  if (!read_subject(context, call, [&](const EntryView& entry) { created_ms = entry.created_ms; })) return;
  context.reply.integer(idle_seconds(context, created_ms));
}

void object_freq(CommandContext& context, const Call& call) {
  if (!read_subject(context, call, [](const EntryView&) {})) return;
  context.reply.error(
      "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when "
      "switching between "
      "policies at runtime LRU and LFU data will take some time to adjust.");
}

// Bytes of the entry's block and of its cell in the slot's table.
void memory_usage(CommandContext& context, const Call& call) {
  for (std::size_t i = 3; i < call.count(); i += 2) {
    if (!is_word(call[i], "SAMPLES") || i + 1 == call.count()) return context.reply.error(kSyntaxError);
    const std::optional<std::int64_t> samples = take_integer(context, call[i + 1]);
    if (!samples) return;
    if (*samples < 0) return context.reply.error(kSyntaxError);
  }
  std::uint64_t bytes = 0;
  const bool found = read_subject(
      context, call, [&](const EntryView& entry) { bytes = entry_bytes(call[2].size(), entry); });
  if (found) context.reply.integer(static_cast<std::int64_t>(bytes));
}

}  // namespace memento::handlers
