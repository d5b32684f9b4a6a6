// recovery_benchmark [KEYS]: what recovery costs, in-process. `make bench-recovery`.
//
// KEYS keys (5,000,000) of 16 bytes with values of 32 are written in random order to a keyspace whose journal
// goes to files below /var/tmp, which the page cache holds. A new segment, a file on tmpfs as a server's,
// then loads them, with one thread and with two: keys a second, by the clock, and for a second of CPU time,
// which other programs do not change. The same from a snapshot of the keyspace, made step by step while it is
// written: how long a step holds a slot's lock, by the clock; where other programs had the core meanwhile
// that shows too.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "benchmark/keyspace_store.h"
#include "shm/archive/recovery.h"
#include "shm/archive/ring_frames.h"
#include "shm/archive/snapshot_round.h"
#include "shm/os/clock.h"

namespace memento {
namespace {

constexpr std::uint64_t kRingBytes = 64 << 20;
constexpr std::uint64_t kPassBytes = 1 << 20;

template <class T>
T or_give_up(Result<T> result) {
  if (!result) give_up(result.error().message);
  return std::move(*result);
}

/// The files that a keyspace's changes go to.
class Archive {
 public:
  explicit Archive(Segment& segment)
      : segment_(segment), rings_(segment, 0), folder_(or_give_up(JournalFolder::open(make_folder()))) {
    begin_file();
  }
  ~Archive() { std::filesystem::remove_all(folder_.path()); }

  /// Brings what is in the rings into files.
  void take() {
    do {
      if (!rings_.fill(kPassBytes, &frames_)) give_up(rings_.merger().error());
      if (!file_->has_room(offset_, 2 * kPassBytes)) begin_file();
      const std::span<char> bytes = frames_.frames();
      next_ += seal_frames(bytes, {next_, 0, segment_.header().memory_id, file_->head().seed});
      or_give_up(file_->write(offset_, {bytes.data(), bytes.size()}));
      offset_ += bytes.size();
      frames_.clear();
      rings_.merger().publish();
    } while (rings_.merger().waiting_bytes() > 0);
  }

  /// A snapshot of all, with `write` between its steps; what the steps held locks for, in ns. In this thread,
  /// though it has a Keyspace: nobody is to repair what it leaves.
  template <class Write>
  std::vector<std::int64_t> make_snapshot(Write&& write) {
    take();
    begin_file();
    first_file_ = number_;
    const std::unique_ptr<SnapshotRound> round =
        or_give_up(SnapshotRound::begin(segment_, {&folder_.fd(), folder_.path(), 1, Identity{}, 2}));
    std::vector<std::int64_t> locked_ns;
    for (;;) {
      const SnapshotRound::Step made = or_give_up(round->step());
      if (made == SnapshotRound::Step::kNeedsJournal) {
        take();
        round->end_at(next_ - 1);
      }
      if (made == SnapshotRound::Step::kDone) break;
      if (round->locked_ns() > 0) locked_ns.push_back(round->locked_ns());
      write();
    }
    snapshot_ = 1;
    return locked_ns;
  }

  LoadOptions options(std::uint32_t thread_count) const {
    LoadOptions options;
    options.folder = &folder_.fd();
    options.path = folder_.path();
    options.manifest.first_file = first_file_;
    options.manifest.snapshot = snapshot_;
    options.manifest.time_base_ms = segment_.header().time_base_ms;
    for (std::uint32_t i = 0; i < thread_count; ++i) options.processes.push_back(i + 1);
    return options;
  }

 private:
  static std::string make_folder() {
    std::string folder = "/var/tmp/memento-recovery-XXXXXX";
    if (mkdtemp(folder.data()) == nullptr) give_up(system_error("mkdtemp(" + folder + ")").message);
    return folder;
  }
  void begin_file() {
    JournalHead head;
    head.former_file = number_;
    head.number = ++number_;
    head.seed = number_;
    head.former_end = next_ - 1;
    file_ = std::make_unique<JournalFile>(or_give_up(folder_.begin(head, kJournalFileBytes, 0)));
    offset_ = kJournalHeadBytes;
  }

  Segment& segment_;
  RingFrames rings_;
  JournalFolder folder_;
  FrameBuilder frames_;
  std::unique_ptr<JournalFile> file_;
  std::uint64_t number_ = 0;
  std::uint64_t first_file_ = 1;
  std::uint64_t snapshot_ = 0;
  std::uint64_t offset_ = 0;
  std::uint64_t next_ = 1;
};

void load_all(const char* from, const Archive& archive, std::uint64_t size_bytes, std::size_t key_count) {
  for (const std::uint32_t thread_count : {1u, 1u, 2u, 2u}) {
    auto loaded = make_segment(size_bytes);
    const std::clock_t begin = std::clock();
    const LoadReport report = or_give_up(load(*loaded, archive.options(thread_count)));
    const double cpu_s = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    if (report.keys != key_count) give_up("keys are missing");
    std::printf("%-9s %u threads  %9zu keys  %6.3f s  %5.2f M keys/s  %6.3f s of CPU  %5.2f M keys/s\n", from,
                thread_count, key_count, static_cast<double>(report.elapsed_ms) / 1e3,
                static_cast<double>(key_count) / static_cast<double>(report.elapsed_ms) / 1e3, cpu_s,
                static_cast<double>(key_count) / cpu_s / 1e6);
  }
}

void print_times(std::vector<std::int64_t> locked_ns, std::int64_t elapsed_ns) {
  std::ranges::sort(locked_ns);
  const auto us = [&](double share) {
    const auto at = static_cast<std::size_t>(share * static_cast<double>(locked_ns.size() - 1));
    return static_cast<double>(locked_ns[at]) / 1e3;
  };
  std::printf(
      "snapshot  %zu steps in %.3f s; a slot's lock was held for %.1f us (median), %.1f (p99), %.1f"
      " (p99.9), %.1f (most)\n",
      locked_ns.size(), static_cast<double>(elapsed_ns) / 1e9, us(0.5), us(0.99), us(0.999), us(1));
}

void run(std::size_t key_count) {
  const std::uint64_t size_bytes = (key_count * 128 >> 20 << 20) + (128 << 20);
  auto segment = make_segment(size_bytes, kRingBytes);
  Archive archive(*segment);
  const KeyTexts keys(shuffled_numbers(key_count));
  std::string value(kValueSizeBytes, 'v');
  Keyspace keyspace(*segment, 1);
  const auto put = [&](std::size_t i) {
    if (keyspace.put(keyspace.hash(keys[i]), value) != WriteStatus::kDone) give_up("out of memory");
  };
  for (std::size_t i = 0; i < keys.count(); ++i) {
    if (i % 100'000 == 0) archive.take();
    put(i);
  }
  archive.take();
  load_all("journal", archive, size_bytes, key_count);

  value.assign(kValueSizeBytes, 'w');
  std::size_t next = 0;
  const std::int64_t begin_ns = monotonic_time_ns();
  const std::vector<std::int64_t> locked_ns = archive.make_snapshot([&] {
    for (int i = 0; i < 4; ++i) put(next++ % keys.count());
    if (next % 100'000 == 0) archive.take();
  });
  print_times(locked_ns, monotonic_time_ns() - begin_ns);
  load_all("snapshot", archive, size_bytes, key_count);
}

}  // namespace
}  // namespace memento

int main(int argc, char** argv) {
  memento::run(argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 5'000'000);
  return 0;
}
