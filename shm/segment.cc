// Creating, mapping, attaching and recovering the segment. See segment.h.
#include "shm/segment.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <boost/interprocess/anonymous_shared_memory.hpp>
#include <boost/interprocess/file_mapping.hpp>
#include <boost/interprocess/mapped_region.hpp>
#include <new>

#include "shm/arena/arena.h"
#include "shm/check.h"
#include "shm/commit/database_change.h"
#include "shm/commit/journal_rings.h"
#include "shm/commit/robust_lock.h"
#include "shm/format/layout.h"
#include "shm/keyspace/change_counters.h"
#include "shm/messages/mailbox_file.h"
#include "shm/os/file.h"
#include "shm/os/mapping.h"
#include "shm/os/private_file.h"
#include "shm/os/random.h"
#include "shm/texts/text_store.h"

namespace memento {
namespace {

namespace ipc = boost::interprocess;

constexpr std::uint64_t kSmallestBytes = 16ull << 20;
constexpr int kOtherServerWaitMs = 3000;
/// Of the file beside the limit: the slots of databases 1 to 15, and where slots are in the journal; most
/// without memory.
constexpr std::uint64_t kOtherSlotsBytes = sizeof(Slot) * kDatabaseStride * (kDatabaseLimit - 1);
constexpr std::uint64_t kSlotJournalsBytes = sizeof(SlotJournal) * kDatabaseStride * kDatabaseLimit;
constexpr std::uint64_t kBesideLimitBytes = kOtherSlotsBytes + kSlotJournalsBytes;

constexpr std::uint64_t mapped_bytes_of(std::uint64_t size_bytes) { return size_bytes + kBesideLimitBytes; }

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t step) {
  return (value + step - 1) / step * step;
}

// Fills in the offsets of everything behind the header for a segment of `size_bytes`.
void set_geometry(Header& header, std::uint64_t size_bytes) {
  header.size_bytes = size_bytes;
  header.slots_offset = 4096;
  header.slot_journals_offset = header.slots_offset + sizeof(Slot) * kDatabaseStride + kOtherSlotsBytes;
  header.processes_offset = header.slot_journals_offset + kSlotJournalsBytes;
  header.unit_bitmap_offset = round_up(header.processes_offset + sizeof(ProcessRecord) * kProcessLimit, 4096);
  const std::uint64_t most_pages = (mapped_bytes_of(size_bytes) - header.unit_bitmap_offset) / kPageBytes;
  header.page_infos_offset = round_up(header.unit_bitmap_offset + most_pages / 4 * 8 + 8, 4096);
  header.page_ages_offset = round_up(header.page_infos_offset + most_pages * 8, 4096);
  header.change_counters_offset = round_up(header.page_ages_offset + most_pages * 8, 4096);
  header.change_counter_count = ChangeCounters::count_for(size_bytes);
  header.arena_offset = round_up(
      header.change_counters_offset + ChangeCounters::bytes_for(header.change_counter_count), kPageBytes);
  header.page_count = (mapped_bytes_of(size_bytes) - header.arena_offset) / kPageBytes;
}

// Its subscribers and monitors went with it. The header's sum is corrected last: too large is harmless.
void forget_clients(Header& header, Mailbox& mailbox, std::uint32_t index) {
  mailbox.listens.store(0);
  mailbox.table.store(0);
  mailbox.pattern_version.fetch_add(1);
  mailbox.question.store(0);
  mailbox.answers.store(0);
  header.key_watchers[index / 64].fetch_and(~(1ull << index % 64));
  header.monitors.fetch_sub(mailbox.monitors.exchange(0));
  header.end_tracking(index);
  for (Word* word : {&mailbox.tracks, &mailbox.tracking_clients, &mailbox.tracked_keys,
                     &mailbox.tracked_items, &mailbox.tracking_prefixes}) {
    word->store(0);
  }
}

// A free address for a mapping of `bytes`, at the beginning of a huge page, so that huge pages can be mapped
// there; null: wherever the kernel likes.
void* aligned_address(std::uint64_t bytes) {
  const Result<Mapping> area =
      Mapping::addresses(bytes + Segment::kHugePageBytes, "an address for the segment");
  if (!area) return nullptr;
  return reinterpret_cast<void*>(
      round_up(reinterpret_cast<std::uintptr_t>(area->data()), Segment::kHugePageBytes));
}

// Maps the open file by its path: which must lead to it.
Result<ipc::mapped_region> map_file(const Fd& file, const std::string& path, std::uint64_t size_bytes) {
  try {
    const ipc::file_mapping mapping(path.c_str(), ipc::read_write);
    struct stat opened {};
    struct stat named {};
    if (fstat(file.get(), &opened) != 0 || fstat(mapping.get_mapping_handle().handle, &named) != 0 ||
        named.st_dev != opened.st_dev || named.st_ino != opened.st_ino) {
      return Error{ExitStatus::kSystem, 0, path + " is another file than the segment in use"};
    }
    return ipc::mapped_region(mapping, ipc::read_write, 0, size_bytes, aligned_address(size_bytes));
  } catch (const ipc::interprocess_exception& exception) {
    return Error{ExitStatus::kSystem, exception.get_native_error(),
                 "mapping " + path + ": " + exception.what()};
  }
}

}  // namespace

struct Segment::Impl {
  Fd file;
  ipc::mapped_region region;
  std::unique_ptr<MailboxFiles> mailboxes;
  std::unique_ptr<JournalRings> journal_rings;

  /// Those beside the segment at this path; empty: it has none.
  void name_files(const std::string& segment_path) {
    mailboxes = std::make_unique<MailboxFiles>(segment_path);
    journal_rings = std::make_unique<JournalRings>(segment_path);
  }
};

Segment::~Segment() = default;

std::uint32_t Segment::process_count() { return static_cast<std::uint32_t>(header().process_count.load()); }

ProcessRecord& Segment::process(std::uint32_t index) {
  return reinterpret_cast<ProcessRecord*>(base_ + header().processes_offset)[index];
}

SlotArray Segment::slots() { return SlotArray(base_ + header().slots_offset); }

SlotJournal* Segment::slot_journals() {
  return reinterpret_cast<SlotJournal*>(base_ + header().slot_journals_offset);
}

MailboxFiles& Segment::mailboxes() { return *impl_->mailboxes; }
JournalRings& Segment::journal_rings() { return *impl_->journal_rings; }

int Segment::descriptor() const { return impl_->file.get(); }

bool Segment::commit_memory(std::uint64_t begin, std::uint64_t end) {
  if (!impl_->file) return true;
  return reserve_range(impl_->file.get(), begin / 4096 * 4096, end);
}

std::uint64_t Segment::mapped_bytes() const { return mapped_bytes_of(size_bytes_); }

// Header, slots of database 0 and that of texts, and so many process records.
bool Segment::commit_front(std::uint32_t record_count) {
  Header places{};
  set_geometry(places, size_bytes_);
  return commit_memory(0, places.slots_offset + sizeof(Slot) * (kTextSlot.value + 1)) &&
         commit_memory(places.processes_offset,
                       places.processes_offset + sizeof(ProcessRecord) * record_count);
}

void Segment::recover_process(std::uint32_t index) {
  LockOwner owner(base_, 0);
  const std::uint32_t incarnation = process(index).incarnation.load(std::memory_order_acquire);
  // All that it has begun is done before its incarnation says that it is: who then drops what is cached may
  // read it again.
  if (header().database_change.load(std::memory_order_acquire) != 0) {
    owner.repair(index, incarnation, false);
    RedoList redo(base_, process(0));
    JournalWriter journal(*this, 0, redo);
    const LockGuard guard(owner, header().gate_lock);
    DatabaseChanges changes(base_, header(), redo, journal);
    if (changes.can_finish()) {  // else the next writer waits for room and does; this process starts who
                                 // makes it
      changes.finish();
      header().exclusive.store(0, std::memory_order_release);
    }
  }
  owner.repair(index, incarnation, true);
  forget_clients(header(), process(index).mailbox, index);
  // Its connections ended with it.
  auto& counters = process(index).counters;
  counters[static_cast<std::size_t>(Counter::kConnectionsClosed)].store(
      counters[static_cast<std::size_t>(Counter::kConnectionsAccepted)].load());
}

bool Segment::open_process(std::uint32_t index) {
  const std::uint64_t begin = header().processes_offset + index * sizeof(ProcessRecord);
  if (!commit_memory(begin, begin + sizeof(ProcessRecord))) return false;
  const bool has_ring = (header().journal.load() & kJournalConsumers) != 0;
  if (has_ring && !journal_rings().make(index, header().journal_ring_bytes.load())) return false;
  if (header().process_count.load() <= index) header().process_count.store(index + 1);
  return true;
}

void Segment::watch_locks(int master_pid, int lock_timeout_ms) {
  header().lock_timeout_ms.store(static_cast<std::uint32_t>(lock_timeout_ms));
  header().master_pid.store(static_cast<std::uint32_t>(master_pid));
}

std::uint32_t Segment::lock_holder(std::uint64_t offset) const {
  const auto& header = *reinterpret_cast<const Header*>(base_);
  const std::uint64_t locks_end =
      header.processes_offset + header.process_count.load() * sizeof(ProcessRecord);
  if (offset % alignof(RobustLock) != 0 || offset + sizeof(RobustLock) > locks_end) return 0;
  if (offset >= header.processes_offset) {
    const std::uint64_t in_records = offset - header.processes_offset;
    const std::uint64_t in_pins = in_records % sizeof(ProcessRecord) - offsetof(ProcessRecord, pins);
    if (in_pins < sizeof(ProcessRecord::pins)) {
      const std::uint64_t index = in_records / sizeof(ProcessRecord);
      const auto& record = reinterpret_cast<const ProcessRecord*>(base_ + header.processes_offset)[index];
      return record.pins[in_pins / sizeof(Word)].load() != 0 ? record.pid.load() : 0;
    }
  }
  return reinterpret_cast<const RobustLock*>(base_ + offset)->word.load() & FUTEX_TID_MASK;
}

namespace {

void format_segment(Header& header, const SegmentOptions& options, std::uint64_t size_bytes) {
  set_geometry(header, size_bytes);
  header.layout_version = kLayoutVersion;
  header.struct_hash = kStructHash;
  header.value_limit_bytes = options.value_limit_bytes;
  header.process_count = options.worker_count + 1;
  header.hash_seed = random_number();
  header.memory_id = random_number();
  header.time_base_ms = static_cast<std::uint64_t>(wall_time_ms()) - 1;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  header.magic = kMagic;  // last: a half-made segment is never attached
}

std::string differ(const char* what, std::uint64_t expected, std::uint64_t found) {
  return std::string(what) + ": expected " + std::to_string(expected) + ", found " + std::to_string(found);
}

// What lies at the same place in every layout: whether the rest means what this build takes it for.
std::string unknown_layout(const Header& header) {
  if (header.magic != kMagic) return "not a memento segment, or one never completed";
  if (header.layout_version != kLayoutVersion) {
    return differ("layout version", kLayoutVersion, header.layout_version);
  }
  return "";
}

// Before it is mapped. Another layout has files of another size, so the size is looked at last.
std::string file_mismatch(const Fd& file, std::uint64_t found_bytes, std::uint64_t size_bytes) {
  Header header{};
  if (pread(file.get(), static_cast<void*>(&header), sizeof header, 0) < 0) return "it cannot be read";
  std::string unknown = unknown_layout(header);
  if (!unknown.empty()) return unknown;
  if (header.size_bytes != size_bytes) return differ("size in bytes", size_bytes, header.size_bytes);
  const std::uint64_t expected_bytes = mapped_bytes_of(size_bytes);
  return found_bytes == expected_bytes ? "" : differ("bytes of the file", expected_bytes, found_bytes);
}

std::string mismatch(const Header& header, std::uint64_t size_bytes) {
  std::string unknown = unknown_layout(header);
  if (!unknown.empty()) return unknown;
  if (header.process_count > kProcessLimit)
    return differ("most processes", kProcessLimit, header.process_count);
  if (header.struct_hash != kStructHash) return differ("struct hash", kStructHash, header.struct_hash);
  if (header.size_bytes != size_bytes) return differ("size in bytes", size_bytes, header.size_bytes);
  Header expected{};
  set_geometry(expected, size_bytes);
  if (header.arena_offset != expected.arena_offset || header.page_count != expected.page_count ||
      header.processes_offset != expected.processes_offset || header.slots_offset != expected.slots_offset) {
    return "geometry differs";
  }
  return "";
}

// Nobody else is alive: completes what dead processes committed, frees every lock, and takes back the blocks
// and extents that their records held.
void recover_all(Segment& segment) {
  Header& header = segment.header();
  for (std::uint32_t i = 0; i < header.process_count; ++i) {
    ProcessRecord& record = segment.process(i);
    RedoList::complete(segment.base(), record);
  }
  const auto free_lock = [](RobustLock& lock) {
    lock.word.store(0);
    lock.holder.store(0);
  };
  for (RobustLock* lock : {&header.arena_lock, &header.flush_lock, &header.gate_lock}) free_lock(*lock);
  // Nobody is alive: any ring will do that has room. Where none has, the first writer finishes it.
  header.exclusive.store(header.database_change.load() != 0 ? 1 : 0);
  for (std::uint32_t i = 0; i < header.process_count && header.database_change.load() != 0; ++i) {
    RedoList redo(segment.base(), segment.process(i));
    JournalWriter journal(segment, i, redo);
    DatabaseChanges changes(segment.base(), header, redo, journal);
    if (!changes.can_finish()) continue;
    changes.finish();
    header.exclusive.store(0);
  }
  const SlotArray slots(segment.base() + header.slots_offset);
  for (DatabaseId database; database < kDatabaseEnd; ++database) {
    if (!header.is_open(database)) continue;
    for (SlotId s = first_slot(database); s < first_slot(database) + kSlotCount; ++s) {
      free_lock(slots[s].lock);
      slots[s].marks.store(slots[s].marks.load() & Slot::kChanging);  // who watched is gone
    }
  }
  free_lock(slots[kTextSlot].lock);
  for (std::uint32_t i = 0; i < header.process_count; ++i) {
    ProcessRecord& record = segment.process(i);
    free_lock(record.repair);
    for (Word& pin : record.pins) pin.store(0);
    record.pid.store(0);
    forget_clients(header, record.mailbox, i);
    record.mailbox.tail.store(0);
    record.mailbox.reserved.store(0);
  }
  header.monitors.store(0);
  header.trackers.store(0);
  header.pause.store(0);
  header.recoveries.fetch_add(1);
  for (std::uint32_t i = 0; i < header.process_count; ++i) {
    ProcessRecord& record = segment.process(i);
    LockOwner owner(segment.base(), i);
    RedoList redo(segment.base(), record);
    Arena(segment, record, owner, redo).give_back_all();
  }
}

Outcome lock_file(const Fd& file, const std::string& path) {
  for (int waited_ms = 0;; waited_ms += 10) {
    if (flock(file.get(), LOCK_EX | LOCK_NB) == 0) return Done{};
    if (errno != EWOULDBLOCK) return system_error("flock(" + path + ")");
    if (waited_ms >= kOtherServerWaitMs) {
      return Error{ExitStatus::kSystem, 0,
                   "segment " + path + " is in use by another server; stop that one or choose another --dir"};
    }
    const timespec pause{0, 10'000'000};  // children of a killed master are leaving
    nanosleep(&pause, nullptr);
  }
}

}  // namespace

Result<std::unique_ptr<Segment>> Segment::create_or_attach(const SegmentOptions& options,
                                                           AttachReport* report) {
  const std::int64_t begin_ns = monotonic_time_ns();
  const std::uint64_t size_bytes = options.size_bytes / kPageBytes * kPageBytes;
  if (size_bytes < kSmallestBytes) {
    return Error{ExitStatus::kConfig, 0,
                 "memory of " + std::to_string(options.size_bytes) +
                     " bytes is too small: at least 16 MiB are needed"};
  }
  const Result<Fd> folder = open_private_folder(options.directory);
  if (!folder) return folder.error();
  const std::string path = options.directory + "/segment";
  for (int attempt = 0; attempt < 2; ++attempt) {
    Result<Fd> opened = open_private_file(*folder, "segment", O_RDWR | O_CREAT, path);
    if (!opened) return opened.error();
    Fd file = std::move(*opened);
    if (const Outcome locked = lock_file(file, path); !locked) return locked.error();
    struct stat status {};
    if (fstat(file.get(), &status) != 0) return system_error("fstat(" + path + ")");
    const bool existed = status.st_size > 0;
    std::string reason;
    if (existed && options.fresh) reason = "a fresh start was asked for";
    if (existed && reason.empty()) {
      reason = file_mismatch(file, static_cast<std::uint64_t>(status.st_size), size_bytes);
    }
    std::unique_ptr<Segment> segment(new Segment);
    segment->impl_ = std::make_unique<Impl>();
    segment->impl_->file = std::move(file);
    segment->path_ = path;
    segment->impl_->name_files(path);
    segment->impl_->mailboxes->remove_all();
    if (options.fresh) TextStore::remove_file(path);
    segment->size_bytes_ = size_bytes;
    if (reason.empty()) {
      if (!existed &&
          (ftruncate(segment->impl_->file.get(), static_cast<off_t>(segment->mapped_bytes())) != 0 ||
           !segment->commit_front(options.worker_count + 1))) {
        return system_error("making " + path + " of " + std::to_string(size_bytes) + " bytes");
      }
      Result<ipc::mapped_region> region = map_file(segment->impl_->file, path, segment->mapped_bytes());
      if (!region) return region.error();
      segment->impl_->region = std::move(*region);
      segment->base_ = static_cast<char*>(segment->impl_->region.get_address());
      if (!existed) {
        format_segment(segment->header(), options, size_bytes);
        return segment;
      }
      reason = mismatch(segment->header(), size_bytes);
      if (reason.empty()) {
        if (!segment->commit_front(options.worker_count + 1)) return system_error("fallocate(" + path + ")");
        recover_all(*segment);
        segment->watch_locks(0, 0);
        segment->header().value_limit_bytes = options.value_limit_bytes;
        segment->header().process_count = std::max(options.worker_count + 1, segment->records_needed());
        const CheckReport check = check_segment(*segment);
        reason = check.errors.empty() ? "" : "check failed: " + check.errors.front();
        if (reason.empty()) {
          report->attached = true;
          report->key_count = check.key_count;
          report->elapsed_ms = (monotonic_time_ns() - begin_ns) / 1'000'000;
          return segment;
        }
      }
    }
    const std::string aside = path + ".set-aside-" + std::to_string(wall_time_ms());
    if (rename(path.c_str(), aside.c_str()) != 0) return system_error("rename(" + path + ", " + aside + ")");
    report->set_aside_message =
        "segment " + path + " not used (" + reason + "); it was set aside as " + aside;
  }
  return Error{ExitStatus::kSystem, 0,
               "segment " + path + " appears again and again; is somebody else writing it?"};
}

Result<std::unique_ptr<Segment>> Segment::adopt(Fd file, const std::string& directory) {
  const std::string path = directory + "/segment";
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return system_error("fstat of the segment taken over");
  std::unique_ptr<Segment> segment(new Segment);
  segment->impl_ = std::make_unique<Impl>();
  segment->impl_->name_files(path);
  segment->path_ = path;
  const auto file_bytes = static_cast<std::uint64_t>(status.st_size);
  if (file_bytes < mapped_bytes_of(kSmallestBytes))
    return Error{ExitStatus::kConfig, 0, "segment " + path + " is shorter than any of this layout"};
  segment->size_bytes_ = file_bytes - kBesideLimitBytes;
  Result<ipc::mapped_region> region = map_file(file, path, file_bytes);
  if (!region) return region.error();
  segment->impl_->region = std::move(*region);
  segment->base_ = static_cast<char*>(segment->impl_->region.get_address());
  segment->impl_->file = std::move(file);
  const std::string reason = mismatch(segment->header(), segment->size_bytes_);
  if (!reason.empty()) return Error{ExitStatus::kConfig, 0, "segment " + path + ": " + reason};
  return segment;
}

Result<std::unique_ptr<Segment>> Segment::create_anonymous(const SegmentOptions& options) {
  std::unique_ptr<Segment> segment(new Segment);
  segment->impl_ = std::make_unique<Impl>();
  segment->impl_->name_files("");
  segment->size_bytes_ = std::max(kSmallestBytes, options.size_bytes / kPageBytes * kPageBytes);
  try {
    segment->impl_->region = ipc::anonymous_shared_memory(segment->mapped_bytes());
  } catch (const ipc::interprocess_exception& exception) {
    return Error{ExitStatus::kSystem, exception.get_native_error(),
                 std::string("mapping memory: ") + exception.what()};
  }
  segment->base_ = static_cast<char*>(segment->impl_->region.get_address());
  format_segment(segment->header(), options, segment->size_bytes_);
  return segment;
}

}  // namespace memento
