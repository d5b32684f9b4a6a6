// DUMP and RESTORE, in the format of dump_format.h.
#include <optional>
#include <string>

#include "worker/handlers/handler_support.h"
#include "worker/handlers/handlers.h"
#include "worker/handlers/keys/dump_format.h"
#include "worker/text/number_text.h"
#include "worker/text/words.h"

namespace memento::handlers {
namespace {

struct RestoreOptions {
  bool replaces = false;
  bool is_absolute = false;
};

// IDLETIME or FREQ, which Redis's tools send, is checked; no entry keeps it.
// Nothing: an error was written.
std::optional<RestoreOptions> take_options(CommandContext& context, const Call& call) {
  const auto refuse = [&](std::string_view text) { return context.reply.error(text), std::nullopt; };
  RestoreOptions options;
  bool has_idle_time = false;
  bool has_frequency = false;
  for (std::size_t i = 4; i < call.count(); ++i) {
    const bool has_value = i + 1 < call.count();
    const bool is_idle_time = has_value && !has_frequency && is_word(call[i], "IDLETIME");
    const bool is_frequency = has_value && !has_idle_time && is_word(call[i], "FREQ");
    if (is_word(call[i], "REPLACE")) {
      options.replaces = true;
    } else if (is_word(call[i], "ABSTTL")) {
      options.is_absolute = true;
    } else if (is_idle_time || is_frequency) {
      has_idle_time |= is_idle_time;
      has_frequency |= is_frequency;
      const std::optional<std::int64_t> number = parse_integer(call[++i]);
      if (!number) return refuse(kNotAnInteger);
      if (*number < 0 || (is_frequency && *number > 255)) {
        return refuse(is_frequency ? "ERR Invalid FREQ value, must be >= 0 and <= 255"
                                   : "ERR Invalid IDLETIME value, must be >= 0");
      }
    } else {
      return refuse(kSyntaxError);
    }
  }
  return options;
}

}  // namespace

void dump(CommandContext& context, const Call& call) {
  std::string value;
  if (!context.keyspace.read(call.key, [&](const EntryView& entry) { value.assign(entry.value); })) {
    context.missed(call.key);
    return context.reply.nil();
  }
  context.reply.bulk(dump_value(value));
}

// The errors in Redis's order: a key in the way comes before a bad payload.
void restore(CommandContext& context, const Call& call) {
  const std::optional<RestoreOptions> options = take_options(context, call);
  if (!options) return;
  constexpr const char* kBusy = "BUSYKEY Target key name already exists.";
  if (!options->replaces && context.keyspace.read(call.key, [](const EntryView&) {}))
    return context.reply.error(kBusy);
  const std::optional<std::int64_t> given_ms = take_integer(context, call[2]);
  if (!given_ms) return;
  const std::int64_t ttl_ms = *given_ms;
  if (ttl_ms < 0) return context.reply.error("ERR Invalid TTL value, must be >= 0");
  if (!is_dump(call[3])) return context.reply.error("ERR DUMP payload version or checksum are wrong");
  const std::optional<std::string> value = dumped_value(call[3], context.keyspace.value_limit_bytes());
  if (!value) return context.reply.error("ERR Bad data format");
  TimeMs expiry_ms = kNoExpiry;
  if (ttl_ms > 0) {
    expiry_ms = ttl_ms;
    if (!options->is_absolute && __builtin_add_overflow(ttl_ms, context.keyspace.now_ms(), &expiry_ms)) {
      return context.reply.error("ERR Invalid TTL value, must be >= 0");
    }
  }
  if (options->is_absolute && expiry_ms != kNoExpiry && expiry_ms <= context.keyspace.now_ms()) {
    if (options->replaces && context.keyspace.erase(call.key) == WriteStatus::kDone)
      context.changed(call.key, key_events::kDel);
    return context.reply.ok();
  }
  const SetCondition condition = options->replaces ? SetCondition::kAlways : SetCondition::kIfAbsent;
  const WriteStatus status = context.keyspace.set(call.key, *value, {condition, expiry_ms, false});
  if (answer_refusal(context, status)) return;
  if (status != WriteStatus::kDone) return context.reply.error(kBusy);
  context.made(call.key);
  context.changed(call.key, key_events::kRestore);
  context.reply.ok();
}

}  // namespace memento::handlers
