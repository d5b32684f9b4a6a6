// A session's worker whose changes are journalled, with the test as the archiver.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/worker/session/session_fixture.h"

namespace memento::testing {

/// Writes values of so many bytes until the ring of the keyspace's process takes no more.
inline void fill_ring(Keyspace& keyspace, std::size_t value_bytes) {
  const std::string value(value_bytes, 'f');
  try {
    for (;;) keyspace.set(keyspace.hash("filler"), value);
  } catch (const JournalFull&) {
  }
}

class JournalledSessionTest : public SessionTest {
 protected:
  static constexpr std::uint64_t kSmallRing = 64 << 10;

  explicit JournalledSessionTest(std::uint64_t ring_bytes = kSmallRing) {
    EXPECT_TRUE(static_cast<bool>(segment_->begin_journal(kJournalForDisk, ring_bytes)));
  }

  JournalState& ring(std::uint32_t process = 1) { return segment_->process(process).journal; }
  DiskWaits& disk() { return hub_->disk(); }
  /// The archiver has written all that is in the ring.
  void archive() { ring().heads[0].store(ring().tail.load()); }
  /// Leaves no room for anything longer than 1 KiB; and if `entirely`, for nothing.
  void fill_ring(bool entirely) {
    testing::fill_ring(*keyspace_, 32'000);
    testing::fill_ring(*keyspace_, 1024);
    if (entirely) testing::fill_ring(*keyspace_, 1);
  }

  /// As the worker does when a head has moved: the replies of the clients that waited, in the order in which
  /// they were executed again.
  std::vector<std::string> retry(const std::vector<Conversation*>& clients) {
    std::vector<std::string> replies;
    while (ClientState* const client = disk().begin_retry()) {
      for (Conversation* const conversation : clients) {
        if (&conversation->session().client() == client) replies.push_back(conversation->say(""));
      }
      if (!disk().end_retry()) break;
    }
    return replies;
  }
};

}  // namespace memento::testing
