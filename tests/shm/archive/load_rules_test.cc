// What single records make of slots, and what cannot be: each such record is an error that says so, nothing
// of the journal is loaded then, and with salvage all that is before it.
#include <gtest/gtest.h>

#include "tests/shm/archive/crafted_journal.h"

namespace memento::testing {
namespace {

using ::testing::Test;

constexpr std::uint64_t at(std::uint64_t number) { return position_of(1, number); }

void expect_part(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "\"" << text << "\" says nothing of \"" << part << "\"";
}

// Shows that what is in already is dropped, what fits is applied, and that a gap is an error that names file,
// offset, frame, record, and what to do.
TEST(LoadRules, PositionsFollow) {
  CraftedJournal journal;
  journal.add(put("a", 1, "one"));
  journal.add(put("a", 1, "again"));
  journal.add(put("a", 2, "two"));
  const Result<LoadReport> report = journal.load_all();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(journal.value_of("a"), "two");
  EXPECT_EQ(journal.position_of_slot("a"), at(2));
  EXPECT_EQ(report->records, 2u);
  EXPECT_EQ(report->dropped_records, 1u);
  EXPECT_EQ(report->end.frame, 4u);
  EXPECT_EQ(report->text, "");

  journal.add(put("a", 4, "four"));
  const std::string fault = journal.fault();
  expect_part(fault, journal.journal().file_path() + ", offset ");
  expect_part(fault, "frame 4: a record of kind 1, slot " + std::to_string(slot_of_key("a").value) +
                         " of database 0, position 4 of epoch 1: its slot is at 2 of epoch 1");
  expect_part(fault, "--recover salvage");
}

// Shows that a reign goes on from its base, to another epoch, and from nowhere else.
TEST(LoadRules, Reign) {
  CraftedJournal journal;
  const std::int64_t slot = slot_of_key("a").value;
  journal.add(put("a", 1, "one"));
  journal.add({RecordKind::kReign, position_of(3, 2), "", words({at(1)}), 0, 0, slot});
  journal.add({RecordKind::kPut, position_of(3, 3), "a", "three"});
  ASSERT_TRUE(journal.load_all());
  EXPECT_EQ(journal.value_of("a"), "three");
  EXPECT_EQ(journal.position_of_slot("a"), position_of(3, 3));
  journal.add({RecordKind::kReign, position_of(4, 4), "", words({position_of(2, 3)}), 0, 0, slot});
  expect_part(journal.fault(), "kind 8");
}

// Shows that records that are well-framed and make no sense are errors.
TEST(LoadRules, Nonsense) {
  const std::string long_key(kKeyLimitBytes + 1, 'k');
  const std::int64_t slot = slot_of_key("a").value;
  const auto group_of = [](const Crafted& member) { return std::vector<Crafted>{member}; };
  const std::vector<std::pair<Crafted, std::string>> records{
      {{RecordKind::kPut, at(2), "a", "x", 0, UINT64_MAX, slot + 1}, "its key is of another slot"},
      {{RecordKind::kPut, at(1), "a", "x", 0, UINT64_MAX, kSlotCount}, "no text is called so"},
      {{RecordKind::kPut, at(2), "la", "x", 0, UINT64_MAX, kSlotCount}, "its slot's image is at 0"},
      {{RecordKind::kExpire, at(1), "la", "", 0, 4, kSlotCount}, "no such records to texts"},
      {put(long_key, 1, "x"), "its key has 65537 bytes"},
      {{RecordKind::kErase, at(2), "b{a}"}, "its key is not there"},
      {{RecordKind::kExpire, at(2), "b{a}"}, "its key is not there"},
      {{RecordKind::kExpire, at(2), "a", "", 0, 4}, "its key's value has 3 bytes"},
      {{RecordKind::kSplice, at(2), "b{a}", words({0, 0})}, "its key is not there"},
      {{RecordKind::kSplice, at(2), "a", words({2, 1}), 0, 3}, "it splices what is not there"},
      {{RecordKind::kSplice, at(2), "a", words({0, 4}), 0, 3}, "it splices what is not there"},
      {{RecordKind::kSplice, at(2), "a", words({0, 0}), 0, 1 << 20}, "it splices what is not there"},
      {{RecordKind::kSplice, at(2), "a", words({3, 3}), 0, 2}, "it splices what is not there"},
      {{RecordKind::kChange, at(2), "a", words({0})}, "this program applies no such records"},
      {{RecordKind::kPutRun, at(2), "a", words({0})}, "it belongs into rings only"},
      {{RecordKind::kSwap, at(2), "", words({0, at(1)}), 0, 0, slot}, "it exchanges with database 0"},
      {{RecordKind::kSwap, at(2), "", words({16, at(1)}), 0, 0, slot}, "it exchanges with database 16"},
      {{RecordKind::kSwap, at(2), "", words({1, at(2)}), 0, 0, slot}, "the other database's slot is at 0"},
      {{RecordKind::kDatabaseChange, 0, "", words({9}), 0, 0, 0}, "no change of databases is called 9"},
      {piece("a", at(2), 8, 16, "x"), "does not follow"},
      {piece("a", at(2), 0, 4, "longer"), "beyond its value's end"},
      {piece("a", at(2), 0, 16, "short", kRecordLastPiece), "a last piece, and some are missing"},
      {piece("a", at(2), 0, 1ull << 41, "x"), "too long"},
  };
  for (const auto& [record, text] : records) {
    SCOPED_TRACE(text);
    for (const bool is_grouped : {false, true}) {
      CraftedJournal journal;
      journal.add(put("a", 1, "one"));
      if (is_grouped) {
        journal.add_group(group_of(record));
      } else {
        journal.add(record);
      }
      const bool stands_alone =
          record.kind == RecordKind::kPiece || record.kind == RecordKind::kDatabaseChange;
      expect_part(journal.fault(), is_grouped && stands_alone ? "it stands in a group" : text);
    }
  }
  CraftedJournal journal;
  journal.add_group({put("a", 1, "one")}, 2);
  expect_part(journal.fault(), "it does not hold the records that it says");
  CraftedJournal flagged;
  flagged.add_group({put("a", 1, "one")}, 1 | 1ull << 32);
  expect_part(flagged.fault(), "its flags are 1");
}

// Shows that a splice keeps what it says of the value before and behind what it brings, and sets the expiry,
// in values of blocks and of runs, that grow into another and shrink.
TEST(LoadRules, Splices) {
  for (const std::size_t bytes : {std::size_t{100}, std::size_t{60'000}}) {
    std::string value;
    for (std::size_t i = 0; i < bytes; ++i) value += static_cast<char>('a' + i % 26);
    CraftedJournal journal;
    journal.add(put("a", 1, value));
    std::uint64_t number = 1;
    const auto splice = [&](std::size_t kept, std::size_t tail, const std::string& added, TimeMs expiry_ms) {
      value.replace(kept, tail - kept, added);
      journal.add({RecordKind::kSplice, at(++number), "a", words({kept, tail}) + added, 0, value.size(), -1,
                   0, expiry_ms});
      ASSERT_TRUE(journal.load_all());
      const Contents contents = contents_of(journal.segment());
      const Contents::Value& found = contents.slots.at(slot_of_key("a").value).at("a");
      EXPECT_TRUE(found.bytes == value);
      EXPECT_EQ(found.expiry_ms, expiry_ms);
      EXPECT_EQ(found.created, 7u);
    };
    splice(10, 12, "longer than that", 1000);
    splice(10, 50, "", 2000);
    splice(value.size(), value.size(), "at the end", kNoExpiry);
    splice(0, 0, std::string(40'000, 'x'), kNoExpiry);
    splice(20, value.size() - 20, "only the ends are left", 3000);
  }
}

// Shows that a long value counts with its last piece, begins again when its writer died, is left out when its
// end never came, and does not stand in the way of what was written instead.
TEST(LoadRules, Pieces) {
  const std::string half(40'000, 'h');
  CraftedJournal journal;
  journal.add(piece("long", at(1), 0, 80'000, half));
  Result<LoadReport> report = journal.load_all();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->keys, 0u);
  expect_part(report->text, "1 long values, which were not written to their end, were left out");
  journal.add(piece("long", at(1), 0, 80'000, half));
  journal.add(piece("long", at(1), 40'000, 80'000, half, kRecordLastPiece));
  journal.add(piece("long", at(1), 0, 80'000, half));
  journal.add(piece("long", at(2), 0, 80'000, half));
  journal.add(put("long", 2, "short"));
  journal.add(piece("long", at(3), 0, 5, "whole", kRecordLastPiece));
  journal.add({RecordKind::kErase, at(4), "long"});
  journal.add(piece("long", at(5), 0, 0, "", kRecordLastPiece));
  report = journal.load_all();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(journal.value_of("long"), "");
  EXPECT_EQ(journal.position_of_slot("long"), at(5));
  EXPECT_EQ(report->text, "");
}

// Shows that salvage keeps what is before the first frame that cannot be, whichever thread finds it, in whole
// groups, and that the journal ends there from then on.
TEST(LoadRules, Salvage) {
  CraftedJournal journal;
  journal.add(put("a", 1, "one"));
  journal.add(put("b", 1, "one"));
  const Crafted of_other_thread{RecordKind::kErase, at(2), "missing{b}"};
  journal.add_together({put("a", 2, "two"), of_other_thread});
  journal.add(put("a", 3, "three"));
  journal.add(put("a", 5, "five"));
  EXPECT_NE(slot_of_key("a").value % 2, slot_of_key("b").value % 2);
  expect_part(journal.fault(), "kind 4");
  Result<LoadReport> report = journal.load_all(true);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(journal.value_of("a"), "one");
  EXPECT_EQ(journal.value_of("b"), "one");
  EXPECT_EQ(report->end.frame, 3u);
  EXPECT_EQ(report->end.lost_frames, 4u);
  expect_part(report->text, "it is whole, but cannot be applied");
  report = journal.load_all();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(journal.value_of("a"), "one");
  EXPECT_EQ(report->end.kind, JournalEnd::Kind::kWhole);
}

// Shows that an image replaces its slot when it is whole, with the records that came in between, and that
// half an image, or one that was overtaken, counts nowhere.
TEST(LoadRules, ImageAside) {
  const std::int64_t slot = slot_of_key("k").value;
  const auto begin = [&](std::uint64_t number, std::uint64_t position) {
    return Crafted{RecordKind::kBegin, position, "", words({number}), 0, 0, slot};
  };
  const auto complete = [&](std::uint64_t number, std::uint64_t position) {
    return Crafted{RecordKind::kComplete, position, "", words({number}), 0, 0, slot};
  };
  const auto part = [](const char* key, std::uint64_t position, const char* value) {
    return Crafted{RecordKind::kPart, position, key, value};
  };
  CraftedJournal journal;
  journal.add(put("old{k}", 1, "o"));
  journal.add(begin(5, position_of(2, 10)));
  journal.add(part("a{k}", position_of(2, 12), "as of 12"));
  journal.add({RecordKind::kPut, position_of(2, 11), "a{k}", "of 11", kRecordOfImage});
  journal.add({RecordKind::kErase, position_of(2, 12), "gone{k}", "", kRecordOfImage});
  journal.add(part("b{k}", position_of(2, 12), "as of 12"));
  journal.add({RecordKind::kPut, position_of(2, 13), "c{k}", "of 13", kRecordOfImage});
  journal.add(put("old{k}", 2, "o2"));
  journal.add(complete(4, position_of(2, 13)));
  Result<LoadReport> report = journal.load_all();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(journal.value_of("old{k}"), "o2");
  EXPECT_EQ(report->keys, 1u);
  expect_part(report->text, "1 images of slots, which were not whole, were left out");

  journal.add(complete(5, position_of(2, 13)));
  journal.add({RecordKind::kPut, position_of(2, 14), "d{k}", "of 14"});
  report = journal.load_all();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->keys, 4u);
  EXPECT_EQ(journal.value_of("a{k}"), "as of 12");
  EXPECT_EQ(journal.value_of("b{k}"), "as of 12");
  EXPECT_EQ(journal.value_of("c{k}"), "of 13");
  EXPECT_EQ(journal.value_of("d{k}"), "of 14");
  EXPECT_EQ(journal.position_of_slot("k"), position_of(2, 14));

  journal.add(begin(6, position_of(2, 9)));
  journal.add(complete(6, position_of(2, 9)));
  ASSERT_TRUE(journal.load_all());
  EXPECT_EQ(journal.value_of("d{k}"), "of 14");
  journal.add(begin(7, position_of(2, 20)));
  journal.add({RecordKind::kPut, position_of(2, 22), "d{k}", "of 22", kRecordOfImage});
  expect_part(journal.fault(), "its slot's image is at");
}

// Shows that an image in place empties its slot, which counts again when the image is whole; and so does a
// slot that was freed.
TEST(LoadRules, ImageInPlace) {
  const std::int64_t slot = slot_of_key("k").value;
  CraftedJournal journal;
  journal.add(put("k", 1, "old"));
  journal.add({RecordKind::kFree, at(1), "", "", 0, 0, slot});
  journal.add(put("k", 2, "of nobody"));
  Result<LoadReport> report = journal.load_all();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->keys, 0u);
  expect_part(report->text, "1 slots are empty, and not whole");
  journal.add({RecordKind::kBegin, at(1), "", words({1}), kRecordInPlace, 0, slot});
  journal.add(piece("k", at(3), 0, 10, "piece", kRecordOfImage | kRecordOfPart));
  journal.add(piece("k", at(3), 5, 10, "piece", kRecordOfImage | kRecordOfPart | kRecordLastPiece));
  journal.add({RecordKind::kPut, at(2), "k", "of 2", kRecordOfImage});
  journal.add({RecordKind::kComplete, at(3), "", words({1}), 0, 0, slot});
  journal.add(put("k2{k}", 4, "of 4"));
  report = journal.load_all();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(journal.value_of("k"), "piecepiece");
  EXPECT_EQ(journal.value_of("k2{k}"), "of 4");
  EXPECT_EQ(report->text, "");
}

// Shows that what an archiver wrote again, because it died before it could note that it had, does not set a
// slot back: a freed one, which positions alone do not tell.
TEST(LoadRules, Twice) {
  const std::int64_t slot = slot_of_key("k").value;
  CraftedJournal journal;
  const Crafted free{RecordKind::kFree, at(1), "", "", 0, 0, slot};
  const Crafted begin{RecordKind::kBegin, at(1), "", words({1}), kRecordInPlace, 0, slot};
  const Crafted complete{RecordKind::kComplete, at(1), "", words({1}), 0, 0, slot};
  journal.add(put("k", 1, "old"));
  const std::uint64_t place = journal.journal().tail(1);
  journal.add(free);
  journal.add(begin);
  journal.add(complete);
  journal.add(put("k", 2, "new"));
  journal.add(free, place);
  const Result<LoadReport> report = journal.load_all();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(journal.value_of("k"), "new");
  EXPECT_EQ(report->dropped_records, 1u);
}

}  // namespace
}  // namespace memento::testing
