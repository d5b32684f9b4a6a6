// Numbers that say which slot, which page, or where in the segment, each a type of its own: one does not pass
// for the other, nor a count or a size for one of them. They cost what the number costs.
//
// Like points on a line: a point and a distance give a point, two points of a kind a distance. What is
// computed in another way takes `value`, and says by the type's name what comes out.
#pragma once

#include <compare>
#include <cstdint>

#include "shm/format/limits.h"

namespace memento {

template <class Kind, class Number>
struct TypedNumber {
  Number value = 0;

  constexpr TypedNumber() = default;
  explicit constexpr TypedNumber(Number number) : value(number) {}
  constexpr auto operator<=>(const TypedNumber&) const = default;

  constexpr TypedNumber& operator++() {
    ++value;
    return *this;
  }
  constexpr TypedNumber operator+(Number distance) const {
    return TypedNumber(static_cast<Number>(value + distance));
  }
  constexpr Number operator-(TypedNumber other) const { return static_cast<Number>(value - other.value); }
};

/// A slot: one of the kSlotCount parts of the keyspace. (Clients of Redis Cluster count 16384 of them.)
using SlotId = TypedNumber<struct SlotKind, std::uint32_t>;
inline constexpr SlotId kSlotEnd{kSlotCount};  ///< behind the last

/// A page of the arena.
using PageIndex = TypedNumber<struct PageKind, std::uint64_t>;

/// Where something lies, in bytes from the segment's start.
using Offset = TypedNumber<struct OffsetKind, std::uint64_t>;
inline constexpr Offset kNoOffset;  ///< nothing an offset leads to lies there: it is the header's

inline char* operator+(char* segment_base, Offset offset) { return segment_base + offset.value; }

}  // namespace memento
