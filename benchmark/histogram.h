// Histogram: latencies in nanoseconds, counted in log-linear buckets. Three significant digits: a percentile
// is at most 0.1 % above the recorded value, whatever its magnitude.
//
// Values below 2048 have a bucket each. Above, each power of two is cut into 1024 equal buckets. A fixed
// array of counts: recording allocates nothing and takes one shift. Not thread-safe; one per thread, merged
// at the end.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace memento {

class Histogram {
 public:
  Histogram() : counts_(kBucketCount, 0) {}

  static constexpr unsigned kPrecisionBits = 10;
  static constexpr std::uint64_t kHalf = 1U << kPrecisionBits;     ///< buckets a power of two is cut into
  static constexpr std::uint64_t kValueMaxNs = (1ULL << 40U) - 1;  ///< about 18 minutes
  static constexpr unsigned kDoublingCount = 40 - kPrecisionBits;  ///< ranges with a precision of their own

  /// The value, `count` times. Values above kValueMaxNs count as that; max() stays exact.
  void record(std::uint64_t value_ns, std::uint64_t count = 1) {
    counts_[bucket_of(std::min(value_ns, kValueMaxNs))] += count;
    count_ += count;
    max_ns_ = std::max(max_ns_, value_ns);
  }

  void merge(const Histogram& other) {
    for (std::size_t bucket = 0; bucket < kBucketCount; ++bucket) counts_[bucket] += other.counts_[bucket];
    count_ += other.count_;
    max_ns_ = std::max(max_ns_, other.max_ns_);
  }

  std::uint64_t count() const { return count_; }
  std::uint64_t max() const { return max_ns_; }

  /// The smallest recorded value, rounded up to its bucket's top, that `percent` of all values do not exceed.
  /// 0 for an empty histogram. percent is in [0, 100]; 0 is the smallest value.
  std::uint64_t percentile(double percent) const {
    const auto wanted = static_cast<std::uint64_t>(std::ceil(static_cast<double>(count_) * percent / 100.0));
    std::uint64_t seen = 0;
    for (std::size_t bucket = 0; bucket < kBucketCount; ++bucket) {
      seen += counts_[bucket];
      if (seen > 0 && seen >= wanted) return std::min(top_of(bucket), max_ns_);
    }
    return max_ns_;
  }

  /// How many recorded values are not above `value_ns`, to the bucket's precision.
  std::uint64_t count_up_to(std::uint64_t value_ns) const {
    const std::size_t last = bucket_of(std::min(value_ns, kValueMaxNs));
    std::uint64_t seen = 0;
    for (std::size_t bucket = 0; bucket <= last; ++bucket) seen += counts_[bucket];
    return seen;
  }

  /// Mean and standard deviation, each value taken as its bucket's middle.
  double mean() const {
    double sum = 0;
    for (std::size_t bucket = 0; bucket < kBucketCount; ++bucket) {
      if (counts_[bucket] > 0) sum += static_cast<double>(counts_[bucket]) * middle_of(bucket);
    }
    return count_ == 0 ? 0 : sum / static_cast<double>(count_);
  }
  double standard_deviation() const {
    const double mean_ns = mean();
    double sum = 0;
    for (std::size_t bucket = 0; bucket < kBucketCount; ++bucket) {
      const double distance = counts_[bucket] > 0 ? middle_of(bucket) - mean_ns : 0;
      sum += static_cast<double>(counts_[bucket]) * distance * distance;
    }
    return count_ == 0 ? 0 : std::sqrt(sum / static_cast<double>(count_));
  }

 private:
  static constexpr std::size_t kBucketCount = (40 - kPrecisionBits) * kHalf + kHalf;

  static std::size_t bucket_of(std::uint64_t value) {
    if (value < 2 * kHalf) return value;
    const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - (kPrecisionBits + 1);
    return shift * kHalf + (value >> shift);
  }

  /// The largest value that falls into the bucket.
  static std::uint64_t top_of(std::size_t bucket) {
    if (bucket < 2 * kHalf) return bucket;
    const std::size_t shift = bucket / kHalf - 1;
    return ((bucket - shift * kHalf + 1) << shift) - 1;
  }

  static double middle_of(std::size_t bucket) {
    const std::uint64_t below = bucket == 0 ? 0 : top_of(bucket - 1) + 1;
    return (static_cast<double>(below) + static_cast<double>(top_of(bucket))) / 2;
  }

  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  std::uint64_t max_ns_ = 0;
};

}  // namespace memento
