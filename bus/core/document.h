// The document that a cluster's members agree on: who they are, who votes, who owns which slot, which copies
// are in sync, the settings. One value with a key (term, version), replaced as a whole
// (bus/core/agreement.h). Nothing in it is changed once others may see it: it is passed as a pointer to
// const.
//
// Invariants, which fault_of() checks:
//   1. members are in the order of their numbers, which are never given again; uuids and names are unique;
//   2. both sets of voters are sorted, not empty, and of members;
//   3. a slot names members by their place in `members`; an in-sync copy stands in it once.
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bus/core/cluster_state.h"
#include "bus/core/members.h"

namespace memento::bus {

/// Of a node's vote, of its data: drawn once, never given to another.
struct Uuid {
  std::array<std::uint64_t, 2> words{};
  auto operator<=>(const Uuid&) const = default;
  bool is_null() const { return words[0] == 0 && words[1] == 0; }
};

/// Which document: a later term's is newer, whatever its version.
struct DocumentKey {
  std::uint64_t term = 0;
  std::uint64_t version = 0;
  auto operator<=>(const DocumentKey&) const = default;
};

enum class MemberState : std::uint8_t { kJoining, kActive, kLeaving };
inline constexpr std::uint8_t kMemberStateCount = 3;

struct Member {
  std::uint32_t number = 0;  ///< never given again in this cluster
  Uuid uuid;
  std::string name;
  std::string address;  ///< literal
  std::uint16_t port = 0;
  std::uint16_t bus_port = 0;
  std::string zone;
  std::uint32_t weight = 1;
  MemberState state = MemberState::kActive;
  bool is_witness = false;        ///< votes, owns nothing
  Uuid data_id;                   ///< of the data it holds
  std::uint32_t data_number = 0;  ///< +1 with each new data_id
  std::uint64_t memory_id = 0;    ///< of its segment
  std::uint64_t generation = 0;   ///< of the bus that told data_id and memory_id
  bool operator==(const Member&) const = default;
};

/// A member's place in Document::members.
using MemberIndex = std::uint8_t;
inline constexpr MemberIndex kNoMember = 0xff;

inline constexpr std::size_t kMemberLimit = kNodeLimit;
inline constexpr std::size_t kVoterLimit = 5;
inline constexpr std::size_t kCopyLimit = 4;
inline constexpr std::size_t kZoneLimitBytes = 63;
inline constexpr std::uint32_t kWeightLimit = 1'000'000;
inline constexpr std::uint32_t kDataNumberEnd = 1 << 24;
inline constexpr std::uint32_t kEpochEnd = 1 << 20;

/// A copy that holds all that was acknowledged, and of which data that is said.
struct InSyncCopy {
  MemberIndex member = kNoMember;
  std::uint32_t data_number = 0;
  auto operator<=>(const InSyncCopy&) const = default;
};

struct SlotEntry {
  MemberIndex primary = kNoMember;               ///< kNoMember: nobody, until a copy of the set is found
  bool is_lost = false;                          ///< it begins empty in this epoch
  std::array<InSyncCopy, kCopyLimit> in_sync{};  ///< unused ones at the end
  std::array<MemberIndex, kCopyLimit> targets{kNoMember, kNoMember, kNoMember, kNoMember};
  std::uint32_t epoch = 0;    ///< of the primary's reign; only grows along the committed documents
  std::uint32_t changes = 0;  ///< counts this slot's changes: proposals are compare-and-set on it
  bool operator==(const SlotEntry&) const = default;

  bool names(MemberIndex member) const {
    return primary == member || std::ranges::find(targets, member) != targets.end() ||
           std::ranges::any_of(in_sync, [&](const InSyncCopy& copy) { return copy.member == member; });
  }
};

struct Settings {
  std::uint8_t replicas = 0;
  bool acks_all = true;  ///< a write is acknowledged by the whole in-sync set; false: by nobody
  std::uint8_t min_copies = 1;
  std::uint32_t heal_after_ms = 60'000;
  bool operator==(const Settings&) const = default;
};

/// Sorted, each once.
using VoterSet = std::vector<Uuid>;

struct Document {
  ClusterId cluster_id{};
  DocumentKey key;
  std::uint32_t protocol = 1;     ///< that nodes speak; raised when all members have it
  VoterSet voters_accepted;       ///< count as soon as this is published
  VoterSet voters_committed;      ///< count until it is committed; other than the above while voters change
  std::uint32_t next_number = 0;  ///< of the next member
  Settings settings;
  std::vector<Member> members;
  std::vector<SlotEntry> slots;
  bool operator==(const Document&) const = default;

  const Member* member(const Uuid& uuid) const;
  bool has_member(const Uuid& uuid) const { return member(uuid) != nullptr; }
  /// kNoMember: none of that uuid.
  MemberIndex index_of(const Uuid& uuid) const;
  bool is_voter(const Uuid& uuid) const;
  bool voters_change() const { return voters_accepted != voters_committed; }
  /// Some slot has it as owner, copy or target.
  bool owns(MemberIndex member) const;
  /// REQUIRES: it is no voter and owns nothing.
  void remove_member(MemberIndex member);
};

using DocumentPtr = std::shared_ptr<const Document>;

/// What is wrong with it, as a sentence; nothing: it is sound.
std::optional<std::string> fault_of(const Document& document);

/// More than half of the set is among `votes`, which is sorted.
bool is_majority(const std::vector<Uuid>& votes, const VoterSet& set);

/// Puts it into a sorted list, once. False: it was there.
bool insert_sorted(std::vector<Uuid>& list, const Uuid& uuid);

}  // namespace memento::bus
