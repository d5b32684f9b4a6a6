// What FUNCTION RESTORE is given: any bytes, with a sound checksum behind them where the first byte asks for
// it. Texts that it finds are dumped to bytes that give them again, and are loaded.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "worker/script/function_dump.h"
#include "worker/script/function_engine.h"

namespace {

using namespace memento;

constexpr std::size_t kLimitBytes = 1 << 20;

struct World {
  TextStore texts{""};
  FunctionEngine functions{texts};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World* const world = new World;
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const FunctionDump::Read read = FunctionDump::read(
      data[0] % 4 == 0 ? std::string(bytes) : FunctionDump::seal(std::string(bytes)), kLimitBytes);
  if (read.fault != FunctionDump::Fault::kNone) return 0;
  FunctionDump again;
  for (const std::string& text : read.texts) again.add(text);
  if (FunctionDump::read(again.finish(), kLimitBytes).texts != read.texts) std::abort();
  (void)world->functions.restore(read.texts, FunctionEngine::Policy::kFlush);
  std::string error;
  (void)world->functions.find("f", &error);
  return 0;
}
