// See placement.h.
#include "bus/core/placement.h"

#include <algorithm>
#include <cassert>
#include <numeric>
#include <tuple>

namespace memento::bus {
namespace {

bool may_own(const Member& member) {
  return member.state != MemberState::kLeaving && !member.is_witness && member.weight > 0;
}

std::vector<std::uint32_t> counts_of(const Document& document, const std::vector<MemberIndex>& owners) {
  std::vector<std::uint32_t> counts(document.members.size());
  for (const MemberIndex owner : owners)
    if (owner != kNoMember) ++counts[owner];
  return counts;
}

std::vector<MemberIndex> owners_of(const Document& document) {
  std::vector<MemberIndex> owners;
  for (const SlotEntry& slot : document.slots) owners.push_back(slot.primary);
  return owners;
}

/// Places of those that may own slots.
std::vector<MemberIndex> takers_of(const Document& document) {
  std::vector<MemberIndex> takers;
  for (std::size_t place = 0; place < document.members.size(); ++place)
    if (may_own(document.members[place])) takers.push_back(static_cast<MemberIndex>(place));
  return takers;
}

struct Run {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::size_t length() const { return end - begin; }
};

Run longest_run(const std::vector<MemberIndex>& owners, MemberIndex owner) {
  Run longest;
  for (std::size_t begin = 0; begin < owners.size();) {
    std::size_t end = begin + 1;
    while (end < owners.size() && owners[end] == owners[begin]) ++end;
    if (owners[begin] == owner && end - begin > longest.length()) longest = {begin, end};
    begin = end;
  }
  return longest;
}

/// Owners, and how far each is from its target.
class Table {
 public:
  explicit Table(const Document& document)
      : document_(&document), owners_(owners_of(document)), targets_(target_counts(document)) {
    const std::vector<std::uint32_t> counts = counts_of(document, owners_);
    for (std::size_t place = 0; place < counts.size(); ++place)
      surplus_.push_back(static_cast<std::int64_t>(counts[place]) - targets_[place]);
  }

  void swap_roles() {
    for (std::size_t slot = 0; slot < owners_.size(); ++slot)
      for (const InSyncCopy& copy : document_->slots[slot].in_sync)
        if (copy.member != kNoMember && owners_[slot] != kNoMember && surplus_[owners_[slot]] > 0 &&
            surplus_[copy.member] < 0)
          give(slot, copy.member);
  }

  void fill_unowned() {
    for (std::size_t slot = 0; slot < owners_.size(); ++slot)
      if (owners_[slot] == kNoMember) give(slot, neediest());
  }

  /// A block from the end of the longest run of who has most to give to who needs most, until nobody needs
  /// any.
  void move_blocks() {
    for (MemberIndex taker = neediest(); surplus_[taker] < 0; taker = neediest()) {
      const auto giver = static_cast<MemberIndex>(std::ranges::max_element(surplus_) - surplus_.begin());
      assert(surplus_[giver] > 0);
      const Run run = longest_run(owners_, giver);
      const std::size_t count = std::min({static_cast<std::size_t>(-surplus_[taker]),
                                          static_cast<std::size_t>(surplus_[giver]), run.length()});
      const bool touches_front = run.begin > 0 && owners_[run.begin - 1] == taker;
      const std::size_t begin = touches_front ? run.begin : run.end - count;
      for (std::size_t slot = begin; slot < begin + count; ++slot) give(slot, taker);
    }
  }

  std::vector<MemberIndex> take_owners() { return std::move(owners_); }

 private:
  MemberIndex neediest() const {
    return static_cast<MemberIndex>(std::ranges::min_element(surplus_) - surplus_.begin());
  }

  void give(std::size_t slot, MemberIndex taker) {
    if (owners_[slot] != kNoMember) --surplus_[owners_[slot]];
    owners_[slot] = taker;
    ++surplus_[taker];
  }

  const Document* document_;
  std::vector<MemberIndex> owners_;
  std::vector<std::uint32_t> targets_;
  std::vector<std::int64_t> surplus_;
};

/// Copies, and how many each member has.
class Copies {
 public:
  Copies(const Document& document, const std::vector<MemberIndex>& owners)
      : document_(&document), takers_(takers_of(document)), load_(document.members.size()) {
    std::vector<std::string> zones;
    for (const MemberIndex taker : takers_) zones.push_back(document.members[taker].zone);
    std::ranges::sort(zones);
    const std::size_t zone_count =
        static_cast<std::size_t>(std::unique(zones.begin(), zones.end()) - zones.begin());
    wanted_ = std::min<std::size_t>(document.settings.replicas + 1U, takers_.size());
    keeps_zones_apart_ = zone_count >= wanted_;
    for (const MemberIndex owner : owners) copies_.push_back({owner});
  }

  void keep_valid() {
    for (std::size_t slot = 0; slot < copies_.size(); ++slot) {
      const SlotEntry& entry = document_->slots[slot];
      keep(slot, entry.primary);
      for (const InSyncCopy& copy : entry.in_sync) keep(slot, copy.member);
      for (const MemberIndex target : entry.targets) keep(slot, target);
    }
  }

  void add_missing() {
    for (std::size_t slot = 0; slot < copies_.size(); ++slot)
      while (copies_[slot].size() < wanted_) add(slot, least_loaded(slot));
  }

  /// From members that have more than their share and one to those that have less, as far as zones allow.
  void level() {
    std::uint64_t weights = 0;
    for (const MemberIndex taker : takers_) weights += document_->members[taker].weight;
    const std::uint64_t total = std::accumulate(load_.begin(), load_.end(), std::uint64_t{0});
    const auto share = [&](MemberIndex member) {
      return (total * document_->members[member].weight + weights - 1) / weights;
    };
    for (std::size_t slot = 0; slot < copies_.size(); ++slot)
      for (std::size_t place = 1; place < copies_[slot].size(); ++place) {
        const MemberIndex from = copies_[slot][place];
        if (load_[from] <= share(from) + 1) continue;
        const MemberIndex to = least_loaded(slot, place);
        if (to == kNoMember || load_[to] >= share(to)) continue;
        --load_[from];
        ++load_[to];
        copies_[slot][place] = to;
      }
  }

  std::vector<std::vector<MemberIndex>> take() { return std::move(copies_); }

 private:
  /// `without`: a place in the slot's list that is about to become free; 0: none.
  bool fits(std::size_t slot, MemberIndex member, std::size_t without = 0) const {
    for (std::size_t place = 0; place < copies_[slot].size(); ++place) {
      const MemberIndex other = copies_[slot][place];
      if (other == member) return false;
      const bool shares_zone = document_->members[other].zone == document_->members[member].zone;
      if (place != without || place == 0)
        if (keeps_zones_apart_ && shares_zone) return false;
    }
    return true;
  }

  void keep(std::size_t slot, MemberIndex member) {
    if (member == kNoMember || copies_[slot].size() >= wanted_) return;
    if (std::ranges::find(takers_, member) != takers_.end() && fits(slot, member)) add(slot, member);
  }

  /// kNoMember: nobody fits.
  MemberIndex least_loaded(std::size_t slot, std::size_t without = 0) const {
    MemberIndex best = kNoMember;
    const auto rank = [&](MemberIndex member) {
      const Member& one = document_->members[member];
      return std::tuple(static_cast<double>(load_[member]) / one.weight, one.name);
    };
    for (const MemberIndex taker : takers_)
      if (fits(slot, taker, without) && (best == kNoMember || rank(taker) < rank(best))) best = taker;
    if (best != kNoMember || without > 0) return best;
    for (const MemberIndex taker : takers_)  // no zone is left
      if (std::ranges::find(copies_[slot], taker) == copies_[slot].end() &&
          (best == kNoMember || rank(taker) < rank(best)))
        best = taker;
    return best;
  }

  void add(std::size_t slot, MemberIndex member) {
    copies_[slot].push_back(member);
    ++load_[member];
  }

  const Document* document_;
  std::vector<MemberIndex> takers_;
  std::vector<std::uint64_t> load_;
  std::vector<std::vector<MemberIndex>> copies_;
  std::size_t wanted_ = 1;
  bool keeps_zones_apart_ = false;
};

}  // namespace

std::vector<std::uint32_t> target_counts(const Document& document) {
  const std::vector<std::uint32_t> counts = counts_of(document, owners_of(document));
  std::vector<MemberIndex> takers = takers_of(document);
  std::uint64_t weights = 0;
  for (const MemberIndex taker : takers) weights += document.members[taker].weight;
  std::vector<std::uint32_t> targets(document.members.size());
  std::size_t rest = document.slots.size();
  for (const MemberIndex taker : takers) {
    const std::uint64_t share = document.slots.size() * document.members[taker].weight / weights;
    targets[taker] = static_cast<std::uint32_t>(share);
    rest -= share;
  }
  std::ranges::sort(takers, {}, [&](MemberIndex taker) {
    return std::tuple(-static_cast<std::int64_t>(counts[taker]), document.members[taker].name);
  });
  for (std::size_t place = 0; place < rest; ++place) ++targets[takers[place]];
  return targets;
}

std::vector<MemberIndex> place_owners(const Document& document) {
  assert(!takers_of(document).empty());
  Table table(document);
  table.fill_unowned();
  table.swap_roles();
  table.move_blocks();
  return table.take_owners();
}

std::vector<std::vector<MemberIndex>> place_copies(const Document& document,
                                                   const std::vector<MemberIndex>& owners) {
  Copies copies(document, owners);
  copies.keep_valid();
  copies.add_missing();
  copies.level();
  return copies.take();
}

}  // namespace memento::bus
