// The latency histogram and its percentile text.
#include "benchmark/histogram.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <sstream>
#include <string>

#include "benchmark/report.h"

namespace memento {
namespace {

// Shows that small values are exact: 1..1000 recorded once each, percentiles read back.
TEST(Histogram, SmallValuesAreExact) {
  Histogram histogram;
  for (std::uint64_t value = 1; value <= 1000; ++value) histogram.record(value);
  EXPECT_EQ(histogram.count(), 1000U);
  EXPECT_EQ(histogram.percentile(50), 500U);
  EXPECT_EQ(histogram.percentile(99), 990U);
  EXPECT_EQ(histogram.percentile(100), 1000U);
  EXPECT_EQ(histogram.max(), 1000U);
}

// Shows three digits at every magnitude: a value among larger ones is read back at most 0.1 % too high.
TEST(Histogram, KeepsThreeDigitsAtEachMagnitude) {
  for (std::uint64_t value = 1; value < (1ULL << 39U); value = value * 5 / 3 + 1) {
    Histogram histogram;
    histogram.record(value);
    histogram.record(1ULL << 39U);
    const std::uint64_t read_back = histogram.percentile(50);
    EXPECT_GE(read_back, value);
    EXPECT_LE(static_cast<double>(read_back), static_cast<double>(value) * 1.001);
  }
}

// Shows the edges of a power of two: neighbours below, at and above keep their order.
TEST(Histogram, PowersOfTwoStayInOrder) {
  for (unsigned bit = 1; bit < 40; ++bit) {
    const std::uint64_t power = 1ULL << bit;
    std::uint64_t last = 0;
    for (const std::uint64_t value : {power - 1, power, power + power / 1024 + 1}) {
      Histogram histogram;
      histogram.record(value);
      histogram.record(1ULL << 40U);
      EXPECT_GE(histogram.percentile(50), last);
      last = histogram.percentile(50);
    }
  }
}

// Shows that empty histograms answer 0, that huge values don't leave the array, and that max stays exact.
TEST(Histogram, EmptyAndHuge) {
  Histogram histogram;
  EXPECT_EQ(histogram.percentile(99), 0U);
  EXPECT_EQ(histogram.max(), 0U);
  histogram.record(~0ULL);
  EXPECT_EQ(histogram.max(), ~0ULL);
  EXPECT_GE(histogram.percentile(50), (1ULL << 40U) - 1);
}

// Shows that merging two threads' histograms equals recording all in one.
TEST(Histogram, MergeAddsUp) {
  Histogram even;
  Histogram odd;
  Histogram all;
  for (std::uint64_t value = 0; value < 100'000; value += 7) {
    (value % 2 == 0 ? even : odd).record(value);
    all.record(value);
  }
  even.merge(odd);
  EXPECT_EQ(even.count(), all.count());
  EXPECT_EQ(even.max(), all.max());
  for (const double percent : {0.1, 50.0, 99.0, 99.9})
    EXPECT_EQ(even.percentile(percent), all.percentile(percent));
}

// Shows what the percentile text holds: a line for each step, counts that grow, and the totals below.
TEST(Histogram, PercentileText) {
  Histogram histogram;
  for (std::uint64_t value = 1; value <= 1000; ++value) histogram.record(value * 1'000'000);
  std::istringstream lines(hdr_text(histogram));
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(line, "       Value     Percentile TotalCount 1/(1-Percentile)");
  std::getline(lines, line);
  EXPECT_EQ(line, "");
  double last_percentile = -1;
  std::uint64_t last_count = 0;
  int line_count = 0;
  while (std::getline(lines, line) && !line.starts_with('#')) {
    std::istringstream words(line);
    double value = 0;
    double percentile = 0;
    std::uint64_t count = 0;
    ASSERT_TRUE(words >> value >> percentile >> count) << line;
    EXPECT_GT(percentile, last_percentile);
    EXPECT_GE(count, last_count);
    EXPECT_NEAR(value, static_cast<double>(count), 2.0) << line;  // the n-th of these values is n ms
    last_percentile = percentile;
    last_count = count;
    ++line_count;
  }
  EXPECT_EQ(last_percentile, 1.0);
  EXPECT_EQ(last_count, 1000U);
  EXPECT_GT(line_count, 30);
  double mean = 0;
  double deviation = 0;
  ASSERT_EQ(std::sscanf(line.c_str(), "#[Mean = %lf, StdDeviation = %lf]", &mean, &deviation), 2) << line;
  EXPECT_NEAR(mean, 500.5, 0.5);
  EXPECT_NEAR(deviation, 288.7, 0.5);
  std::getline(lines, line);
  EXPECT_EQ(line, "#[Max     =     1000.000, Total count    =         1000]");
}

// Shows that recording a value several times at once is the same as one by one.
TEST(Histogram, RecordsCounts) {
  Histogram at_once;
  Histogram one_by_one;
  at_once.record(12345, 7);
  for (int i = 0; i < 7; ++i) one_by_one.record(12345);
  EXPECT_EQ(at_once.count(), one_by_one.count());
  EXPECT_EQ(at_once.percentile(50), one_by_one.percentile(50));
  EXPECT_EQ(at_once.count_up_to(12345), 7U);
  EXPECT_EQ(at_once.count_up_to(1000), 0U);
}

}  // namespace
}  // namespace memento
