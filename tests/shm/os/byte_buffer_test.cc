// ByteBuffer: what no client may make it take.
#include "shm/os/byte_buffer.h"

#include <gtest/gtest.h>

namespace memento::testing {
namespace {

// Shows that it refuses to grow beyond its limit, keeps what it has, and goes on.
TEST(ByteBuffer, HasALimit) {
  ByteBuffer buffer;
  EXPECT_THROW(buffer.reserve(ByteBuffer::kLimitBytes + 1), std::bad_alloc);
  buffer.append("kept");
  EXPECT_THROW(buffer.reserve(ByteBuffer::kLimitBytes - 3), std::bad_alloc);
  EXPECT_THROW(buffer.reserve(SIZE_MAX), std::bad_alloc);
  EXPECT_EQ(buffer.view(), "kept");
  buffer.append(", and more");
  EXPECT_EQ(buffer.view(), "kept, and more");
}

}  // namespace
}  // namespace memento::testing
