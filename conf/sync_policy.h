// How a SyncPolicy is called, in the configuration and by Redis's appendfsync.
#pragma once

#include <optional>
#include <string_view>

#include "shm/format/manifest.h"

namespace memento {

constexpr std::string_view sync_policy_text(SyncPolicy policy) {
  switch (policy) {
    case SyncPolicy::kNo:
      return "no";
    case SyncPolicy::kEverySecond:
      return "everysec";
    case SyncPolicy::kAlways:
      return "always";
  }
  return "";
}

constexpr std::optional<SyncPolicy> parse_sync_policy(std::string_view text) {
  for (const SyncPolicy policy : {SyncPolicy::kNo, SyncPolicy::kEverySecond, SyncPolicy::kAlways}) {
    if (text == sync_policy_text(policy)) return policy;
  }
  return std::nullopt;
}

}  // namespace memento
