// Storing, reading and removing values.
#include <string>

#include "worker/command/handler_support.h"
#include "worker/command/handlers.h"

namespace memento::handlers {
namespace {

// APPEND and PREPEND: the new value is the old one with an addition on one side.
void extend(CommandContext& context, const Call& call, bool at_end) {
  const std::string_view addition = call[2];
  const std::uint64_t limit = context.keyspace.value_limit_bytes();
  std::uint64_t total = 0;
  const WriteStatus status = context.keyspace.update(call.key, [&](const EntryView* old) {
    const std::string_view value = old != nullptr ? old->value : std::string_view();
    total = value.size() + addition.size();
    if (total > limit || addition.empty()) return Change{};
    Change change{Change::Action::kReplace, {value, addition}, old != nullptr ? old->expiry_ms : kNoExpiry};
    if (!at_end) std::swap(change.pieces[0], change.pieces[1]);
    return change;
  });
  if (status == WriteStatus::kOutOfMemory) return context.reply.out_of_memory();
  if (total > limit) return value_too_long(context);
  context.reply.integer(static_cast<std::int64_t>(total));
}

}  // namespace

void set(CommandContext& context, const Call& call) {
  if (call[2].size() > context.keyspace.value_limit_bytes()) return value_too_long(context);
  if (context.keyspace.set(call.key, call[2]) == WriteStatus::kOutOfMemory) return context.reply.out_of_memory();
  context.reply.ok();
}

void get(CommandContext& context, const Call& call) {
  const ReplyWriter::Mark mark = context.reply.mark();
  const bool found = context.keyspace.read(call.key, [&](const EntryView& entry) {
    context.reply.roll_back(mark);
    context.reply.bulk(entry.value);
  });
  if (found) return;
  context.reply.roll_back(mark);
  context.reply.nil();
}

void getp(CommandContext& context, const Call& call) {
  const ReplyWriter::Mark mark = context.reply.mark();
  TimeMs created_ms = 0;
  TimeMs expiry_ms = kNoExpiry;
  context.reply.begin_map(4);
  context.reply.field("key");
  context.reply.bulk(call[1]);
  context.reply.field("value");
  const ReplyWriter::Mark value_mark = context.reply.mark();
  const bool found = context.keyspace.read(call.key, [&](const EntryView& entry) {
    context.reply.roll_back(value_mark);
    context.reply.bulk(entry.value);
    created_ms = entry.created_ms;
    expiry_ms = entry.expiry_ms;
  });
  if (found) {
    context.reply.field("creation_time");
    context.reply.integer(created_ms);
    context.reply.field("expiry");
    context.reply.integer(expiry_ms);
  }
  context.reply.end();
  if (found) return;
  context.reply.roll_back(mark);
  context.reply.nil();
}

void append(CommandContext& context, const Call& call) { extend(context, call, true); }
void prepend(CommandContext& context, const Call& call) { extend(context, call, false); }

void del(CommandContext& context, const Call& call) {
  std::int64_t removed = 0;
  for (std::size_t i = 1; i < call.count(); ++i) {
    const HashedKey key = i == 1 ? call.key : context.keyspace.hash(call[i]);
    removed += context.keyspace.erase(key) == WriteStatus::kDone;
  }
  context.reply.integer(removed);
}

void exists(CommandContext& context, const Call& call) {
  std::int64_t found = 0;
  for (std::size_t i = 1; i < call.count(); ++i) {
    const HashedKey key = i == 1 ? call.key : context.keyspace.hash(call[i]);
    found += context.keyspace.read(key, [](const EntryView&) {});
  }
  context.reply.integer(found);
}

}  // namespace memento::handlers
