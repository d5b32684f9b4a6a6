// How much memory the server takes, as INFO memory and MEMORY tell it. Runs in workers.
#pragma once

#include <cstdint>
#include <string>

#include "worker/handlers/context.h"

namespace memento {

/// Resident memory of a process; zero when it has ended.
struct Residence {
  std::uint64_t all_bytes = 0;     ///< the parts of the segment it used, and its own memory
  std::uint64_t shared_bytes = 0;  ///< the former

  std::uint64_t own_bytes() const {
    return all_bytes - (all_bytes < shared_bytes ? all_bytes : shared_bytes);
  }
};
/// `process` as /proc names it.
Residence residence(const std::string& process);

struct ServerMemory {
  std::uint64_t used_bytes = 0;   ///< of the segment
  std::uint64_t peak_bytes = 0;   ///< what that was at most
  std::uint64_t limit_bytes = 0;  ///< the segment's size
  std::uint64_t payload_bytes = 0;
  std::uint64_t key_count = 0;
  std::uint64_t resident_bytes = 0;  ///< what the segment and all workers take of the machine
  std::uint64_t workers_bytes = 0;   ///< of it, the workers' own

  std::uint64_t overhead_bytes() const { return used_bytes < payload_bytes ? 0 : used_bytes - payload_bytes; }
  /// Resident bytes for each that is used; Redis's tools warn when it is large.
  double fragmentation() const { return part(resident_bytes, used_bytes); }
  static double part(std::uint64_t bytes, std::uint64_t of_bytes) {
    return of_bytes == 0 ? 0 : static_cast<double>(bytes) / static_cast<double>(of_bytes);
  }
};
ServerMemory server_memory(CommandContext& context);

/// Of all databases.
std::uint64_t keys_of_all(CommandContext& context);

}  // namespace memento
