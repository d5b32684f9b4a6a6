// BITFIELD and BITFIELD_RO: integers of 1 to 64 bits at any place of a value, several in one request. Bits
// are numbered from the highest one of the first byte on, and a field's first bit is its highest.
#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "worker/handlers/handler_support.h"
#include "worker/handlers/handlers.h"
#include "worker/text/number_text.h"
#include "worker/text/words.h"

namespace memento::handlers {
namespace {

enum class Action { kGet, kSet, kAdd };
/// What becomes of a number that its field cannot hold.
enum class Overflow { kWrap, kSaturate, kFail };

struct FieldType {
  bool is_signed = false;
  std::uint32_t bits = 0;
};

struct FieldStep {
  Action action = Action::kGet;
  FieldType type;
  std::uint64_t first_bit = 0;
  std::int64_t number = 0;  ///< kSet, kAdd
  Overflow overflow = Overflow::kWrap;

  std::uint64_t end_byte() const { return (first_bit + type.bits + 7) / 8; }
};

/// The bytes of a value that steps read and write: it has them from `begin` on; what is elsewhere is zero.
struct Window {
  std::uint64_t begin = 0;
  std::string bytes;
};

// Signed numbers as their field's bits, above them zeros.
std::uint64_t read_field(std::string_view bytes, std::uint64_t bytes_begin, const FieldStep& step) {
  std::uint64_t number = 0;
  std::uint64_t bit = step.first_bit;
  for (std::uint32_t left = step.type.bits; left > 0;) {
    const auto in_byte = static_cast<std::uint32_t>(8 - bit % 8);  // of the byte's bits, those from here on
    const std::uint32_t taken = std::min(left, in_byte);
    const std::uint64_t place = bit / 8 - bytes_begin;
    const unsigned byte = place < bytes.size() ? static_cast<unsigned char>(bytes[place]) : 0u;
    number = number << taken | (byte >> (in_byte - taken) & ((1u << taken) - 1));
    bit += taken;
    left -= taken;
  }
  return number;
}

void write_field(Window* window, const FieldStep& step, std::uint64_t number) {
  std::uint64_t bit = step.first_bit;
  for (std::uint32_t left = step.type.bits; left > 0;) {
    const auto in_byte = static_cast<std::uint32_t>(8 - bit % 8);
    const std::uint32_t taken = std::min(left, in_byte);
    const std::uint32_t shift = in_byte - taken;
    const unsigned mask = ((1u << taken) - 1) << shift;
    char& byte = window->bytes[bit / 8 - window->begin];
    const auto part = static_cast<unsigned>(number >> (left - taken)) << shift;
    byte = static_cast<char>((static_cast<unsigned char>(byte) & ~mask) | (part & mask));
    bit += taken;
    left -= taken;
  }
}

// Wide enough for the sum of two numbers of 64 bits.
using Wide = __int128;

Wide number_of(std::uint64_t bits, FieldType type) {
  if (!type.is_signed) return bits;
  const std::uint32_t unused = 64 - type.bits;
  return static_cast<std::int64_t>(bits << unused) >> unused;
}

/// The number that the field is to hold instead of `wanted`; nothing: it is to stay as it is.
std::optional<Wide> fit(Wide wanted, FieldType type, Overflow overflow) {
  const Wide largest = (Wide{1} << (type.bits - (type.is_signed ? 1 : 0))) - 1;
  const Wide least = type.is_signed ? -largest - 1 : 0;
  if (wanted >= least && wanted <= largest) return wanted;
  if (overflow == Overflow::kFail) return std::nullopt;
  if (overflow == Overflow::kSaturate) return wanted < least ? least : largest;
  const std::uint64_t kept = type.bits == 64 ? ~0ull : (1ull << type.bits) - 1;
  return number_of(static_cast<std::uint64_t>(wanted) & kept, type);
}

// Answers the step; whether it changed the window.
bool run_step(ReplyWriter& reply, const FieldStep& step, Window* window) {
  const Wide before = number_of(read_field(window->bytes, window->begin, step), step.type);
  if (step.action == Action::kGet) return reply.integer(static_cast<std::int64_t>(before)), false;
  // A negative number for a field without a sign is one that is too large.
  const Wide given = step.type.is_signed ? Wide{step.number} : Wide{static_cast<std::uint64_t>(step.number)};
  const std::optional<Wide> after =
      fit(step.action == Action::kSet ? given : before + step.number, step.type, step.overflow);
  if (!after) return reply.nil(), false;
  reply.integer(static_cast<std::int64_t>(step.action == Action::kSet ? before : *after));
  if (*after == before) return false;
  write_field(window, step, static_cast<std::uint64_t>(*after));
  return true;
}

// Of these nothing: an error was written.
std::optional<FieldType> take_type(CommandContext& context, std::string_view word) {
  const bool is_signed = word.starts_with('i');
  if (is_signed || word.starts_with('u')) {
    const std::int64_t bits = parse_integer(word.substr(1)).value_or(0);
    if (bits >= 1 && bits <= (is_signed ? 64 : 63))
      return FieldType{is_signed, static_cast<std::uint32_t>(bits)};
  }
  context.reply.error(
      "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.");
  return std::nullopt;
}

// The first bit; #3: of the fourth field of this type.
std::optional<std::uint64_t> take_place(CommandContext& context, std::string_view word, FieldType type) {
  const bool counts_fields = word.starts_with('#');
  std::int64_t place = parse_integer(word.substr(counts_fields ? 1 : 0)).value_or(-1);
  if (place >= 0 && !(counts_fields && __builtin_mul_overflow(place, std::int64_t{type.bits}, &place)) &&
      static_cast<std::uint64_t>(place) / 8 < context.keyspace.value_limit_bytes()) {
    return static_cast<std::uint64_t>(place);
  }
  context.reply.error("ERR bit offset is not an integer or out of range");
  return std::nullopt;
}

std::optional<Overflow> take_overflow(CommandContext& context, std::string_view word) {
  if (is_word(word, "WRAP")) return Overflow::kWrap;
  if (is_word(word, "SAT")) return Overflow::kSaturate;
  if (is_word(word, "FAIL")) return Overflow::kFail;
  context.reply.error("ERR Invalid OVERFLOW type specified");
  return std::nullopt;
}

// Nothing: an error was written.
std::optional<std::vector<FieldStep>> take_steps(CommandContext& context, const Call& call) {
  std::vector<FieldStep> steps;
  Overflow overflow = Overflow::kWrap;
  for (std::size_t i = 2; i < call.count();) {
    const std::size_t left = call.count() - i - 1;
    FieldStep step;
    step.overflow = overflow;
    if (is_word(call[i], "OVERFLOW") && left >= 1) {
      const std::optional<Overflow> given = take_overflow(context, call[i + 1]);
      if (!given) return std::nullopt;
      overflow = *given;
      i += 2;
      continue;
    }
    if (is_word(call[i], "SET") && left >= 3) {
      step.action = Action::kSet;
    } else if (is_word(call[i], "INCRBY") && left >= 3) {
      step.action = Action::kAdd;
    } else if (!is_word(call[i], "GET") || left < 2) {
      context.reply.error(kSyntaxError);
      return std::nullopt;
    }
    const std::optional<FieldType> type = take_type(context, call[i + 1]);
    if (!type) return std::nullopt;
    const std::optional<std::uint64_t> first_bit = take_place(context, call[i + 2], *type);
    if (!first_bit) return std::nullopt;
    step.type = *type;
    step.first_bit = *first_bit;
    if (step.action != Action::kGet) {
      const std::optional<std::int64_t> number = take_integer(context, call[i + 3]);
      if (!number) return std::nullopt;
      step.number = *number;
    }
    i += step.action == Action::kGet ? 3 : 4;
    steps.push_back(step);
  }
  return steps;
}

// The bytes that the steps touch, taken from `value`, which is to have `size_bytes`.
void open_window(const std::vector<FieldStep>& steps, std::string_view value, std::uint64_t size_bytes,
                 Window* window) {
  window->begin = steps.empty() ? 0 : UINT64_MAX;
  std::uint64_t end = 0;
  for (const FieldStep& step : steps) {
    window->begin = std::min(window->begin, step.first_bit / 8);
    end = std::max(end, step.end_byte());
  }
  end = std::max(std::min(end, size_bytes), window->begin);
  window->bytes.assign(
      value.substr(std::min<std::uint64_t>(window->begin, value.size()), end - window->begin));
  window->bytes.resize(end - window->begin);
}

void answer_fields(CommandContext& context, const Call& call, const std::vector<FieldStep>& steps) {
  const ReplyWriter::Mark mark = context.reply.mark();
  Window window;
  const auto answer = [&](std::string_view value) {
    context.reply.roll_back(mark);
    open_window(steps, value, value.size(), &window);
    context.reply.begin_array(steps.size());
    for (const FieldStep& step : steps) (void)run_step(context.reply, step, &window);
    context.reply.end();
  };
  if (!context.keyspace.read(call.key, [&](const EntryView& entry) { answer(entry.value); })) {
    context.missed(call.key);
    answer({});
  }
}

// As in Redis, the value becomes long enough for every field that might be written, written or not.
void change_fields(CommandContext& context, const Call& call, const std::vector<FieldStep>& steps) {
  std::uint64_t least_bytes = 0;
  for (const FieldStep& step : steps) {
    if (step.action != Action::kGet) least_bytes = std::max(least_bytes, step.end_byte());
  }
  if (!check_value_length(context, least_bytes)) return;
  const ReplyWriter::Mark mark = context.reply.mark();
  Window window;
  const WriteStatus status = context.keyspace.update(call.key, [&](const EntryView* old) {
    context.reply.roll_back(mark);
    const std::string_view value = old != nullptr ? old->value : std::string_view();
    const std::uint64_t size = std::max<std::uint64_t>(value.size(), least_bytes);
    open_window(steps, value, size, &window);
    bool is_changed = old == nullptr || size > value.size();
    context.reply.begin_array(steps.size());
    for (const FieldStep& step : steps) is_changed |= run_step(context.reply, step, &window);
    context.reply.end();
    if (!is_changed) return Change{};
    const std::string_view head = value.substr(0, std::min<std::uint64_t>(window.begin, value.size()));
    const std::string_view zeros(nullptr, window.begin - head.size());
    const std::uint64_t window_end = window.begin + window.bytes.size();
    const std::string_view tail = value.substr(std::min<std::uint64_t>(window_end, value.size()));
    return Change{Change::Action::kReplace, {head, zeros, window.bytes, tail}, kept_expiry(old)};
  });
  if (status == WriteStatus::kDone) context.changed(call.key, key_events::kSetBit);
  if (status == WriteStatus::kDone || status == WriteStatus::kUnchanged) return;
  context.reply.roll_back(mark);
  answer_refusal(context, status);
}

}  // namespace

void bitfield(CommandContext& context, const Call& call) {
  const auto steps = take_steps(context, call);
  if (!steps) return;
  const bool only_reads =
      std::ranges::all_of(*steps, [](const FieldStep& step) { return step.action == Action::kGet; });
  only_reads ? answer_fields(context, call, *steps) : change_fields(context, call, *steps);
}

void bitfield_ro(CommandContext& context, const Call& call) {
  const auto steps = take_steps(context, call);
  if (!steps) return;
  const bool only_reads =
      std::ranges::all_of(*steps, [](const FieldStep& step) { return step.action == Action::kGet; });
  if (!only_reads) return context.reply.error("ERR BITFIELD_RO only supports the GET subcommand");
  answer_fields(context, call, *steps);
}

}  // namespace memento::handlers
