// A key's slot, whichever way its CRC is computed.
#include "shm/keyspace/hash.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace memento {
namespace {

// The specification's bit-by-bit definition.
std::uint16_t crc16_by_bits(std::string_view bytes) {
  unsigned crc = 0;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned>(static_cast<unsigned char>(byte)) << 8;
    for (int bit = 0; bit < 8; ++bit) crc = ((crc << 1) ^ ((crc & 0x8000) != 0 ? 0x1021u : 0u)) & 0xffff;
  }
  return static_cast<std::uint16_t>(crc);
}

SlotId slot_by_bits(std::string_view key) {
  const std::size_t open = key.find('{');
  if (open != std::string_view::npos) {
    const std::size_t close = key.find('}', open);
    if (close != std::string_view::npos && close > open + 1) key = key.substr(open + 1, close - open - 1);
  }
  return SlotId{(crc16_by_bits(key) & 16383u) >> 1};
}

// The catalogue's check value, and slots that the Redis Cluster specification gives.
TEST(ShmHash, KnownValues) {
  EXPECT_EQ(crc16("123456789"), 0x31c3);
  EXPECT_EQ(crc16_by_bits("123456789"), 0x31c3);
  EXPECT_EQ(hash_key("foo", 1).slot, SlotId{12182u >> 1});
  EXPECT_EQ(hash_key("{user1000}.following", 1).slot, hash_key("user1000", 1).slot);
  EXPECT_EQ(hash_key("foo{}{bar}", 1).slot, slot_by_bits("foo{}{bar}"));
  EXPECT_EQ(hash_key("foo{{bar}}zap", 1).slot, slot_by_bits("{bar"));
}

// All lengths, random bytes, with braces at random places: hash_key() says of each what the definition does,
// and hashes in the slot as hash_in_slot() does.
TEST(ShmHash, EveryLength) {
  std::mt19937_64 random(7);
  for (std::size_t length = 0; length <= 100; ++length) {
    for (int round = 0; round < 500; ++round) {
      std::string key(length, '\0');
      for (char& byte : key) byte = static_cast<char>(random());
      for (std::uint64_t braces = length > 0 ? random() % 4 : 0; braces > 0; --braces)
        key[random() % length] = random() % 2 == 0 ? '{' : '}';
      const HashedKey hashed = hash_key(key, 42);
      ASSERT_EQ(hashed.slot, slot_by_bits(key)) << length;
      ASSERT_EQ(slot_of_key(key), hashed.slot) << length;
      ASSERT_EQ(crc16(key), crc16_by_bits(key)) << length;
      ASSERT_EQ(hashed.hash, hash_in_slot(key, 42));
    }
  }
}

}  // namespace
}  // namespace memento
