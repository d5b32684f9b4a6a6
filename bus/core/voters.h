// Which members vote. Pure.
#pragma once

#include <functional>

#include "bus/core/document.h"

namespace memento::bus {

/// Odd, so that no half can hold up the other: 1 of 1 or 2 members, 3 of 3 or 4, 5 from 5 on. Two members
/// have one voter, since two could do nothing without both.
std::size_t voter_count(std::size_t member_count);

/// The set to have next: of members that do not leave, who vote already and live before others, `leader`
/// before all, different zones before the same one. The present set, if too few live for a full one.
VoterSet choose_voters(const Document& document, const Uuid& leader,
                       const std::function<bool(const Uuid&)>& is_alive);

}  // namespace memento::bus
