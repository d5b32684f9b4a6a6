// DataPrint: what a database holds, in one number: of keys, values and expiries, in whatever order. Two that
// differ have other numbers, but for chance.
#pragma once

#include <xxhash.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "shm/format/journal_record.h"

namespace memento::testing {

struct DataItem {
  std::string value;
  std::int64_t expiry_ms = kNoExpiry;
  bool operator==(const DataItem&) const = default;
};
using DataItems = std::map<std::string, DataItem, std::less<>>;

/// Of one key; the print of a database is the sum.
inline std::uint64_t print_of(std::string_view key, const DataItem& item) {
  const std::uint64_t of_key =
      XXH3_64bits_withSeed(key.data(), key.size(), static_cast<std::uint64_t>(item.expiry_ms));
  return XXH3_64bits_withSeed(item.value.data(), item.value.size(), of_key);
}

inline std::uint64_t print_of(const DataItems& items) {
  std::uint64_t print = 0;
  for (const auto& [key, item] : items) print += print_of(key, item);
  return print;
}

}  // namespace memento::testing
