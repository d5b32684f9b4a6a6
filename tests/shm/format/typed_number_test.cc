// Typed numbers of different kinds do not pass for each other, which the compiler is asked here, and compute
// as points and distances do.
#include "shm/format/typed_number.h"

#include <gtest/gtest.h>

#include <type_traits>

namespace memento::testing {
namespace {

using Other = TypedNumber<struct OtherKind, std::uint32_t>;

template <class Left, class Right>
concept Comparable = requires(Left left, Right right) {
  left == right;
};
template <class Left, class Right>
concept Addable = requires(Left left, Right right) {
  left + right;
};
template <class Left, class Right>
concept Subtractable = requires(Left left, Right right) {
  left - right;
};

static_assert(!std::is_convertible_v<std::uint32_t, SlotId> && !std::is_convertible_v<SlotId, std::uint32_t>);
static_assert(!std::is_constructible_v<SlotId, Other> && !std::is_assignable_v<SlotId&, Other>);
static_assert(Comparable<SlotId, SlotId> && !Comparable<SlotId, Other> && !Comparable<SlotId, std::uint32_t>);
static_assert(Addable<SlotId, std::uint32_t> && !Addable<SlotId, SlotId>);
static_assert(Subtractable<SlotId, SlotId> && !Subtractable<SlotId, Other>);
static_assert(!std::is_constructible_v<Offset, PageIndex> && !Comparable<Offset, PageIndex>);
static_assert(sizeof(SlotId) == sizeof(std::uint32_t) && std::is_trivially_copyable_v<SlotId>);

TEST(TypedNumber, ComputesAsPointsAndDistances) {
  SlotId slot;
  EXPECT_EQ(slot.value, 0u);
  ++slot;
  EXPECT_EQ(slot, SlotId{1});
  EXPECT_EQ(slot + 4, SlotId{5});
  EXPECT_EQ(SlotId{5} - slot, 4u);
  EXPECT_LT(slot, kSlotEnd);
  char segment[8];
  EXPECT_EQ(segment + Offset{5}, &segment[5]);
}

}  // namespace
}  // namespace memento::testing
