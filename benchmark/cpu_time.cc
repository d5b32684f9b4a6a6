// Reads CPU times: see cpu_time.h.
#include "benchmark/cpu_time.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

namespace memento {
namespace {

namespace fs = std::filesystem;

constexpr int kTcpListen = 0x0A;

/// The numbered entries of a folder: processes of /proc, threads of a task folder. Empty when it can't be
/// read.
std::vector<pid_t> numbers_in(const std::string& folder) {
  std::vector<pid_t> numbers;
  std::error_code failure;
  for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end;
       entry.increment(failure)) {
    const std::string name = entry->path().filename();
    pid_t number = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), number);
    if (parsed.ec == std::errc{} && parsed.ptr == name.data() + name.size()) numbers.push_back(number);
  }
  return numbers;
}

/// Adds inodes of listening sockets on the port; the file is /proc/net/tcp or tcp6.
void add_listening_inodes(const std::string& path, std::uint16_t port, std::set<std::string>& names) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    // sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode
    std::istringstream words(line);
    std::string slot, local, remote, state, queues, timer, retransmits, user, timeout, inode;
    if (!(words >> slot >> local >> remote >> state >> queues >> timer >> retransmits >> user >> timeout >>
          inode))
      continue;
    const std::size_t colon = local.rfind(':');
    if (colon == std::string::npos || std::stoi(state, nullptr, 16) != kTcpListen) continue;
    if (std::stoi(local.substr(colon + 1), nullptr, 16) == port) names.insert("socket:[" + inode + "]");
  }
}

bool holds_one_of(pid_t process, const std::set<std::string>& names) {
  const std::string folder = "/proc/" + std::to_string(process) + "/fd";
  const std::vector<pid_t> descriptors = numbers_in(folder);
  return std::ranges::any_of(descriptors, [&](pid_t descriptor) {
    std::error_code unreadable;
    return names.contains(fs::read_symlink(folder + "/" + std::to_string(descriptor), unreadable));
  });
}

std::vector<pid_t> children_of(pid_t process) {
  std::vector<pid_t> children;
  const std::string folder = "/proc/" + std::to_string(process) + "/task";
  for (const pid_t thread : numbers_in(folder)) {
    std::ifstream file(folder + "/" + std::to_string(thread) + "/children");
    for (pid_t child = 0; file >> child;) children.push_back(child);
  }
  return children;
}

/// From schedstat in nanoseconds, or, in kernels without it, from stat in clock ticks.
std::optional<std::int64_t> thread_cpu_ns(const std::string& folder) {
  std::int64_t used_ns = 0;
  std::ifstream schedstat(folder + "/schedstat");
  if (schedstat >> used_ns) return used_ns;
  std::ifstream stat(folder + "/stat");
  std::string line;
  std::getline(stat, line);
  // Behind the name, which is in parentheses and may hold spaces: state and ten numbers, then user and system
  // time.
  const std::size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream words(line.substr(name_end + 1));
  std::string skipped;
  for (int count = 0; count < 11; ++count) words >> skipped;
  std::int64_t user_ticks = 0;
  std::int64_t system_ticks = 0;
  if (!(words >> user_ticks >> system_ticks)) return std::nullopt;
  return (user_ticks + system_ticks) * (1'000'000'000 / sysconf(_SC_CLK_TCK));
}

}  // namespace

std::int64_t own_cpu_ns() {
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<std::int64_t>(used.tv_sec) * 1'000'000'000 + used.tv_nsec;
}

std::size_t own_cpu_count() {
  cpu_set_t usable;
  CPU_ZERO(&usable);
  if (sched_getaffinity(0, sizeof usable, &usable) != 0) return 1;
  return static_cast<std::size_t>(std::max(1, CPU_COUNT(&usable)));
}

std::vector<pid_t> find_listeners(std::uint16_t port) {
  std::set<std::string> names;
  add_listening_inodes("/proc/net/tcp", port, names);
  add_listening_inodes("/proc/net/tcp6", port, names);
  std::vector<pid_t> found;
  if (names.empty()) return found;
  for (const pid_t process : numbers_in("/proc")) {
    if (holds_one_of(process, names)) found.push_back(process);
  }
  return found;
}

ServerCpu::ServerCpu(const std::vector<pid_t>& roots) : processes_(roots) {
  for (std::size_t index = 0; index < processes_.size(); ++index) {
    for (const pid_t child : children_of(processes_[index])) {
      if (std::ranges::find(processes_, child) == processes_.end()) processes_.push_back(child);
    }
  }
}

std::optional<std::int64_t> ServerCpu::total_ns() const {
  std::optional<std::int64_t> total_ns;
  for (const pid_t process : processes_) {
    const std::string folder = "/proc/" + std::to_string(process) + "/task";
    for (const pid_t thread : numbers_in(folder)) {
      const std::optional<std::int64_t> used_ns = thread_cpu_ns(folder + "/" + std::to_string(thread));
      if (used_ns) total_ns = total_ns.value_or(0) + *used_ns;
    }
  }
  return total_ns;
}

}  // namespace memento
