// HyperLogLog: how many different elements there were, from 16384 registers of 6 bits. Pure functions on a
// value's bytes, which are Redis's, so that values can be moved between the servers. Runs in workers.
//
// A value is a header of 16 bytes and the registers:
//
//   bytes 0-3    HYLL
//   byte  4      0: dense, 1: sparse
//   bytes 5-7    0
//   bytes 8-15   the estimate when it was last asked for, the lowest byte first; the highest bit is set when
//                registers have changed since
//
// Dense: register i is bits 6i to 6i+5, the lowest bit of the first byte being bit 0. Sparse: runs of
// registers of the same value, from the first register to the last:
//
//   00nnnnnn            n + 1 registers that are 0
//   01nnnnnn nnnnnnnn   n + 1 registers that are 0
//   1vvvvvnn            n + 1 registers that are v + 1
//
// A value begins sparse and becomes dense, for good, when a register gets more than 32, or when its bytes
// would be more than kSparseLimitBytes. Sparse values of clients may be broken in any way: nothing here
// relies on that runs end with the last register.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace memento::hyperloglog {

inline constexpr std::size_t kRegisterCount = 16384;
inline constexpr std::size_t kSparseLimitBytes = 3000;

using Registers = std::array<std::uint8_t, kRegisterCount>;

/// What may be a HyperLogLog, by its header and length.
bool is_one(std::string_view value);
bool is_dense(std::string_view value);

/// A value to which nothing was added; as in Redis its estimate is not noted.
std::string empty_value();

enum class Raised { kNo, kYes, kIsBroken };
/// Adds an element. REQUIRES: is_one(). A broken value is left as it was.
Raised add(std::string* value, std::string_view element);
/// Raises each register to the one in `registers`. REQUIRES: is_one(). Begins with a dense value when
/// `as_dense`.
Raised raise(std::string* value, const Registers& registers, bool as_dense);
/// Raises `registers` to those of the value. False: it is broken. REQUIRES: is_one().
bool raise_to(std::string_view value, Registers* registers);

/// The estimate that the header holds; nothing: registers changed since. REQUIRES: is_one().
std::optional<std::uint64_t> noted_estimate(std::string_view value);
void note_estimate(std::string* value, std::uint64_t estimate);
std::uint64_t estimate(const Registers& registers);

}  // namespace memento::hyperloglog
