// Keys one by one: removing, counting, what is known of them. Walking over all keys is in keyspace_handlers.cc.
#include <string>

#include "shm/entry.h"
#include "shm/size_class.h"
#include "worker/command/handler_support.h"
#include "worker/command/handlers.h"
#include "worker/command/number_text.h"
#include "worker/command/words.h"

namespace memento::handlers {
namespace {

constexpr std::size_t kLargestEmbeddedBytes = 44;  // Redis keeps shorter values beside their header
constexpr std::size_t kLongestIntegerBytes = 20;

// Of the block that holds such an entry, and of its cell.
std::uint64_t entry_bytes(std::size_t key_bytes, const EntryView& entry) {
  const std::uint64_t bytes =
      Entry::shape(key_bytes, entry.value.size(), entry.expiry_ms != kNoExpiry, 0).total_bytes();
  if (bytes <= kLargestBlockBytes) return kSizeClasses.geometry[class_of_size(bytes)].block_bytes + sizeof(Word);
  return (bytes + 8 + kUnitBytes - 1) / kUnitBytes * kUnitBytes + sizeof(Word);
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
  for (std::size_t i = 1; i < call.count(); ++i) count += counts(i == 1 ? call.key : context.keyspace.hash(call[i]));
  context.reply.integer(count);
}

}  // namespace

void del(CommandContext& context, const Call& call) {
  for_each_key(context, call, [&](const HashedKey& key) { return context.keyspace.erase(key) == WriteStatus::kDone; });
}

void exists(CommandContext& context, const Call& call) {
  for_each_key(context, call, [&](const HashedKey& key) { return context.keyspace.read(key, [](const EntryView&) {}); });
}

void type(CommandContext& context, const Call& call) {
  context.reply.status(context.keyspace.read(call.key, [](const EntryView&) {}) ? "string" : "none");
}

// How Redis would keep the value when it was stored by SET.
void object_encoding(CommandContext& context, const Call& call) {
  const char* encoding = nullptr;
  const bool found = read_subject(context, call, [&](const EntryView& entry) {
    encoding = entry.value.size() <= kLargestEmbeddedBytes ? "embstr" : "raw";
    if (entry.value.size() > kLongestIntegerBytes) return;
    const std::string value(entry.value);
    std::int64_t number = 0;
    if (parse_integer(value, &number)) encoding = "int";
  });
  if (found) context.reply.bulk(encoding);
}

void object_refcount(CommandContext& context, const Call& call) {
  if (read_subject(context, call, [](const EntryView&) {})) context.reply.integer(1);
}

void object_idletime(CommandContext& context, const Call& call) {
  TimeMs created_ms = 0;
  if (!read_subject(context, call, [&](const EntryView& entry) { created_ms = entry.created_ms; })) return;
  context.reply.integer((context.keyspace.now_ms() - created_ms) / 1000);
}

void object_freq(CommandContext& context, const Call& call) {
  if (!read_subject(context, call, [](const EntryView&) {})) return;
  context.reply.error(
      "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between "
      "policies at runtime LRU and LFU data will take some time to adjust.");
}

// Bytes of the entry's block and of its cell in the slot's table.
void memory_usage(CommandContext& context, const Call& call) {
  for (std::size_t i = 3; i < call.count(); i += 2) {
    std::int64_t samples = 0;
    if (!is_word(call[i], "SAMPLES") || i + 1 == call.count()) return context.reply.error(kSyntaxError);
    if (!parse_integer(call[i + 1], &samples)) return context.reply.error(kNotAnInteger);
    if (samples < 0) return context.reply.error(kSyntaxError);
  }
  std::uint64_t bytes = 0;
  const bool found = read_subject(context, call, [&](const EntryView& entry) {
    bytes = entry_bytes(call[2].size(), entry);
  });
  if (found) context.reply.integer(static_cast<std::int64_t>(bytes));
}

}  // namespace memento::handlers
