// What the aftermath looks at once all is recovered: the segment is sound, no lock is stuck, and the keys are
// as before the operation or as after it.
#include <algorithm>
#include <cstring>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "shm/check.h"
#include "shm/journal/ring_merger.h"
#include "tests/crash/aftermath.h"
#include "tests/shm/journal/replay_model.h"

namespace memento::crash {

Model Aftermath::observe(Keyspace& reader, const std::vector<Model>& allowed) const {
  Model seen;
  for (const Model& model : allowed) {
    for (const auto& [key, expected] : model) {
      if (seen.contains(key)) continue;
      Expected found;
      const bool there = reader.read(key_named(reader, key), [&](const EntryView& view) {
        found.value.assign(view.value);
        found.expiry_ms = view.expiry_ms;
      });
      if (there) seen.emplace(key, std::move(found));
    }
  }
  return seen;
}

Model Aftermath::read_as_one(Keyspace& reader, const std::vector<Model>& allowed) {
  std::set<std::string> names;
  for (const Model& model : allowed) {
    for (const auto& entry : model) names.insert(entry.first);
  }
  std::vector<HashedKey> keys;
  std::vector<std::string> named(names.begin(), names.end());
  for (const std::string& name : named) keys.push_back(key_named(reader, name));
  Model seen;
  reader.read_many(
      keys, [&] { seen.clear(); },
      [&](std::size_t i, const EntryView* view) {
        if (view != nullptr) seen[named[i]] = {std::string(view->value), view->expiry_ms};
      });
  return seen;
}

// Is what was seen one of the models, but for keys that were evicted?
bool Aftermath::matches(const Crash& crash, const std::vector<Model>& allowed, const Model& seen,
                        bool others_wrote) {
  const auto is_like = [&](const Model& model) {
    for (const auto& [key, value] : seen) {
      const auto found = model.find(key);
      if (found == model.end() || !(found->second == value)) return false;
    }
    return std::ranges::all_of(model, [&](const auto& entry) {
      return seen.contains(entry.first) || crash.may_be_gone.contains(entry.first) ||
             (others_wrote && crash.others_evict);
    });
  };
  return std::ranges::any_of(allowed, is_like);
}

void Aftermath::verify(const Crash& crash, const std::vector<Model>& allowed, bool others_wrote) {
  ++totals_.recoveries;
  const CheckReport report = check_segment(*segment_);
  for (const std::string& error : report.errors) fail(error);
  if (find_stuck_lock()) return;
  for (std::uint32_t i = 0; i < segment_->header().process_count; ++i) {
    if (segment_->process(i).draining.load() != 0) fail("pages that nobody empties any more stay marked");
  }
  if (pinned_offset_ != 0 &&
      std::memcmp(segment_->base() + pinned_offset_, pinned_bytes_.data(), pinned_bytes_.size()) != 0) {
    fail("a run changed while a reader copies it");
  }
  Keyspace reader(*segment_, kReader);
  reader.set_now_ms(crash.now_ms);
  const Model seen = observe(reader, allowed);
  if (!matches(crash, allowed, seen, others_wrote))
    fail("the keys are neither as before the operation nor as after it");
  if (segment_->header().journal.load() != 0) verify_journal(report.key_count);
  if (crash.watch == nullptr) return;
  const auto now = seen.find(crash.watch->key);
  const bool is_as_before = now == seen.end() ? !crash.watch->before : crash.watch->before == now->second;
  if (!is_as_before && reader.is_unchanged(key_named(reader, crash.watch->key), crash.watch->mark)) {
    fail("a watched key was changed, and its mark says that it was not");
  }
}

// The records of all rings make what the keyspace has, to the key.
void Aftermath::verify_journal(std::uint64_t key_count) {
  RingMerger merger(*segment_, 0);
  ReplayModel model;
  std::string fault;
  const bool is_well_formed = merger.pass([&](const RingMerger::Taken& taken) {
    fault = model.apply(merger, taken);
    return fault.empty();
  });
  if (!is_well_formed) fault = merger.error();
  if (!fault.empty()) return fail("the journal: " + fault);
  if (merger.waiting_bytes() != 0) return fail("a record waits for one that is not there");
  if (model.is_changing()) return fail("the journal ends inside a change of a database");
  if (model.key_count() != key_count)
    return fail("the journal makes " + std::to_string(model.key_count()) + " keys of " +
                std::to_string(key_count));
  Keyspace reader(*segment_, kReader);
  reader.set_now_ms(0);  // nothing has expired
  for (const auto& [slot, keys] : model.slots()) {
    if (slot == kTextSlot) continue;  // texts are no keys
    for (const auto& [key, expected] : keys) {
      ReplayModel::Value found;
      const HashedKey hashed = Keyspace::in_database(database_of(slot), reader.hash(key));
      const bool is_there = reader.read(hashed, [&](const EntryView& view) {
        found.bytes.assign(view.value);
        found.expiry_ms = view.expiry_ms;
      });
      if (!is_there || found.bytes != expected.bytes || found.expiry_ms != expected.expiry_ms)
        fail("the journal makes another value of " + key);
    }
  }
}

}  // namespace memento::crash
