// See key_event_flags.h.
#include "conf/key_event_flags.h"

#include "shm/format/key_events.h"

namespace memento {
namespace {

struct Letter {
  char letter;
  std::uint64_t event_class;
};
// In Redis's order; those of the first table make up `A`.
constexpr Letter kUsual[] = {{'g', kGenericEvents}, {'$', kStringEvents},  {'l', kListEvents},
                             {'s', kSetEvents},     {'h', kHashEvents},    {'z', kSortedSetEvents},
                             {'x', kExpiredEvents}, {'e', kEvictedEvents}, {'t', kStreamEvents},
                             {'d', kModuleEvents}};
constexpr Letter kOthers[] = {
    {'n', kNewKeyEvents}, {'K', kKeyspaceChannels}, {'E', kKeyeventChannels}, {'m', kMissEvents}};

constexpr std::uint64_t sum_of_usual() {
  std::uint64_t sum = 0;
  for (const Letter& one : kUsual) sum |= one.event_class;
  return sum;
}
static_assert(sum_of_usual() == kUsualEvents);

std::uint64_t class_of(char letter) {
  if (letter == 'A') return kUsualEvents;
  for (const Letter& one : kUsual) {
    if (one.letter == letter) return one.event_class;
  }
  for (const Letter& one : kOthers) {
    if (one.letter == letter) return one.event_class;
  }
  return 0;
}

}  // namespace

std::optional<std::uint64_t> parse_key_event_flags(std::string_view letters) {
  std::uint64_t classes = 0;
  for (const char letter : letters) {
    const std::uint64_t event_class = class_of(letter);
    if (event_class == 0) return std::nullopt;
    classes |= event_class;
  }
  return classes;
}

std::string key_event_flags_text(std::uint64_t classes) {
  std::string text;
  const bool has_all = (classes & kUsualEvents) == kUsualEvents;
  if (has_all) text += 'A';
  for (const Letter& one : kUsual) {
    if (!has_all && (classes & one.event_class) != 0) text += one.letter;
  }
  for (const Letter& one : kOthers) {
    if ((classes & one.event_class) != 0) text += one.letter;
  }
  return text;
}

}  // namespace memento
