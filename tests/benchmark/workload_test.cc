// What the benchmark sends, as pure code: key distributions, derived values, requests of each protocol,
// rings.
#include "benchmark/workload.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "benchmark/value_text.h"

namespace memento {
namespace {

std::vector<std::size_t> drawn_counts(const std::string& text, std::size_t key_count,
                                      std::size_t draw_count) {
  KeyDistribution keys = *KeyDistribution::parse(text);
  std::mt19937_64 random(1);
  std::vector<std::size_t> counts(key_count);
  for (std::size_t draw = 0; draw < draw_count; ++draw) ++counts.at(keys.next(random, key_count));
  return counts;
}

/// Pearson's statistic over its degrees of freedom: near 1 when the counts follow the shares.
double misfit(const std::vector<std::size_t>& counts, const std::vector<double>& shares,
              std::size_t draw_count) {
  double sum = 0;
  for (std::size_t key = 0; key < counts.size(); ++key) {
    const double expected = shares[key] * static_cast<double>(draw_count);
    sum += std::pow(static_cast<double>(counts[key]) - expected, 2) / expected;
  }
  return sum / static_cast<double>(counts.size() - 1);
}

constexpr std::size_t kDrawCount = 1'000'000;

// Shows that keys come as often as their distribution says, by the chi-square statistic of a million draws.
TEST(KeyDistribution, FollowsItsShares) {
  constexpr std::size_t kKeys = 100;
  EXPECT_LT(
      misfit(drawn_counts("uniform", kKeys, kDrawCount), std::vector<double>(kKeys, 1.0 / kKeys), kDrawCount),
      1.6);
  for (const char* theta : {"0.5", "0.99", "1", "1.5", "3"}) {
    std::vector<double> shares;
    double total = 0;
    for (std::size_t key = 0; key < kKeys; ++key) {
      shares.push_back(std::pow(static_cast<double>(key + 1), -std::strtod(theta, nullptr)));
      total += shares.back();
    }
    for (double& share : shares) share /= total;
    EXPECT_LT(misfit(drawn_counts(std::string("zipf:") + theta, kKeys, kDrawCount), shares, kDrawCount), 1.6)
        << theta;
  }
}

// Shows seq's order, normal's middle and spread, and that every draw is a key, even when there is one only.
TEST(KeyDistribution, SequenceNormalAndFewKeys) {
  KeyDistribution sequence = *KeyDistribution::parse("seq");
  std::mt19937_64 random(1);
  for (std::size_t draw = 0; draw < 10; ++draw) EXPECT_EQ(sequence.next(random, 4), draw % 4);
  const std::vector<std::size_t> counts = drawn_counts("normal", 600, kDrawCount);
  std::size_t within_one_deviation = 0;
  for (std::size_t key = 200; key < 400; ++key) within_one_deviation += counts[key];
  EXPECT_NEAR(static_cast<double>(within_one_deviation) / kDrawCount, 0.6845,
              0.01);  // of 3 deviations each way
  for (const char* text : {"uniform", "seq", "zipf:0.99", "normal"}) {
    EXPECT_EQ(drawn_counts(text, 1, 1000)[0], 1000U) << text;
    EXPECT_EQ(KeyDistribution::parse(text)->to_string(), text);
  }
  for (const char* text :
       {"", "zipf", "zipf:", "zipf:0", "zipf:-1", "zipf:x", "zipf:1x", "Uniform", "zipf:nan"}) {
    EXPECT_FALSE(KeyDistribution::parse(text)) << text;
  }
}

// Shows that a value tells its key, sequence and size: any other key, byte or length is noticed.
TEST(ValueText, TellsWhatItIs) {
  std::string scratch;
  for (const std::size_t size_bytes : {kVerifiableSizeBytes, std::size_t{32}, std::size_t{1000}}) {
    std::string value;
    append_value(value, 7, 123456, size_bytes);
    EXPECT_EQ(value.size(), size_bytes);
    EXPECT_EQ(value.find_first_of("\r\n ("), std::string::npos);
    EXPECT_EQ(sequence_of(value, 7, scratch), 123456U);
    EXPECT_FALSE(sequence_of(value, 8, scratch));
    EXPECT_FALSE(sequence_of(value.substr(0, value.size() - 1), 7, scratch));
    EXPECT_FALSE(sequence_of(value + "a", 7, scratch));
    for (std::size_t at = 0; at < value.size(); ++at) {
      std::string changed = value;
      changed[at] = changed[at] == 'a' ? 'b' : 'a';
      EXPECT_FALSE(sequence_of(changed, 7, scratch)) << "byte " << at;
    }
  }
  for (std::size_t size_bytes = 1; size_bytes < kVerifiableSizeBytes; ++size_bytes) {
    std::string value;
    append_value(value, 1, 1, size_bytes);
    EXPECT_EQ(value.size(), size_bytes);
  }
}

// Shows the bytes of each protocol, with and without expiry.
TEST(RequestWriter, EachProtocol) {
  const auto written = [](ServerProtocol protocol, std::uint32_t expiry_s) {
    const RequestWriter writer(protocol, expiry_s);
    std::string bytes;
    writer.append_get(bytes, "k");
    writer.append_set(bytes, "k", "abc");
    if (writer.needs_expire_request()) writer.append_expire(bytes, "k");
    return bytes;
  };
  EXPECT_EQ(written(ServerProtocol::kText, 0), "GET k\nSET k abc\n");
  EXPECT_EQ(written(ServerProtocol::kText, 9), "GET k\nSET k abc\nEXPIRE k 9\n");
  const std::string get = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
  EXPECT_EQ(written(ServerProtocol::kResp2, 0), get + "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\nabc\r\n");
  EXPECT_EQ(written(ServerProtocol::kResp3, 9),
            get + "*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\nabc\r\n$2\r\nEX\r\n$1\r\n9\r\n");
  EXPECT_EQ(written(ServerProtocol::kMemcached, 9), "get k\r\nset k 0 9 3\r\nabc\r\n");
}

// Shows that a fill has each key once, in batches of any size that end where the ring ends.
TEST(Workload, FillHasEachKeyOnce) {
  WorkloadPlan plan;
  plan.key_count = plan.request_count = 1000;
  plan.keys = *KeyDistribution::parse("seq");
  plan.get_share = 0;
  const Workload workload(plan);
  ASSERT_EQ(workload.request_count(), 1000U);
  const RingRange range = workload.range_of(17);
  EXPECT_EQ(range.end, 1000U);
  std::size_t count = 1;
  EXPECT_TRUE(workload.requests(0, range, count).starts_with("SET key:000000000000 "));
  count = 64;
  EXPECT_TRUE(workload.requests(999, range, count).starts_with("SET key:000000000999 "));
  EXPECT_EQ(count, 1U);
}

// Shows the share of GETs, the range of sizes, and that a seed gives the same requests and another seed
// others.
TEST(Workload, MixFollowsItsPlan) {
  WorkloadPlan plan;
  plan.get_share = 0.9;
  plan.value_size_min_bytes = 20;
  plan.value_size_max_bytes = 30;
  plan.is_verifiable = true;
  plan.batch_count = 7;
  const Workload workload(plan);
  const std::size_t request_count = workload.request_count();
  EXPECT_EQ(request_count % 7, 0U);
  std::size_t get_count = 0;
  std::set<std::uint32_t> sizes;
  for (std::size_t index = 0; index < request_count; ++index) {
    const RequestInfo info = workload.info(index, 0);
    if (info.kind == RequestKind::kGet) {
      ++get_count;
    } else {
      sizes.insert(info.value_size_bytes);
    }
  }
  EXPECT_NEAR(static_cast<double>(get_count) / static_cast<double>(request_count), 0.9, 0.01);
  EXPECT_EQ(*sizes.begin(), 20U);
  EXPECT_EQ(*sizes.rbegin(), 30U);
  EXPECT_EQ(sizes.size(), 11U);
  const auto bytes_of = [](const WorkloadPlan& wanted) {
    const Workload other(wanted);
    std::size_t count = 100;
    return std::string(other.requests(0, other.range_of(0), count));
  };
  WorkloadPlan other_plan = plan;
  other_plan.seed = plan.seed + 1;
  EXPECT_EQ(bytes_of(plan), bytes_of(plan));
  EXPECT_NE(bytes_of(plan), bytes_of(other_plan));
}

// Shows that with partitions no two connections share a key, and that the next lap's values are other ones,
// in place.
TEST(Workload, PartitionsAndLaps) {
  WorkloadPlan plan;
  plan.key_count = 10;
  plan.partition_count = 3;
  plan.is_verifiable = true;
  for (const ServerProtocol protocol :
       {ServerProtocol::kText, ServerProtocol::kResp2, ServerProtocol::kMemcached}) {
    plan.protocol = protocol;
    Workload workload(plan);
    std::map<std::uint32_t, std::size_t> owners;
    for (std::size_t connection = 0; connection < 3; ++connection) {
      const RingRange range = workload.range_of(connection);
      for (std::size_t index = range.begin; index < range.end; ++index) {
        const RequestInfo info = workload.info(index, 0);
        EXPECT_EQ(owners.try_emplace(info.key, connection).first->second, connection);
      }
    }
    EXPECT_EQ(owners.size(), 10U);
    const RingRange range = workload.range_of(1);
    std::size_t set_at = range.begin;
    while (workload.info(set_at, 0).kind != RequestKind::kSet) ++set_at;
    workload.begin_lap(range, 5);
    const RequestInfo info = workload.info(set_at, 5);
    EXPECT_NE(info.sequence, workload.info(set_at, 4).sequence);
    std::string value;
    append_value(value, info.key, info.sequence, info.value_size_bytes);
    std::size_t count = 1;
    EXPECT_NE(workload.requests(set_at, range, count).find(value), std::string_view::npos);
  }
}

}  // namespace
}  // namespace memento
