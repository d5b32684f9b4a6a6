// An entry's bytes: what is written is what is read, at every boundary of its fields.
#include "shm/format/entry.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace memento::testing {
namespace {

struct Case {
  std::uint64_t key_bytes;
  std::uint64_t value_bytes;
  bool is_extended;
};

// Shows that key, value, expiry and creation time come back for lengths on both sides of each field's end,
// and that the value begins where write() says and the entry ends where total_bytes() says.
TEST(Entry, ComesBackAsItWasWritten) {
  for (const Case& one : {Case{0, 0, false}, Case{1, 1, false}, Case{255, 0x7ffe, false}, Case{256, 0, true},
                          Case{255, 0x7fff, true}, Case{65536, 1 << 20, true}}) {
    for (const TimeMs expiry_ms : {kNoExpiry, TimeMs{1}, TimeMs{1} << 45}) {
      const std::string key(one.key_bytes, 'k');
      const std::string value(one.value_bytes, 'v');
      const Entry shape = Entry::shape(key.size(), value.size(), expiry_ms != kNoExpiry, (1ull << 40) - 1);
      ASSERT_EQ(shape.extended, one.is_extended);
      std::vector<std::uint64_t> block((shape.total_bytes() + 7) / 8 + 1);
      char* const bytes = reinterpret_cast<char*>(block.data());
      char* const value_begin = shape.write(bytes, key, expiry_ms);
      copy_bytes(value_begin, value);
      EXPECT_EQ(static_cast<std::uint64_t>(value_begin - bytes) + value.size(), shape.total_bytes());
      const Entry read = Entry::parse(bytes);
      EXPECT_EQ(std::string_view(read.key(), read.key_bytes), key);
      EXPECT_EQ(std::string_view(read.value(), read.value_bytes), value);
      EXPECT_EQ(read.expiry_ms(), expiry_ms);
      EXPECT_EQ(read.expires(), expiry_ms != kNoExpiry);
      EXPECT_EQ(read.created, (1ull << 40) - 1);
      EXPECT_EQ(read.has_expiry_word, one.is_extended || expiry_ms != kNoExpiry);
    }
  }
}

// Shows the worked example of the header's comment, bit by bit: another build must find the same bytes.
TEST(Entry, IsAsTheFormatSays) {
  std::array<std::uint64_t, 2> block{};
  char* const bytes = reinterpret_cast<char*>(block.data());
  copy_bytes(Entry::shape(2, 3, false, 5).write(bytes, "ab", kNoExpiry), "xyz");
  EXPECT_EQ(block[0], 5ull | 2ull << 40 | 3ull << 48);
  EXPECT_EQ(std::string_view(bytes + 8, 5), "abxyz");
}

// Shows that an entry has expired from its expiry's millisecond on, and one whose expiry was taken away
// never.
TEST(Entry, ExpiresAtItsTime) {
  std::array<std::uint64_t, 3> block{};
  char* const bytes = reinterpret_cast<char*>(block.data());
  Entry::shape(1, 0, true, 0).write(bytes, "k", 1000);
  const Entry entry = Entry::parse(bytes);
  EXPECT_FALSE(entry.expired(999));
  EXPECT_TRUE(entry.expired(1000));
  entry.expiry_word().store(Entry::word_of_expiry(kNoExpiry));
  EXPECT_FALSE(entry.expired(TimeMs{1} << 62));
  EXPECT_FALSE(entry.expires());
}

// Shows for every length around those that are treated apart, and every position, that one changed byte is
// seen, and that copying copies all and nothing behind it.
TEST(Entry, ComparesAndCopiesEveryByte) {
  for (std::size_t size = 1; size <= 40; ++size) {
    const std::string text(size, 'a');
    for (std::size_t at = 0; at < size; ++at) {
      std::string other = text;
      other[at] = 'b';
      EXPECT_FALSE(racy_equal(text.data(), other.data(), size));
      std::string copy(size + 1, '.');
      copy_bytes(copy.data(), other);
      EXPECT_EQ(copy, other + ".");
    }
    EXPECT_TRUE(racy_equal(text.data(), std::string(text).data(), size));
  }
}

}  // namespace
}  // namespace memento::testing
