// memento-benchmark as a program, against a real server.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/integration/test_server.h"

namespace memento::testing {
namespace {

Finished run_benchmark(const TestServer& server, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"127.0.0.1", std::to_string(server.port())});
  return run_program("memento-benchmark", arguments);
}

std::size_t count_lines(const std::string& text) {
  return static_cast<std::size_t>(std::ranges::count(text, '\n'));
}

// Shows that the classic run keeps its lines: three tests from one connection, three from many.
TEST(BenchmarkRun, Classic) {
  const TestServer server;
  const Finished run = run_benchmark(server, {"-n", "2000", "-c", "5"});
  EXPECT_EQ(run.status, 0) << run.errors;
  EXPECT_EQ(count_lines(run.output), 8U);
  for (const char* name :
       {" [SET] - Elapsed time: ", " [GET] - Elapsed time: ", " [SET growing keys] - Elapsed time: "}) {
    const std::size_t at = run.output.find(name);
    ASSERT_NE(at, std::string::npos) << run.output;
    EXPECT_NE(run.output.find(" s  Op/s: ", at), std::string::npos);
    EXPECT_NE(run.output.find(name, at + 1), std::string::npos);
  }
  EXPECT_EQ(server.request("GET keyone"), "valueone");
  EXPECT_EQ(server.request("GET key1999"), "value1999");
  EXPECT_EQ(server.request("COUNT"), "2001");
}

// Shows that a password is given in each protocol, on the command line and in the environment, and that the
// server's word is shown when it refuses.
TEST(BenchmarkRun, Password) {
  const TestServer server({"--requirepass", "secret"});
  for (const char* protocol : {"text", "resp2", "resp3"}) {
    const std::vector<std::string> load = {"-n", "200", "-c",         "3",     "--fill",
                                           "-r", "200", "--protocol", protocol};
    const auto with = [&](std::vector<std::string> more) {
      more.insert(more.end(), load.begin(), load.end());
      return run_benchmark(server, more);
    };
    EXPECT_EQ(with({"-a", "secret"}).status, 0) << protocol;
    const Finished wrong = with({"--password", "wrong"});
    EXPECT_EQ(wrong.status, 1);
    EXPECT_NE(wrong.errors.find("AUTH: refused: "), std::string::npos) << wrong.errors;
    EXPECT_NE(wrong.errors.find("WRONGPASS"), std::string::npos) << wrong.errors;
    const Finished none = with({});
    EXPECT_EQ(none.status, 1);
    EXPECT_NE(none.errors.find("NOAUTH"), std::string::npos) << none.errors;
  }
  setenv("MEMENTO_AUTH", "secret", 1);
  EXPECT_EQ(run_benchmark(server, {"-n", "10", "-c", "2"}).status, 0);
  unsetenv("MEMENTO_AUTH");
  EXPECT_EQ(run_benchmark(server, {"-a", "x", "--mix", "1", "--protocol", "memcached"}).status, 2);
}

// Shows that a server which serves no more clients is quoted, and that a load tells when it prepares its
// requests.
TEST(BenchmarkRun, RefusalAndPreparationAreTold) {
  const TestServer server({"--max-clients", "2"});
  const Finished run = run_benchmark(server, {"-c", "20", "--mix", "50", "-n", "1000", "--progress"});
  EXPECT_EQ(run.status, 1);
  EXPECT_NE(run.errors.find("too many clients"), std::string::npos) << run.errors;
  EXPECT_NE(run.errors.find("preparing the requests"), std::string::npos) << run.errors;
}

// Shows that verification passes on a server that keeps what it was given, over many laps, threads and sizes,
// and that the counts in the JSON add up.
TEST(BenchmarkRun, VerifiesASoundServer) {
  const TestServer server;
  const Finished run =
      run_benchmark(server, {"--verify", "-c", "20", "-P", "7", "-t", "2", "--keys", "200", "-n", "600000",
                             "--data-size", "12-400", "--ratio", "2:1", "--json"});
  EXPECT_EQ(run.status, 0) << run.errors;
  const auto json = nlohmann::json::parse(run.output);
  const auto& result = json["runs"][0];
  EXPECT_EQ(result["replies"], 600000);
  EXPECT_EQ(result["errors"], 0);
  EXPECT_EQ(result["mismatches"], 0);
  EXPECT_EQ(result["loop"], "closed");
  EXPECT_GT(result["server_cpu_ns_per_op"], 0);
  EXPECT_EQ(server.request("COUNT"), "200");
}

// Shows that a server that forgets is found out: the keys are flushed again and again while it runs.
TEST(BenchmarkRun, VerificationFindsLostWrites) {
  const TestServer server;
  std::atomic<bool> is_over{false};
  std::jthread flusher([&] {
    Client client = server.connect();
    while (!is_over) (void)client.request("FLUSH");
  });
  const Finished run = run_benchmark(server, {"--verify", "-n", "200000", "--keys", "1000"});
  is_over = true;
  EXPECT_EQ(run.status, 1);
  EXPECT_NE(run.errors.find("were not what was written"), std::string::npos) << run.errors;
}

// Shows that values written by somebody else are mismatches, by the first key.
TEST(BenchmarkRun, VerificationFindsForeignValues) {
  const TestServer server;
  server.request("SET key:000000000000 something-else");
  const Finished run =
      run_benchmark(server, {"--verify", "--mix", "100", "--keys", "1", "-c", "1", "-n", "10"});
  EXPECT_EQ(run.status, 1);
  EXPECT_NE(run.errors.find("10 replies were not what was written; the first: key:000000000000"),
            std::string::npos)
      << run.errors;
}

// Shows that an open loop sends as many as fall due, by number and by time, and reports both latencies.
TEST(BenchmarkRun, OpenLoop) {
  const TestServer server;
  const Finished counted =
      run_benchmark(server, {"--rate", "20000", "-n", "4000", "-P", "4", "-t", "2", "--json"});
  EXPECT_EQ(counted.status, 0) << counted.errors;
  const auto result = nlohmann::json::parse(counted.output)["runs"][0];
  EXPECT_EQ(result["replies"], 4000);
  EXPECT_EQ(result["loop"], "open");
  EXPECT_GE(result["latency_us"]["max"], result["latency_from_send_us"]["max"]);
  EXPECT_GE(result["elapsed_s"], 0.19);  // the last one falls due after 999 intervals of 200 us

  const Finished timed =
      run_benchmark(server, {"--rate", "10000", "--duration", "0.2", "--warmup", "0.1", "--json"});
  EXPECT_EQ(timed.status, 0) << timed.errors;
  const auto timed_result = nlohmann::json::parse(timed.output)["runs"][0];
  EXPECT_EQ(timed_result["replies"].get<int>() + timed_result["unsent"].get<int>(), 2000);
}

// Shows fill, expiry and the sweep with its files; the plot's file only where gnuplot is.
TEST(BenchmarkRun, FillExpirySweepAndFiles) {
  const TestServer server;
  EXPECT_EQ(run_benchmark(server, {"--fill", "-r", "3000", "-P", "10", "--expiry", "1000"}).status, 0);
  EXPECT_EQ(server.request("COUNT"), "3000");
  EXPECT_NE(server.request("TTL key:000000002999"), "-1");
  const TemporaryFolder folder;
  const std::string hdr = folder.path() + "/latency.hdr";
  const Finished sweep =
      run_benchmark(server, {"--sweep", "--sweep-steps", "2", "--duration", "0.1", "--csv", "--hdr", hdr});
  EXPECT_EQ(sweep.status, 0) << sweep.errors;
  EXPECT_EQ(count_lines(sweep.output), 4U) << sweep.output;
  EXPECT_TRUE(read_file(hdr).starts_with("       Value     Percentile TotalCount"));
  if (std::system("command -v gnuplot >/dev/null") != 0) GTEST_SKIP() << "gnuplot is not installed";
  for (const bool is_sweep : {false, true}) {
    const std::string svg = folder.path() + "/it's.svg";
    std::vector<std::string> arguments{"--duration", "0.1", "--plot", svg};
    if (is_sweep) arguments.emplace_back("--sweep");
    const Finished plotted = run_benchmark(server, arguments);
    EXPECT_EQ(plotted.status, 0) << plotted.errors;
    EXPECT_EQ(plotted.errors, "");
    EXPECT_NE(read_file(svg).find("</svg>"), std::string::npos);
  }
}

// Shows progress lines on request, and none when stderr is a file.
TEST(BenchmarkRun, Progress) {
  const TestServer server;
  EXPECT_EQ(run_benchmark(server, {"--rate", "1000", "--duration", "1.2"}).errors, "");
  const Finished shown = run_benchmark(server, {"--rate", "1000", "--duration", "1.2", "--progress"});
  EXPECT_NE(shown.errors.find(" op/s "), std::string::npos) << shown.errors;
}

// Shows that wrong usage is status 2 and says what is wrong; no server, and one that speaks something else,
// status 1.
TEST(BenchmarkRun, WrongUsageAndWrongServer) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"--key-dist", "zipf:0"},
                                             {"--ratio", "1"},
                                             {"--data-size", "9-3"},
                                             {"--verify", "--data-size", "4"},
                                             {"--protocol", "http", "--mix", "1"},
                                             {"--protocol", "resp2"},
                                             {"--json"},
                                             {"--mix", "101"},
                                             {"--verify", "--keys", "3"},
                                             {"--sweep", "--rate", "5"},
                                             {"--fill", "--mix", "3"},
                                             {"--server-pid", "1"},
                                             {"--sweep-steps", "3"}}) {
    const Finished run = run_program("memento-benchmark", arguments);
    EXPECT_EQ(run.status, 2) << arguments[0];
    EXPECT_NE(run.errors, "");
  }
  const TestServer server;
  const Finished wrong =
      run_benchmark(server, {"--protocol", "memcached", "--mix", "50", "-n", "10", "-c", "1"});
  EXPECT_EQ(wrong.status, 1);
  EXPECT_NE(wrong.errors.find("does the server speak it?"), std::string::npos) << wrong.errors;
  const Finished none =
      run_program("memento-benchmark", {"127.0.0.1", std::to_string(ReservedPort().number())});
  EXPECT_EQ(none.status, 1);
  EXPECT_NE(none.errors.find("is the server running?"), std::string::npos) << none.errors;
}

}  // namespace
}  // namespace memento::testing
