// PFADD, PFCOUNT, PFMERGE: counting different elements, as hyperloglog.h says. A value that cannot be one is
// refused with one of two errors: by its header, or because its registers make no sense.
#include <string>
#include <vector>

#include "worker/handlers/atomically.h"
#include "worker/handlers/handler_support.h"
#include "worker/handlers/handlers.h"
#include "worker/handlers/string/hyperloglog.h"

namespace memento::handlers {
namespace {

constexpr const char* kNotOne = "WRONGTYPE Key is not a valid HyperLogLog string value.";
constexpr const char* kBroken = "INVALIDOBJ Corrupted HLL object detected";

// What no sparse value exceeds that is whole: two bytes for each register. Longer ones are read up to here.
constexpr std::size_t kReadLimitBytes = 64 + 2 * hyperloglog::kRegisterCount;

// Raises the registers to those of each key that is there, one key after the other. An error, or nullptr.
const char* merge_keys(CommandContext& context, std::span<const HashedKey> keys,
                       hyperloglog::Registers* registers, bool* is_any_dense) {
  std::string value;
  for (const HashedKey& key : keys) {
    const bool is_there = context.keyspace.read(
        key, [&](const EntryView& entry) { value.assign(entry.value.substr(0, kReadLimitBytes)); });
    if (!is_there) {
      context.missed(key);
      continue;
    }
    if (!hyperloglog::is_one(value)) return kNotOne;
    if (!hyperloglog::raise_to(value, registers)) return kBroken;
    *is_any_dense |= hyperloglog::is_dense(value);
  }
  return nullptr;
}

std::vector<HashedKey> hash_keys(CommandContext& context, const Call& call) {
  std::vector<HashedKey> keys{call.key};
  for (const std::string_view key : call.args.subspan(2)) keys.push_back(context.keyspace.hash(key));
  return keys;
}

// Leaves the estimate with the value, if that is still the same: who asks again need not compute it.
void note_estimate(CommandContext& context, const HashedKey& key, std::string_view value,
                   std::uint64_t estimate) {
  std::string noted;
  (void)context.keyspace.update(key, [&](const EntryView* old) {
    if (old == nullptr || old->value != value) return Change{};
    noted.assign(value);
    hyperloglog::note_estimate(&noted, estimate);
    return Change{Change::Action::kReplace, {noted}, kept_expiry(old)};
  });
}

void count_one(CommandContext& context, const Call& call) {
  std::string value;
  const bool is_there = context.keyspace.read(
      call.key, [&](const EntryView& entry) { value.assign(entry.value.substr(0, kReadLimitBytes)); });
  if (!is_there) {
    context.missed(call.key);
    return context.reply.integer(0);
  }
  if (!hyperloglog::is_one(value)) return context.reply.error(kNotOne);
  std::optional<std::uint64_t> estimate = hyperloglog::noted_estimate(value);
  if (!estimate) {
    hyperloglog::Registers registers{};
    if (!hyperloglog::raise_to(value, &registers)) return context.reply.error(kBroken);
    estimate = hyperloglog::estimate(registers);
    note_estimate(context, call.key, value, *estimate);
  }
  context.reply.integer(static_cast<std::int64_t>(*estimate));
}

}  // namespace

void pfadd(CommandContext& context, const Call& call) {
  const char* error = nullptr;
  bool is_changed = false;
  std::string value;
  const WriteStatus status = context.keyspace.update(call.key, [&](const EntryView* old) {
    error = old != nullptr && !hyperloglog::is_one(old->value) ? kNotOne : nullptr;
    is_changed = old == nullptr;
    if (error != nullptr) return Change{};
    if (old != nullptr) {
      value.assign(old->value);
    } else {
      value = hyperloglog::empty_value();
    }
    for (const std::string_view element : call.args.subspan(2)) {
      const hyperloglog::Raised raised = hyperloglog::add(&value, element);
      if (raised == hyperloglog::Raised::kIsBroken) return error = kBroken, Change{};
      is_changed |= raised == hyperloglog::Raised::kYes;
    }
    if (!is_changed) return Change{};
    return Change{Change::Action::kReplace, {value}, kept_expiry(old)};
  });
  if (answer_refusal(context, status)) return;
  if (error != nullptr) return context.reply.error(error);
  if (is_changed) context.changed(call.key, key_events::kPfAdd);
  context.reply.integer(is_changed ? 1 : 0);
}

void pfcount(CommandContext& context, const Call& call) {
  if (call.count() == 2) return count_one(context, call);
  const std::vector<HashedKey> keys = hash_keys(context, call);
  hyperloglog::Registers registers;
  const char* error = nullptr;
  const WriteStatus status = atomically(context, keys, [&] {
    registers.fill(0);
    bool is_any_dense = false;
    error = merge_keys(context, keys, &registers, &is_any_dense);
    return false;
  });
  if (answer_refusal(context, status)) return;
  if (error != nullptr) return context.reply.error(error);
  context.reply.integer(static_cast<std::int64_t>(hyperloglog::estimate(registers)));
}

void pfmerge(CommandContext& context, const Call& call) {
  const std::vector<HashedKey> keys = hash_keys(context, call);  // the target is one of the sources
  const char* error = nullptr;
  const WriteStatus status = atomically(context, keys, [&] {
    hyperloglog::Registers registers{};
    bool is_any_dense = false;
    error = merge_keys(context, keys, &registers, &is_any_dense);
    if (error != nullptr) return false;
    std::string value = hyperloglog::empty_value();
    TimeMs expiry_ms = kNoExpiry;
    (void)context.keyspace.read(keys[0], [&](const EntryView& entry) {
      value.assign(entry.value);
      expiry_ms = entry.expiry_ms;
    });
    if (hyperloglog::raise(&value, registers, is_any_dense) == hyperloglog::Raised::kIsBroken)
      return error = kBroken, false;
    (void)context.keyspace.set(keys[0], value, {SetCondition::kAlways, expiry_ms, false});
    context.changed(keys[0], key_events::kPfAdd);
    return true;
  });
  if (answer_refusal(context, status)) return;
  if (error != nullptr) return context.reply.error(error);
  context.reply.ok();
}

}  // namespace memento::handlers
