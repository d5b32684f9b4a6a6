// The first byte of each value of MessagePack (msgpack.org's specification). Longer forms of a type follow
// the shorter ones: its count or number has 1, 2, 4, 8 bytes behind that byte, the highest first.
#pragma once

#include <cstdint>

namespace memento::msgpack {

enum Type : std::uint8_t {
  kShortMap = 0x80,     // up to here numbers from 0 to 127; the low 4 bits count pairs
  kShortArray = 0x90,   // the low 4 bits count elements
  kShortString = 0xa0,  // the low 5 bits count bytes
  kNil = 0xc0,
  kFalse = 0xc2,
  kTrue = 0xc3,
  kFloat32 = 0xca,
  kFloat64 = 0xcb,
  kUnsigned8 = 0xcc,
  kUnsigned16 = 0xcd,
  kUnsigned32 = 0xce,
  kUnsigned64 = 0xcf,
  kSigned8 = 0xd0,
  kSigned16 = 0xd1,
  kSigned32 = 0xd2,
  kSigned64 = 0xd3,
  kString8 = 0xd9,
  kString16 = 0xda,
  kString32 = 0xdb,
  kArray16 = 0xdc,
  kArray32 = 0xdd,
  kMap16 = 0xde,
  kMap32 = 0xdf,
  kFirstNegative = 0xe0,  // numbers from -32 to -1
};

}  // namespace memento::msgpack
