// See recovery.h. Each thread reads all of the journal by itself and applies the records of its slots: that a
// frame is verified by each of them costs less than handing records from thread to thread. A fault that one
// of them finds counts by its frame's number, so that what is kept ends at the first.
#include "shm/archive/recovery.h"

#include <linux/futex.h>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "shm/archive/slot_loader.h"
#include "shm/archive/snapshot_file.h"
#include "shm/commit/database_change.h"
#include "shm/os/clock.h"
#include "shm/segment.h"

namespace memento {
namespace {

constexpr std::chrono::milliseconds kLookInterval{50};
constexpr std::uint64_t kMebibyte = 1 << 20;
constexpr std::uint64_t kShownBytes = 64 << 10;

/// Why a load ends early.
struct Fault {
  std::uint64_t frame = 0;  ///< the first of the journal that cannot be kept; 0: no frame's
  std::string text;
  bool is_memory = false;
};

class Load {
 public:
  Load(Segment& segment, const LoadOptions& options)
      : segment_(segment), options_(options), disk_(segment.header().disk), databases_(segment) {}

  Result<LoadReport> run();

 private:
  struct Thread {
    std::uint64_t records = 0;
    std::uint64_t dropped = 0;
    std::uint64_t lost_values = 0;
    std::uint64_t lost_images = 0;
    std::uint64_t partial_slots = 0;
    std::uint64_t open_change = 0;
    std::uint64_t shown_bytes = 0;
    std::uint64_t shown_keys = 0;
    std::optional<JournalReader> reader;
    TextLoader texts;
  };

  Outcome prepare();
  Outcome put_texts();
  Outcome load_once(std::uint64_t frame_limit);
  void run_thread(std::uint32_t index, std::uint64_t frame_limit);
  bool load_images(SlotLoader& loader, std::uint32_t index);
  bool load_journal(SlotLoader& loader, std::uint32_t index, std::uint64_t frame_limit);
  void show(std::uint32_t index, const SlotLoader& loader, std::uint64_t read_bytes, bool is_last = false);
  void stop_at(Fault fault);
  Error error_of(const Fault& fault) const;
  std::string lacking_text() const {
    return snapshot_->path() + " needs the journal up to frame " +
           std::to_string(snapshot_->footer().last_frame) + ", and it ends in front of frame " +
           std::to_string(end_.frame) + ": " + end_.text;
  }
  Outcome find_end(std::uint64_t frame_limit, const std::string& fault);
  void leave_change(std::uint64_t word) const;
  LoadReport report() const;
  JournalBounds bounds() const {
    const Manifest& manifest = options_.manifest;
    return {manifest.first_file, manifest.first_seed, manifest.first_frame, options_.newest_file,
            options_.synced_frame};
  }
  std::uint32_t thread_count() const { return static_cast<std::uint32_t>(options_.processes.size()); }

  Segment& segment_;
  const LoadOptions& options_;
  DiskState& disk_;
  LoadedDatabases databases_;
  std::optional<JournalReader> journal_;    ///< its files
  std::optional<SnapshotReader> snapshot_;  ///< its index
  std::vector<Thread> threads_;
  std::atomic<bool> stops_{false};
  std::mutex mutex_;
  std::condition_variable ended_;
  std::uint32_t running_ = 0;
  std::optional<Fault> fault_;  ///< the one that counts
  JournalEnd end_;
  bool lacks_frames_ = false;  ///< that the snapshot needs
  std::uint64_t bytes_ = 0;
  std::int64_t elapsed_ms_ = 0;
};

Result<LoadReport> Load::run() {
  const std::int64_t begin_ns = monotonic_time_ns();
  if (Outcome prepared = prepare(); !prepared) return prepared.error();
  std::uint64_t frame_limit = UINT64_MAX;
  std::string fault_text;
  for (;;) {
    if (Outcome loaded = load_once(frame_limit); !loaded) return loaded.error();
    if (!fault_) break;
    if (!options_.salvages || fault_->frame == 0 || fault_->is_memory) return error_of(*fault_);
    assert(fault_->frame < frame_limit);
    frame_limit = fault_->frame;
    fault_text = fault_->text;
    if (Outcome cleared = clear_for_load(segment_); !cleared) return cleared.error();
    if (Outcome prepared = prepare(); !prepared) return prepared.error();
  }
  if (Outcome found = find_end(frame_limit, fault_text); !found) return found.error();
  if (end_.is_corrupt() && !options_.salvages) return error_of({end_.frame, end_.text, false});
  lacks_frames_ = snapshot_ && snapshot_->footer().last_frame >= end_.frame;
  if (lacks_frames_ && !options_.salvages) return error_of({end_.frame, lacking_text(), false});
  Result<UnsureFrames> unsure = threads_.front().reader->unsure_frames();
  if (!unsure) return unsure.error();
  if (end_.kind != JournalEnd::Kind::kWhole) {
    if (Outcome cut = threads_.front().reader->cut(); !cut) return cut.error();
  }
  if (Outcome put = put_texts(); !put) return put.error();
  elapsed_ms_ = (monotonic_time_ns() - begin_ns) / 1'000'000;
  LoadReport loaded = report();
  loaded.unsure = std::move(*unsure);
  return loaded;
}

// One thread's share has their slot.
Outcome Load::put_texts() {
  TextStore store(segment_.path());
  const auto has_texts = [](const Thread& thread) { return thread.texts.position() != 0; };
  const auto found = std::ranges::find_if(threads_, has_texts);
  if ((found == threads_.end() ? TextLoader() : found->texts).put_all(store)) return Done{};
  return Error{ExitStatus::kSystem, 0,
               "there is no memory beside " + segment_.path() + " for the texts of scripts and libraries"};
}

Outcome Load::prepare() {
  Header& header = segment_.header();
  assert(header.journal.load() == 0 && !options_.processes.empty());
  if (options_.manifest.time_base_ms != 0) header.time_base_ms = options_.manifest.time_base_ms;
  for (DatabaseId database; database < kDatabaseEnd; ++database) {
    if (header.is_open(database) && !segment_.commit_slot_journals(database.value))
      return system_error("reserving memory for the journal in " + segment_.path());
  }
  Result<JournalReader> reader = JournalReader::open(*options_.folder, options_.path, bounds());
  if (!reader) return reader.error();
  bytes_ = reader->total_bytes();
  journal_ = std::move(*reader);
  if (options_.manifest.snapshot != 0) {
    Result<SnapshotReader> snapshot =
        SnapshotReader::open(*options_.folder, options_.path, options_.manifest.snapshot);
    if (!snapshot) return snapshot.error();
    snapshot_ = std::move(*snapshot);
    bytes_ += snapshot_->size_bytes();
  }
  disk_.load_bytes.store(bytes_);
  disk_.loaded_bytes.store(0);
  disk_.loaded_keys.store(0);
  return Done{};
}

// Up to this frame, which does not count. What ends it early is fault_.
Outcome Load::load_once(std::uint64_t frame_limit) {
  fault_.reset();
  stops_ = false;
  threads_.clear();
  threads_.resize(thread_count());
  running_ = thread_count();
  std::vector<std::thread> threads;
  for (std::uint32_t i = 0; i < thread_count(); ++i)
    threads.emplace_back([this, i, frame_limit] { run_thread(i, frame_limit); });
  bool goes_on = true;
  {
    std::unique_lock lock(mutex_);
    while (!ended_.wait_for(lock, kLookInterval, [this] { return running_ == 0; })) {
      if (!goes_on || !options_.goes_on) continue;
      lock.unlock();
      goes_on = options_.goes_on();
      if (!goes_on) stops_ = true;
      lock.lock();
    }
  }
  for (std::thread& thread : threads) thread.join();
  if (goes_on) return Done{};
  return Error{ExitStatus::kRuntime, 0, "loading " + options_.path + " was ended before it was done"};
}

void Load::run_thread(std::uint32_t index, std::uint64_t frame_limit) {
  {
    SlotLoader loader(segment_, options_.processes[index], {index, thread_count()}, databases_);
    if (load_images(loader, index) && load_journal(loader, index, frame_limit) &&
        !loader.finish(!options_.salvages))
      stop_at({0, options_.path + ": " + loader.fault(), false});
    Thread& thread = threads_[index];
    thread.records = loader.record_count();
    thread.dropped = loader.dropped_count();
    thread.lost_values = loader.lost_value_count();
    thread.lost_images = loader.lost_image_count();
    thread.partial_slots = loader.partial_slot_count();
    thread.open_change = loader.open_change();
    thread.texts = loader.texts();
  }
  const std::lock_guard lock(mutex_);
  --running_;
  ended_.notify_one();
}

// The first frame that cannot be counts; before them what no frame is at fault for.
void Load::stop_at(Fault fault) {
  stops_ = stops_ || fault.frame == 0;
  const std::lock_guard lock(mutex_);
  if (!fault_ || fault.frame < fault_->frame) fault_ = std::move(fault);
}

// False: it has stopped.
bool Load::load_images(SlotLoader& loader, std::uint32_t index) {
  if (!snapshot_) return true;
  Result<SnapshotReader> opened =
      SnapshotReader::open(*options_.folder, options_.path, options_.manifest.snapshot);
  if (!opened) return stop_at({0, opened.error().message, false}), false;
  SnapshotReader& reader = *opened;
  std::uint64_t read_bytes = 0;
  for (const SnapshotIndexEntry& entry : reader.index()) {
    if (stops_) return false;
    const SlotId slot(static_cast<std::uint32_t>(entry.slot));
    if (!SlotLoader::Share{index, thread_count()}.has(slot)) continue;
    std::uint64_t offset = entry.offset;
    bool is_good = loader.begin_image(slot, entry.entries, reader.head().hash_seed);
    while (is_good && !loader.image_is_whole()) {
      const std::uint64_t begin = offset;
      const Result<const std::vector<FrameRecord>*> records = reader.read_frame_at(&offset);
      if (!records) return stop_at({0, records.error().message, false}), false;
      is_good = loader.add_image_records(**records);
      read_bytes += (offset - begin) * thread_count();
    }
    if (!is_good) {
      return stop_at({0, reader.path() + ", offset " + std::to_string(entry.offset) + ": " + loader.fault(),
                      loader.is_out_of_memory()}),
             false;
    }
    show(index, loader, std::min(read_bytes, reader.size_bytes()));
  }
  return true;
}

// False: it has stopped.
bool Load::load_journal(SlotLoader& loader, std::uint32_t index, std::uint64_t frame_limit) {
  JournalReader& reader = threads_[index].reader.emplace(journal_->copy());
  const std::uint64_t snapshot_bytes = snapshot_ ? snapshot_->size_bytes() : 0;
  std::uint64_t whole_begin = 0;  // number of the first frame of what is all or nothing
  while (!stops_) {
    const Result<const JournalFrame*> next = reader.next();
    if (!next) return stop_at({0, next.error().message, false}), false;
    if (*next == nullptr) break;
    const JournalFrame& frame = **next;
    const FrameHeader& header = frame.frame.header;
    if (!header.continues()) whole_begin = header.number;
    if (header.number >= frame_limit) break;
    if (!loader.add(frame)) {
      const std::string text = options_.path + "/" + journal_file_name(frame.file) + ", offset " +
                               std::to_string(frame.offset) + ", frame " + std::to_string(header.number) +
                               ": " + loader.fault();
      stop_at({loader.is_out_of_memory() ? 0 : whole_begin, text, loader.is_out_of_memory()});
      return false;
    }
    show(index, loader, snapshot_bytes + reader.read_bytes());
  }
  show(index, loader, snapshot_bytes + reader.read_bytes(), true);
  return !stops_;
}

// Bytes are those of all threads, of which each reads the journal once. Shown now and then: all threads write
// these words.
void Load::show(std::uint32_t index, const SlotLoader& loader, std::uint64_t read_bytes, bool is_last) {
  Thread& thread = threads_[index];
  const std::uint64_t share = read_bytes / thread_count();
  if (!is_last && share - thread.shown_bytes < kShownBytes) return;
  disk_.loaded_bytes.fetch_add(share - std::exchange(thread.shown_bytes, share), std::memory_order_relaxed);
  const std::uint64_t keys = loader.key_count();
  disk_.loaded_keys.fetch_add(keys - std::exchange(thread.shown_keys, keys), std::memory_order_relaxed);
}

Error Load::error_of(const Fault& fault) const {
  if (!fault.is_memory) {
    const char* const advice = fault.frame == 0 ? ""
                                                : ". --recover salvage keeps what is before it; a backup of "
                                                  "the folder, if there is one, may have more";
    return Error{ExitStatus::kSystem, 0, fault.text + advice};
  }
  const std::uint64_t loaded_bytes = std::max<std::uint64_t>(disk_.loaded_bytes.load(), 1);
  const double share = static_cast<double>(bytes_) / static_cast<double>(loaded_bytes);
  const auto needed = static_cast<std::uint64_t>(static_cast<double>(segment_.size_bytes()) * share);
  return Error{ExitStatus::kConfig, 0,
               "the data of " + options_.path + " does not fit the " +
                   std::to_string(segment_.size_bytes() / kMebibyte) +
                   " MiB of memory that there are; about " +
                   std::to_string((needed + needed / 8) / kMebibyte + 1) + " MiB would do (-m)"};
}

// Where the journal ends: where the readers have found it, or in front of the frame that cannot be.
Outcome Load::find_end(std::uint64_t frame_limit, const std::string& fault) {
  JournalReader& reader = *threads_.front().reader;
  if (frame_limit == UINT64_MAX) return end_ = reader.end(), Done{};
  // It has given that frame last.
  if (Outcome ended = reader.end_before_last("it is whole, but cannot be applied: " + fault); !ended)
    return ended;
  end_ = reader.end();
  return Done{};
}

// As a process that died in it would have left it: whoever gets the gate goes on.
void Load::leave_change(std::uint64_t word) const {
  Header& header = segment_.header();
  header.database_change.store(word);
  header.exclusive.store(1);
  header.gate_lock.word.store(FUTEX_OWNER_DIED);
}

LoadReport Load::report() const {
  LoadReport report;
  report.end = end_;
  report.bytes = bytes_;
  report.elapsed_ms = elapsed_ms_;
  Thread all;
  for (const Thread& thread : threads_) {
    report.records += thread.records;
    report.dropped_records += thread.dropped;
    all.lost_values += thread.lost_values;
    all.lost_images += thread.lost_images;
    all.partial_slots += thread.partial_slots;
    all.open_change |= thread.open_change;
  }
  report.keys = disk_.loaded_keys.load();
  report.has_open_change = all.open_change != 0;
  const auto add = [&](const std::string& sentence) {
    report.text += (report.text.empty() ? "" : ". ") + sentence;
  };
  if (end_.kind != JournalEnd::Kind::kWhole) add("The journal was cut off at its end: " + end_.text);
  if (end_.lost_frames != 0) {
    add("Behind it " + std::to_string(end_.lost_frames) + " frames or more, in " +
        std::to_string(end_.lost_bytes) + " bytes, were left out");
  }
  if (lacks_frames_) add(lacking_text() + "; so keys may be as they were at different moments");
  if (all.lost_values != 0)
    add(std::to_string(all.lost_values) + " long values, which were not written to their end, were left out");
  if (all.lost_images != 0)
    add(std::to_string(all.lost_images) + " images of slots, which were not whole, were left out");
  if (all.partial_slots != 0) add(std::to_string(all.partial_slots) + " slots are empty, and not whole");
  if (report.has_open_change) {
    leave_change(all.open_change);
    add("A FLUSHALL, FLUSHDB or SWAPDB was under way; what is left of it is done now");
  }
  return report;
}

}  // namespace

Result<LoadReport> load(Segment& segment, const LoadOptions& options) {
  Result<LoadReport> report = Load(segment, options).run();
  if (report) return report;
  if (Outcome cleared = clear_for_load(segment); !cleared) return cleared.error();
  return report;
}

bool finish_database_change(Segment& segment, std::uint32_t process) {
  Header& header = segment.header();
  LockOwner owner(segment.base(), process, segment.master_pipe());
  RedoList redo(segment.base(), segment.process(process));
  JournalWriter journal(segment, process, redo);
  DatabaseChanges changes(segment.base(), header, redo, journal);
  const LockGuard guard(owner, header.gate_lock);
  if (!changes.can_finish()) return false;
  changes.finish();
  header.exclusive.store(0, std::memory_order_release);
  return true;
}

}  // namespace memento
