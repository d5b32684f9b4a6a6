// Parts of values: lengthening them, their length, a range of them.
#include <algorithm>

#include "worker/handlers/handler_support.h"
#include "worker/handlers/handlers.h"
#include "worker/text/number_text.h"

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
    if (total > limit || (old != nullptr && addition.empty())) return Change{};
    Change change{Change::Action::kReplace, {value, addition}, kept_expiry(old)};
    if (!at_end) std::swap(change.pieces[0], change.pieces[1]);
    return change;
  });
  if (answer_refusal(context, status)) return;
  if (total > limit) return value_too_long(context);
  context.changed(call.key, at_end ? key_events::kAppend : key_events::kPrepend);
  context.reply.integer(static_cast<std::int64_t>(total));
}

}  // namespace

void append(CommandContext& context, const Call& call) { extend(context, call, true); }
void prepend(CommandContext& context, const Call& call) { extend(context, call, false); }

void strlen(CommandContext& context, const Call& call) {
  std::size_t size_bytes = 0;
  const bool found =
      context.keyspace.read(call.key, [&](const EntryView& entry) { size_bytes = entry.value.size(); });
  if (!found) context.missed(call.key);
  context.reply.integer(found ? static_cast<std::int64_t>(size_bytes) : 0);
}

void getrange(CommandContext& context, const Call& call) {
  const std::optional<std::int64_t> first = parse_integer(call[2]);
  const std::optional<std::int64_t> last = parse_integer(call[3]);
  if (!first || !last) return context.reply.error(kNotAnInteger);
  if (is_backwards(*first, *last)) return context.reply.bulk("");
  const ReplyWriter::Mark mark = context.reply.mark();
  const bool found = context.keyspace.read(call.key, [&](const EntryView& entry) {
    context.reply.roll_back(mark);
    const IndexRange range = index_range(*first, *last, static_cast<std::int64_t>(entry.value.size()));
    context.reply.bulk(
        entry.value.substr(static_cast<std::size_t>(range.first), static_cast<std::size_t>(range.count())));
  });
  if (found) return;
  context.missed(call.key);
  context.reply.roll_back(mark);
  context.reply.bulk("");
}

void setrange(CommandContext& context, const Call& call) {
  const std::optional<std::int64_t> offset = take_integer(context, call[2]);
  if (!offset) return;
  if (*offset < 0) return context.reply.error("ERR offset is out of range");
  const std::string_view part = call[3];
  const auto begin = static_cast<std::uint64_t>(*offset);
  const std::uint64_t end = begin + part.size();
  const std::uint64_t limit = context.keyspace.value_limit_bytes();
  std::uint64_t total = 0;
  bool is_too_long = false;
  const WriteStatus status = context.keyspace.update(call.key, [&](const EntryView* old) {
    const std::string_view value = old != nullptr ? old->value : std::string_view();
    total = part.empty() ? value.size() : std::max<std::uint64_t>(value.size(), end);
    is_too_long = !part.empty() && end > limit;
    if (is_too_long || part.empty()) return Change{};
    const std::string_view head = value.substr(0, std::min<std::uint64_t>(begin, value.size()));
    const std::string_view zeros(nullptr, begin - head.size());
    const std::string_view tail = end < value.size() ? value.substr(end) : std::string_view();
    return Change{Change::Action::kReplace, {head, zeros, part, tail}, kept_expiry(old)};
  });
  if (answer_refusal(context, status)) return;
  if (is_too_long) return value_too_long(context);
  if (status == WriteStatus::kDone) context.changed(call.key, key_events::kSetRange);
  context.reply.integer(static_cast<std::int64_t>(total));
}

}  // namespace memento::handlers
