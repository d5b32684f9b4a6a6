// Messages between nodes as bytes: each kind and back, cut anywhere, and made by somebody who means harm.
#include "bus/core/message_bytes.h"

#include <gtest/gtest.h>

#include "bus/core/random.h"
#include "tests/bus/core/sample_document.h"

namespace memento::bus {
namespace {

std::vector<Message> one_of_each() {
  const auto document = std::make_shared<const Document>(sample_document(3, 3));
  Settings settings;
  settings.replicas = 2;
  const std::vector<MessageBody> bodies = {
      PreVote{{1, 2}},
      PreVoteYes{3},
      StartTerm{4},
      Vote{5, {6, 7}},
      Heartbeat{8, 9, {10, 11}},
      HeartbeatAnswer{12, 13},
      NewerTerm{14},
      Publish{15, 16, document},
      Accepted{17, 18, {19, 20}},
      Commit{{21, 22}},
      Fetch{{23, 24}},
      Fetched{document},
      Fresh{"a", {sample_uuid(1), sample_uuid(2)}},
      Told{document, true},
      Join{document->members[1], true},
      Leave{sample_uuid(3)},
      ChangeSettings{settings},
      LeaseRequest{25, 26, 27, 28, 29},
      Grant{30, 31, 32, {33, 34}},
  };
  std::vector<Message> messages;
  for (const MessageBody& body : bodies) messages.push_back({document->cluster_id, sample_uuid(1), body});
  return messages;
}

// Shows that each kind of message is read back as it was: its bytes are the same again.
TEST(BusMessageBytes, EachKindAndBack) {
  const std::vector<Message> messages = one_of_each();
  ASSERT_EQ(messages.size(), std::variant_size_v<MessageBody>);
  for (std::size_t kind = 0; kind < messages.size(); ++kind) {
    ASSERT_EQ(messages[kind].body.index(), kind);
    const std::string bytes = message_bytes(messages[kind]);
    const Result<Message> read = read_message(bytes);
    ASSERT_TRUE(read) << kind << ": " << read.error().message;
    EXPECT_EQ(read->body.index(), kind);
    EXPECT_EQ(read->from, messages[kind].from);
    EXPECT_EQ(read->cluster_id, messages[kind].cluster_id);
    EXPECT_EQ(message_bytes(*read), bytes) << kind;
    for (std::size_t end = 0; end < bytes.size(); ++end)
      ASSERT_FALSE(read_message(std::string_view(bytes).substr(0, end))) << kind << " cut at " << end;
    EXPECT_FALSE(read_message(bytes + "x")) << kind;
  }
  EXPECT_FALSE(read_message(std::string(1, '\xff') + std::string(100, '\0')));
}

// Shows that changed bytes are refused or give a message that can be written again, and that a grant cannot
// make a clock overflow. (Sanitizers say whether anything was read beyond the end.)
TEST(BusMessageBytes, HostileBytes) {
  Random random(3);
  int accepted = 0;
  for (int round = 0; round < 400; ++round) {
    for (const Message& message : one_of_each()) {
      std::string bytes = message_bytes(message);
      for (std::uint64_t change = random.below(4); change > 0; --change)
        bytes[random.below(bytes.size())] = static_cast<char>(random.next());
      const Result<Message> read = read_message(bytes);
      if (!read) continue;
      ++accepted;
      EXPECT_EQ(message_bytes(*read), bytes);
    }
  }
  EXPECT_GT(accepted, 1000);
  const Message grant{{}, sample_uuid(1), Grant{1, INT64_MAX, 1, {}}};
  EXPECT_FALSE(read_message(message_bytes(grant)));
}

}  // namespace
}  // namespace memento::bus
