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

/// A slot: one of the kSlotCount parts of a database. (Clients of Redis Cluster count 16384 of them.) Those
/// of database 0 are numbered from 0 on, as nodes of a cluster share them out; those of the others lie
/// kDatabaseStride apart.
using SlotId = TypedNumber<struct SlotKind, std::uint32_t>;
inline constexpr SlotId kSlotEnd{kSlotCount};  ///< behind the last of database 0
/// No key's: what the journal has of the texts of scripts and libraries (text_store.h) counts as this slot's.
inline constexpr SlotId kTextSlot{kSlotCount};

/// What SELECT chooses: 0..kDatabaseLimit - 1.
using DatabaseId = TypedNumber<struct DatabaseKind, std::uint32_t>;
inline constexpr DatabaseId kDatabaseEnd{kDatabaseLimit};

/// A power of two, so that a slot's database and place in it are bits of its number.
inline constexpr std::uint32_t kDatabaseStride = 16384;
static_assert(kDatabaseStride > kSlotCount && (kDatabaseStride & (kDatabaseStride - 1)) == 0);

constexpr SlotId first_slot(DatabaseId database) { return SlotId(database.value * kDatabaseStride); }
/// `slot`: of any database.
constexpr SlotId slot_in(DatabaseId database, SlotId slot) {
  return SlotId(database.value * kDatabaseStride | (slot.value & (kDatabaseStride - 1)));
}
constexpr DatabaseId database_of(SlotId slot) { return DatabaseId(slot.value / kDatabaseStride); }
/// The slot of database 0 that the same keys have.
constexpr SlotId hash_slot(SlotId slot) { return slot_in(DatabaseId(0), slot); }

/// A page of the arena.
using PageIndex = TypedNumber<struct PageKind, std::uint64_t>;

/// Where something lies, in bytes from the segment's start.
using Offset = TypedNumber<struct OffsetKind, std::uint64_t>;
inline constexpr Offset kNoOffset;  ///< nothing an offset leads to lies there: it is the header's

inline char* operator+(char* segment_base, Offset offset) { return segment_base + offset.value; }

}  // namespace memento
