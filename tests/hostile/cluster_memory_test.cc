// Long values in a cluster whose workers have no memory for them: it is said, and nobody else notices.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "tests/cluster/test_cluster.h"

namespace memento::testing {
namespace {

#if !defined(__SANITIZE_ADDRESS__)  // it ends the process instead

pid_t worker_of(const TestCluster& cluster, std::size_t node) {
  for (const pid_t process : cluster.processes(node)) {
    if (process != cluster.master(node) && process != cluster.bus(node)) return process;
  }
  return 0;
}

void limit_memory(pid_t process, std::size_t more_bytes) {
  const std::string status = read_file("/proc/" + std::to_string(process) + "/status");
  const rlim_t size_bytes = std::stoull(status.substr(status.find("VmSize:") + 7)) * 1024;
  const rlimit limit{size_bytes + more_bytes, RLIM_INFINITY};
  ASSERT_EQ(prlimit(process, RLIMIT_AS, &limit, nullptr), 0);
}

// Shows it for the worker that asks and for the one that executes, with what is read and with what is
// written.
TEST(HostileClusterMemory, LongValues) {
  TestCluster cluster({2, false, {"--workers", "1"}});
  const std::string key = cluster.key_of(1);
  const std::string value(100'000'000, 'x');
  ASSERT_EQ(cluster.request(1, "SET " + key + " " + value), "OK");
  for (const std::size_t limited : {0, 1}) {
    const pid_t worker = worker_of(cluster, limited);
    limit_memory(worker, 48 << 20);
    Client bystander = cluster.connect(0);
    const std::string reply = cluster.request(0, "GET " + key);
    EXPECT_TRUE(reply.starts_with("(error) OOM") || reply == "(Out of memory)") << reply.substr(0, 100);
    EXPECT_EQ(*bystander.request("STRLEN " + key), "100000000");
    EXPECT_EQ(*bystander.request("SET " + cluster.key_of(1, 7) + " x"), "OK");
    EXPECT_EQ(worker_of(cluster, limited), worker) << cluster.log(limited);
    const rlimit none{RLIM_INFINITY, RLIM_INFINITY};
    ASSERT_EQ(prlimit(worker, RLIMIT_AS, &none, nullptr), 0);
  }
  limit_memory(worker_of(cluster, 1), 48 << 20);
  const pid_t worker = worker_of(cluster, 1);
  const std::string reply = cluster.request(0, "APPEND " + key + " " + std::string(80'000'000, 'y'));
  EXPECT_TRUE(reply.starts_with("(error) OOM")) << reply.substr(0, 100);
  EXPECT_EQ(cluster.request(0, "STRLEN " + key), "100000000");
  EXPECT_EQ(worker_of(cluster, 1), worker) << cluster.log(1);
}

#endif

}  // namespace
}  // namespace memento::testing
