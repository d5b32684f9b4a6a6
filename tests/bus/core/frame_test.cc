// Frames between nodes: what fits is taken, and nothing else.
#include "bus/core/frame.h"

#include <gtest/gtest.h>

namespace memento::bus {
namespace {

using Outcome = FrameReceiver::Outcome;

std::string taken(FrameReceiver& receiver, std::string& bytes) {
  Frame frame;
  std::size_t count = 0;
  if (receiver.next(bytes, &frame, &count) != Outcome::kFrame) return "(none)";
  const std::string payload(frame.payload);
  bytes.erase(0, count);
  return payload;
}

// Shows that frames come out as they went in, in order, after the key has changed too.
TEST(BusFrame, ComesOutAsItWentIn) {
  FrameSender sender;
  FrameReceiver receiver;
  std::string bytes = sender.frame(FrameType::kHello, "one");
  bytes += sender.frame(FrameType::kPing);
  EXPECT_EQ(taken(receiver, bytes), "one");
  EXPECT_EQ(taken(receiver, bytes), "");
  sender.set_key(77);
  receiver.set_key(77);
  bytes = sender.frame(FrameType::kRequests, std::string(100'000, 'x'));
  EXPECT_TRUE(taken(receiver, bytes) == std::string(100'000, 'x'));
  EXPECT_TRUE(bytes.empty());
}

// Shows that a frame is waited for until its last byte.
TEST(BusFrame, EveryPrefixIsIncomplete) {
  const std::string whole = FrameSender().frame(FrameType::kReplies, "payload");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    FrameReceiver receiver;
    Frame frame;
    std::size_t count = 0;
    EXPECT_EQ(receiver.next(std::string_view(whole).substr(0, size), &frame, &count), Outcome::kIncomplete)
        << size;
  }
}

// Shows that no single changed bit passes: it is found at once, or the frame that it announces never comes.
TEST(BusFrame, EveryFlippedBitIsFound) {
  const std::string whole = FrameSender().frame(FrameType::kReplies, "payload of some bytes");
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
    FrameReceiver receiver;
    Frame frame;
    std::size_t count = 0;
    EXPECT_NE(receiver.next(damaged, &frame, &count), Outcome::kFrame) << bit;
  }
}

// Shows that a length beyond the limit, which is low before the handshake is done, is refused by the header
// alone.
TEST(BusFrame, OversizedIsRefusedBeforeItComes) {
  for (const bool is_known : {false, true}) {
    const std::uint32_t limit = is_known ? kFramePayloadLimitBytes : kHandshakePayloadLimitBytes;
    for (const std::uint32_t beyond : {0u, 1u}) {
      FrameHeader header{kFrameMagic, FrameType::kRequests, {}, limit + beyond, 0, 0, 0};
      FrameReceiver receiver;
      if (is_known) receiver.set_key(1);
      Frame frame;
      std::size_t count = 0;
      const std::string_view bytes(reinterpret_cast<const char*>(&header), sizeof header);
      EXPECT_EQ(receiver.next(bytes, &frame, &count), beyond != 0 ? Outcome::kBroken : Outcome::kIncomplete);
      EXPECT_STREQ(receiver.error(), beyond != 0 ? "a frame longer than the limit" : "");
    }
  }
}

// Shows that the same frame again, one left out, or one of a link with another key is refused.
TEST(BusFrame, ReplayedLostAndForeignAreRefused) {
  FrameSender sender;
  const std::string first = sender.frame(FrameType::kRequests, "a");
  const std::string second = sender.frame(FrameType::kRequests, "b");
  Frame frame;
  std::size_t count = 0;
  FrameReceiver replayed;
  EXPECT_EQ(replayed.next(first, &frame, &count), Outcome::kFrame);
  EXPECT_EQ(replayed.next(first, &frame, &count), Outcome::kBroken);
  FrameReceiver lost;
  EXPECT_EQ(lost.next(second, &frame, &count), Outcome::kBroken);
  FrameReceiver foreign;
  foreign.set_key(5);
  EXPECT_EQ(foreign.next(first, &frame, &count), Outcome::kBroken);
  EXPECT_STREQ(foreign.error(), "a frame with a wrong checksum");
}

}  // namespace
}  // namespace memento::bus
