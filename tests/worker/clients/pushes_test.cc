// What clients are sent without having asked: who is listed, and when a client is closed instead.
#include "worker/clients/pushes.h"

#include <gtest/gtest.h>

#include <array>
#include <new>
#include <string>

namespace memento {
namespace {

using Clients = std::vector<ClientState*>;

Clients take_all(Pushes& pushes) {
  Clients all;
  while (ClientState* const client = pushes.take()) all.push_back(client);
  return all;
}

void push(Pushes& pushes, ClientState& client, const std::string& text) {
  pushes.push(client, [&](ReplyWriter& reply) { reply.bulk(text); });
}

// Shows that a client is listed once, however much it is pushed, in its own protocol, and again after it was
// taken.
TEST(Pushes, AClientIsListedOnce) {
  Pushes pushes;
  ClientState first;
  ClientState second;
  first.protocol = Protocol::kResp2;
  push(pushes, first, "a");
  push(pushes, second, "x");
  push(pushes, first, "b");
  EXPECT_TRUE(first.has_pushes);
  EXPECT_EQ(take_all(pushes), (Clients{&first, &second}));
  EXPECT_FALSE(first.has_pushes);
  EXPECT_EQ(first.pushes.view(), "$1\r\na\r\n$1\r\nb\r\n");
  EXPECT_EQ(second.pushes.view(), "x\r\n");
  EXPECT_EQ(take_all(pushes), Clients{});
  push(pushes, first, "c");
  EXPECT_EQ(take_all(pushes), Clients{&first});
}

// Shows that who is gone or begins anew is not listed any more, wherever it stood, and the others are.
TEST(Pushes, WhoIsForgottenIsNotListed) {
  for (std::size_t forgotten = 0; forgotten < 3; ++forgotten) {
    Pushes pushes;
    std::array<ClientState, 3> clients;
    for (ClientState& client : clients) push(pushes, client, "a");
    pushes.forget(clients[forgotten]);
    EXPECT_FALSE(clients[forgotten].has_pushes);
    pushes.forget(clients[forgotten]);
    Clients left{&clients[0], &clients[1], &clients[2]};
    left.erase(left.begin() + static_cast<std::ptrdiff_t>(forgotten));
    push(pushes, *left[0], "b");
    push(pushes, clients[forgotten], "c");
    left.push_back(&clients[forgotten]);
    EXPECT_EQ(take_all(pushes), left);
  }
}

// Shows that a client that does not take what it is pushed is closed, without what it would have got, and
// that nothing more is written for it.
TEST(Pushes, TooMuchClosesTheClient) {
  Pushes pushes;
  ClientState client;
  const std::string part(1 << 20, 'x');
  while (!client.must_close) {
    ASSERT_LE(client.pushes.size(), Pushes::kLimitBytes);
    push(pushes, client, part);
  }
  EXPECT_EQ(client.pushes.size(), 0u);
  push(pushes, client, part);
  EXPECT_EQ(client.pushes.size(), 0u);
  EXPECT_EQ(take_all(pushes), Clients{&client});
  EXPECT_EQ(pushes.take_unwritten_count(), 0u);
}

// Shows that a message for which there is no memory closes its client, and is counted.
TEST(Pushes, NoMemoryClosesTheClient) {
  Pushes pushes;
  ClientState client;
  push(pushes, client, "a");
  pushes.push(client, [](ReplyWriter&) { throw std::bad_alloc(); });
  EXPECT_TRUE(client.must_close);
  EXPECT_EQ(client.pushes.size(), 0u);
  EXPECT_EQ(pushes.take_unwritten_count(), 1u);
  EXPECT_EQ(pushes.take_unwritten_count(), 0u);
  EXPECT_EQ(take_all(pushes), Clients{&client});
}

// Shows that closing lists a client, so that its connection is closed, and counts whom it closes.
TEST(Pushes, ClosingCountsThoseThatWereNotClosed) {
  Pushes pushes;
  ClientState first;
  ClientState second;
  pushes.close(first);
  EXPECT_EQ(pushes.close_all({&first, &second}), 1u);
  EXPECT_EQ(pushes.close_all({&first, &second}), 0u);
  EXPECT_EQ(take_all(pushes), (Clients{&first, &second}));
}

}  // namespace
}  // namespace memento
