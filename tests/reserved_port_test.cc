// ReservedPort: what the tests of servers stand on.
#include "tests/reserved_port.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "cli/net/client.h"
#include "master/listen_socket.h"

namespace memento::testing {
namespace {

// Shows that a reserved port is closed, that a server can listen on it, stop, and listen again, and that
// another cannot listen beside it.
TEST(ReservedPortTest, OneServerAtATime) {
  const ReservedPort port;
  const Address address{"127.0.0.1", port.number()};
  for (int round = 0; round < 3; ++round) {
    EXPECT_FALSE(connect_tcp(address));
    const Result<std::vector<Fd>> sockets = bind_listen_sockets(address.host, port.number(), 2);
    ASSERT_TRUE(sockets) << sockets.error().message;
    ASSERT_TRUE(start_listening(*sockets));
    EXPECT_TRUE(connect_tcp(address));
  }
  const Result<std::vector<Fd>> sockets = bind_listen_sockets(address.host, port.number(), 2);
  ASSERT_TRUE(sockets && start_listening(*sockets));
  EXPECT_FALSE(bind_listen_sockets(address.host, port.number(), 1));
}

// Shows that no two reservations share a port, nor what lies above them.
TEST(ReservedPortTest, NoTwoShareAPort) {
  std::vector<ReservedPort> ports;
  std::set<int> numbers;
  for (int i = 0; i < 200; ++i) {
    const ReservedPort& port = ports.emplace_back(std::initializer_list<int>{100, 200});
    for (const int distance : {0, 100, 200}) EXPECT_TRUE(numbers.insert(port.number() + distance).second);
  }
}

}  // namespace
}  // namespace memento::testing
