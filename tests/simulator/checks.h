// What must hold after every event, whatever happens: a Violation says what did not.
//
//   one leader a term; one vote a (uuid, term); one document a (term, version) of a cluster;
//   committed documents form a chain, along which epochs and members' numbers only grow and no uuid comes
//   back; never two first documents of the same nodes; a member that empties itself is no member of the
//   newest committed document.
#pragma once

#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>

#include "bus/core/document.h"

namespace memento::simulator {

class Violation : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Checks {
 public:
  void note_leader(const bus::Document& document, std::uint64_t term, const bus::Uuid& leader,
                   std::uint64_t generation);
  void note_vote(const bus::ClusterId& cluster, std::uint64_t term, const bus::Uuid& voter,
                 const bus::Uuid& candidate);
  /// `parent`: what its leader had accepted before.
  void note_published(const bus::DocumentPtr& document, const bus::Document& parent);
  void note_first(const bus::DocumentPtr& document);
  /// A node holds it, by whatever way.
  void note_held(const bus::Document& document) const;
  void note_committed(const bus::DocumentPtr& document);
  /// Who answers for a slot has the memory that it began the epoch with.
  void note_reign(const bus::Document& document, std::size_t slot, std::uint64_t memory_id);
  void note_removed(const bus::Document& document, const bus::Uuid& member) const;

  /// Newest committed document; none yet.
  const bus::DocumentPtr& head() const { return head_; }
  /// Documents that are committed or may still become so, and those of terms that failed.
  template <class Deed>
  void for_each_from_head(const Deed& deed) const {
    if (!head_) return;
    for (auto at = documents_.lower_bound({head_->cluster_id, head_->key}); at != documents_.end(); ++at)
      if (at->first.first == head_->cluster_id) deed(*at->second.document);
  }

  std::uint64_t elections() const { return leaders_.size(); }
  std::uint64_t documents() const { return documents_.size(); }

 private:
  using Key = std::pair<bus::ClusterId, bus::DocumentKey>;
  struct Published {
    bus::DocumentPtr document;
    bus::DocumentKey parent;
  };

  const Published& published(const Key& key) const;
  void check_growth(const bus::Document& document, const bus::Document& parent) const;

  std::map<std::pair<bus::ClusterId, std::uint64_t>, std::pair<bus::Uuid, std::uint64_t>> leaders_;
  std::map<std::tuple<bus::ClusterId, std::uint64_t, bus::Uuid>, bus::Uuid> votes_;
  std::map<Key, Published> documents_;
  std::map<std::tuple<bus::ClusterId, std::size_t, std::uint32_t>, std::uint64_t> reigns_;
  bus::DocumentPtr head_;
};

std::string text_of(const bus::DocumentKey& key);

}  // namespace memento::simulator
