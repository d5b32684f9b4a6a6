// Another node's messages out of their fragments.
#include "worker/session/message_assembler.h"

#include <gtest/gtest.h>

namespace memento {
namespace {

using Outcome = MessageAssembler::Outcome;

FragmentHeader fragment(std::uint32_t number, int flags, std::uint16_t process, std::uint8_t lane = 0) {
  FragmentHeader header{};
  header.number = number;
  header.generation = 7;
  header.process = process;
  header.lane = lane;
  header.flags = static_cast<std::uint8_t>(flags);
  return header;
}

// Shows that fragments become messages again, those of several workers and lanes side by side; and that what
// does not fit is refused.
TEST(MessageAssembler, PutsFragmentsTogether) {
  MessageAssembler assembler(10);
  std::string_view message;
  EXPECT_EQ(assembler.add(fragment(1, kFirstFragment, 1), "abc", &message), Outcome::kIncomplete);
  EXPECT_EQ(assembler.add(fragment(1, kFirstFragment, 2), "xy", &message), Outcome::kIncomplete);
  EXPECT_EQ(assembler.add(fragment(2, kFirstFragment, 1, 5), "uv", &message), Outcome::kIncomplete);
  EXPECT_EQ(assembler.add(fragment(9, kFirstFragment | kLastFragment, 3), "solo", &message), Outcome::kWhole);
  EXPECT_EQ(message, "solo");
  EXPECT_EQ(assembler.add(fragment(1, kLastFragment, 1), "def", &message), Outcome::kWhole);
  EXPECT_EQ(message, "abcdef");
  EXPECT_EQ(assembler.add(fragment(1, kLastFragment, 2), "z", &message), Outcome::kWhole);
  EXPECT_EQ(message, "xyz");
  EXPECT_EQ(assembler.add(fragment(2, kLastFragment, 1, 5), "w", &message), Outcome::kWhole);
  EXPECT_EQ(message, "uvw");
  EXPECT_EQ(assembler.add(fragment(1, kLastFragment, 2), "z", &message), Outcome::kBroken)
      << "no message is open";
  EXPECT_EQ(assembler.add(fragment(2, kFirstFragment, 1), "123456", &message), Outcome::kIncomplete);
  EXPECT_EQ(assembler.add(fragment(3, kLastFragment, 1), "7", &message), Outcome::kBroken)
      << "of another message";
  EXPECT_EQ(assembler.add(fragment(2, kLastFragment, 1), "789012", &message), Outcome::kBroken)
      << "longer than the limit";
}

}  // namespace
}  // namespace memento
