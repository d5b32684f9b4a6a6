// Two nodes greet each other, in memory: who belongs together comes together, everybody else is told why not
// on both sides.
#include "bus/core/handshake.h"

#include <gtest/gtest.h>

namespace memento::bus {
namespace {

Members members_of(std::vector<std::string> names, const std::string& self) {
  ClusterFile file;
  for (const std::string& name : names) {
    if (name == self) file.self = file.nodes.size();
    file.nodes.push_back({"127.0.0.1", static_cast<std::uint16_t>(7000 + file.nodes.size()), name});
  }
  return Members::from(file);
}

struct Side {
  Handshake handshake;
  FrameSender sender{};
  FrameReceiver receiver{};

  // Its answer to all frames in `bytes`.
  std::string take(std::string bytes) {
    std::string answer;
    Frame frame;
    for (std::size_t count = 0; receiver.next(bytes, &frame, &count) == FrameReceiver::Outcome::kFrame;
         bytes.erase(0, count)) {
      answer += handshake.on_frame(frame, sender, receiver);
    }
    return answer;
  }
};

// Lets both talk until neither has anything to say.
void greet(Side& connector, Side& acceptor) {
  std::string bytes = connector.handshake.begin(connector.sender);
  for (int turn = 0; turn < 10 && !bytes.empty(); ++turn)
    bytes = (turn % 2 == 0 ? acceptor : connector).take(bytes);
}

constexpr Nonce kOne{1};
constexpr Nonce kTwo{2};

using State = Handshake::State;

// Shows that members with one secret come together, know each other, and have the same key in both
// directions.
TEST(BusHandshake, MembersComeTogether) {
  const Members a = members_of({"a", "b", "c"}, "a");
  const Members c = members_of({"c", "b", "a"}, "c");
  // The same ports in another order are other members.
  ASSERT_NE(a.id(), c.id());
  const Members b = members_of({"a", "b", "c"}, "b");
  Side connector{Handshake::connector(a, NodeId{1}, 0, "secret", kOne)};
  Side acceptor{Handshake::acceptor(b, 1, "secret", kTwo)};
  greet(connector, acceptor);
  ASSERT_EQ(connector.handshake.state(), State::kDone);
  ASSERT_EQ(acceptor.handshake.state(), State::kDone);
  EXPECT_EQ(acceptor.handshake.peer(), NodeId{0});
  Frame frame;
  std::size_t count = 0;
  EXPECT_EQ(acceptor.receiver.next(connector.sender.frame(FrameType::kPing), &frame, &count),
            FrameReceiver::Outcome::kFrame);
  EXPECT_EQ(connector.receiver.next(acceptor.sender.frame(FrameType::kPing), &frame, &count),
            FrameReceiver::Outcome::kFrame);
}

struct Case {
  std::string reason;  ///< part of it
  Members connector;
  NodeId peer;
  Members acceptor;
  std::string secret = "secret";
  std::uint32_t version = kProtocolVersion;
};

// Shows that whoever differs in members, version or secret, or is not the one meant, is refused, with one
// reason in both logs.
TEST(BusHandshake, OthersAreRefusedOnBothSides) {
  const Members a = members_of({"a", "b", "c"}, "a");
  const Members b = members_of({"a", "b", "c"}, "b");
  const std::vector<Case> cases = {
      {"name other members", a, NodeId{1}, members_of({"a", "b"}, "b")},
      {"version", a, NodeId{1}, b, "secret", kProtocolVersion + 1},
      {"different secrets", a, NodeId{1}, b, "another"},
      {"different secrets", a, NodeId{1}, b, ""},
      {"wanted to reach c, and reached b", a, NodeId{2}, b},
      {"two nodes say that they are a", a, NodeId{0}, a},
  };
  for (const Case& one : cases) {
    Side connector{Handshake::connector(one.connector, one.peer, 0, "secret", kOne)};
    Side acceptor{Handshake::acceptor(one.acceptor, 1, one.secret, kTwo, one.version)};
    greet(connector, acceptor);
    EXPECT_EQ(connector.handshake.state(), State::kRefused) << one.reason;
    EXPECT_EQ(acceptor.handshake.state(), State::kRefused) << one.reason;
    EXPECT_NE(connector.handshake.reason().find(one.reason), std::string::npos)
        << connector.handshake.reason();
    EXPECT_NE(acceptor.handshake.reason().find(one.reason), std::string::npos) << acceptor.handshake.reason();
  }
}

// Shows that greetings recorded earlier do not let anybody in: the acceptor's nonce is another one.
TEST(BusHandshake, RecordedGreetingsAreRefused) {
  const Members a = members_of({"a", "b"}, "a");
  const Members b = members_of({"a", "b"}, "b");
  Side connector{Handshake::connector(a, NodeId{1}, 0, "secret", kOne)};
  Side acceptor{Handshake::acceptor(b, 1, "secret", kTwo)};
  const std::string hello = connector.handshake.begin(connector.sender);
  const std::string proof = connector.take(acceptor.take(hello));
  Side later{Handshake::acceptor(b, 1, "secret", Nonce{3})};
  later.take(hello);
  later.take(proof);
  EXPECT_EQ(later.handshake.state(), State::kRefused);
}

// Shows that a frame out of turn is no way around the proof.
TEST(BusHandshake, NothingIsTakenBeforeTheProof) {
  const Members b = members_of({"a", "b"}, "b");
  for (const FrameType type :
       {FrameType::kRequests, FrameType::kReady, FrameType::kProof, FrameType::kPing}) {
    Side acceptor{Handshake::acceptor(b, 1, "secret", kTwo)};
    acceptor.take(FrameSender().frame(type, "x"));
    EXPECT_EQ(acceptor.handshake.state(), State::kRefused);
  }
}

}  // namespace
}  // namespace memento::bus
