// What is parsed out of arguments and values: numbers, globs, DUMP's payloads. A payload that is accepted is
// the one that its value gives; an integer that is accepted is written as it was read.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "shm/messages/glob.h"
#include "worker/handlers/keys/dump_format.h"
#include "worker/text/number_text.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace memento;
  const std::string text(reinterpret_cast<const char*>(data), size);
  std::int64_t integer = 0;
  if (parse_integer(text, &integer) && std::to_string(integer) != text) std::abort();
  long double decimal = 0;
  if (parse_float(text, &decimal)) (void)format_float(decimal);
  if (const auto value = dumped_value(text); value && dump_value(*value) != text) std::abort();
  if (dumped_value(dump_value(text)) != text) std::abort();
  const std::size_t bar = text.find('|');
  if (bar != std::string::npos) (void)Glob(text.substr(0, bar)).matches(text.substr(bar + 1));
  return 0;
}
