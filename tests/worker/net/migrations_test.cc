// How MIGRATE looks up names of servers: a few at once, and each once for all who wait for it.
#include "worker/net/migrations.h"

#include <gtest/gtest.h>

#include <atomic>
#include <list>
#include <string>
#include <thread>

#include "worker/clients/message_hub.h"

namespace memento {
namespace {

std::atomic<bool> may_end{false};
std::atomic<int> asked_count{0};

/// Knows no name, and takes its time.
int slow_resolver(const char*, const char*, const addrinfo* hints, addrinfo**) {
  if ((hints->ai_flags & AI_NUMERICHOST) != 0) return EAI_NONAME;
  ++asked_count;
  may_end.wait(false);
  return EAI_NONAME;
}

class MigrationsTest : public ::testing::Test {
 protected:
  MigrationsTest() {
    may_end = false;
    asked_count = 0;
    EXPECT_TRUE(migrations_.start());
  }
  ~MigrationsTest() override {
    for (ClientState& client : clients_) hub_.clients().remove(client);
  }
  ClientState& begin(const std::string& host) {
    ClientState& client = clients_.emplace_back();
    client.id = hub_.clients().next_id();
    hub_.clients().add(client);
    client.migration = std::make_unique<Migration>();
    client.migration->host = host;
    client.migration->port = 1;
    client.migration->timeout_ms = 600'000;
    migrations_.begin(client);
    return client;
  }

  std::unique_ptr<Segment> segment_ =
      std::move(*Segment::create_anonymous({"", 64 << 20, 2, 1 << 20, false}));
  Keyspace keyspace_{*segment_, 1};
  MessageHub hub_{*segment_, keyspace_, 1};
  std::list<ClientState> clients_;
  Migrations migrations_{hub_.clients(), slow_resolver};
};

// Shows that one name more than may be looked up at once is refused at once, that one which is being looked
// up already takes no thread, and that there is room again when the threads have ended.
TEST_F(MigrationsTest, FewNamesAtOnce) {
  for (int i = 0; i < Migrations::kLookupLimit; ++i)
    EXPECT_EQ(begin("host-" + std::to_string(i)).waits, ClientWait::kMigration);
  const ClientState& refused = begin("another");
  EXPECT_EQ(refused.waits, ClientWait::kNothing);
  ASSERT_NE(refused.migration->failure, nullptr);
  EXPECT_TRUE(std::string_view(refused.migration->failure).starts_with("too many names"));
  EXPECT_EQ(begin("host-3").waits, ClientWait::kMigration);
  may_end = true;
  may_end.notify_all();
  while (migrations_.tick()) std::this_thread::yield();
  EXPECT_EQ(asked_count, Migrations::kLookupLimit);
  EXPECT_EQ(begin("another").waits, ClientWait::kMigration);
  while (migrations_.tick()) std::this_thread::yield();
}

}  // namespace
}  // namespace memento
