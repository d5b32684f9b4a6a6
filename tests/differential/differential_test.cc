// memento against Debian's redis-server: the same random requests to both, and the same replies to the byte
// from both but for what allowed_differences.cc lists. MEMENTO_SEED repeats a failure, MEMENTO_COMMANDS sets
// how many requests are sent.
#include <gtest/gtest.h>

#include <iostream>
#include <random>

#include "tests/differential/allowed_differences.h"
#include "tests/differential/peer.h"
#include "tests/differential/printable.h"
#include "tests/differential/request_source.h"

namespace memento::testing {
namespace {

constexpr std::size_t kBatch = 200;

// Sends the batch to both; false when a difference is not allowed, which the message tells.
bool same_replies(Peer& redis, Peer& memento, const std::vector<Words>& batch, std::size_t* allowed) {
  const std::vector<std::string> expected = redis.ask(batch);
  const std::vector<std::string> replies = memento.ask(batch);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (i >= expected.size() || i >= replies.size()) {
      ADD_FAILURE() << (i >= expected.size() ? "redis" : "memento") << " ended the connection at "
                    << printable(batch[i]);
      return false;
    }
    if (expected[i] == replies[i]) continue;
    if (reason_to_differ(batch[i], expected[i], replies[i]) != nullptr) {
      ++*allowed;
      continue;
    }
    std::string context;
    for (std::size_t j = i > 12 ? i - 12 : 0; j < i; ++j)
      context += "  " + printable(batch[j]) + " -> " + printable(std::string_view(replies[j])) + "\n";
    ADD_FAILURE() << context << "request: " << printable(batch[i])
                  << "\nredis:   " << printable(std::string_view(expected[i]))
                  << "\nmemento: " << printable(std::string_view(replies[i]));
    return false;
  }
  return true;
}

void compare(const char* hello, std::uint64_t count) {
  const std::uint64_t seed = from_environment("MEMENTO_SEED", std::random_device{}());
  SCOPED_TRACE("MEMENTO_SEED=" + std::to_string(seed));
  RedisServer redis_server;
  TestServer memento_server({"--workers", "1", "--value-limit", "1MiB", "--memory", "256MiB"});
  Peer redis("redis", redis_server.port());
  Peer memento("memento", memento_server.port());
  RequestSource source(seed);
  std::size_t allowed = 0;
  std::vector<Words> batch{{"HELLO", hello}};
  std::uint64_t sent = 0;
  while (sent < count) {
    while (batch.size() < kBatch) {
      for (Words& request : source.next()) batch.push_back(std::move(request));
    }
    if (!same_replies(redis, memento, batch, &allowed)) return;
    sent += batch.size();
    batch.clear();
    if (source.is_time_to_flush()) batch.push_back({"FLUSHALL"});
  }
  std::cout << sent << " requests, " << allowed << " replies differed in ways that the list allows\n";
}

// Shows that 200,000 requests are answered as Redis answers them, half of them in RESP2 and half in RESP3.
TEST(Differential, Resp2) { compare("2", from_environment("MEMENTO_COMMANDS", 100'000)); }
TEST(Differential, Resp3) { compare("3", from_environment("MEMENTO_COMMANDS", 100'000)); }

/// The bytes of a reply that is one string.
std::string string_of(const std::string& reply) {
  const std::size_t begin = reply.find('\n') + 1;
  return reply.starts_with('$') && begin + 2 <= reply.size() ? reply.substr(begin, reply.size() - begin - 2)
                                                             : "";
}

// Shows that what DUMP gives is taken by the other server's RESTORE: numbers, short and long values, those
// that Redis compresses; and that a list of Redis's is refused.
TEST(Differential, DumpsAreExchanged) {
  RedisServer redis_server;
  TestServer memento_server({"--workers", "1", "--memory", "256MiB"});
  Peer redis("redis", redis_server.port());
  Peer memento("memento", memento_server.port());
  std::vector<std::string> values{"",
                                  "0",
                                  "-1",
                                  "127",
                                  "128",
                                  "-129",
                                  "40000",
                                  "-2147483648",
                                  "2147483647",
                                  "2147483648",
                                  "01",
                                  "x",
                                  std::string(1, '\0')};
  for (const std::size_t size : {20u, 21u, 63u, 64u, 300u, 16383u, 16384u, 100'000u}) {
    values.push_back(std::string(size, 'a'));
    std::string random(size, '\0');
    for (char& byte : random) byte = static_cast<char>(std::random_device{}());
    values.push_back(random + std::string(size / 2, 'b'));
  }
  for (Peer* from : {&redis, &memento}) {
    Peer& to = from == &redis ? memento : redis;
    for (const std::string& value : values) {
      const std::string payload = string_of(from->ask({{"SET", "k", value}, {"DUMP", "k"}})[1]);
      const std::vector<std::string> replies =
          to.ask({{"RESTORE", "k", "0", payload, "REPLACE"}, {"GET", "k"}});
      EXPECT_EQ(replies[0], "+OK\r\n") << from->name() << " " << value.size();
      EXPECT_EQ(string_of(replies[1]), value) << from->name();
    }
  }
  const std::string list = string_of(redis.ask({{"RPUSH", "l", "a"}, {"DUMP", "l"}})[1]);
  EXPECT_EQ(memento.ask({{"RESTORE", "l", "0", list}})[0], "-ERR Bad data format\r\n");
}

}  // namespace
}  // namespace memento::testing
