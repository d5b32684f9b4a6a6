// A channel's file and its rings, both sides of it in one process.
#include "bus/core/channel.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

namespace memento::testing {
namespace {

class ChannelTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(mkdtemp(folder_), nullptr); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  Channel create(std::uint32_t process = 1, std::uint32_t node_count = 3) {
    Result<Channel> made = Channel::create(folder_, process, node_count);
    EXPECT_TRUE(made) << made.error().message;
    return std::move(*made);
  }

  char folder_[32] = "/tmp/memento-channel-XXXXXX";
};

void put(RingWriter& writer, std::string_view payload) {
  char* const to = writer.reserve(fragment_bytes(payload.size()));
  ASSERT_NE(to, nullptr);
  FragmentHeader header{};
  header.payload_bytes = static_cast<std::uint32_t>(payload.size());
  std::memcpy(to, &header, sizeof header);
  std::memcpy(to + sizeof header, payload.data(), payload.size());
  writer.advance(fragment_bytes(payload.size()));
}

std::string take(RingReader& reader) {
  std::string payloads;
  std::uint64_t bytes = 0;
  for_each_fragment(reader.view(), [&](const FragmentHeader& header, std::string_view payload) {
    payloads.append(payload).append(";");
    bytes += fragment_bytes(header.payload_bytes);
    return true;
  });
  reader.advance(bytes);
  reader.release();
  return payloads;
}

// Shows that the bus sees a batch when it is published, all of it and not before, through a mapping of its
// own.
TEST_F(ChannelTest, ABatchComesWhole) {
  const Channel worker = create();
  const Result<Channel> bus = Channel::open(folder_, 1, 3);
  ASSERT_TRUE(bus);
  RingWriter writer = worker.request_writer();
  RingReader reader = bus->request_reader();
  EXPECT_FALSE(writer.publish());
  put(writer, "one");
  put(writer, "two and more");
  EXPECT_FALSE(reader.has_more());
  EXPECT_TRUE(writer.publish());
  EXPECT_TRUE(reader.has_more());
  EXPECT_EQ(take(reader), "one;two and more;");
  EXPECT_FALSE(reader.has_more());
}

// Shows that no fragment is cut by the ring's end: with sizes that do not divide it, several times around,
// each is read in one piece, in every ring of the channel at once, and none writes into another.
TEST_F(ChannelTest, RingsGoAroundWithoutACut) {
  const Channel worker = create();
  const Result<Channel> bus = Channel::open(folder_, 1, 3);
  ASSERT_TRUE(bus);
  std::vector<RingWriter> writers = {worker.request_writer(), bus->reply_writer()};
  std::vector<RingReader> readers = {bus->request_reader(), worker.reply_reader()};
  for (NodeId node; node < NodeId{3}; ++node) {
    writers.push_back(bus->peer_request_writer(node));
    readers.push_back(worker.peer_request_reader(node));
    writers.push_back(worker.peer_reply_writer(node));
    readers.push_back(bus->peer_reply_reader(node));
  }
  for (int round = 0; round < 100; ++round) {
    for (std::size_t ring = 0; ring < writers.size(); ++ring) {
      const std::string payload(50'000 + ring, static_cast<char>('a' + ring));
      put(writers[ring], payload);
      put(writers[ring], payload);
      writers[ring].publish();
    }
    for (std::size_t ring = 0; ring < writers.size(); ++ring) {
      const std::string payload(50'000 + ring, static_cast<char>('a' + ring));
      ASSERT_TRUE(take(readers[ring]) == payload + ";" + payload + ";") << ring;
    }
  }
}

// Shows that a full ring refuses, and takes again what its reader has let go of and no more.
TEST_F(ChannelTest, AFullRingRefuses) {
  const Channel channel = create();
  RingWriter writer = channel.reply_writer();
  RingReader reader = channel.reply_reader();
  const std::string payload(kFragmentLimitBytes, 'f');
  const std::uint64_t each = fragment_bytes(payload.size());
  std::uint64_t count = 0;
  for (; writer.reserve(each) != nullptr; ++count) put(writer, payload);
  EXPECT_EQ(count, kChannelRingBytes / each);
  EXPECT_LT(writer.free_bytes(), each);
  writer.publish();
  reader.advance(each);
  EXPECT_EQ(writer.reserve(each), nullptr) << "it was read but not let go of";
  reader.release();
  EXPECT_NE(writer.reserve(each), nullptr);
  put(writer, payload);
  EXPECT_EQ(writer.reserve(each), nullptr);
}

// Shows that who comes after a dead worker goes on where the ring's words say: what was published is there,
// what was not is overwritten.
TEST_F(ChannelTest, OutlivesItsWriter) {
  {
    const Channel dead = create();
    RingWriter writer = dead.request_writer();
    put(writer, "published");
    writer.publish();
    put(writer, "not published");
  }
  const Channel successor = create();
  RingWriter writer = successor.request_writer();
  put(writer, "later");
  writer.publish();
  const Result<Channel> bus = Channel::open(folder_, 1, 3);
  ASSERT_TRUE(bus);
  RingReader reader = bus->request_reader();
  EXPECT_EQ(take(reader), "published;later;");
}

// Shows that the bus refuses a channel that is not there or is another cluster's, that it follows no link,
// and that the file is its owner's alone.
TEST_F(ChannelTest, IsRefusedWhenItIsAnother) {
  const Result<Channel> missing = Channel::open(folder_, 1, 3);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().error_number, ENOENT);
  (void)create();
  EXPECT_FALSE(Channel::open(folder_, 1, 4));
  EXPECT_TRUE(Channel::open(folder_, 1, 3));
  struct stat status {};
  ASSERT_EQ(stat(Channel::path_of(folder_, 1).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  ASSERT_EQ(symlink(Channel::path_of(folder_, 1).c_str(), Channel::path_of(folder_, 2).c_str()), 0);
  EXPECT_FALSE(Channel::open(folder_, 2, 3));
  EXPECT_FALSE(Channel::create(folder_, 2, 3));
}

// Shows that bytes which are no whole fragments are refused, and those before the fault given.
TEST(Fragments, BrokenOnesEndTheWalk) {
  std::string bytes;
  const auto add = [&](std::uint32_t payload_bytes, std::size_t there) {
    FragmentHeader header{};
    header.payload_bytes = payload_bytes;
    bytes.append(reinterpret_cast<const char*>(&header), sizeof header).append(there, 'p');
  };
  const auto count = [&](bool* is_whole) {
    int fragments = 0;
    *is_whole =
        for_each_fragment(bytes, [&](const FragmentHeader&, std::string_view) { return ++fragments > 0; });
    return fragments;
  };
  bool is_whole = false;
  add(8, 8);
  EXPECT_EQ(count(&is_whole), 1);
  EXPECT_TRUE(is_whole);
  add(16, 8);
  EXPECT_EQ(count(&is_whole), 1);
  EXPECT_FALSE(is_whole);
  bytes.resize(fragment_bytes(8) + 4);
  EXPECT_EQ(count(&is_whole), 1);
  EXPECT_FALSE(is_whole);
  bytes.resize(fragment_bytes(8));
  add(kFragmentLimitBytes + 1, kFragmentLimitBytes + 8);
  EXPECT_EQ(count(&is_whole), 1);
  EXPECT_FALSE(is_whole);
}

}  // namespace
}  // namespace memento::testing
