// What the tests of the journal share: a segment whose changes are recorded, and their comparison with what
// replaying the records gives.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "shm/check.h"
#include "shm/commit/journal_rings.h"
#include "shm/journal/ring_merger.h"
#include "tests/shm/journal/replay_model.h"
#include "tests/shm/keyspace/keyspace_fixture.h"

namespace memento::testing {

inline constexpr std::uint32_t kDiskConsumer = 0;

inline std::unique_ptr<Segment> make_journalled(std::uint64_t bytes, std::uint64_t ring_bytes) {
  auto segment = make_segment(bytes);
  EXPECT_TRUE(static_cast<bool>(segment->begin_journal(kJournalForDisk, ring_bytes)));
  return segment;
}

/// What RingMerger::publish() has done when it has moved ring 2's head only.
inline void begin_publishing(Segment& segment, const RingMerger& merger) {
  for (std::uint32_t i = 0; i < segment.process_count(); ++i)
    segment.process(i).journal.next_heads[0].store(merger.taken(i));
  segment.header().journal_heads_move.store(1);
  segment.process(2).journal.heads[0].store(merger.taken(2));
}

/// Takes all that is there.
inline void replay(RingMerger& merger, ReplayModel* model) {
  const bool is_well_formed = merger.pass([&](const RingMerger::Taken& taken) {
    const std::string fault = model->apply(merger, taken);
    EXPECT_EQ(fault, "");
    return fault.empty();
  });
  EXPECT_TRUE(is_well_formed) << merger.error();
  merger.publish();
}

/// Shows that the keyspace, whose writers stand still, has what the records made, and nothing else. Its
/// databases that are open are all looked at; database 0 is selected.
inline void expect_same(Segment& segment, Keyspace& keyspace, const ReplayModel& model) {
  keyspace.set_now_ms(0);  // nothing has expired
  const CheckReport report = check_segment(segment);
  for (const std::string& error : report.errors) ADD_FAILURE() << error;
  EXPECT_EQ(report.key_count, model.key_count());
  for (const auto& [slot, keys] : model.slots()) {
    for (const auto& [key, expected] : keys) {
      ReplayModel::Value found;
      const HashedKey hashed = Keyspace::in_database(database_of(slot), keyspace.hash(key));
      ASSERT_EQ(hashed.slot, slot) << key;
      const bool is_there = keyspace.read(hashed, [&](const EntryView& view) {
        found.bytes.assign(view.value);
        found.expiry_ms = view.expiry_ms;
        found.created = static_cast<std::uint64_t>(view.created_ms) - segment.header().time_base_ms;
      });
      ASSERT_TRUE(is_there) << key;
      ASSERT_EQ(found.bytes, expected.bytes) << key;
      ASSERT_EQ(found.expiry_ms, expected.expiry_ms) << key;
      ASSERT_EQ(found.created, expected.created) << key;
    }
  }
}

inline constexpr TimeMs kStartMs = 1'800'000'000'000;

inline std::string name_of(int i) { return "key:" + std::to_string(i); }

/// Shows that process 1 writes 600 KB into its ring and a consumer takes them; in a process of its own, since
/// writing where no ring is ends it.
inline void expect_long_rings(Segment& segment) {
  EXPECT_EXIT(
      {
        Keyspace one(segment, 1);
        one.set_now_ms(kStartMs);
        RingMerger merger(segment, kDiskConsumer);
        ReplayModel model;
        for (int i = 0; i < 30; ++i) one.set(one.hash(name_of(i)), std::string(20'000, 'x'));
        replay(merger, &model);
        _exit(model.key_count() == 30 ? 0 : 9);
      },
      ::testing::ExitedWithCode(0), "");
}

}  // namespace memento::testing
