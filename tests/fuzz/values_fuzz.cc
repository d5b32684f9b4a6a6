// What is parsed out of arguments and values: numbers, globs, DUMP's payloads. What a payload holds is what
// the payload of its value holds; an integer that is accepted is written as it was read.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "shm/messages/glob.h"
#include "worker/handlers/keys/dump_format.h"
#include "worker/text/number_text.h"
#include "worker/wire/crc64.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace memento;
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (const auto integer = parse_integer(text); integer && std::to_string(*integer) != text) std::abort();
  if (const auto decimal = parse_float(text)) (void)format_float(*decimal);
  constexpr std::uint64_t kLimitBytes = 1 << 20;
  std::string payload = text + std::string("\x0a\0", 2);
  const std::uint64_t checksum = crc64(payload);
  for (int i = 0; i < 8; ++i) payload += static_cast<char>(checksum >> 8 * i & 0xff);
  if (is_dump(text)) (void)dumped_value(text, kLimitBytes);
  if (is_dump(payload)) {
    const auto value = dumped_value(payload, kLimitBytes);
    if (value && dumped_value(dump_value(*value), kLimitBytes) != value) std::abort();
  }
  if (!is_dump(dump_value(text)) || dumped_value(dump_value(text), text.size()) != text) std::abort();
  const std::size_t bar = text.find('|');
  if (bar != std::string::npos) (void)Glob(text.substr(0, bar)).matches(text.substr(bar + 1));
  return 0;
}
