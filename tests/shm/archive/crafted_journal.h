// CraftedJournal: a journal of records that are put together by hand, one frame each, and what loading makes
// of it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "shm/keyspace/hash.h"
#include "tests/shm/archive/load_fixture.h"

namespace memento::testing {

inline std::string words(std::initializer_list<std::uint64_t> numbers) {
  std::string bytes;
  for (const std::uint64_t number : numbers) bytes += word_bytes(number);
  return bytes;
}

/// A record, of database 0 and the key's slot unless it says something else.
struct Crafted {
  RecordKind kind;
  std::uint64_t position;
  std::string key = {};
  std::string literal = {};
  std::uint8_t flags = 0;
  std::uint64_t value_bytes = UINT64_MAX;  ///< that long as the literal
  std::int64_t slot = -1;
  std::uint32_t database = 0;
  std::int64_t expiry_ms = kNoExpiry;

  std::string bytes() const {
    RecordHeader header{};
    header.bytes = static_cast<std::uint32_t>(record_bytes(key.size(), literal.size()));
    header.kind = kind;
    header.flags = flags;
    header.slot = static_cast<std::uint16_t>(slot >= 0 ? slot : slot_of_key(key).value);
    header.position = position;
    header.created_and_key = RecordHeader::created_and_key_of(7, key.size());
    header.value_and_origin = RecordHeader::value_and_origin_of(
        value_bytes == UINT64_MAX ? literal.size() : value_bytes, database, 1);
    header.expiry_ms = expiry_ms;
    std::string record(header.bytes, '\0');
    std::memcpy(record.data(), &header, sizeof header);
    key.copy(record.data() + sizeof header, key.size());
    literal.copy(record.data() + sizeof header + key.size(), literal.size());
    return record;
  }
};

/// A put of this key at (1, number).
inline Crafted put(const std::string& key, std::uint64_t number, const std::string& value) {
  return {RecordKind::kPut, position_of(1, number), key, value};
}

inline Crafted piece(const std::string& key, std::uint64_t position, std::uint64_t offset,
                     std::uint64_t total_bytes, const std::string& bytes, std::uint8_t flags = 0) {
  return {RecordKind::kPiece, position, key, words({0, offset, total_bytes}) + bytes, flags, bytes.size()};
}

class CraftedJournal {
 public:
  CraftedJournal() { journal_.begin_file(); }

  /// Each record in a frame of its own, behind those before it in its ring.
  void add(const Crafted& record, std::uint64_t ring_position = UINT64_MAX) {
    const std::string bytes = record.bytes();
    std::uint64_t& tail = journal_.tail(1);
    const std::uint64_t at = ring_position == UINT64_MAX ? tail : ring_position;
    if (record.kind == RecordKind::kPiece) {
      journal_.builder().add_piece(bytes);
    } else {
      journal_.builder().add(bytes, at);
    }
    if (ring_position == UINT64_MAX) tail += bytes.size();
    if (is_last_) journal_.builder().end_group();
    journal_.write();
  }
  /// All or nothing, though in a frame each.
  void add_together(const std::vector<Crafted>& records) {
    journal_.builder().begin_group();
    for (const Crafted& record : records) {
      is_last_ = &record == &records.back();
      add(record);
    }
    is_last_ = false;
  }
  void add_group(const std::vector<Crafted>& members, std::uint64_t count = UINT64_MAX) {
    std::string literal = word_bytes(count == UINT64_MAX ? members.size() : count);
    for (const Crafted& member : members) literal += member.bytes();
    add({RecordKind::kGroup, 0, "", literal, 0, literal.size() - 8, 0});
  }

  LoadOptions options(bool salvages = false) {
    LoadOptions options;
    options.folder = &journal_.folder().fd();
    options.path = journal_.path();
    options.processes = {1, 2};
    options.salvages = salvages;
    options.manifest.first_file = 1;
    return options;
  }
  /// Into a segment of its own, which is empty when that fails.
  Result<LoadReport> load_all(bool salvages = false) {
    segment_ = make_segment(16 << 20);
    Result<LoadReport> report = load(*segment_, options(salvages));
    expect_sound(*segment_);
    EXPECT_TRUE(report || contents_of(*segment_).key_count() == 0);
    return report;
  }
  std::string fault() {
    const Result<LoadReport> report = load_all();
    return report ? "" : report.error().message;
  }
  Segment& segment() { return *segment_; }
  TestJournal& journal() { return journal_; }

  /// What a key has in database 0; "-": it is not there.
  std::string value_of(const std::string& key) {
    const Contents contents = contents_of(*segment_);
    const auto slot = contents.slots.find(slot_of_key(key).value);
    if (slot == contents.slots.end() || !slot->second.contains(key)) return "-";
    return slot->second.at(key).bytes;
  }
  std::uint64_t position_of_slot(const std::string& key) {
    return contents_of(*segment_).positions[slot_of_key(key).value];
  }

 private:
  TestJournal journal_;
  bool is_last_ = false;  ///< of add_together()
  std::unique_ptr<Segment> segment_;
};

}  // namespace memento::testing
