// Commands over the whole keyspace. They walk it in pieces (Keyspace::scan()), without locks and without
// copies of what they do not answer; a key that is there all the while is seen.
#include "shm/messages/glob.h"
#include "worker/handlers/handler_support.h"
#include "worker/handlers/handlers.h"

namespace memento::handlers {
namespace {

static_assert(kKeyLimitBytes <= Glob::kTextLimitBytes);

template <class Visit>
void for_each_key(Keyspace& keyspace, Visit&& visit) {
  ScanLimit no_limit{UINT64_MAX, UINT64_MAX};
  for (SlotId slot; slot < kSlotEnd; ++slot) keyspace.scan(slot, 0, &no_limit, visit);
}

template <class Matches>
void list_keys(CommandContext& context, Matches&& matches) {
  const std::size_t begin = context.reply.begin_list();
  std::size_t count = 0;
  for_each_key(context.keyspace, [&](std::string_view key) {
    if (!matches(key)) return;
    context.reply.bulk(key);
    ++count;
  });
  context.reply.end_list(begin, count);
}

template <class Matches>
void list_values(CommandContext& context, Matches&& matches) {
  const std::size_t begin = context.reply.begin_list();
  std::size_t count = 0;
  for_each_key(context.keyspace, [&](std::string_view key) {
    if (!matches(key)) return;
    const ReplyWriter::Mark mark = context.reply.mark();
    const bool found = context.keyspace.read(context.keyspace.hash(key), [&](const EntryView& entry) {
      context.reply.roll_back(mark);
      context.reply.bulk(entry.value);
    });
    if (!found) context.reply.roll_back(mark);
    count += found;
  });
  context.reply.end_list(begin, count);
}

}  // namespace

void count(CommandContext& context, const Call&) {
  context.reply.integer(static_cast<std::int64_t>(context.keyspace.key_count()));
}

void keys(CommandContext& context, const Call& call) {
  if (call.count() > 2) return wrong_argument_count(context, "KEYS");
  const Glob glob(call.count() == 2 ? call[1] : "*");
  list_keys(context, [&](std::string_view key) { return glob.matches_key(key); });
}

void values(CommandContext& context, const Call& call) {
  if (call.count() > 2) return wrong_argument_count(context, "VALUES");
  const Glob glob(call.count() == 2 ? call[1] : "*");
  list_values(context, [&](std::string_view key) { return glob.matches_key(key); });
}

void prefscan(CommandContext& context, const Call& call) {
  list_values(context, [&](std::string_view key) { return key.starts_with(call[1]); });
}

void fuzzyscan(CommandContext& context, const Call& call) {
  list_values(context, [&](std::string_view key) { return is_subsequence(call[1], key); });
}

void keyspace(CommandContext& context, const Call&) {
  context.reply.begin_map(2);
  context.reply.field("keys");
  context.reply.integer(static_cast<std::int64_t>(context.keyspace.key_count()));
  context.reply.field("bytes");
  context.reply.integer(static_cast<std::int64_t>(context.keyspace.payload_bytes()));
  context.reply.end();
}

void flush(CommandContext& context, const Call&) {
  context.keyspace.flush();
  context.changed_all(std::nullopt);
  context.reply.ok();
}

}  // namespace memento::handlers
