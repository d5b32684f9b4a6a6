// Attaching to a segment whose processes are gone: what a record held is taken back, also when nobody will
// have that record again.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "shm/format/layout.h"
#include "tests/shm/keyspace/keyspace_fixture.h"

namespace memento {
namespace {

using testing::get;

class Attach : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(mkdtemp(folder_), nullptr); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<Segment> attach(std::uint32_t workers, AttachReport* report,
                                  std::uint64_t size_bytes = 32ull << 20) {
    auto segment = Segment::create_or_attach({folder_, size_bytes, workers}, report);
    EXPECT_TRUE(segment);
    return std::move(*segment);
  }
  std::string path() const { return std::string(folder_) + "/segment"; }
  /// Why what is there is not used.
  std::string refusal(std::uint64_t size_bytes) {
    AttachReport report;
    attach(1, &report, size_bytes);
    EXPECT_FALSE(report.attached);
    const std::string& text = report.set_aside_message;
    const std::size_t begin = text.find('(') + 1;
    return text.substr(begin, text.find(')') - begin);
  }

 private:
  char folder_[40] = "/dev/shm/memento-attach-XXXXXX";
};

// The third worker holds a flushed slot's table when all end; the next start has two.
TEST_F(Attach, FewerWorkersAfterAnInterruptedFlush) {
  AttachReport report;
  {
    auto segment = attach(3, &report);
    Keyspace keyspace(*segment, 3);
    for (int i = 0; i < 100; ++i) keyspace.set(keyspace.hash("{tag}" + std::to_string(i)), "flushed");
    keyspace.flush();
    EXPECT_EQ(keyspace.erase(keyspace.hash("{tag}1")), WriteStatus::kUnchanged);
    EXPECT_NE(segment->process(3).held[kHeldDeadTable].load(), 0u);
    Keyspace other(*segment, 1);
    for (int i = 0; i < 100; ++i) other.set(other.hash("key" + std::to_string(i)), "kept");
  }
  auto segment = attach(2, &report);
  EXPECT_TRUE(report.attached) << report.set_aside_message;
  EXPECT_EQ(report.key_count, 100u);
  testing::expect_sound(*segment);
}

// The keys of each database are there again, but those of one that was being flushed when all ended.
TEST_F(Attach, EveryDatabase) {
  AttachReport report;
  {
    auto segment = attach(2, &report);
    Keyspace keyspace(*segment, 1);
    for (std::uint32_t database = 0; database < kDatabaseLimit; ++database) {
      ASSERT_TRUE(keyspace.open_database(DatabaseId(database)));
      keyspace.select(DatabaseId(database));
      keyspace.set(keyspace.hash("key"), std::to_string(database));
    }
    segment->header().database_change.store(1 | 4 << 16 | 4 << 24);  // FLUSHDB of 4 has begun
  }
  auto segment = attach(2, &report);
  EXPECT_TRUE(report.attached) << report.set_aside_message;
  EXPECT_EQ(report.key_count, kDatabaseLimit - 1);
  Keyspace keyspace(*segment, 1);
  for (std::uint32_t database = 0; database < kDatabaseLimit; ++database) {
    keyspace.select(DatabaseId(database));
    std::string value;
    EXPECT_EQ(get(keyspace, "key", &value), database != 4);
    EXPECT_EQ(value, database == 4 ? "" : std::to_string(database));
  }
  testing::expect_sound(*segment);
}

// A worker ends with blocks in its magazines, a reserved area and pages marked as being emptied.
TEST_F(Attach, FewerWorkersAfterATransaction) {
  AttachReport report;
  {
    auto segment = attach(3, &report);
    Keyspace keyspace(*segment, 3);
    std::vector<HashedKey> keys;
    std::vector<std::string> names;
    for (int i = 0; i < 300; ++i) names.push_back("key" + std::to_string(i));
    for (const std::string& name : names) keys.push_back(keyspace.hash(name));
    EXPECT_EQ(keyspace.transact(keys,
                                [&] {
                                  for (const HashedKey& key : keys) keyspace.set(key, "value");
                                  return true;
                                }),
              WriteStatus::kDone);
    EXPECT_NE(segment->process(3).held[kHeldTransaction].load(), 0u);
  }
  auto segment = attach(1, &report);
  EXPECT_TRUE(report.attached) << report.set_aside_message;
  EXPECT_EQ(report.key_count, 300u);
  testing::expect_sound(*segment);
}

// Shows the reason for which a segment is set aside: that it is of another layout is said whatever its size.
TEST_F(Attach, ReasonsToSetAside) {
  constexpr std::uint64_t kSize = 32ull << 20;
  AttachReport report;
  attach(1, &report);
  EXPECT_EQ(refusal(2 * kSize), "size in bytes: expected 67108864, found 33554432");
  const auto set_version = [&](std::uint32_t version) {
    std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(offsetof(Header, layout_version));
    file.write(reinterpret_cast<const char*>(&version), sizeof version);
  };
  const std::string other_version =
      "layout version: expected " + std::to_string(kLayoutVersion) + ", found 1";
  for (const std::uint64_t file_bytes : {kSize, 2 * kSize, kSize / 2}) {
    set_version(1);
    std::filesystem::resize_file(path(), file_bytes);
    EXPECT_EQ(refusal(2 * kSize), other_version) << file_bytes;
  }
  std::filesystem::resize_file(path(), kSize);
  constexpr std::uint64_t kBesideLimitBytes = sizeof(Slot) * kDatabaseStride * (kDatabaseLimit - 1) +
                                              sizeof(SlotJournal) * kDatabaseStride * kDatabaseLimit;
  EXPECT_EQ(refusal(2 * kSize), "bytes of the file: expected " +
                                    std::to_string(2 * kSize + kBesideLimitBytes) + ", found 33554432");
  std::ofstream(path()) << "something else";
  EXPECT_EQ(refusal(2 * kSize), "not a memento segment, or one never completed");
}

}  // namespace
}  // namespace memento
