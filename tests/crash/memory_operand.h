// Where the instruction a stepped thread is about to execute would access memory. It is only to know where to
// look for a change, so loads count too; operands relative to rip, fs or gs are never in a segment and are
// left out. The recorder compares all memory after each operation: an instruction decoded wrongly fails the
// test.
#pragma once

#include <ucontext.h>

#include <cstdint>

namespace memento::crash {

/// 0: none. `registers` is a stopped thread's uc_mcontext.gregs.
std::uint64_t memory_operand(const greg_t* registers);

/// The most bytes one instruction stores (a 512-bit vector).
inline constexpr std::uint64_t kWidestStoreBytes = 64;

}  // namespace memento::crash
