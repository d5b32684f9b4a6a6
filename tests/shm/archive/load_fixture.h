// What the tests of recovery share: a keyspace whose changes go to a journal on disk as an archiver writes
// it, what a segment holds, and loading.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "shm/archive/recovery.h"
#include "shm/archive/ring_frames.h"
#include "tests/shm/archive/journal_fixture.h"
#include "tests/shm/journal/journal_fixture.h"

namespace memento::testing {

/// All that a segment holds, by what its tables lead to, and where its slots are in the journal.
struct Contents {
  struct Value {
    std::string bytes;
    TimeMs expiry_ms = kNoExpiry;
    std::uint64_t created = 0;
    bool operator==(const Value&) const = default;
  };
  using Slot = std::map<std::string, Value>;
  std::map<std::uint32_t, Slot> slots;  ///< without those that hold nothing
  std::map<std::uint32_t, std::uint64_t> positions;
  bool operator==(const Contents&) const = default;

  std::size_t key_count() const {
    std::size_t count = 0;
    for (const auto& [slot, keys] : slots) count += keys.size();
    return count;
  }
};

inline Contents contents_of(Segment& segment) {
  Contents contents;
  const Header& header = segment.header();
  const SlotArray slots(segment.base() + header.slots_offset);
  const auto* const journals =
      reinterpret_cast<const SlotJournal*>(segment.base() + header.slot_journals_offset);
  for (DatabaseId database; database < kDatabaseEnd; ++database) {
    if (!header.is_open(database)) continue;
    for (SlotId id = first_slot(database); id < first_slot(database) + kSlotCount; ++id) {
      if (const std::uint64_t position = journals[id.value].position.load(); position != 0)
        contents.positions[id.value] = position;
      const Extent table{slots[id].table.load()};
      if (slots[id].generation.load() != header.flush_generation.load()) continue;
      const Word* const cells = table_cells(segment.base(), table);
      for (std::uint64_t i = 0; i < table.size() * kCellsPerLine; ++i) {
        if (!Cell::live(cells[i].load())) continue;
        const Entry entry = Entry::parse(segment.base() + Cell::offset(cells[i].load()));
        contents.slots[id.value][{entry.key(), entry.key_bytes}] = {
            {entry.value(), entry.value_bytes}, entry.expiry_ms(), entry.created};
      }
    }
  }
  return contents;
}

/// Says where two differ, which gtest would print as a whole.
inline void expect_equal(const Contents& found, const Contents& expected) {
  EXPECT_EQ(found.key_count(), expected.key_count());
  EXPECT_TRUE(found.positions == expected.positions);
  for (const auto& [slot, keys] : expected.slots) {
    const auto found_slot = found.slots.find(slot);
    ASSERT_TRUE(found_slot != found.slots.end()) << "slot " << slot;
    for (const auto& [key, value] : keys) {
      const auto found_value = found_slot->second.find(key);
      ASSERT_TRUE(found_value != found_slot->second.end()) << key;
      ASSERT_EQ(found_value->second.bytes.size(), value.bytes.size()) << key;
      ASSERT_TRUE(found_value->second == value) << key;
    }
  }
  EXPECT_TRUE(found == expected);
}

/// A segment's changes in a journal's files.
class RecordedKeyspace {
 public:
  explicit RecordedKeyspace(std::uint64_t bytes = 64 << 20, std::uint64_t ring_bytes = 4 << 20)
      : segment_(make_journalled(bytes, ring_bytes)) {
    rings_.emplace(*segment_, kDiskConsumer);
    journal_.begin_file();
  }

  Segment& segment() { return *segment_; }
  TestJournal& journal() { return journal_; }
  RingFrames& rings() { return *rings_; }

  /// Brings what is in the rings on disk. REQUIRES: nobody writes meanwhile.
  void archive() {
    do {
      archive_some();
    } while (rings_->merger().waiting_bytes() > 0);
  }
  void archive_some() {
    constexpr std::uint64_t kPassBytes = 1 << 20;
    ASSERT_TRUE(rings_->fill(kPassBytes, &journal_.builder())) << rings_->merger().error();
    if (!journal_.has_room(3 * kPassBytes)) {
      journal_.sync();
      journal_.begin_file(journal_.bounds().first_file);
    }
    journal_.write();
    rings_->merger().publish();
  }

  /// An archiver that writes so much and dies before its heads move; another one follows.
  void write_and_die(std::uint64_t limit_bytes) {
    ASSERT_TRUE(rings_->fill(limit_bytes, &journal_.builder())) << rings_->merger().error();
    if (journal_.has_room(limit_bytes + (2 << 20))) {
      journal_.write();
    }
    journal_.replace_builder();
    rings_.emplace(*segment_, kDiskConsumer);
  }

  LoadOptions options(std::uint32_t thread_count = 1) {
    LoadOptions options;
    options.folder = &journal_.folder().fd();
    options.path = journal_.path();
    const JournalBounds bounds = journal_.bounds();
    options.manifest.first_file = bounds.first_file;
    options.manifest.first_seed = bounds.first_seed;
    options.manifest.first_frame = bounds.first_frame;
    options.manifest.time_base_ms = segment_->header().time_base_ms;
    options.newest_file = bounds.newest_file;
    for (std::uint32_t i = 0; i < thread_count; ++i) options.processes.push_back(i + 1);
    return options;
  }

  /// Shows that what is on disk makes what this segment holds.
  void expect_loaded(std::uint32_t thread_count, LoadReport* report = nullptr) {
    auto loaded = make_segment(segment_->size_bytes());
    const Result<LoadReport> result = load(*loaded, options(thread_count));
    ASSERT_TRUE(result) << result.error().message;
    expect_sound(*loaded);
    const Contents contents = contents_of(*loaded);
    expect_equal(contents, contents_of(*segment_));
    EXPECT_EQ(result->keys, contents.key_count());
    EXPECT_EQ(loaded->header().disk.loaded_keys.load(), contents.key_count());
    EXPECT_EQ(loaded->header().time_base_ms, segment_->header().time_base_ms);
    if (report != nullptr) *report = *result;
  }

 private:
  std::unique_ptr<Segment> segment_;
  TestJournal journal_{8 << 20};
  std::optional<RingFrames> rings_;
};

/// Random changes of all kinds, by several processes, in three databases.
class RandomWriters {
 public:
  RandomWriters(Segment& segment, std::uint64_t seed, std::uint32_t process_count = 3,
                std::uint64_t name_count = 200, std::string prefix = "", std::uint32_t first_process = 1)
      : random_(seed), name_count_(name_count), prefix_(std::move(prefix)) {
    for (std::uint32_t i = 0; i < process_count; ++i) {
      keyspaces_.push_back(std::make_unique<Keyspace>(segment, first_process + i));
      for (std::uint32_t database = 1; database < kDatabases; ++database)
        EXPECT_TRUE(keyspaces_.back()->open_database(DatabaseId(database)));
    }
  }

  /// One change; false: the journal is full.
  bool step() {
    Keyspace& keyspace = *keyspaces_[random_() % keyspaces_.size()];
    now_ms_ += static_cast<TimeMs>(random_() % 20);
    keyspace.set_now_ms(now_ms_);
    keyspace.select(DatabaseId(static_cast<std::uint32_t>(random_() % 4 % kDatabases)));
    try {
      change(keyspace);
      return true;
    } catch (const JournalFull&) {
      return false;
    }
  }
  void set_long_values(bool are_there) { has_long_values_ = are_there; }
  /// FLUSHALL, FLUSHDB, SWAPDB.
  void set_whole_changes(bool are_there) { has_whole_changes_ = are_there; }
  Keyspace& keyspace(std::size_t i) { return *keyspaces_[i]; }

 private:
  static constexpr std::uint32_t kDatabases = 3;

  std::string value() {
    const std::uint64_t kind = random_() % 100;
    const std::size_t bytes = kind < 80 || !has_long_values_ ? random_() % 64
                              : kind < 97                    ? random_() % 40'000
                                                             : random_() % 500'000;
    return std::string(bytes, static_cast<char>('a' + random_() % 26)) + std::to_string(random_());
  }
  std::string name() {
    std::string bytes = prefix_ + "key:" + std::to_string(random_() % name_count_);
    if (random_() % 20 == 0) bytes.append(300, 'k');
    return bytes;
  }
  TimeMs expiry() { return random_() % 3 == 0 ? now_ms_ + static_cast<TimeMs>(random_() % 3000) : kNoExpiry; }

  void change(Keyspace& keyspace) {
    const std::string one = name();
    const std::string bytes = value();
    const HashedKey key = keyspace.hash(one);
    const std::uint64_t choice = random_() % (has_whole_changes_ ? 1000 : 990);
    if (choice < 400) {
      SetOptions options;
      options.expiry_ms = expiry();
      keyspace.set(key, bytes, options);
    } else if (choice < 500) {
      keyspace.erase(key);
    } else if (choice < 620) {
      keyspace.update(key, [&](const EntryView* old) {
        return replaced({old != nullptr ? old->value : "", bytes}, old);
      });
    } else if (choice < 700) {
      keyspace.update(key, [&](const EntryView* old) {
        if (old == nullptr || old->value.size() < bytes.size()) return Change{};
        const std::size_t begin = (old->value.size() - bytes.size()) / 2;
        return replaced({old->value.substr(0, begin), bytes, old->value.substr(begin + bytes.size())}, old);
      });
    } else if (choice < 780) {
      const TimeMs at = expiry();
      keyspace.update(key, [&](const EntryView* old) {
        return old != nullptr ? Change{Change::Action::kSetExpiry, {}, at} : Change{};
      });
    } else if (choice < 980) {
      several(keyspace, bytes);
    } else if (choice < 990) {
      keyspace.maintain(20);
    } else if (choice < 993) {
      keyspace.flush_database();
    } else if (choice < 994) {
      keyspace.flush();
    } else {
      keyspace.swap_databases(DatabaseId(static_cast<std::uint32_t>(random_() % kDatabases)),
                              DatabaseId(static_cast<std::uint32_t>(random_() % kDatabases)));
    }
  }

  static Change replaced(std::array<std::string_view, 4> pieces, const EntryView* old) {
    return {Change::Action::kReplace, pieces, old != nullptr ? old->expiry_ms : kNoExpiry};
  }

  void several(Keyspace& keyspace, const std::string& bytes) {
    std::vector<std::string> names;
    for (std::uint64_t i = random_() % 6 + 1; i > 0; --i) names.push_back(name());
    const std::uint64_t number = random_();
    keyspace.transact({}, [&] {
      for (std::size_t i = 0; i < names.size(); ++i) {
        if ((number >> i & 3) == 0) {
          keyspace.erase(keyspace.hash(names[i]));
        } else {
          keyspace.set(keyspace.hash(names[i]), bytes + std::to_string(i));
        }
      }
      return true;
    });
  }

  std::mt19937_64 random_;
  const std::uint64_t name_count_;
  const std::string prefix_;
  std::vector<std::unique_ptr<Keyspace>> keyspaces_;
  TimeMs now_ms_ = kStartMs;
  bool has_long_values_ = true;
  bool has_whole_changes_ = true;
};

}  // namespace memento::testing
