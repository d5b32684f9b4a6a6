// A client that sends anything, in pieces of any size: a session over a small keyspace. The first byte of the
// input is the size of the pieces. Nothing may crash, and the segment stays sound.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "shm/check.h"
#include "shm/segment.h"
#include "worker/clients/message_hub.h"
#include "worker/script/script_engine.h"
#include "worker/session/session.h"

namespace {

using namespace memento;

constexpr std::uint64_t kValueLimitBytes = 64 * 1024;
constexpr int kInputsPerCheck = 2000;

struct World {
  std::unique_ptr<Segment> segment =
      std::move(*Segment::create_anonymous({"", 16 << 20, 1, kValueLimitBytes, false}));
  Keyspace keyspace{*segment, 1};
  ServerFacts facts{0, 1, 0, {}};
  LiveSettings settings;
  MessageHub hub{*segment, keyspace, 1};
  ScriptEngine scripts{""};
  WorkerServices services{facts, settings, hub, nullptr, &scripts};
  SessionContext context{keyspace, services};
  Batch batch;
  int inputs = 0;
};

void check(World& world) {
  const CheckReport report = check_segment(*world.segment);
  for (const std::string& error : report.errors) std::fprintf(stderr, "%s\n", error.c_str());
  if (!report.errors.empty()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World& world = *new World;
  if (size == 0) return 0;
  const std::size_t piece_bytes = data[0] == 0 ? size : data[0];
  Session session;
  session.client().may_debug = true;
  session.client().authenticated = data[0] % 16 != 15;
  world.settings.password.set(session.client().authenticated ? "" : "p", Password::kMaster);
  ByteBuffer input;
  ByteBuffer output;
  for (std::size_t at = 1; at < size && !session.is_closing(); at += piece_bytes) {
    input.append({reinterpret_cast<const char*>(data) + at, std::min(piece_bytes, size - at)});
    do {
      input.consume(session.consume(input.view(), world.context, world.batch, output));
      output.consume(output.size());
    } while (session.is_paused());
  }
  world.hub.remove(session.client());
  world.hub.pause().end();
  if (++world.inputs % kInputsPerCheck == 0) check(world);
  return 0;
}
