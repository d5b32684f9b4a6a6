// The handover of an upgrade, without the exec: what one master writes is what the next reads, whatever the
// other's version.
#include "master/handover.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "shm/os/file.h"

namespace memento::testing {
namespace {

class HandoverTest : public ::testing::Test {
 protected:
  void TearDown() override { Handover::announce(-1); }

  /// As exec leaves it to the next binary: the file, open under the number that was announced.
  static Result<std::optional<Handover>> receive(Fd file) {
    Handover::announce(file.release());
    return Handover::received();
  }
  Fd some_file() { return Fd(memfd_create("handover test", MFD_CLOEXEC)); }
  static bool closes_on_exec(int descriptor) { return (fcntl(descriptor, F_GETFD) & FD_CLOEXEC) != 0; }

  Fd first_ = some_file();
  Fd second_ = some_file();
};

// Shows that every field comes through, texts with blanks and newlines too, in the order of the lists, and
// that what is inherited closes on exec again.
TEST_F(HandoverTest, ComesAsItWasSent) {
  Handover sent;
  sent.start_folder = "/a folder";
  sent.directory = "/dev/shm/x";
  sent.pid_file = "";
  sent.user = "nobody";
  sent.address = "::1";
  sent.port = 65535;
  sent.start_monotonic_ms = -5;
  sent.configured = "a 1\nb 2\n";
  sent.in_use = "a 3\n";
  sent.segment = first_.get();
  sent.stuck_lock_writer = second_.get();
  sent.sockets = {second_.get(), first_.get()};
  sent.redirect_sockets = {first_.get()};
  sent.predecessors = {{11, 2, 1, 99, false, false}, {0, 3, 0, 0, true, false}, {12, 4, 0, 0, false, true}};
  for (const int descriptor : sent.descriptors()) keep_over_exec(descriptor, true);
  ASSERT_FALSE(closes_on_exec(first_.get()));
  Result<Fd> file = sent.write();
  ASSERT_TRUE(file);
  const Result<std::optional<Handover>> got = receive(std::move(*file));
  ASSERT_TRUE(got);
  ASSERT_TRUE(got->has_value());
  const Handover& next = **got;
  EXPECT_EQ(next.start_folder, sent.start_folder);
  EXPECT_EQ(next.directory, sent.directory);
  EXPECT_EQ(next.pid_file, "");
  EXPECT_EQ(next.user, sent.user);
  EXPECT_EQ(next.address, sent.address);
  EXPECT_EQ(next.port, sent.port);
  EXPECT_EQ(next.start_monotonic_ms, sent.start_monotonic_ms);
  EXPECT_EQ(next.configured, sent.configured);
  EXPECT_EQ(next.in_use, sent.in_use);
  EXPECT_EQ(next.descriptors(), sent.descriptors());
  EXPECT_EQ(next.sockets, sent.sockets);
  EXPECT_EQ(next.bus_socket, -1);
  ASSERT_EQ(next.predecessors.size(), 3u);
  EXPECT_EQ(next.predecessors[0].pid, 11);
  EXPECT_EQ(next.predecessors[0].record, 2u);
  EXPECT_EQ(next.predecessors[0].index, 1u);
  EXPECT_EQ(next.predecessors[0].kill_at_ns, 99);
  EXPECT_TRUE(next.predecessors[1].is_cleaner);
  EXPECT_TRUE(next.predecessors[2].is_bus);
  EXPECT_TRUE(closes_on_exec(first_.get()));
  EXPECT_TRUE(closes_on_exec(second_.get()));
}

// Shows that a start without a handover is none, and that one is received once.
TEST_F(HandoverTest, IsThereOnce) {
  const Result<std::optional<Handover>> none = Handover::received();
  ASSERT_TRUE(none);
  EXPECT_FALSE(none->has_value());
  Handover sent;
  sent.segment = first_.get();
  sent.sockets = {second_.get()};
  ASSERT_TRUE(receive(std::move(*sent.write())));
  const Result<std::optional<Handover>> again = Handover::received();
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->has_value());
}

// Shows that a field which only a newer binary knows is passed over, wherever it stands.
TEST_F(HandoverTest, PassesOverWhatItDoesNotKnow) {
  const std::string nul(1, '\0');
  const std::string text = "of a later version" + nul + "x" + nul + "segment" + nul +
                           std::to_string(first_.get()) + nul + "another" + nul + nul + "socket" + nul +
                           std::to_string(second_.get()) + nul;
  Fd file = some_file();
  ASSERT_TRUE(write_at(file.get(), 0, text.data(), text.size()));
  const Result<std::optional<Handover>> got = receive(std::move(file));
  ASSERT_TRUE(got);
  EXPECT_EQ((*got)->segment, first_.get());
  EXPECT_EQ((*got)->sockets, std::vector<int>{second_.get()});
}

// Shows that a handover is refused, with the reason, that lacks what a server cannot be without, names a file
// that is not open, or is itself not there.
TEST_F(HandoverTest, IsRefusedWhenItIsBroken) {
  Handover sent;
  sent.segment = first_.get();
  const Result<std::optional<Handover>> socketless = receive(std::move(*sent.write()));
  ASSERT_FALSE(socketless);
  EXPECT_NE(socketless.error().message.find("lacks its segment or its sockets"), std::string::npos);
  sent.sockets = {1'000'000};
  const Result<std::optional<Handover>> closed = receive(std::move(*sent.write()));
  ASSERT_FALSE(closed);
  EXPECT_NE(closed.error().message.find("names a file that is not open"), std::string::npos);
  Handover::announce(1'000'000);
  const Result<std::optional<Handover>> gone = Handover::received();
  ASSERT_FALSE(gone);
  EXPECT_NE(gone.error().message.find("is not there"), std::string::npos);
}

}  // namespace
}  // namespace memento::testing
