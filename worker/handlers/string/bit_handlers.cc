// Bits of values, numbered from the highest bit of the first byte on.
#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

#include "worker/handlers/handler_support.h"
#include "worker/handlers/handlers.h"
#include "worker/text/number_text.h"
#include "worker/text/words.h"

namespace memento::handlers {
namespace {

// A bit's index, within what a value can hold. Nothing: an error was written.
std::optional<std::uint64_t> take_bit_offset(CommandContext& context, std::string_view text) {
  const std::int64_t number = parse_integer(text).value_or(-1);
  if (number >= 0 && static_cast<std::uint64_t>(number) / 8 < context.keyspace.value_limit_bytes()) {
    return static_cast<std::uint64_t>(number);
  }
  context.reply.error("ERR bit offset is not an integer or out of range");
  return std::nullopt;
}

unsigned byte_of(std::string_view bytes, std::uint64_t index) {
  return static_cast<unsigned char>(bytes[index]);
}
bool bit_of(std::string_view bytes, std::uint64_t bit) {
  return (byte_of(bytes, bit / 8) >> (7 - bit % 8) & 1) != 0;
}

// Which bits of a value BITCOUNT and BITPOS look at.
struct BitWindow {
  bool has_end = false;
  bool in_bits = false;
  std::int64_t first = 0;
  std::int64_t last = -1;

  /// First bit and one behind the last of a value.
  IndexRange bits(std::size_t size_bytes) const {
    const auto size = static_cast<std::int64_t>(size_bytes);
    if (in_bits) return index_range(first, last, size * 8);
    const IndexRange bytes = index_range(first, last, size);
    return {bytes.first * 8, bytes.end * 8};
  }
};

// Whether the window counts bits, not bytes. Nothing: an error was written.
std::optional<bool> take_unit(CommandContext& context, std::string_view word) {
  if (is_word(word, "BIT")) return true;
  if (is_word(word, "BYTE")) return false;
  context.reply.error(kSyntaxError);
  return std::nullopt;
}

// The window behind BITCOUNT's key. Nothing: an error was written.
std::optional<BitWindow> take_count_window(CommandContext& context, const Call& call) {
  BitWindow window;
  if (call.count() <= 3) return window;
  const std::optional<std::int64_t> first = take_integer(context, call[2]);
  if (!first) return std::nullopt;
  const std::optional<std::int64_t> last = take_integer(context, call[3]);
  if (!last) return std::nullopt;
  const std::optional<bool> in_bits = call.count() > 4 ? take_unit(context, call[4]) : false;
  if (!in_bits) return std::nullopt;
  window.first = *first;
  window.last = *last;
  window.in_bits = *in_bits;
  return window;
}

// The window behind BITPOS's bit. Nothing: an error was written.
std::optional<BitWindow> take_search_window(CommandContext& context, const Call& call) {
  BitWindow window;
  window.has_end = call.count() > 4;
  if (call.count() <= 3) return window;
  const std::optional<std::int64_t> first = take_integer(context, call[3]);
  if (!first) return std::nullopt;
  const std::optional<bool> in_bits = call.count() > 5 ? take_unit(context, call[5]) : false;
  if (!in_bits) return std::nullopt;
  const std::optional<std::int64_t> last = window.has_end ? take_integer(context, call[4]) : window.last;
  if (!last) return std::nullopt;
  window.first = *first;
  window.last = *last;
  window.in_bits = *in_bits;
  return window;
}

std::int64_t count_bits(std::string_view bytes, IndexRange range) {
  std::int64_t count = 0;
  auto bit = static_cast<std::uint64_t>(range.first);
  const auto end = static_cast<std::uint64_t>(range.end);
  for (; bit < end && bit % 8 != 0; ++bit) count += bit_of(bytes, bit);
  for (; bit + 64 <= end; bit += 64) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + bit / 8, sizeof word);
    count += std::popcount(word);
  }
  for (; bit + 8 <= end; bit += 8) count += std::popcount(byte_of(bytes, bit / 8));
  for (; bit < end; ++bit) count += bit_of(bytes, bit);
  return count;
}

// The first such bit in the range, or -1.
std::int64_t find_bit(std::string_view bytes, IndexRange range, bool wanted) {
  const unsigned char without = wanted ? 0 : 0xff;
  std::uint64_t words_without = 0;
  std::memset(&words_without, without, sizeof words_without);
  auto bit = static_cast<std::uint64_t>(range.first);
  const auto end = static_cast<std::uint64_t>(range.end);
  while (bit < end) {
    std::uint64_t word = 0;
    if (bit % 8 == 0 && bit + 64 <= end) std::memcpy(&word, bytes.data() + bit / 8, sizeof word);
    if (bit % 8 == 0 && bit + 64 <= end && word == words_without) {
      bit += 64;
    } else if (bit % 8 == 0 && bit + 8 <= end && byte_of(bytes, bit / 8) == without) {
      bit += 8;
    } else if (bit_of(bytes, bit) == wanted) {
      return static_cast<std::int64_t>(bit);
    } else {
      ++bit;
    }
  }
  return -1;
}

}  // namespace

void getbit(CommandContext& context, const Call& call) {
  const std::optional<std::uint64_t> offset = take_bit_offset(context, call[2]);
  if (!offset) return;
  bool bit = false;
  const bool found = context.keyspace.read(call.key, [&](const EntryView& entry) {
    bit = *offset / 8 < entry.value.size() && bit_of(entry.value, *offset);
  });
  if (!found) context.missed(call.key);
  context.reply.integer(found && bit ? 1 : 0);
}

void setbit(CommandContext& context, const Call& call) {
  const std::optional<std::uint64_t> offset = take_bit_offset(context, call[2]);
  if (!offset) return;
  if (call[3] != "0" && call[3] != "1")
    return context.reply.error("ERR bit is not an integer or out of range");
  const std::uint64_t place = *offset / 8;
  const unsigned mask = 0x80u >> *offset % 8;
  unsigned before = 0;
  char byte = 0;
  const WriteStatus status = context.keyspace.update(call.key, [&](const EntryView* old) {
    const std::string_view value = old != nullptr ? old->value : std::string_view();
    before = place < value.size() ? byte_of(value, place) : 0;
    const unsigned after = call[3] == "1" ? before | mask : before & ~mask;
    if (place < value.size() && after == before) return Change{};
    byte = static_cast<char>(after);
    const std::string_view head = value.substr(0, std::min<std::uint64_t>(place, value.size()));
    const std::string_view zeros(nullptr, place - head.size());
    const std::string_view tail = place < value.size() ? value.substr(place + 1) : std::string_view();
    return Change{Change::Action::kReplace, {head, zeros, {&byte, 1}, tail}, kept_expiry(old)};
  });
  if (answer_refusal(context, status)) return;
  if (status == WriteStatus::kDone) context.changed(call.key, key_events::kSetBit);
  context.reply.integer((before & mask) != 0 ? 1 : 0);
}

void bitcount(CommandContext& context, const Call& call) {
  if (call.count() == 3 || call.count() > 5) return context.reply.error(kSyntaxError);
  const std::optional<BitWindow> window = take_count_window(context, call);
  if (!window) return;
  if (is_backwards(window->first, window->last)) return context.reply.integer(0);
  std::int64_t count = 0;
  const bool found = context.keyspace.read(call.key, [&](const EntryView& entry) {
    count = count_bits(entry.value, window->bits(entry.value.size()));
  });
  if (!found) context.missed(call.key);
  context.reply.integer(found ? count : 0);
}

// Without an end, what is behind the value counts as zeros.
void bitpos(CommandContext& context, const Call& call) {
  const std::optional<std::int64_t> wanted = take_integer(context, call[2]);
  if (!wanted) return;
  if (*wanted != 0 && *wanted != 1) return context.reply.error("ERR The bit argument must be 1 or 0.");
  if (call.count() > 6) return context.reply.error(kSyntaxError);
  const std::optional<BitWindow> window = take_search_window(context, call);
  if (!window) return;
  std::int64_t position = 0;
  const bool found = context.keyspace.read(call.key, [&](const EntryView& entry) {
    const IndexRange bits = window->bits(entry.value.size());
    position = find_bit(entry.value, bits, *wanted == 1);
    if (position < 0 && *wanted == 0 && !window->has_end && bits.count() > 0) position = bits.end;
  });
  if (!found) context.missed(call.key);
  context.reply.integer(found ? position : *wanted == 1 ? -1 : 0);
}

}  // namespace memento::handlers
