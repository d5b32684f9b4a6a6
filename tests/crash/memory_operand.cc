// x86-64 prefixes, opcode maps and ModRM, as far as an operand's address needs them. See memory_operand.h.
#include "tests/crash/memory_operand.h"

#include <cstring>

namespace memento::crash {
namespace {

struct Opcode {
  std::uint32_t map = 0;  ///< 0: one byte; 1: 0F; 2: 0F 38; 3: 0F 3A, and their VEX and EVEX forms
  std::uint8_t byte = 0;
  bool index_high = false;  ///< REX.X
  bool base_high = false;   ///< REX.B
  std::int64_t displacement_scale = 1;
};

bool has_modrm(const Opcode& opcode) {
  const std::uint8_t byte = opcode.byte;
  if (opcode.map >= 2) return true;
  if (opcode.map == 1) {
    const bool without = byte == 0x05 || byte == 0x06 || (byte >= 0x08 && byte <= 0x0b) ||
                         (byte >= 0x30 && byte <= 0x37) || byte == 0x77 || (byte >= 0x80 && byte <= 0x8f) ||
                         (byte >= 0xa0 && byte <= 0xa2) || (byte >= 0xa8 && byte <= 0xaa) || byte >= 0xc8;
    return !without || byte >= 0xd0;
  }
  return (byte < 0x40 && (byte & 7) < 4) || byte == 0x63 || byte == 0x69 || byte == 0x6b ||
         (byte >= 0x80 && byte <= 0x8f) || byte == 0xc0 || byte == 0xc1 || byte == 0xc6 || byte == 0xc7 ||
         (byte >= 0xd0 && byte <= 0xd3) || (byte >= 0xd8 && byte <= 0xdf) || byte == 0xf6 || byte == 0xf7 ||
         byte >= 0xfe;
}

std::int64_t read_displacement(const std::uint8_t* at) {
  std::int32_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

std::uint64_t general_register(const greg_t* registers, std::uint32_t number) {
  static constexpr int kOrder[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                     REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  return static_cast<std::uint64_t>(registers[kOrder[number]]);
}

// Advances over prefixes and opcode. False: an fs or gs operand.
bool read_opcode(const std::uint8_t*& at, Opcode* opcode) {
  for (;; ++at) {
    if (*at == 0x64 || *at == 0x65) return false;
    const bool is_prefix = *at == 0x66 || *at == 0xf2 || *at == 0xf3 || *at == 0xf0 || *at == 0x2e ||
                           *at == 0x36 || *at == 0x3e || *at == 0x26;
    if (!is_prefix) break;
  }
  if (*at == 0xc5) {
    opcode->map = 1;
    at += 2;
  } else if (*at == 0xc4) {
    opcode->map = at[1] & 31u;
    opcode->index_high = (at[1] & 0x40) == 0;
    opcode->base_high = (at[1] & 0x20) == 0;
    at += 3;
  } else if (*at == 0x62) {
    opcode->map = at[1] & 7u;
    opcode->index_high = (at[1] & 0x40) == 0;
    opcode->base_high = (at[1] & 0x20) == 0;
    opcode->displacement_scale = 16ll << (at[3] >> 5 & 3);  // true of whole-vector moves
    at += 4;
  } else {
    if ((*at & 0xf0) == 0x40) {
      opcode->index_high = (*at & 2) != 0;
      opcode->base_high = (*at & 1) != 0;
      ++at;
    }
    if (*at == 0x0f) {
      ++at;
      opcode->map = *at == 0x38 ? 2 : *at == 0x3a ? 3 : 1;
      if (opcode->map > 1) ++at;
    }
  }
  opcode->byte = *at++;
  return true;
}

}  // namespace

std::uint64_t memory_operand(const greg_t* registers) {
  const auto* at = reinterpret_cast<const std::uint8_t*>(registers[REG_RIP]);
  Opcode opcode;
  if (!read_opcode(at, &opcode)) return 0;
  const bool is_string_store = opcode.map == 0 && (opcode.byte == 0xa4 || opcode.byte == 0xa5 ||
                                                   opcode.byte == 0xaa || opcode.byte == 0xab);
  if (is_string_store) return general_register(registers, 7);
  if (!has_modrm(opcode)) return 0;
  const std::uint32_t mode = *at >> 6, operand = *at & 7u;
  ++at;
  if (mode == 3 || (mode == 0 && operand == 5)) return 0;
  std::uint64_t address = 0;
  bool has_base = true;
  std::uint32_t base = operand;
  if (operand == 4) {
    const std::uint32_t scale = *at >> 6;
    const std::uint32_t index = (*at >> 3 & 7u) | (opcode.index_high ? 8u : 0u);
    base = *at & 7u;
    ++at;
    if (index != 4) address += general_register(registers, index) << scale;
    has_base = !(base == 5 && mode == 0);
  }
  if (has_base) address += general_register(registers, base | (opcode.base_high ? 8u : 0u));
  if (mode == 1) {
    address += static_cast<std::uint64_t>(static_cast<std::int8_t>(*at) * opcode.displacement_scale);
  } else if (mode == 2 || !has_base) {
    address += static_cast<std::uint64_t>(read_displacement(at));
  }
  return address;
}

}  // namespace memento::crash
