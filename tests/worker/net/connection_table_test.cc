// A worker's connections by descriptor: who is found, who is counted, and erasing during a visit.
#include "worker/net/connection_table.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <set>

namespace memento {
namespace {

class ConnectionTableTest : public ::testing::Test {
 protected:
  Connection& connect(std::uint64_t client_id, bool is_refused = false) {
    auto connection = std::make_unique<Connection>(Fd(::open("/dev/null", O_RDWR | O_CLOEXEC)));
    connection->session().client().id = client_id;
    connection->is_refused = is_refused;
    return table_.add(std::move(connection));
  }
  std::set<std::uint64_t> ids() {
    std::set<std::uint64_t> ids;
    table_.for_each([&](Connection& connection) { ids.insert(connection.session().client().id); });
    return ids;
  }

  ConnectionTable table_;
};

// Shows that a connection is found by its descriptor, and with a client's number only if it is that client's.
TEST_F(ConnectionTableTest, FindsByDescriptorAndClient) {
  EXPECT_EQ(table_.at(0), nullptr);
  Connection& connection = connect(7);
  const int descriptor = connection.descriptor();
  EXPECT_EQ(table_.at(descriptor), &connection);
  EXPECT_EQ(table_.at(descriptor + 1), nullptr);
  EXPECT_EQ(table_.at(1 << 20), nullptr);
  EXPECT_EQ(table_.at(-1), nullptr);
  EXPECT_EQ(table_.find(descriptor, 7), &connection);
  EXPECT_EQ(table_.find(descriptor, 8), nullptr);
  EXPECT_EQ(table_.find(-1, 7), nullptr);
}

// Shows that erasing closes the socket, and that those that are refused are not counted.
TEST_F(ConnectionTableTest, CountsWhoIsServed) {
  Connection& served = connect(1);
  Connection& refused = connect(2, true);
  const int descriptor = served.descriptor();
  EXPECT_EQ(table_.served_count(), 1u);
  table_.erase(refused);
  EXPECT_EQ(table_.served_count(), 1u);
  table_.erase(served);
  EXPECT_EQ(table_.served_count(), 0u);
  EXPECT_EQ(table_.at(descriptor), nullptr);
  EXPECT_EQ(::fcntl(descriptor, F_GETFD), -1);
}

// Shows that a visit may erase what it visits, and that all others are visited.
TEST_F(ConnectionTableTest, VisitsMayErase) {
  for (std::uint64_t id = 1; id <= 200; ++id) connect(id);
  EXPECT_EQ(ids().size(), 200u);
  table_.for_each([&](Connection& connection) {
    if (connection.session().client().id % 2 == 0) table_.erase(connection);
  });
  EXPECT_EQ(table_.served_count(), 100u);
  EXPECT_EQ(ids().size(), 100u);
  EXPECT_FALSE(ids().contains(2));
  EXPECT_TRUE(ids().contains(199));
}

}  // namespace
}  // namespace memento
