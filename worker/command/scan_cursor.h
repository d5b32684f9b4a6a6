// How a cursor of SCAN is made up: within a node, and, joined, over a cluster's nodes.
#pragma once

namespace memento {

/// A cursor of SCAN is a slot and, below it, a place of so many bits.
inline constexpr int kScanPlaceBits = 40;

}  // namespace memento
