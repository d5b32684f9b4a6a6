// The benchmark's pure parts: the latency histogram and the reply scanner, both header-only.
#include "benchmark/histogram.h"

#include <gtest/gtest.h>

#include <string>

#include "benchmark/reply_scanner.h"

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

// Shows that replies and errors are counted the same wherever the stream is cut: each two-piece cut is tried.
TEST(ReplyScanner, CountsAcrossEachCut) {
  const std::string stream = "OK\r\n(null)\r\nb\na\r\n(error) no\nmore\r\n\r\n(Out of memory)\r\n1\r2\r\n";
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    ReplyScanner scanner;
    const std::size_t first = scanner.feed(std::string_view(stream).substr(0, cut));
    const std::size_t second = scanner.feed(std::string_view(stream).substr(cut));
    EXPECT_EQ(first + second, 7U) << "cut at " << cut;
    EXPECT_EQ(scanner.error_count(), 2U) << "cut at " << cut;
    EXPECT_EQ(scanner.first_error(), "(error) no\nmore") << "cut at " << cut;
  }
}

// Shows that an empty reply before an error does not borrow the earlier reply's beginning.
TEST(ReplyScanner, EmptyReplyIsNoError) {
  ReplyScanner scanner;
  EXPECT_EQ(scanner.feed("(error) x\r\n\r\n\r\n"), 3U);
  EXPECT_EQ(scanner.error_count(), 1U);
}

}  // namespace
}  // namespace memento
