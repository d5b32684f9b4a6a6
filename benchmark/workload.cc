// Builds the requests: see workload.h. The random ring is long enough (kRingCount) that a key's return does
// not line up with a cache's size, and short enough to be built at once.
#include "benchmark/workload.h"

#include <algorithm>
#include <cassert>
#include <cstdio>
#include <random>

namespace memento {
namespace {

constexpr std::size_t kRepeatCount = 4096;
constexpr std::size_t kRingCount = 1U << 18U;
constexpr std::size_t kRingSizeBytesMax = 256U << 20U;
constexpr std::uint64_t kSeed = 6737;

std::string key_name(std::size_t number) {
  char name[32];
  std::snprintf(name, sizeof name, "key:%012zu", number);
  return name;
}

}  // namespace

Workload Workload::repeat(std::string_view request) {
  Workload workload;
  for (std::size_t index = 0; index < kRepeatCount; ++index) workload.append(request, {}, {});
  return workload;
}

Workload Workload::fill(std::size_t count, std::size_t value_size_bytes) {
  Workload workload;
  const std::string value(value_size_bytes, 'x');
  for (std::size_t number = 0; number < count; ++number) workload.append("SET", key_name(number), value);
  return workload;
}

Workload Workload::grow(std::size_t count) {
  Workload workload;
  for (std::size_t number = 0; number < count; ++number) {
    const std::string text = std::to_string(number);
    workload.append("SET", "key" + text, "value" + text);
  }
  return workload;
}

Workload Workload::mix(std::size_t key_count, unsigned get_percent, std::size_t value_size_bytes) {
  Workload workload;
  std::mt19937_64 random(kSeed);
  std::uniform_int_distribution<std::size_t> any_key(0, key_count - 1);
  std::uniform_int_distribution<unsigned> any_percent(0, 99);
  const std::string value(value_size_bytes, 'x');
  const std::size_t count =
      std::clamp<std::size_t>(kRingSizeBytesMax / (value_size_bytes + 32), 64, kRingCount);
  for (std::size_t index = 0; index < count; ++index) {
    const std::string key = key_name(any_key(random));
    const bool is_get = any_percent(random) < get_percent;
    workload.append(is_get ? "GET" : "SET", key, is_get ? std::string_view() : std::string_view(value));
  }
  return workload;
}

void Workload::append(std::string_view first, std::string_view key, std::string_view value) {
  bytes_.append(first);
  if (!key.empty()) bytes_.append(" ").append(key);
  if (!value.empty()) bytes_.append(" ").append(value);
  bytes_.push_back('\n');
  ends_.push_back(bytes_.size());
}

std::string_view Workload::requests(std::size_t begin, std::size_t& count) const {
  assert(begin < ends_.size() && count > 0);
  count = std::min(count, ends_.size() - begin);
  const std::size_t first_byte = begin == 0 ? 0 : ends_[begin - 1];
  return std::string_view(bytes_).substr(first_byte, ends_[begin + count - 1] - first_byte);
}

}  // namespace memento
