// The version that memento, memento-cli and memento-benchmark tell. Any process.
#pragma once

namespace memento {

inline constexpr const char* kVersion = "0.1.0";

}  // namespace memento
