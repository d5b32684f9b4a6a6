// Commands on several keys that are seen to happen at once, or not at all.
#include <array>
#include <string>
#include <vector>

#include "worker/handlers/atomically.h"
#include "worker/handlers/handler_support.h"
#include "worker/handlers/handlers.h"
#include "worker/text/words.h"

namespace memento::handlers {
namespace {

// Every `step`-th word from the first key on, hashed, what reading it needs on its way.
std::vector<HashedKey> hash_keys(CommandContext& context, const Call& call, std::size_t step) {
  std::vector<HashedKey> keys;
  keys.reserve((call.count() + step - 1) / step);
  for (std::size_t i = 1; i < call.count(); i += step) {
    keys.push_back(i == 1 ? call.key : context.keyspace.hash(call[i]));
    context.keyspace.prefetch_slot(keys.back());
  }
  for (const HashedKey& key : keys) context.keyspace.prefetch_table(key);
  for (HashedKey& key : keys) context.keyspace.prefetch_entry(key);
  return keys;
}

// False: an error was written.
bool check_pairs(CommandContext& context, const Call& call) {
  if (call.count() % 2 == 0) {
    wrong_argument_count(context, call[0]);
    return false;
  }
  for (std::size_t i = 2; i < call.count(); i += 2) {
    if (!check_value_length(context, call[i].size())) return false;
  }
  return true;
}

void set_pairs(CommandContext& context, const Call& call, std::span<const HashedKey> keys) {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    (void)context.keyspace.set(keys[i], call[2 * i + 2]);
    context.changed(keys[i], key_events::kSet);
  }
}

struct MovedValue {
  std::string value;
  TimeMs expiry_ms = kNoExpiry;
};

// Nothing: there is no such key.
std::optional<MovedValue> copy_out(CommandContext& context, const HashedKey& key) {
  MovedValue moved;
  const bool found = context.keyspace.read(key, [&](const EntryView& entry) {
    moved.value.assign(entry.value);
    moved.expiry_ms = entry.expiry_ms;
  });
  if (!found) return std::nullopt;
  return moved;
}

constexpr const char* kSameObjects = "ERR source and destination objects are the same";

// What RENAME, RENAMENX, COPY and MOVE came to; kAnswered: an error was written.
enum class Moved { kYes, kNoSource, kTargetExists, kAnswered };

// What it is called for the source, which stays where there is no name for it, and for the target.
struct MoveEvents {
  const KeyEvent* from;
  const KeyEvent& to;
};
constexpr MoveEvents kRenamed{&key_events::kRenameFrom, key_events::kRenameTo};
constexpr MoveEvents kMoved{&key_events::kMoveFrom, key_events::kMoveTo};
constexpr MoveEvents kCopied{nullptr, key_events::kCopyTo};

Moved move_value(CommandContext& context, const std::array<HashedKey, 2>& keys, bool replaces,
                 const MoveEvents& events) {
  std::optional<MovedValue> moved;
  Moved result = Moved::kYes;
  const WriteStatus status = atomically(context, keys, [&] {
    result = Moved::kNoSource;
    moved = copy_out(context, keys[0]);
    if (!moved) return false;
    result = Moved::kTargetExists;
    if (!replaces && context.keyspace.read(keys[1], [](const EntryView&) {})) return false;
    result = Moved::kYes;
    if (events.from != nullptr) (void)context.keyspace.erase(keys[0]);
    (void)context.keyspace.set(keys[1], moved->value, {SetCondition::kAlways, moved->expiry_ms, false});
    context.made(keys[1]);
    if (events.from != nullptr) context.changed(keys[0], *events.from);
    context.changed(keys[1], events.to);
    return true;
  });
  return answer_refusal(context, status) ? Moved::kAnswered : result;
}

void rename_key(CommandContext& context, const Call& call, bool replaces) {
  Moved moved = Moved::kYes;
  if (call[1] == call[2]) {
    const bool is_there = context.keyspace.read(call.key, [](const EntryView&) {});
    moved = !is_there ? Moved::kNoSource : replaces ? Moved::kYes : Moved::kTargetExists;
  } else {
    moved = move_value(context, {call.key, context.keyspace.hash(call[2])}, replaces, kRenamed);
  }
  if (moved == Moved::kAnswered) return;
  if (moved == Moved::kNoSource) return context.reply.error("ERR no such key");
  if (replaces) return context.reply.ok();
  context.reply.integer(moved == Moved::kYes ? 1 : 0);
}

}  // namespace

void mget(CommandContext& context, const Call& call) {
  const std::vector<HashedKey> keys = hash_keys(context, call, 1);
  const ReplyWriter::Mark begin = context.reply.mark();
  ReplyWriter::Mark element = begin;
  std::size_t written = 0;  // elements, the last of which may be written again
  read_together(
      context, keys,
      [&] {
        context.reply.roll_back(begin);
        context.reply.begin_array(keys.size());
        written = 0;
      },
      [&](std::size_t index, const EntryView* entry) {
        if (index == written) {
          element = context.reply.mark();
          ++written;
        } else {
          context.reply.roll_back(element);
        }
        if (entry != nullptr) {
          context.reply.bulk(entry->value);
        } else {
          context.reply.nil();
        }
      });
  context.reply.end();
}

void mset(CommandContext& context, const Call& call) {
  if (!check_pairs(context, call)) return;
  const std::vector<HashedKey> keys = hash_keys(context, call, 2);
  const WriteStatus status = atomically(context, keys, [&] { return set_pairs(context, call, keys), true; });
  if (answer_refusal(context, status)) return;
  context.reply.ok();
}

void msetnx(CommandContext& context, const Call& call) {
  if (!check_pairs(context, call)) return;
  const std::vector<HashedKey> keys = hash_keys(context, call, 2);
  const WriteStatus status = atomically(context, keys, [&] {
    for (const HashedKey& key : keys) {
      if (context.keyspace.read(key, [](const EntryView&) {})) return false;
    }
    return set_pairs(context, call, keys), true;
  });
  if (answer_refusal(context, status)) return;
  context.reply.integer(status == WriteStatus::kDone ? 1 : 0);
}

void rename(CommandContext& context, const Call& call) { rename_key(context, call, true); }
void renamenx(CommandContext& context, const Call& call) { rename_key(context, call, false); }

void copy(CommandContext& context, const Call& call) {
  bool replaces = false;
  std::optional<DatabaseId> database = context.keyspace.database();
  for (std::size_t i = 3; i < call.count(); ++i) {
    if (is_word(call[i], "REPLACE")) {
      replaces = true;
    } else if (is_word(call[i], "DB") && i + 1 < call.count()) {
      database = open_database(context, call[++i]);
      if (!database) return;
    } else {
      return context.reply.error(kSyntaxError);
    }
  }
  const HashedKey target = Keyspace::in_database(*database, context.keyspace.hash(call[2]));
  if (call[1] == call[2] && target.slot == call.key.slot) return context.reply.error(kSameObjects);
  const Moved moved = move_value(context, {call.key, target}, replaces, kCopied);
  if (moved == Moved::kAnswered) return;
  if (moved == Moved::kNoSource) context.missed(call.key);
  context.reply.integer(moved == Moved::kYes ? 1 : 0);
}

void move_key(CommandContext& context, const Call& call) {
  const std::optional<DatabaseId> database = open_database(context, call[2]);
  if (!database) return;
  if (*database == context.keyspace.database()) return context.reply.error(kSameObjects);
  const HashedKey target = Keyspace::in_database(*database, call.key);
  const Moved moved = move_value(context, {call.key, target}, false, kMoved);
  if (moved == Moved::kAnswered) return;
  context.reply.integer(moved == Moved::kYes ? 1 : 0);
}

}  // namespace memento::handlers
