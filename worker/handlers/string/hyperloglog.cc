// See hyperloglog.h.
#include "worker/handlers/string/hyperloglog.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace memento::hyperloglog {
namespace {

constexpr std::size_t kHeaderBytes = 16;
constexpr std::size_t kEncodingAt = 4;
constexpr std::size_t kEstimateAt = 8;
constexpr std::size_t kStaleAt = 15;  ///< the byte whose highest bit says that the estimate is old
constexpr int kIndexBits = 14;
constexpr int kRankBits = 64 - kIndexBits;
constexpr std::size_t kDenseBytes = kHeaderBytes + kRegisterCount * 6 / 8;
constexpr char kDense = 0;
constexpr char kSparse = 1;

// Longest runs that one code tells.
constexpr std::uint32_t kShortZeros = 64;
constexpr std::uint32_t kLongZeros = 16384;
constexpr std::uint32_t kValueRun = 4;
constexpr std::uint32_t kValueLimit = 32;

// MurmurHash64A by Austin Appleby, who placed it in the public domain.
std::uint64_t murmur(std::string_view bytes, std::uint64_t seed) {
  constexpr std::uint64_t kFactor = 0xc6a4a7935bd1e995;
  constexpr int kShift = 47;
  std::uint64_t hash = seed ^ (bytes.size() * kFactor);
  std::size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, sizeof word);
    word *= kFactor;
    word ^= word >> kShift;
    hash = (hash ^ word * kFactor) * kFactor;
  }
  if (at < bytes.size()) {
    std::uint64_t rest = 0;
    std::memcpy(&rest, bytes.data() + at, bytes.size() - at);
    hash = (hash ^ rest) * kFactor;
  }
  hash = (hash ^ hash >> kShift) * kFactor;
  return hash ^ hash >> kShift;
}

/// The register that an element concerns, and what it has to be at least: how many bits of the rest of the
/// hash value are 0 in front of the first 1, and one more.
struct Mark {
  std::uint32_t index;
  std::uint8_t rank;
};
Mark mark_of(std::string_view element) {
  constexpr std::uint64_t kSeed = 0xadc83b19;
  const std::uint64_t hash = murmur(element, kSeed);
  const std::uint64_t rest = hash >> kIndexBits | 1ull << kRankBits;
  return {static_cast<std::uint32_t>(hash % kRegisterCount),
          static_cast<std::uint8_t>(std::countr_zero(rest) + 1)};
}

void set_stale(std::string* value) { (*value)[kStaleAt] = static_cast<char>((*value)[kStaleAt] | 0x80); }

unsigned byte_at(std::string_view bytes, std::size_t at) { return static_cast<unsigned char>(bytes[at]); }

std::uint8_t dense_register(std::string_view value, std::uint32_t index) {
  const std::size_t at = kHeaderBytes + index * 6 / 8;
  const std::uint32_t shift = index * 6 % 8;
  const unsigned next = at + 1 < value.size() ? byte_at(value, at + 1) : 0;
  return static_cast<std::uint8_t>((byte_at(value, at) | next << 8) >> shift & 63);
}

Raised raise_dense(std::string* value, Mark mark) {
  if (dense_register(*value, mark.index) >= mark.rank) return Raised::kNo;
  const std::size_t at = kHeaderBytes + mark.index * 6 / 8;
  const std::uint32_t shift = mark.index * 6 % 8;
  const unsigned kept = ~(63u << shift);
  const unsigned bits = static_cast<unsigned>(mark.rank) << shift;
  (*value)[at] = static_cast<char>((byte_at(*value, at) & kept) | bits);
  if (shift > 2) (*value)[at + 1] = static_cast<char>((byte_at(*value, at + 1) & kept >> 8) | bits >> 8);
  set_stale(value);
  return Raised::kYes;
}

/// One code of a sparse value.
struct Run {
  std::size_t bytes = 0;  ///< of the code; 0: there is none, or half of one
  std::uint32_t count = 0;
  std::uint8_t rank = 0;
};
Run run_at(std::string_view value, std::size_t at) {
  if (at >= value.size()) return {};
  const unsigned first = byte_at(value, at);
  if ((first & 0x80) != 0) return {1, (first & 3) + 1, static_cast<std::uint8_t>((first >> 2 & 31) + 1)};
  if ((first & 0x40) == 0) return {1, (first & 63) + 1, 0};
  if (at + 1 >= value.size()) return {};
  return {2, ((first & 63) << 8 | byte_at(value, at + 1)) + 1, 0};
}

/// Codes that are about to replace one: at most five bytes.
class Codes {
 public:
  void zeros(std::uint32_t count) {
    if (count == 0) return;
    if (count <= kShortZeros) return add(count - 1);
    add(0x40 | (count - 1) >> 8);
    add((count - 1) & 0xff);
  }
  void value(std::uint8_t rank, std::uint32_t count) {
    if (count > 0) add(0x80u | (rank - 1u) << 2 | (count - 1));
  }
  std::string_view bytes() const { return {bytes_.data(), size_}; }

 private:
  void add(std::uint32_t byte) { bytes_[size_++] = static_cast<char>(byte); }

  std::array<char, 8> bytes_;
  std::size_t size_ = 0;
};

// Neighbours of the same value become one code, looking at five codes from `at` on.
void merge_values(std::string* value, std::size_t at) {
  for (int left = 5; left > 0 && at < value->size(); --left) {
    const Run run = run_at(*value, at);
    if (run.bytes == 0) return;
    const Run next = run_at(*value, at + run.bytes);
    if (run.rank != 0 && next.rank == run.rank && run.count + next.count <= kValueRun) {
      Codes codes;
      codes.value(run.rank, run.count + next.count);
      value->replace(at, 2, codes.bytes());
    } else {
      at += run.bytes;
    }
  }
}

bool make_dense(std::string* value) {
  if (is_dense(*value)) return true;
  Registers registers{};
  if (!raise_to(*value, &registers)) return false;
  std::string dense(*value, 0, kHeaderBytes);
  const char stale = dense[kStaleAt];
  dense[kEncodingAt] = kDense;
  dense.resize(kDenseBytes);
  for (std::uint32_t i = 0; i < kRegisterCount; ++i) raise_dense(&dense, {i, registers[i]});
  dense[kStaleAt] = stale;
  *value = std::move(dense);
  return true;
}

Raised raise_by_dense(std::string* value, Mark mark) {
  return make_dense(value) ? raise_dense(value, mark) : Raised::kIsBroken;
}

Raised raise_sparse(std::string* value, Mark mark) {
  if (mark.rank > kValueLimit) return raise_by_dense(value, mark);
  std::size_t at = kHeaderBytes;  // of the code that the register is in
  std::size_t before = at;        // of the one in front of it
  std::uint32_t first = 0;        // the code's first register
  Run run = run_at(*value, at);
  while (run.bytes != 0 && first + run.count <= mark.index) {
    before = at;
    first += run.count;
    at += run.bytes;
    run = run_at(*value, at);
  }
  if (run.bytes == 0) return Raised::kIsBroken;
  if (run.rank >= mark.rank) return Raised::kNo;
  const std::uint32_t in_front = mark.index - first;
  const std::uint32_t behind = run.count - in_front - 1;
  Codes codes;
  run.rank == 0 ? codes.zeros(in_front) : codes.value(run.rank, in_front);
  codes.value(mark.rank, 1);
  run.rank == 0 ? codes.zeros(behind) : codes.value(run.rank, behind);
  const std::size_t size_bytes = value->size() + codes.bytes().size() - run.bytes;
  if (size_bytes > value->size() && size_bytes > kSparseLimitBytes) return raise_by_dense(value, mark);
  value->replace(at, run.bytes, codes.bytes());
  merge_values(value, before);
  set_stale(value);
  return Raised::kYes;
}

Raised raise_one(std::string* value, Mark mark) {
  return is_dense(*value) ? raise_dense(value, mark) : raise_sparse(value, mark);
}

// The two series of Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017): of
// registers that are 0, and of those that are at their largest.
double sigma(double x) {
  if (x == 1) return std::numeric_limits<double>::infinity();
  double sum = x;
  double factor = 1;
  for (double before = -1; before != sum;) {
    x *= x;
    before = sum;
    sum += x * factor;
    factor += factor;
  }
  return sum;
}
double tau(double x) {
  if (x == 0 || x == 1) return 0;
  double sum = 1 - x;
  double factor = 1;
  for (double before = -1; before != sum;) {
    x = std::sqrt(x);
    before = sum;
    factor *= 0.5;
    sum -= std::pow(1 - x, 2) * factor;
  }
  return sum / 3;
}

}  // namespace

bool is_one(std::string_view value) {
  if (value.size() < kHeaderBytes || !value.starts_with("HYLL")) return false;
  return value[kEncodingAt] == kSparse || (value[kEncodingAt] == kDense && value.size() == kDenseBytes);
}

bool is_dense(std::string_view value) { return value[kEncodingAt] == kDense; }

std::string empty_value() {
  std::string value("HYLL");
  value.resize(kHeaderBytes);
  value[kEncodingAt] = kSparse;
  Codes codes;
  codes.zeros(kLongZeros);
  value.append(codes.bytes());
  set_stale(&value);
  return value;
}

Raised add(std::string* value, std::string_view element) { return raise_one(value, mark_of(element)); }

Raised raise(std::string* value, const Registers& registers, bool as_dense) {
  if (as_dense && !make_dense(value)) return Raised::kIsBroken;
  Raised result = Raised::kNo;
  for (std::uint32_t i = 0; i < kRegisterCount; ++i) {
    if (registers[i] == 0) continue;
    const Raised one = raise_one(value, {i, registers[i]});
    if (one == Raised::kIsBroken) return one;
    if (one == Raised::kYes) result = one;
  }
  set_stale(value);
  return result;
}

bool raise_to(std::string_view value, Registers* registers) {
  if (is_dense(value)) {
    for (std::uint32_t i = 0; i < kRegisterCount; ++i)
      (*registers)[i] = std::max((*registers)[i], dense_register(value, i));
    return true;
  }
  std::uint32_t first = 0;
  for (std::size_t at = kHeaderBytes; at < value.size();) {
    const Run run = run_at(value, at);
    if (run.bytes == 0 || first + run.count > kRegisterCount) return false;
    if (run.rank != 0) {
      for (std::uint32_t i = first; i < first + run.count; ++i)
        (*registers)[i] = std::max((*registers)[i], run.rank);
    }
    first += run.count;
    at += run.bytes;
  }
  return first == kRegisterCount;
}

std::optional<std::uint64_t> noted_estimate(std::string_view value) {
  if ((byte_at(value, kStaleAt) & 0x80) != 0) return std::nullopt;
  std::uint64_t noted = 0;
  std::memcpy(&noted, value.data() + kEstimateAt, sizeof noted);
  return noted;
}

void note_estimate(std::string* value, std::uint64_t estimate) {
  std::memcpy(value->data() + kEstimateAt, &estimate, sizeof estimate);
}

std::uint64_t estimate(const Registers& registers) {
  std::array<std::uint32_t, 64> counts{};  // of registers by their value
  for (const std::uint8_t rank : registers) ++counts[rank & 63];
  constexpr double kAlpha = 0.721347520444481703680;  // 1 / (2 ln 2)
  constexpr auto kAll = static_cast<double>(kRegisterCount);
  double sum = kAll * tau((kAll - counts[kRankBits + 1]) / kAll);
  for (std::size_t rank = kRankBits; rank >= 1; --rank) sum = (sum + counts[rank]) * 0.5;
  sum += kAll * sigma(counts[0] / kAll);
  return static_cast<std::uint64_t>(std::llround(kAlpha * kAll * kAll / sum));
}

}  // namespace memento::hyperloglog
