// See machine.h.
#include "conf/machine.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

namespace memento {
namespace {

// A limit file holds a number of bytes, or "max". The container's own group is mounted at the root.
std::uint64_t limit_in(const char* path) {
  std::ifstream file(path);
  std::uint64_t limit_bytes = 0;
  return file >> limit_bytes && limit_bytes > 0 ? limit_bytes : UINT64_MAX;
}

// The least limit of this process's group and those above it, where the groups of the whole machine are
// mounted (cgroup v2: "0::/path").
std::uint64_t own_group_limit() {
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    if (!line.starts_with("0::/")) continue;
    std::uint64_t least = UINT64_MAX;
    for (std::string path = line.substr(3); path.size() > 1; path.resize(path.rfind('/'))) {
      least = std::min(least, limit_in(("/sys/fs/cgroup" + path + "/memory.max").c_str()));
    }
    return least;
  }
  return UINT64_MAX;
}

}  // namespace

std::uint32_t usable_cpu_count() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<std::uint32_t>(std::max(1, CPU_COUNT(&set)));
}

std::uint64_t usable_memory_bytes() {
  const auto physical =
      static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  return std::min({physical, limit_in("/sys/fs/cgroup/memory.max"),
                   limit_in("/sys/fs/cgroup/memory/memory.limit_in_bytes"), own_group_limit()});
}

}  // namespace memento
