// The agreed document: what fault_of() finds, and its bytes, whole, damaged and made by somebody who means
// harm.
#include "bus/core/document.h"

#include <gtest/gtest.h>

#include <functional>

#include "bus/core/document_bytes.h"
#include "bus/core/random.h"
#include "tests/bus/core/sample_document.h"

namespace memento::bus {
namespace {

Document full_document(std::size_t slot_count) {
  Document document = sample_document(5, 3, slot_count);
  document.key = {9, 77};
  document.voters_committed = {sample_uuid(2), sample_uuid(5)};
  document.settings = {2, false, 2, 5000};
  document.members[1].zone = "north";
  document.members[2].is_witness = true;
  document.members[3].state = MemberState::kLeaving;
  document.members[4].data_id = sample_uuid(99);
  document.members[4].memory_id = 1234;
  document.slots[17].in_sync = {InSyncCopy{0, 1}, InSyncCopy{4, kDataNumberEnd - 1}};
  document.slots[18].primary = kNoMember;
  document.slots[19].is_lost = true;
  document.slots[20].epoch = kEpochEnd - 1;
  return document;
}

// Shows that what is written is read back the same, that equal slots take little, and that a document of a
// hundred nodes whose slots all differ still fits in a frame.
TEST(BusDocument, BytesAndBack) {
  for (const Document& document :
       {full_document(kSlotCount), sample_document(1, 1), sample_document(9, 5, kSlotCount)}) {
    ASSERT_EQ(fault_of(document), std::nullopt);
    const Result<Document> read = read_document(document_bytes(document));
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(*read, document);
  }
  EXPECT_LT(document_bytes(sample_document(9, 5, kSlotCount)).size(), 2000U);
  Document large = sample_document(100, 5, kSlotCount);
  for (std::size_t place = 0; place < large.members.size(); ++place)
    large.members[place].name = "n" + std::to_string(place);
  for (std::uint32_t slot = 0; slot < kSlotCount; ++slot) large.slots[slot].epoch = slot;
  EXPECT_LT(document_bytes(large).size(), 300'000U);
}

// Shows that each byte changed, and each cut, is refused, with a sentence.
TEST(BusDocument, DamageIsFound) {
  const std::string bytes = document_bytes(sample_document(3, 3));
  for (std::size_t place = 0; place < bytes.size(); ++place) {
    std::string damaged = bytes;
    damaged[place] = static_cast<char>(damaged[place] ^ 0x10);
    const Result<Document> read = read_document(damaged);
    ASSERT_FALSE(read) << place;
    EXPECT_FALSE(read.error().message.empty());
    EXPECT_FALSE(read_document(bytes.substr(0, place))) << place;
  }
  EXPECT_FALSE(read_document(bytes + "x"));
}

// Shows that bytes with a right checksum are not believed: random changes to the body either are refused or
// give a sound document. (Sanitizers say whether anything was read beyond the end.)
TEST(BusDocument, HostileBytes) {
  const std::string bytes = document_bytes(full_document(32));
  const std::string body = bytes.substr(24);
  Random random(1);
  int accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string changed = body;
    for (std::uint64_t change = random.below(3) + 1; change > 0; --change)
      changed[random.below(std::min<std::size_t>(changed.size(), 700))] = static_cast<char>(random.next());
    if (random.chance(0.2)) changed.resize(random.below(changed.size() + 1));
    const Result<Document> read =
        read_document(sealed_bytes(kDocumentMagic, kDocumentFormatVersion, changed));
    if (!read) continue;
    ++accepted;
    EXPECT_EQ(fault_of(*read), std::nullopt);
  }
  EXPECT_GT(accepted, 100);  // else the loop has shown nothing
}

// Shows that a document of another format version is refused by its number.
TEST(BusDocument, OtherVersion) {
  std::string bytes = document_bytes(sample_document(1, 1));
  bytes[4] = 9;
  const Result<Document> read = read_document(bytes);
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().message.find("format version 9"), std::string::npos) << read.error().message;
}

// Shows that each invariant is looked at.
TEST(BusDocument, FaultsAreNamed) {
  const std::vector<std::function<void(Document&)>> faults = {
      [](Document& d) { d.members.clear(); },
      [](Document& d) { d.members[1].uuid = Uuid{}; },
      [](Document& d) { d.members[1].uuid = d.members[0].uuid; },
      [](Document& d) { d.members[1].name = d.members[0].name; },
      [](Document& d) { d.members[1].name.clear(); },
      [](Document& d) { d.members[1].name.assign(64, 'x'); },
      [](Document& d) { d.members[1].address.assign(48, '1'); },
      [](Document& d) { d.members[1].zone.assign(64, 'z'); },
      [](Document& d) { d.members[1].weight = kWeightLimit + 1; },
      [](Document& d) { d.members[1].data_number = kDataNumberEnd; },
      [](Document& d) { std::swap(d.members[0].number, d.members[1].number); },
      [](Document& d) { d.next_number = 1; },
      [](Document& d) { d.voters_accepted.clear(); },
      [](Document& d) { d.voters_committed.clear(); },
      [](Document& d) { std::swap(d.voters_accepted[0], d.voters_accepted[1]); },
      [](Document& d) { d.voters_accepted[2] = sample_uuid(50); },
      [](Document& d) { d.slots[0].primary = 3; },
      [](Document& d) { d.slots[0].targets[3] = 3; },
      [](Document& d) { d.slots[0].in_sync[1].member = 3; },
      [](Document& d) { d.slots[0].in_sync[1].member = d.slots[0].in_sync[0].member; },
      [](Document& d) { d.slots[0].in_sync[2].member = 1; },
      [](Document& d) { d.slots[0].in_sync[0].data_number = kDataNumberEnd; },
      [](Document& d) { d.slots[0].in_sync[3].data_number = 1; },
      [](Document& d) { d.slots[0].epoch = kEpochEnd; },
  };
  ASSERT_EQ(fault_of(sample_document(3, 3)), std::nullopt);
  for (std::size_t fault = 0; fault < faults.size(); ++fault) {
    Document document = sample_document(3, 3);
    faults[fault](document);
    EXPECT_NE(fault_of(document), std::nullopt) << fault;
  }
}

// Shows that slots go on naming the same members when one between them is removed.
TEST(BusDocument, RemovedMember) {
  Document document = sample_document(4, 1);
  for (SlotEntry& slot : document.slots)
    if (slot.names(1)) slot = document.slots[0];
  const std::string last_owner = document.members[document.slots.back().primary].name;
  ASSERT_FALSE(document.owns(1));
  document.remove_member(1);
  EXPECT_EQ(fault_of(document), std::nullopt);
  EXPECT_EQ(document.members.size(), 3U);
  EXPECT_EQ(document.members[document.slots.back().primary].name, last_owner);
  EXPECT_EQ(document.members[1].number, 2U);  // numbers stay
}

// Shows what a majority is: more than half of the set, whoever else has voted.
TEST(BusDocument, Majority) {
  const auto list = [](std::initializer_list<std::uint64_t> numbers) {
    std::vector<Uuid> uuids;
    for (const std::uint64_t number : numbers) insert_sorted(uuids, sample_uuid(number));
    return uuids;
  };
  EXPECT_TRUE(is_majority(list({1}), list({1})));
  EXPECT_FALSE(is_majority(list({1}), list({1, 2})));
  EXPECT_TRUE(is_majority(list({1, 3}), list({1, 2, 3})));
  EXPECT_FALSE(is_majority(list({1, 4, 5, 6}), list({1, 2, 3})));
  EXPECT_FALSE(is_majority(list({1, 2}), list({1, 2, 3, 4})));
}

}  // namespace
}  // namespace memento::bus
