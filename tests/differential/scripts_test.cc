// Scripts from a grammar on redis-server and on memento: the same replies, and the same keys afterwards, but
// for the list of differences in script_differences.cc. MEMENTO_SEED repeats a failure, MEMENTO_COMMANDS sets
// how many scripts are run, MEMENTO_DIFFERENCES behind how many differences it ends; `make script-test` runs
// 100,000.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "tests/differential/peer.h"
#include "tests/differential/printable.h"
#include "tests/differential/script_differences.h"
#include "tests/differential/script_source.h"

namespace memento::testing {
namespace {

constexpr std::size_t kBatch = 50;
constexpr std::uint64_t kShownLimit = 20;  // of the differences

// What each script begins with, and what it left: requests in front of it, and behind.
std::vector<Words> requests_of(const GeneratedScript& script) {
  Words values{"MGET"};
  values.insert(values.end(), ScriptSource::keys().begin(), ScriptSource::keys().end());
  return {{"FLUSHALL"},
          {"MSET", "n", "10", "s", "some text", "b", std::string("\x01\xff\x00z", 4)},
          {"PFADD", "h", "1", "2", "3"},
          script.request(),
          values};
}
constexpr std::size_t kRequests = 5;

void compare(const std::vector<Words>& greeting, std::uint64_t count) {
  const std::uint64_t seed = from_environment("MEMENTO_SEED", std::random_device{}());
  SCOPED_TRACE("MEMENTO_SEED=" + std::to_string(seed));
  RedisServer redis_server;
  TestServer server;
  Peer redis("redis", redis_server.port());
  Peer memento("memento", server.port());
  if (!greeting.empty()) {
    redis.ask(greeting);
    memento.ask(greeting);
  }
  ScriptSource source(seed);
  std::map<std::string, std::size_t> reasons;
  const std::uint64_t shown_limit = from_environment("MEMENTO_DIFFERENCES", kShownLimit);
  std::uint64_t differences = 0;
  for (std::uint64_t made = 0; made < count && differences < shown_limit; made += kBatch) {
    std::vector<GeneratedScript> scripts;
    std::vector<Words> requests;
    while (scripts.size() < kBatch) {
      scripts.push_back(source.next());
      for (Words& words : requests_of(scripts.back())) requests.push_back(std::move(words));
    }
    requests.push_back({"SCRIPT", "FLUSH"});  // redis-server keeps all that it ran
    const std::vector<std::string> expected = redis.ask(requests);
    const std::vector<std::string> replies = memento.ask(requests);
    ASSERT_EQ(expected.size(), requests.size());
    ASSERT_EQ(replies.size(), requests.size());
    for (std::size_t i = 0; i < kBatch; ++i) {
      const std::size_t at = i * kRequests + kRequests - 2;
      const ScriptOutcome theirs{expected[at], expected[at + 1]}, ours{replies[at], replies[at + 1]};
      if (theirs == ours) continue;
      if (const char* const reason = reason_to_differ(scripts[i], theirs, ours)) {
        ++reasons[reason];
        continue;
      }
      ++differences;
      ADD_FAILURE() << printable(requests[at]).substr(0, 40) << "\n  "
                    << scripts[i].text.substr(scripts[i].text.find(" end local parts"))
                    << "\n  redis:   " << printable(theirs.reply) << " " << printable(theirs.keys)
                    << "\n  memento: " << printable(ours.reply) << " " << printable(ours.keys);
    }
  }
  for (const auto& [reason, times] : reasons) std::cout << times << " times: " << reason << "\n";
}

TEST(DifferentialScripts, RepliesAndKeysInResp2) { compare({}, from_environment("MEMENTO_COMMANDS", 1500)); }

TEST(DifferentialScripts, RepliesAndKeysInResp3) {
  compare({{"HELLO", "3"}}, from_environment("MEMENTO_COMMANDS", 1500));
}

}  // namespace
}  // namespace memento::testing
