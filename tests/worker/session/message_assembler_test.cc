// Another node's messages out of their pieces.
#include "worker/session/message_assembler.h"

#include <gtest/gtest.h>

namespace memento {
namespace {

using Outcome = MessageAssembler::Outcome;

PieceHeader piece(std::uint32_t number, int flags, std::uint16_t process, std::uint8_t lane = 0) {
  PieceHeader header{};
  header.number = number;
  header.generation = 7;
  header.process = process;
  header.lane = lane;
  header.flags = static_cast<std::uint8_t>(flags);
  return header;
}

// Shows that pieces become messages again, those of several workers and lanes side by side; and that what does not
// fit is refused.
TEST(MessageAssembler, PutsPiecesTogether) {
  MessageAssembler assembler(10);
  std::string_view message;
  EXPECT_EQ(assembler.add(piece(1, kFirstPiece, 1), "abc", &message), Outcome::kIncomplete);
  EXPECT_EQ(assembler.add(piece(1, kFirstPiece, 2), "xy", &message), Outcome::kIncomplete);
  EXPECT_EQ(assembler.add(piece(2, kFirstPiece, 1, 5), "uv", &message), Outcome::kIncomplete);
  EXPECT_EQ(assembler.add(piece(9, kFirstPiece | kLastPiece, 3), "solo", &message), Outcome::kWhole);
  EXPECT_EQ(message, "solo");
  EXPECT_EQ(assembler.add(piece(1, kLastPiece, 1), "def", &message), Outcome::kWhole);
  EXPECT_EQ(message, "abcdef");
  EXPECT_EQ(assembler.add(piece(1, kLastPiece, 2), "z", &message), Outcome::kWhole);
  EXPECT_EQ(message, "xyz");
  EXPECT_EQ(assembler.add(piece(2, kLastPiece, 1, 5), "w", &message), Outcome::kWhole);
  EXPECT_EQ(message, "uvw");
  EXPECT_EQ(assembler.add(piece(1, kLastPiece, 2), "z", &message), Outcome::kBroken) << "no message is open";
  EXPECT_EQ(assembler.add(piece(2, kFirstPiece, 1), "123456", &message), Outcome::kIncomplete);
  EXPECT_EQ(assembler.add(piece(3, kLastPiece, 1), "7", &message), Outcome::kBroken) << "of another message";
  EXPECT_EQ(assembler.add(piece(2, kLastPiece, 1), "789012", &message), Outcome::kBroken)
      << "longer than the limit";
}

}  // namespace
}  // namespace memento
