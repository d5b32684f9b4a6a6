// TAIL: the last values that a key of database 0 had. They are kept from the first TAIL of the key on, until
// TAIL key 0 (shm/texts/value_history.h).
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "worker/clients/message_hub.h"
#include "worker/handlers/handler_support.h"
#include "worker/handlers/handlers.h"

namespace memento::handlers {
namespace {

constexpr std::int64_t kUsualCount = 10;

const char* refusal(ValueHistory::Keep keep) {
  switch (keep) {
    case ValueHistory::Keep::kDone:
      return nullptr;
    case ValueHistory::Keep::kTooMany:
      return "ERR the values of 512 keys are kept already; TAIL one of them with 0";
    case ValueHistory::Keep::kNoMemory:
      return "OOM no memory for the values of another key";
    case ValueHistory::Keep::kBusy:
      return "BUSY another worker has held the kept values for long";
  }
  return nullptr;
}
static_assert(ValueHistory::kKeyLimit == 512 && ValueHistory::kKeyBytes == 1024);

// Nothing: an error was written.
std::optional<std::size_t> take_count(CommandContext& context, const Call& call) {
  if (call.count() == 2) return kUsualCount;
  const std::optional<std::int64_t> count = take_integer(context, call[2]);
  if (!count) return std::nullopt;
  if (*count < 0 || *count > static_cast<std::int64_t>(ValueHistory::kValueLimit)) {
    context.reply.error("ERR count is out of range, must be 0 to 100");
    return std::nullopt;
  }
  return static_cast<std::size_t>(*count);
}

}  // namespace

// What the key holds now is always the last, also when it was too long to be kept, or when whoever set it was
// killed before it could keep it.
void tail(CommandContext& context, const Call& call) {
  if (call.count() > 3) return wrong_argument_count(context, call[0]);
  if (context.keyspace.database() != DatabaseId())
    return context.reply.error("ERR TAIL is about keys of database 0; SELECT 0 first");
  const std::optional<std::size_t> count = take_count(context, call);
  if (!count) return;
  MessageHub& hub = context.services.hub;
  if (*count == 0) {
    const ValueHistory::Forget done = hub.kept_values().forget(call[1]);
    if (done == ValueHistory::Forget::kBusy) return context.reply.error(refusal(ValueHistory::Keep::kBusy));
    return context.reply.integer(done == ValueHistory::Forget::kDone ? 1 : 0);
  }
  if (call[1].size() > ValueHistory::kKeyBytes)
    return context.reply.error("ERR the key is longer than TAIL's limit of 1024 bytes");
  std::optional<std::vector<std::string>> values = hub.kept_values().last(call[1], *count);
  if (!values) {
    if (const char* const reason = refusal(hub.keep_values(call.key))) return context.reply.error(reason);
    values = hub.kept_values().last(call[1], *count);
  }
  if (!values) return context.reply.error(refusal(ValueHistory::Keep::kBusy));
  std::string now;
  const bool is_there =
      context.keyspace.read(call.key, [&](const EntryView& entry) { now.assign(entry.value); });
  if (!is_there) context.missed(call.key);
  if (is_there && (values->empty() || values->back() != now)) values->push_back(now);
  const std::size_t first = values->size() - std::min(*count, values->size());
  context.reply.begin_array(values->size() - first);
  for (std::size_t i = first; i < values->size(); ++i) context.reply.bulk((*values)[i]);
  context.reply.end();
}

}  // namespace memento::handlers
