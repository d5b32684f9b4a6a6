// See server_memory.h.
#include "worker/handlers/server/server_memory.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "worker/handlers/handler_support.h"

namespace memento {

Residence residence(const std::string& process) {
  std::ifstream file("/proc/" + process + "/statm");
  std::uint64_t all_pages = 0;
  std::uint64_t resident_pages = 0;
  std::uint64_t shared_pages = 0;
  file >> all_pages >> resident_pages >> shared_pages;
  const auto page_bytes = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  return Residence{resident_pages * page_bytes, shared_pages * page_bytes};
}

std::uint64_t keys_of_all(CommandContext& context) {
  Keyspace& keyspace = context.keyspace;
  std::uint64_t sum = 0;
  for (DatabaseId database; database < kDatabaseEnd; ++database) {
    if (!keyspace.is_open(database)) continue;
    const handlers::InDatabase scope(keyspace, database);
    sum += keyspace.key_count();
  }
  return sum;
}

// Each worker has mapped what it touched of the segment; the one that has most of it stands for the segment.
ServerMemory server_memory(CommandContext& context) {
  const Keyspace& keyspace = context.keyspace;
  const LiveSettings& settings = context.services.settings;
  ServerMemory memory;
  memory.used_bytes = keyspace.memory_used_bytes();
  memory.peak_bytes = std::max(memory.used_bytes, settings.statistics->memory_peak_bytes.load());
  memory.limit_bytes = keyspace.memory_limit_bytes();
  memory.payload_bytes = keyspace.payload_bytes_of_all();
  memory.key_count = keys_of_all(context);
  const auto own_process = static_cast<std::uint64_t>(getpid());
  const Residence own = residence("self");
  std::uint64_t segment_bytes = own.shared_bytes;
  memory.workers_bytes = own.own_bytes();
  for (std::size_t i = 0; i < settings.statistics->record_count.load(); ++i) {
    const std::uint64_t process = settings.statistics[i].process_id.load();
    if (process == 0 || process == own_process) continue;
    const Residence other = residence(std::to_string(process));
    segment_bytes = std::max(segment_bytes, other.shared_bytes);
    memory.workers_bytes += other.own_bytes();
  }
  memory.resident_bytes = segment_bytes + memory.workers_bytes;
  return memory;
}

}  // namespace memento
