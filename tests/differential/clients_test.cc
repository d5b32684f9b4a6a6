// Several clients of memento and of Debian's redis-server, one of them in MONITOR: the same random steps, and
// each client gets the same replies and messages, but for what canonical.cc lists. MEMENTO_SEED repeats a
// failure, MEMENTO_COMMANDS sets the number of steps.
#include <gtest/gtest.h>

#include <iostream>
#include <random>

#include "tests/differential/canonical.h"
#include "tests/differential/printable.h"

namespace memento::testing {
namespace {

constexpr std::size_t kClients = 3;  // that take steps; one more is in MONITOR

struct Side {
  std::string name;
  std::vector<Peer> clients;

  Side(std::string server, std::uint16_t port) : name(std::move(server)) {
    for (std::size_t i = 0; i <= kClients; ++i) clients.emplace_back(name, port);
    clients.back().ask({{"MONITOR"}});
    clients.front().ask({{"CONFIG", "SET", "slowlog-log-slower-than", "0"}});
    clients.front().ask({{"SLOWLOG", "RESET"}});
  }

  /// What each client receives until all that the step causes has come.
  std::vector<std::string> take(const Step& step, std::size_t client, const std::string& marker) {
    const auto replies =
        clients[client].ask_until(client == step.client ? step.requests : std::vector<Words>(), marker);
    if (!replies) ADD_FAILURE() << name << " ended the connection";
    return canonical(replies.value_or(std::vector<std::string>()));
  }
};

std::string text_of(const std::vector<std::string>& replies) {
  std::string text;
  for (const std::string& reply : replies) text += "\n  " + printable(std::string_view(reply));
  return text;
}

// Shows what clients of one server get of each other, and of themselves.
TEST(Differential, Clients) {
  const std::uint64_t seed = from_environment("MEMENTO_SEED", std::random_device{}());
  SCOPED_TRACE("MEMENTO_SEED=" + std::to_string(seed));
  RedisServer redis_server;
  TestServer memento_server({"--workers", "1", "--value-limit", "1MiB"});
  Side redis("redis", redis_server.port());
  Side memento("memento", memento_server.port());
  StepSource source(seed, kClients);
  const std::uint64_t steps = from_environment("MEMENTO_COMMANDS", 1500);
  std::uint64_t in_another_order = 0;
  for (std::uint64_t i = 0; i < steps && !::testing::Test::HasFailure(); ++i) {
    const Step step = source.next();
    const std::string marker = "marker-" + std::to_string(i);
    for (std::size_t turn = 0; turn <= kClients; ++turn) {
      const std::size_t client = turn == kClients ? kClients : (step.client + turn) % kClients;
      const std::vector<std::string> expected = redis.take(step, client, marker);
      const std::vector<std::string> replies = memento.take(step, client, marker);
      if (expected == replies) continue;
      if (reason_for_another_order(step) != nullptr && sorted_lines(expected) == sorted_lines(replies)) {
        ++in_another_order;
        continue;
      }
      std::string requests;
      for (const Words& request : step.requests) requests += "\n  " + printable(request);
      ADD_FAILURE() << "step " << i << ": client " << step.client << " sends" << requests << "\nclient "
                    << client << " gets from redis:" << text_of(expected)
                    << "\nfrom memento:" << text_of(replies);
    }
  }
  std::cout << steps << " steps, " << in_another_order
            << " were answered in another order, as the list allows\n";
}

}  // namespace
}  // namespace memento::testing
