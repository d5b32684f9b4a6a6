// What keyspace_benchmark measures on: a keyspace in a file on tmpfs, its keys, and the operations.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "shm/format/layout.h"
#include "shm/keyspace/keyspace.h"
#include "shm/segment.h"

namespace memento {

inline constexpr std::size_t kKeySizeBytes = 16;
inline constexpr std::size_t kValueSizeBytes = 32;
inline constexpr std::size_t kSmallKeyCount = 100'000;
inline constexpr std::uint64_t kSeed = 6737;

/// Keys as text, one after the other, so that reading the text itself is a stream the CPU fetches ahead.
class KeyTexts {
 public:
  explicit KeyTexts(const std::vector<std::size_t>& numbers, const char* prefix = "key:") {
    bytes_.reserve(numbers.size() * kKeySizeBytes + 1);
    char text[32];
    for (const std::size_t number : numbers) {
      std::snprintf(text, sizeof text, "%s%012zu", prefix, number);
      bytes_.append(text, kKeySizeBytes);
    }
  }
  std::size_t count() const { return bytes_.size() / kKeySizeBytes; }
  std::string_view operator[](std::size_t index) const {
    return {bytes_.data() + index * kKeySizeBytes, kKeySizeBytes};
  }

 private:
  std::string bytes_;
};

inline std::vector<std::size_t> shuffled_numbers(std::size_t count) {
  std::vector<std::size_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), std::size_t{0});
  std::mt19937_64 random(kSeed);
  std::shuffle(numbers.begin(), numbers.end(), random);
  return numbers;
}

[[noreturn]] inline void give_up(const std::string& why) {
  std::fprintf(stderr, "keyspace_benchmark: %s\n", why.c_str());
  std::exit(1);
}

/// `ring_bytes`: of the journal's rings; 0: there is none.
inline std::unique_ptr<Segment> make_segment(std::uint64_t size_bytes, std::uint64_t ring_bytes = 0) {
  std::string folder = "/dev/shm/memento-keyspace-XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) give_up(system_error("mkdtemp(" + folder + ")").message);
  SegmentOptions options;
  options.directory = folder;
  options.size_bytes = size_bytes;
  options.worker_count = 2;
  AttachReport report;
  auto segment = Segment::create_or_attach(options, &report);
  if (segment && ring_bytes != 0) {
    if (const Outcome begun = (*segment)->begin_journal(kJournalForDisk, ring_bytes); !begun)
      give_up(begun.error().message);
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  if (!segment) give_up(segment.error().message);
  return std::move(*segment);
}

/// A segment with one process's view of it. Values are kValueSizeBytes long; "num:" keys hold numbers.
struct Store {
  Store(std::uint64_t size_bytes, std::size_t key_count, std::uint64_t ring_bytes = 0)
      : segment(make_segment(size_bytes, ring_bytes)), keyspace(*segment, 1), key_count(key_count) {
    keyspace.set_now_ms(wall_time_ms());
  }

  void fill(const KeyTexts& keys, std::string_view value) {
    for (std::size_t index = 0; index < keys.count(); ++index) {
      if (keyspace.set(keyspace.hash(keys[index]), value) != WriteStatus::kDone) give_up("out of memory");
    }
  }

  std::unique_ptr<Segment> segment;
  Keyspace keyspace;
  std::size_t key_count;
};

inline const std::string kValue(kValueSizeBytes, 'x');

/// GET as a worker does it: the value's bytes end in a buffer.
inline bool get(Keyspace& keyspace, const HashedKey& key, char* buffer) {
  return keyspace.read(key, [buffer](const EntryView& view) {
    std::copy_n(view.value.data(), std::min(view.value.size(), kValueSizeBytes), buffer);
  });
}

inline void increment(Keyspace& keyspace, std::string_view key) {
  char digits[24];
  keyspace.update(keyspace.hash(key), [&digits](const EntryView* old) {
    std::int64_t number = 0;
    if (old != nullptr) std::from_chars(old->value.data(), old->value.data() + old->value.size(), number);
    const auto written = std::to_chars(digits, digits + sizeof digits, number + 1);
    Change change;
    change.action = Change::Action::kReplace;
    change.pieces[0] = {digits, static_cast<std::size_t>(written.ptr - digits)};
    return change;
  });
}

struct SmallStore : Store {
  explicit SmallStore(std::size_t count = kSmallKeyCount, std::uint64_t ring_bytes = 0)
      : Store(256ULL << 20U, count, ring_bytes),
        keys(shuffled_numbers(count)),
        numbers(shuffled_numbers(count), "num:"),
        absent(shuffled_numbers(count), "abs:") {
    fill(keys, kValue);
    fill(numbers, "1");
  }
  const KeyTexts keys;
  const KeyTexts numbers;
  const KeyTexts absent;
};

}  // namespace memento
