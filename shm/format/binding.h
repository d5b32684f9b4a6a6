// The bytes of two small files in a node's state folder, which is not on the data's disk: a list of numbers
// each, little-endian.
//
//    0  u64 magic      "membinds" of the file `bindings`; "memnewst" of the file `newest`
//    8  u32 version
//   12  u32 count
//   16  u64 numbers[count]
//   ..  u64 XXH3 of all before it, seed 0
//
// `bindings` tells which data is the newest. A start draws a binding and writes it into the list, MANIFEST
// and the segment, in this order, and then makes it the only one of the list. So however many starts end half
// way, each place holds one of the list; data that was put back from a copy, or is another server's, does
// not. The newest one is the last. `newest` holds the number of the journal's newest file: a copy of the
// folder that was made while the server ran has the same binding, and lacks that file.
//
// Worked example: bindings 0x77 and 0x78
//   6d 65 6d 62 69 6e 64 73  01 00 00 00 02 00 00 00  77 00 00 00 00 00 00 00  78 00 00 00 00 00 00 00
//   c2 0a 03 33 f0 5c dc 61
// and 12, the newest file
//   6d 65 6d 6e 65 77 73 74  01 00 00 00 01 00 00 00  0c 00 00 00 00 00 00 00  d3 35 5b 11 c9 21 ab e3
#pragma once

#include <cstdint>

namespace memento {

struct NumberListHeader {
  static constexpr std::uint64_t kBindingsMagic = 0x73646e69626d656d;  // "membinds"
  static constexpr std::uint64_t kNewestMagic = 0x747377656e6d656d;    // "memnewst"
  static constexpr std::uint32_t kVersion = 1;
  static constexpr std::uint32_t kCountLimit = 1 << 20;

  std::uint64_t magic = 0;
  std::uint32_t version = kVersion;
  std::uint32_t count = 0;
};
static_assert(sizeof(NumberListHeader) == 16);

}  // namespace memento
