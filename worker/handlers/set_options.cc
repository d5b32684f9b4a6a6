// See set_options.h.
#include "worker/handlers/set_options.h"

#include <string>

#include "worker/handlers/handler_support.h"
#include "worker/text/number_text.h"
#include "worker/text/words.h"

namespace memento::handlers {
namespace {

struct ExpiryWord {
  std::string_view word;
  ExpiryForm form;
};
constexpr ExpiryWord kExpiryWords[] = {
    {"EX", kInSeconds}, {"PX", kInMilliseconds}, {"EXAT", kAtSeconds}, {"PXAT", kAtMilliseconds}};

const ExpiryWord* find_expiry_word(std::string_view word) {
  for (const ExpiryWord& candidate : kExpiryWords) {
    if (is_word(word, candidate.word)) return &candidate;
  }
  return nullptr;
}

}  // namespace

std::optional<TimeMs> expiry_time(std::int64_t amount, ExpiryForm form, TimeMs now_ms) {
  TimeMs time_ms = 0;
  if (__builtin_mul_overflow(amount, form.unit_ms, &time_ms)) return std::nullopt;
  if (!form.is_absolute && __builtin_add_overflow(time_ms, now_ms, &time_ms)) return std::nullopt;
  return time_ms;
}

std::optional<ValueOptions> parse_value_options(const Call& call, std::size_t first, OptionsOf command) {
  const bool sets = command == OptionsOf::kSet;
  ValueOptions options;
  const ExpiryWord* given = nullptr;
  for (std::size_t i = first; i < call.count(); ++i) {
    const std::string_view word = call[i];
    const ExpiryWord* expiry = find_expiry_word(word);
    const bool compares = options.wanted.data() != nullptr;
    if (sets && is_word(word, "NX") && options.condition != SetCondition::kIfPresent && !compares) {
      options.condition = SetCondition::kIfAbsent;
    } else if (sets && is_word(word, "XX") && options.condition != SetCondition::kIfAbsent && !compares) {
      options.condition = SetCondition::kIfPresent;
    } else if (sets && is_word(word, "IFEQ") && options.condition == SetCondition::kAlways && !compares &&
               i + 1 < call.count()) {
      options.wanted = call[++i];
    } else if (sets && is_word(word, "GET")) {
      options.gets = true;
    } else if (sets && is_word(word, "KEEPTTL") && given == nullptr) {
      options.keeps_expiry = true;
    } else if (!sets && is_word(word, "PERSIST") && given == nullptr) {
      options.persists = true;
    } else if (expiry != nullptr && (given == nullptr || given == expiry) && !options.keeps_expiry &&
               !options.persists && i + 1 < call.count()) {
      given = expiry;
      options.form = expiry->form;
      options.expiry = call[++i];
    } else {
      return std::nullopt;
    }
  }
  return options;
}

std::optional<TimeMs> take_positive_expiry(CommandContext& context, std::string_view number, ExpiryForm form,
                                           const char* command) {
  const std::optional<std::int64_t> amount = take_integer(context, number);
  if (!amount) return std::nullopt;
  const std::optional<TimeMs> expiry_ms =
      *amount > 0 ? expiry_time(*amount, form, context.keyspace.now_ms()) : std::nullopt;
  if (!expiry_ms) context.reply.error(std::string("ERR invalid expire time in '") + command + "' command");
  return expiry_ms;
}

}  // namespace memento::handlers
