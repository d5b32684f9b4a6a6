// Programs and libraries that people use with Redis, each against a running server of three workers. A script
// drives one client and looks at what it gets; it ends with status 0, or with 77 when the client is not
// installed, which is reported as skipped. Scripts get the server's port; their language's own assertions say
// what is wrong.
#include <gtest/gtest.h>

#include <filesystem>
#include <ostream>
#include <string>
#include <vector>

#include "tests/integration/test_server.h"

namespace memento::testing {
namespace {

constexpr int kNotInstalled = 77;
constexpr const char* kTimeoutSeconds = "60";

struct RealClient {
  const char* name;
  const char* script;
  const char* mode = "";  ///< what of it, for scripts that have a choice
};
void PrintTo(const RealClient& client, std::ostream* out) { *out << client.script << " " << client.mode; }

constexpr RealClient kClients[] = {
    {"RedisCli", "redis_cli.sh", "resp2"},
    {"RedisCliResp3", "redis_cli.sh", "resp3"},
    {"RedisCliScan", "redis_cli.sh", "scan"},
    {"RedisCliBigkeys", "redis_cli.sh", "bigkeys"},
    {"RedisCliMemkeys", "redis_cli.sh", "memkeys"},
    {"RedisCliStat", "redis_cli.sh", "stat"},
    {"RedisCliPipe", "redis_cli.sh", "pipe"},
    {"RedisCliLatency", "redis_cli.sh", "latency"},
    {"RedisCliInfo", "redis_cli.sh", "info"},
    {"RedisCliEval", "redis_cli.sh", "eval"},
    {"RedisCliHelp", "redis_cli.sh", "help"},
    {"RedisCliRefused", "redis_cli.sh", "refused"},
    {"RedisCliDatabases", "redis_cli.sh", "databases"},
    {"RedisCliConfig", "redis_cli.sh", "config"},
    {"RedisCliShutdown", "redis_cli.sh", "shutdown"},
    {"RedisMigrate", "redis_migrate.sh"},
    {"RedisBenchmark", "redis_benchmark.sh"},
    {"RedisPy", "redis_py.py"},
    {"RedisPyScripts", "redis_py_scripts.py"},
    {"RedisPyMessages", "redis_py_messages.py"},
    {"RedisPyEvents", "redis_py_events.py"},
    {"DjangoCache", "django_cache.py", "django"},
    {"DjangoRedis", "django_cache.py", "django_redis"},
    {"RubyRedis", "ruby_redis.rb"},
    {"Ioredis", "node.sh", "ioredis"},
    {"NodeRedis", "node.sh", "node_redis"},
    {"IoredisMessages", "node.sh", "ioredis_messages"},
    {"NodeRedisMessages", "node.sh", "node_redis_messages"},
    {"NodeRedisCache", "node.sh", "node_redis_cache"},
    {"ExpressSession", "node.sh", "express_session"},
    {"RateLimitRedis", "node.sh", "rate_limit_redis"},
    {"FastifyRateLimit", "node.sh", "fastify_rate_limit"},
    {"RateLimiterFlexible", "node.sh", "rate_limiter_flexible"},
    {"Redlock", "node.sh", "redlock"},
    {"RedisSemaphore", "node.sh", "redis_semaphore"},
    {"SimpleRedisMutex", "node.sh", "simple_redis_mutex"},
    {"RedisCommander", "node.sh", "redis_commander"},
    {"RedisPyLock", "redis_locks.py", "redis_py"},
    {"DogpileLock", "redis_locks.py", "dogpile"},
    {"DjangoRedisLock", "redis_locks.py", "django_redis"},
    {"FlaskLimiter", "python_limits.py"},
    {"PhpSessions", "php.sh", "php_sessions"},
    {"LuaRestyRedis", "lua_resty_redis.sh"},
    {"Hiredis", "hiredis.sh"},
    {"Redigo", "redigo.sh"},
    {"PrometheusRedisExporter", "redis_exporter.py"},
    {"Haproxy", "haproxy.sh"},
};

class Clients : public ::testing::TestWithParam<RealClient> {
 protected:
  TestServer server_{{"--workers", "3"}};
};

void expect_works(const RealClient& client, const TestServer& server) {
  const std::string script = std::filesystem::absolute(std::string("tests/clients/") + client.script);
  const Finished run =
      run_program("/usr/bin/timeout", {kTimeoutSeconds, script, std::to_string(server.port()), client.mode});
  if (run.status == kNotInstalled) GTEST_SKIP() << run.output << run.errors;
  EXPECT_EQ(run.status, 0) << run.output << run.errors;
}

TEST_P(Clients, Works) { expect_works(GetParam(), server_); }

// Shows those that begin with lines other than PING, on a server that answers lines in RESP.
TEST(InlineReplies, Resp) {
  const TestServer server({"--workers", "1", "--inline-replies", "resp", "--requirepass", "secret"});
  expect_works({"", "haproxy.sh", "secret"}, server);
  if (!::testing::Test::IsSkipped()) expect_works({"", "redis_cli.sh", "pipe_lines"}, server);
}

INSTANTIATE_TEST_SUITE_P(Real, Clients, ::testing::ValuesIn(kClients),
                         [](const auto& client) { return std::string(client.param.name); });

}  // namespace
}  // namespace memento::testing
