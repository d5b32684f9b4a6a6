// SubscriptionTable: what one process's clients subscribe to and how many of them, in the segment, where all
// processes count. Written by its owner, read by anybody without a lock.
//
// A table is open addressing over (hash, count | place of the name), a dense list of patterns, and the names.
// Within one table nothing is moved and no name is changed: a name is written before the word that leads to
// it, and one that nobody subscribes to keeps its place with a count of 0. A table that is full is built
// anew, without those, in the other half of the memory and made valid by one store of Mailbox::table. So
// there is no state in between at which the owner may not die, and a reader needs only to look afterwards
// whether the table is still the valid one. A dead owner's table is made invalid when its record is repaired.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "shm/format/layout.h"
#include "shm/segment.h"

namespace memento {

enum class SubscriptionKind : std::uint8_t { kChannel, kPattern, kKey, kShardChannel };
inline constexpr std::array kSubscriptionKinds{SubscriptionKind::kChannel, SubscriptionKind::kPattern,
                                               SubscriptionKind::kKey, SubscriptionKind::kShardChannel};

struct SubscriptionCount {
  std::string name;
  std::uint32_t subscribers = 0;
};

inline constexpr std::size_t kSubscriptionNameLimitBytes = 16 * 1024;

class SubscriptionTable {
 public:
  /// Begins empty. REQUIRES: the record is this process's own.
  SubscriptionTable(Segment& segment, std::uint32_t process);

  /// False: no room for another name (some ten thousand fit), or the tmpfs is full; nothing is changed.
  /// REQUIRES: name.size() <= kSubscriptionNameLimitBytes.
  bool set_count(SubscriptionKind kind, std::string_view name, std::uint32_t subscribers);

 private:
  bool rebuild();

  Segment& segment_;
  Mailbox& mailbox_;
  const std::uint32_t process_;
  std::uint64_t used_cells_ = 0;
  std::uint64_t pattern_cells_ = 0;
  std::uint64_t heap_bytes_ = 0;
  std::map<std::string, std::uint64_t, std::less<>>
      pattern_places_;  ///< in the list, which only readers walk
};

/// How many clients of that process subscribe to the name. REQUIRES: kind is not kPattern.
std::uint32_t count_subscribers(Segment& segment, std::uint32_t process, SubscriptionKind kind,
                                std::string_view name);

/// All names of the kind that the process's clients subscribe to.
std::vector<SubscriptionCount> list_subscriptions(Segment& segment, std::uint32_t process,
                                                  SubscriptionKind kind);

}  // namespace memento
