// The bytes of journal records: those that the header's comment shows, and those that are none.
#include "shm/format/journal_record.h"

#include <gtest/gtest.h>

#include <string>

namespace memento {
namespace {

std::string bytes_of(const RecordHeader& header, std::string_view text) {
  std::string bytes(header.bytes, '\0');
  std::memcpy(bytes.data(), &header, sizeof header);
  text.copy(bytes.data() + sizeof header, text.size());
  return bytes;
}

RecordHeader put_of(std::uint64_t key_bytes, std::uint64_t value_bytes) {
  RecordHeader header{};
  header.bytes = static_cast<std::uint32_t>(record_bytes(key_bytes, value_bytes));
  header.kind = RecordKind::kPut;
  header.slot = 7;
  header.position = position_of(3, 12);
  header.stamp = 0x1122;
  header.created_and_key = RecordHeader::created_and_key_of(1, key_bytes);
  header.value_and_origin = RecordHeader::value_and_origin_of(value_bytes, 0, 2);
  header.expiry_ms = kNoExpiry;
  return header;
}

// Shows that a put has the bytes of the worked example, and is read back from them.
TEST(JournalRecord, PutOfTheExample) {
  const unsigned char expected[] = {
      0x38, 0, 0,    0,    1,    0,    7,    0,    0x0c, 0,    0,    0,    0,    0x30, 0,    0, 0x22, 0x11, 0,
      0,    0, 0,    0,    0,    1,    0,    0,    0,    0,    2,    0,    0,    3,    0,    0, 0,    0,    0,
      2,    1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x61, 0x62, 0x78, 0x79, 0x7a, 0, 0,    0};
  const std::string bytes = bytes_of(put_of(2, 3), "abxyz");
  ASSERT_EQ(bytes, std::string(reinterpret_cast<const char*>(expected), sizeof expected));
  const std::string longer = bytes + "what follows";  // which the views are of
  const auto record = read_record(longer);
  ASSERT_TRUE(record.has_value());
  EXPECT_EQ(record->key, "ab");
  EXPECT_EQ(record->value(), "xyz");
  EXPECT_EQ(record->header.ring(), 2u);
  EXPECT_EQ(record->header.created(), 1u);
  EXPECT_EQ(epoch_of(record->header.position), 3u);
  EXPECT_EQ(base_of(record->header.position), position_of(3, 11));
}

// Shows that bytes cut off anywhere are no record.
TEST(JournalRecord, CutAnywhere) {
  const std::string bytes = bytes_of(put_of(2, 3), "abxyz");
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(read_record(std::string_view(bytes).substr(0, size)).has_value()) << size;
}

// Shows that lengths which contradict each other, unknown kinds and versions are no record.
TEST(JournalRecord, Nonsense) {
  const auto is_record = [](auto&& change) {
    RecordHeader header = put_of(2, 3);
    change(header);
    std::string bytes(4096, '\0');
    std::memcpy(bytes.data(), &header, sizeof header);
    return read_record(bytes).has_value();
  };
  EXPECT_TRUE(is_record([](RecordHeader&) {}));
  EXPECT_FALSE(is_record([](RecordHeader& header) { header.bytes = 0; }));
  EXPECT_FALSE(is_record([](RecordHeader& header) { header.bytes = 57; }));
  EXPECT_FALSE(is_record([](RecordHeader& header) { header.bytes = 64; }));
  EXPECT_FALSE(is_record([](RecordHeader& header) { header.kind = RecordKind{}; }));
  EXPECT_FALSE(is_record([](RecordHeader& header) { header.kind = RecordKind{kLastRecordKind + 1}; }));
  EXPECT_FALSE(is_record([](RecordHeader& header) { header.slot = kSlotCount + 1; }));
  EXPECT_FALSE(is_record([](RecordHeader& header) { header.created_and_key |= 1ull << 63; }));
  EXPECT_FALSE(is_record([](RecordHeader& header) { header.value_and_origin += 1ull << 56; }));
  EXPECT_FALSE(is_record([](RecordHeader& header) { header.value_and_origin |= 16ull << 40; }));
  EXPECT_FALSE(is_record([](RecordHeader& header) { header.kind = RecordKind::kPiece; }));
}

}  // namespace
}  // namespace memento
