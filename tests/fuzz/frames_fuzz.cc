// What another node sends, in fragments of any size: the frames, and the fragments and words within them. The
// first byte of the input is the size of the fragments; a second byte that is odd seals the rest as a frame,
// so that what is behind the checksum is reached. However it is cut, the same frames come out.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "bus/core/channel.h"
#include "bus/core/frame.h"
#include "worker/session/message_assembler.h"
#include "worker/wire/word_list.h"

namespace {

using namespace memento;
using namespace memento::bus;

// The payloads that come out, and the error that ends them.
std::vector<std::string> frames_of(std::string_view bytes, std::size_t fragment_bytes) {
  FrameReceiver receiver;
  receiver.set_key(0);
  std::vector<std::string> frames;
  std::size_t begin = 0;
  for (std::size_t end = std::min(fragment_bytes, bytes.size());;
       end = std::min(end + fragment_bytes, bytes.size())) {
    for (;;) {
      const std::string fragment(
          bytes.substr(begin, end - begin));  // of exact size: reading beyond it is seen
      Frame frame;
      std::size_t taken = 0;
      const FrameReceiver::Outcome outcome = receiver.next(fragment, &frame, &taken);
      if (outcome == FrameReceiver::Outcome::kIncomplete) break;
      if (outcome == FrameReceiver::Outcome::kBroken) return frames.emplace_back(receiver.error()), frames;
      frames.emplace_back(frame.payload);
      begin += taken;
    }
    if (end == bytes.size()) return frames;
  }
}

void take_apart(std::string_view payload) {
  const auto assembler = std::make_unique<MessageAssembler>(1 << 20);
  for_each_fragment(payload, [&](const FragmentHeader& header, std::string_view bytes) {
    std::string_view message;
    if (assembler->add(header, bytes, &message) != MessageAssembler::Outcome::kWhole) return true;
    std::vector<std::string_view> words;
    while (!message.empty() && take_word_list(&message, &words)) {
    }
    std::size_t sum = 0;
    for (const std::string_view word : words) {
      for (const char byte : word) sum += static_cast<unsigned char>(byte);
    }
    return sum != static_cast<std::size_t>(-1);
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  std::string bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  if (data[1] % 2 != 0) bytes = FrameSender().frame(FrameType::kRequests, bytes);
  const std::vector<std::string> frames = frames_of(bytes, bytes.size() + 1);
  if (frames != frames_of(bytes, std::max<std::size_t>(data[0], 1))) std::abort();
  for (const std::string& frame : frames) take_apart(std::string(frame));
  return 0;
}
