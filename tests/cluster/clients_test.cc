// Real clients of Redis Cluster against real nodes: a script each in tests/clients, skipped when the client is not installed.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/cluster/test_cluster.h"

namespace memento::testing {
namespace {

constexpr int kNotInstalled = 77;

struct ClusterClient {
  const char* name;
  const char* script;
  const char* mode = "";
};

class ClusterClients : public ::testing::TestWithParam<ClusterClient> {
 protected:
  TestCluster cluster_;
};

TEST_P(ClusterClients, Works) {
  const std::string script = std::filesystem::absolute(std::string("tests/clients/") + GetParam().script);
  const Finished run =
      run_program("/usr/bin/timeout", {"60", script, std::to_string(cluster_.port(0)), GetParam().mode});
  if (run.status == kNotInstalled) GTEST_SKIP() << run.output << run.errors;
  EXPECT_EQ(run.status, 0) << run.output << run.errors;
}

INSTANTIATE_TEST_SUITE_P(Real, ClusterClients,
                         ::testing::Values(ClusterClient{"RedisTools", "redis_cluster.sh"},
                                           ClusterClient{"RedisPy", "redis_cluster.py"},
                                           ClusterClient{"Ioredis", "node.sh", "ioredis_cluster"}),
                         [](const auto& client) { return std::string(client.param.name); });

}  // namespace
}  // namespace memento::testing
