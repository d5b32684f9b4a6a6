// Who is to own which slot, and who is to have its copies. Pure.
//
// The circle of the keys' hashes is cut into equal arcs, the slots; a node owns arcs. A table that is
// remembered, in the document, and changed by as little as possible: on a join arcs go only to who joins, on
// a leave only from who leaves (Karger's monotonicity), and two members of equal weight differ by at most one
// arc. Tokens drawn by chance would give neither: with 128 a node the fullest has a quarter more than the
// mean.
//
// Arcs are taken from the ends of runs, where possible beside those that the taker has, so that the table has
// few ranges: each is a line that every client reads.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bus/core/document.h"

namespace memento::bus {

/// How many slots each member is to own, by place: its weight's share, the rest to those that own most now,
/// then by name. None for who leaves, and for witnesses.
std::vector<std::uint32_t> target_counts(const Document& document);

/// Who is to own each slot. Where a slot's owner is to give some and one of its in-sync copies to receive
/// some, these two change places, which moves no data. REQUIRES: some member may own slots.
std::vector<MemberIndex> place_owners(const Document& document);

/// Where each slot is to have its copies, with `owners` as primaries: each list begins with the owner, then
/// follow as many others as the settings ask for, or as there are. What has a copy keeps it, unless it is too
/// full or in the zone of another, and there are zones enough.
std::vector<std::vector<MemberIndex>> place_copies(const Document& document,
                                                   const std::vector<MemberIndex>& owners);

}  // namespace memento::bus
