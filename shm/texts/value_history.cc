// See value_history.h.
#include "shm/texts/value_history.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

#include "shm/os/file.h"
#include "shm/os/file_lock.h"

namespace memento {
namespace {

constexpr std::uint64_t kMagic = 0x6d656d5f7461696c;
constexpr std::uint64_t kVersion = 2;
constexpr std::uint64_t kIndexBegin = 4096;
constexpr std::uint32_t kPlaces = 2 * ValueHistory::kKeyLimit;
constexpr std::uint64_t kRecordsBegin = kIndexBegin + kPlaces * sizeof(std::uint64_t);
constexpr std::uint64_t kRecordBytes = 64 * 1024;
constexpr std::uint64_t kFileBytes = kRecordsBegin + kPlaces * kRecordBytes;
static_assert(kRecordsBegin % 4096 == 0);
constexpr int kPatienceMs = 20;

constexpr std::uint64_t kErased = 1;  // in the index; hashes have bit 1 set

// XXH3; neither 0 nor kErased.
std::uint64_t hash_of(std::string_view key) { return XXH3_64bits(key.data(), key.size()) | 2; }
/// Where it stands if no other is there.
std::uint32_t first_place(std::uint64_t hash) { return static_cast<std::uint32_t>(hash / 4 % kPlaces); }

}  // namespace

struct ValueHistory::Front {
  std::uint64_t magic;
  std::uint64_t version;
  std::uint64_t owner;
  std::uint64_t unused;
  std::atomic<std::uint64_t> generation;
};

// Positions in the ring count on for ever; values from head to tail are whole: a length and the bytes.
struct ValueHistory::Record {
  std::uint64_t newest_version;
  std::atomic<std::uint64_t> head;
  std::atomic<std::uint64_t> tail;
  std::uint32_t key_bytes;
  std::uint32_t generation;  ///< of the front, of its lower half: that its values are of
  std::array<char, kKeyBytes> key;
  static constexpr std::uint64_t kRingBytes = kRecordBytes - 32 - kKeyBytes;
  std::array<char, kRingBytes> ring;

  std::string_view name() const { return {key.data(), std::min<std::size_t>(key_bytes, kKeyBytes)}; }
  void write(std::uint64_t position, const char* from, std::size_t bytes) {
    const std::uint64_t at = position % kRingBytes;
    const std::size_t first = std::min<std::size_t>(bytes, kRingBytes - at);
    std::memcpy(ring.data() + at, from, first);
    std::memcpy(ring.data(), from + first, bytes - first);
  }
  void read(std::uint64_t position, char* to, std::size_t bytes) const {
    const std::uint64_t at = position % kRingBytes;
    const std::size_t first = std::min<std::size_t>(bytes, kRingBytes - at);
    std::memcpy(to, ring.data() + at, first);
    std::memcpy(to + first, ring.data(), bytes - first);
  }
  std::uint32_t length_at(std::uint64_t position) const {
    std::uint32_t length = 0;
    read(position, reinterpret_cast<char*>(&length), sizeof length);
    return length;
  }
  std::uint64_t next(std::uint64_t position) const {
    return position + sizeof(std::uint32_t) + length_at(position);
  }
};

ValueHistory::ValueHistory(std::string segment_path, std::uint64_t owner)
    : path_(segment_path.empty() ? "" : segment_path.substr(0, segment_path.rfind('/')) + "/tails"),
      owner_(owner) {
  static_assert(sizeof(Record) == kRecordBytes);
}

std::atomic<std::uint64_t>& ValueHistory::index(std::uint32_t place) const {
  return reinterpret_cast<std::atomic<std::uint64_t>*>(memory_.data() + kIndexBegin)[place];
}

ValueHistory::Record& ValueHistory::record(std::uint32_t place) const {
  return *reinterpret_cast<Record*>(memory_.data() + kRecordsBegin + place * kRecordBytes);
}

ValueHistory::Front& ValueHistory::front() const { return *reinterpret_cast<Front*>(memory_.data()); }

// The file, mapped, with what belongs to this segment in it. False: there is none to be had. Only what has to
// be formatted needs the lock: the magic says that it need not.
bool ValueHistory::open() {
  if (memory_) return true;
  Fd file(path_.empty() ? memfd_create("memento-tails", MFD_CLOEXEC)
                        : ::open(path_.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_CREAT, 0600));
  if (!file || ftruncate(file.get(), static_cast<off_t>(kFileBytes)) != 0 ||
      !reserve_range(file.get(), 0, kRecordsBegin))
    return false;
  Result<Mapping> mapped = Mapping::of_file(file.get(), kFileBytes, "the last values of keys");
  if (!mapped) return false;
  memory_ = std::move(*mapped);
  if (!is_in_order()) {
    const FileLock lock(file.get(), kPatienceMs);
    if (!lock.is_held()) {
      memory_ = Mapping();
      return false;
    }
    file_ = std::move(file);
    if (!is_in_order()) format();
    return true;
  }
  file_ = std::move(file);
  return true;
}

bool ValueHistory::is_in_order() const {
  return front().magic == kMagic && front().version == kVersion && front().owner == owner_;
}

// REQUIRES: locked. The magic is written last: whoever dies before leaves a file that is formatted again.
void ValueHistory::format() {
  front().magic = 0;
  std::atomic_thread_fence(std::memory_order_seq_cst);
  for (std::uint32_t place = 0; place < kPlaces; ++place) index(place).store(0);
  fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(kRecordsBegin),
            static_cast<off_t>(kPlaces * kRecordBytes));
  front().version = kVersion;
  front().owner = owner_;
  front().generation.store(0);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  front().magic = kMagic;
}

// The place of the key's hash for which is_it(place).
template <class IsIt>
std::optional<std::uint32_t> ValueHistory::probe(std::string_view key, IsIt&& is_it) const {
  const std::uint64_t hash = hash_of(key);
  for (std::uint32_t n = 0; n < kPlaces; ++n) {
    const std::uint32_t place = (first_place(hash) + n) % kPlaces;
    const std::uint64_t found = index(place).load(std::memory_order_acquire);
    if (found == 0) return std::nullopt;
    if (found == hash && is_it(place)) return place;
  }
  return std::nullopt;
}

// REQUIRES: locked.
std::optional<std::uint32_t> ValueHistory::find(std::string_view key) const {
  return probe(key, [&](std::uint32_t place) { return record(place).name() == key; });
}

bool ValueHistory::may_keep(std::string_view key) {
  return key.size() <= kKeyBytes && open() && probe(key, [](std::uint32_t) { return true; }).has_value();
}

ValueHistory::Keep ValueHistory::keep(std::string_view key) {
  assert(key.size() <= kKeyBytes);
  if (!open()) return Keep::kNoMemory;
  const FileLock lock(file_.get(), kPatienceMs);
  if (!lock.is_held()) return Keep::kBusy;
  if (find(key)) return Keep::kDone;
  std::uint32_t kept = 0;
  for (std::uint32_t place = 0; place < kPlaces; ++place) kept += index(place).load() > kErased;
  if (kept >= kKeyLimit) return Keep::kTooMany;
  const std::uint64_t hash = hash_of(key);
  std::uint32_t place = first_place(hash);
  while (index(place).load() > kErased) place = (place + 1) % kPlaces;
  const std::uint64_t begin = kRecordsBegin + place * kRecordBytes;
  if (!reserve_range(file_.get(), begin, begin + kRecordBytes)) return Keep::kNoMemory;
  Record& fresh = record(place);
  fresh.newest_version = 0;
  fresh.generation = static_cast<std::uint32_t>(front().generation.load());
  fresh.head.store(0);
  fresh.tail.store(0);
  fresh.key_bytes = static_cast<std::uint32_t>(key.size());
  std::memcpy(fresh.key.data(), key.data(), key.size());
  index(place).store(hash, std::memory_order_release);
  return Keep::kDone;
}

ValueHistory::Forget ValueHistory::forget(std::string_view key) {
  if (!may_keep(key)) return Forget::kNotKept;
  const FileLock lock(file_.get(), kPatienceMs);
  if (!lock.is_held()) return Forget::kBusy;
  const std::optional<std::uint32_t> place = find(key);
  if (!place) return Forget::kNotKept;
  index(*place).store(kErased);
  free_erased_places();
  fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
            static_cast<off_t>(kRecordsBegin + *place * kRecordBytes), static_cast<off_t>(kRecordBytes));
  return Forget::kDone;
}

// REQUIRES: locked. Those that no key is beyond of, as seen from where it would stand best. Otherwise, when
// all places had been used once, asking for a key that is not kept would be a look at every place.
void ValueHistory::free_erased_places() {
  std::array<bool, kPlaces> is_passed{};
  for (std::uint32_t place = 0; place < kPlaces; ++place) {
    const std::uint64_t hash = index(place).load();
    if (hash <= kErased) continue;
    for (auto at = first_place(hash); at != place; at = (at + 1) % kPlaces) is_passed[at] = true;
  }
  for (std::uint32_t place = 0; place < kPlaces; ++place) {
    if (index(place).load() == kErased && !is_passed[place]) index(place).store(0);
  }
}

// REQUIRES: locked. The head comes first: who dies in between leaves no values of before.
void ValueHistory::drop_cleared(Record& kept) const {
  const auto now = static_cast<std::uint32_t>(front().generation.load());
  if (kept.generation == now) return;
  kept.head.store(kept.tail.load());
  std::atomic_signal_fence(std::memory_order_seq_cst);
  kept.generation = now;
}

std::uint64_t ValueHistory::generation() { return open() ? front().generation.load() : 0; }

void ValueHistory::add(std::string_view key, std::uint64_t version, std::string_view value,
                       std::uint64_t generation) {
  if (value.size() > kValueLimitBytes || key.size() > kKeyBytes || !open()) return;
  const FileLock lock(file_.get(), kPatienceMs);
  if (!lock.is_held()) return;
  const std::optional<std::uint32_t> place = find(key);
  if (!place) return;
  Record& kept = record(*place);
  drop_cleared(kept);
  if (version <= kept.newest_version || generation != front().generation.load()) return;
  const std::uint64_t tail = kept.tail.load();
  const auto length = static_cast<std::uint32_t>(value.size());
  const std::uint64_t end = tail + sizeof length + length;
  std::uint64_t head = kept.head.load();
  while (end - head > Record::kRingBytes) head = kept.next(head);
  kept.head.store(head, std::memory_order_release);
  std::atomic_signal_fence(
      std::memory_order_seq_cst);  // who dies while it writes has given up what was there
  kept.write(tail, reinterpret_cast<const char*>(&length), sizeof length);
  kept.write(tail + sizeof length, value.data(), length);
  kept.newest_version = version;
  kept.tail.store(end, std::memory_order_release);
}

void ValueHistory::clear() {
  if (open()) front().generation.fetch_add(1);
}

std::optional<std::vector<std::string>> ValueHistory::last(std::string_view key, std::size_t count) {
  if (!may_keep(key)) return std::nullopt;
  const FileLock lock(file_.get(), kPatienceMs);
  if (!lock.is_held()) return std::nullopt;
  const std::optional<std::uint32_t> place = find(key);
  if (!place) return std::nullopt;
  Record& kept = record(*place);
  drop_cleared(kept);
  std::vector<std::uint64_t> positions;
  for (std::uint64_t at = kept.head.load(); at < kept.tail.load(); at = kept.next(at))
    positions.push_back(at);
  std::vector<std::string> values;
  for (std::size_t i = positions.size() - std::min(count, positions.size()); i < positions.size(); ++i) {
    std::string value(kept.length_at(positions[i]), '\0');
    kept.read(positions[i] + sizeof(std::uint32_t), value.data(), value.size());
    values.push_back(std::move(value));
  }
  return values;
}

}  // namespace memento
