// What the machine, or the container around us, lets this process use. Master, at start.
#pragma once

#include <cstdint>

namespace memento {

/// CPUs this process may run on, at least 1.
std::uint32_t usable_cpu_count();

/// Bytes of memory this process may use: physical memory, or its cgroup's limit where that is less.
std::uint64_t usable_memory_bytes();

}  // namespace memento
