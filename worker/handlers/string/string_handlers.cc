// Storing and reading whole values. Parts of values are in range_handlers.cc, several keys in
// multi_key_handlers.cc.
#include <string>

#include "worker/handlers/handler_support.h"
#include "worker/handlers/handlers.h"
#include "worker/handlers/set_options.h"

namespace memento::handlers {
namespace {

void tell_set(CommandContext& context, const HashedKey& key, bool expires) {
  context.changed(key, key_events::kSet);
  if (expires) context.changed(key, key_events::kExpire);
}

[[gnu::noinline]] void set_plainly(CommandContext& context, const HashedKey& key, std::string_view value,
                                   TimeMs expiry_ms = kNoExpiry) {
  if (!check_value_length(context, value.size())) return;
  const WriteStatus status = context.keyspace.put(key, value, expiry_ms);
  if (answer_refusal(context, status)) return;
  tell_set(context, key, expiry_ms != kNoExpiry);
  context.reply.ok();
}

// The reply begins at `begin`; what is there of it counts for nothing.
[[gnu::noinline]] void get_carefully(CommandContext& context, const HashedKey& key, std::size_t begin) {
  context.reply.truncate(begin);
  const ReplyWriter::Mark mark = context.reply.mark();
  const bool found = context.keyspace.read(key, [&](const EntryView& entry) {
    context.reply.roll_back(mark);
    context.reply.bulk(entry.value);
  });
  if (found) return;
  context.missed(key);
  context.reply.roll_back(mark);
  context.reply.nil();
}

// Writes what decide(old) says and answers with the old value; what came of it. REQUIRES: decide has no
// effects but its result.
template <class Decide>
WriteStatus answer_old_value(CommandContext& context, const HashedKey& key, Decide&& decide) {
  const ReplyWriter::Mark mark = context.reply.mark();
  bool is_there = false;
  const WriteStatus status = context.keyspace.update(key, [&](const EntryView* old) {
    context.reply.roll_back(mark);
    is_there = old != nullptr;
    if (is_there) {
      context.reply.bulk(old->value);
    } else {
      context.reply.nil();
    }
    return decide(old);
  });
  if (status == WriteStatus::kDone || status == WriteStatus::kUnchanged) {
    if (!is_there) context.missed(key);
    return status;
  }
  context.reply.roll_back(mark);
  answer_refusal(context, status);
  return status;
}

bool is_met(const ValueOptions& options, const EntryView* old) {
  if (options.wanted.data() != nullptr) return old != nullptr && old->value == options.wanted;
  return options.condition == SetCondition::kAlways ||
         (options.condition == SetCondition::kIfPresent) == (old != nullptr);
}

void set_with_options(CommandContext& context, const Call& call) {
  const std::optional<ValueOptions> options = parse_value_options(call, 3, OptionsOf::kSet);
  if (!options) return context.reply.error(kSyntaxError);
  TimeMs expiry_ms = kNoExpiry;
  if (options->expiry.data() != nullptr) {
    const auto given_ms = take_positive_expiry(context, options->expiry, options->form, "set");
    if (!given_ms) return;
    expiry_ms = *given_ms;
  }
  const std::string_view value = call[2];
  if (!check_value_length(context, value.size())) return;
  const auto change = [&](const EntryView* old) {
    if (!is_met(*options, old)) return Change{};
    return Change{Change::Action::kReplace, {value}, options->keeps_expiry ? kept_expiry(old) : expiry_ms};
  };
  const bool expires = options->expiry.data() != nullptr;
  if (options->gets) {
    if (answer_old_value(context, call.key, change) == WriteStatus::kDone)
      tell_set(context, call.key, expires);
    return;
  }
  const WriteStatus status =
      options->wanted.data() != nullptr
          ? context.keyspace.update(call.key, change)
          : context.keyspace.set(call.key, value, {options->condition, expiry_ms, options->keeps_expiry});
  if (answer_refusal(context, status)) return;
  if (status != WriteStatus::kDone) return context.reply.nil();
  tell_set(context, call.key, expires);
  context.reply.ok();
}

void set_expiring(CommandContext& context, const Call& call, ExpiryForm form, const char* name) {
  if (const std::optional<TimeMs> expiry_ms = take_positive_expiry(context, call[2], form, name))
    set_plainly(context, call.key, call[3], *expiry_ms);
}

}  // namespace

void set(CommandContext& context, const Call& call) {
  if (call.count() > 3) return set_with_options(context, call);
  const std::string_view value = call[2];
  if (value.size() > context.keyspace.value_limit_bytes() ||
      !context.keyspace.put_where_seen(call.key, value)) [[unlikely]] {
    return set_plainly(context, call.key, value);
  }
  context.changed(call.key, key_events::kSet);
  context.reply.ok();
}

void setnx(CommandContext& context, const Call& call) {
  if (!check_value_length(context, call[2].size())) return;
  const WriteStatus status =
      context.keyspace.set(call.key, call[2], {SetCondition::kIfAbsent, kNoExpiry, false});
  if (answer_refusal(context, status)) return;
  if (status == WriteStatus::kDone) context.changed(call.key, key_events::kSet);
  context.reply.integer(status == WriteStatus::kDone ? 1 : 0);
}

void setex(CommandContext& context, const Call& call) { set_expiring(context, call, kInSeconds, "setex"); }
void psetex(CommandContext& context, const Call& call) {
  set_expiring(context, call, kInMilliseconds, "psetex");
}

void get(CommandContext& context, const Call& call) {
  const std::size_t begin = context.reply.size();
  const bool found = context.keyspace.read_where_seen(
      call.key, [&](const EntryView& entry) { context.reply.bulk(entry.value); });
  if (!found) [[unlikely]]
    get_carefully(context, call.key, begin);
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
    return context.reply.end();
  }
  context.missed(call.key);
  context.reply.roll_back(mark);
  context.reply.nil();
}

void getset(CommandContext& context, const Call& call) {
  if (!check_value_length(context, call[2].size())) return;
  const WriteStatus status = answer_old_value(context, call.key, [&](const EntryView*) {
    return Change{Change::Action::kReplace, {call[2]}, kNoExpiry};
  });
  if (status == WriteStatus::kDone) context.changed(call.key, key_events::kSet);
}

void getdel(CommandContext& context, const Call& call) {
  const WriteStatus status = answer_old_value(context, call.key, [](const EntryView* old) {
    return Change{old != nullptr ? Change::Action::kErase : Change::Action::kKeep, {}, kNoExpiry};
  });
  if (status == WriteStatus::kDone) context.changed(call.key, key_events::kDel);
}

void delifeq(CommandContext& context, const Call& call) {
  const WriteStatus status = context.keyspace.update(call.key, [&](const EntryView* old) {
    const bool is_it = old != nullptr && old->value == call[2];
    return Change{is_it ? Change::Action::kErase : Change::Action::kKeep, {}, kNoExpiry};
  });
  if (answer_refusal(context, status)) return;
  if (status == WriteStatus::kDone) context.changed(call.key, key_events::kDel);
  context.reply.integer(status == WriteStatus::kDone ? 1 : 0);
}

// A key that is not there has no expiry that could be wrong: as in Redis, nil comes before that error.
void getex(CommandContext& context, const Call& call) {
  const std::optional<ValueOptions> options = parse_value_options(call, 2, OptionsOf::kGetex);
  if (!options) return context.reply.error(kSyntaxError);
  const bool expires = options->expiry.data() != nullptr;
  if (!expires && !options->persists) return get(context, call);
  TimeMs expiry_ms = kNoExpiry;
  if (expires) {
    if (!context.keyspace.read(call.key, [](const EntryView&) {})) {
      context.missed(call.key);
      return context.reply.nil();
    }
    const auto given_ms = take_positive_expiry(context, options->expiry, options->form, "getex");
    if (!given_ms) return;
    expiry_ms = *given_ms;
  }
  const bool erases = expires && expiry_ms <= context.keyspace.now_ms();
  const WriteStatus status = answer_old_value(context, call.key, [&](const EntryView* old) {
    if (old == nullptr || (!expires && old->expiry_ms == kNoExpiry)) return Change{};
    return Change{erases ? Change::Action::kErase : Change::Action::kSetExpiry, {}, expiry_ms};
  });
  if (status != WriteStatus::kDone) return;
  context.changed(call.key, erases ? key_events::kDel : expires ? key_events::kExpire : key_events::kPersist);
}

}  // namespace memento::handlers
