// See aftermath.h.
#include "tests/crash/aftermath.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cstring>

#include "shm/commit/journal_rings.h"
#include "shm/commit/robust_lock.h"
#include "shm/format/entry.h"
#include "shm/format/layout.h"
#include "shm/format/size_class.h"
#include "shm/format/table.h"

extern "C" char __executable_start, etext;

namespace memento::crash {
namespace {

std::unique_ptr<Segment> make_segment(std::uint64_t size_bytes) {
  SegmentOptions options;
  options.size_bytes = size_bytes;
  options.worker_count = kWorkerCount;
  auto segment = Segment::create_anonymous(options);
  assert(segment);
  return std::move(*segment);
}

constexpr std::uint64_t kInstructionsOfOneTry = 160;
constexpr std::uint64_t kCutsApart = 3;
constexpr std::size_t kPieceBytes = 1024;  // longer ones are copied by string instructions: a step a byte
constexpr std::uint64_t kStatesForOneReader = 4;
constexpr std::uint64_t kLongRead = 500;  // instructions

// The C library's own state (malloc) is whole while the thread executes the program's own text.
bool may_end_here(const greg_t* registers) {
  const auto at = static_cast<std::uintptr_t>(registers[REG_RIP]);
  return at >= reinterpret_cast<std::uintptr_t>(&__executable_start) &&
         at < reinterpret_cast<std::uintptr_t>(&etext);
}

// Spreads consecutive numbers.
std::uint64_t scatter(std::uint64_t number) {
  number *= 0x9e3779b97f4a7c15;
  return number ^ number >> 29;
}

}  // namespace

void Totals::add(const Totals& other) {
  instructions += other.instructions;
  helper_instructions += other.helper_instructions;
  states += other.states;
  explored += other.explored;
  recoveries += other.recoveries;
  dead_helpers += other.dead_helpers;
  slow_readers += other.slow_readers;
}

Aftermath::Aftermath(Stepper& stepper, Segment& victim)
    : stepper_(stepper),
      victim_(victim),
      thread_id_(static_cast<std::uint32_t>(syscall(SYS_gettid))),
      file_(memfd_create("crash states", MFD_CLOEXEC)),
      segment_(make_segment(victim.size_bytes())) {
  const std::uint64_t ring_bytes = victim.header().journal_ring_bytes.load();
  if (ring_bytes != 0) (void)segment_->begin_journal(kJournalForDisk, ring_bytes);
  const std::size_t size = victim.mapped_bytes();
  [[maybe_unused]] const int truncated = ftruncate(file_.get(), static_cast<off_t>(size));
  assert(truncated == 0);
  image_ = static_cast<char*>(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0));
  [[maybe_unused]] void* copy =
      mmap(segment_->base(), size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, file_.get(), 0);
  assert(image_ != MAP_FAILED && copy == segment_->base());
}

Aftermath::~Aftermath() { munmap(image_, victim_.mapped_bytes()); }

void Aftermath::sync() {
  for (const Range& range : used_ranges(victim_)) {
    std::memcpy(image_ + range.begin, victim_.base() + range.begin, range.end - range.begin);
  }
  ring_begins_ = {};
  copy_rings(0, kWorkerCount + 1);
  for (std::uint32_t i = 0; i <= kWorkerCount; ++i) ring_begins_[i] = victim_.process(i).journal.tail.load();
  note_pin();
}

// What the victim's side has written into the rings; of what is behind a state's tail nothing may depend.
void Aftermath::copy_rings(std::uint32_t begin, std::uint32_t end) {
  const std::uint64_t ring_bytes = victim_.header().journal_ring_bytes.load();
  for (std::uint32_t i = begin; i < end && ring_bytes != 0; ++i) {
    const std::uint64_t at = ring_begins_[i];
    std::memcpy(segment_->journal_rings().bytes(i, ring_bytes) + at,
                victim_.journal_rings().bytes(i, ring_bytes) + at,
                victim_.process(i).journal.tail.load() - at);
  }
}

// Takes note of the run a reader has pinned.
void Aftermath::note_pin() {
  pinned_offset_ = victim_.process(kPinner).pins[0].load();
  if (pinned_offset_ == 0) return;
  // What the reader copies: the value, as long as it was. Words before it, and what comes behind, may change.
  const Entry entry = Entry::parse(victim_.base() + pinned_offset_);
  pinned_offset_ = static_cast<std::uint64_t>(entry.value() - victim_.base());
  pinned_bytes_.assign(entry.value(), entry.value_bytes);
}

void Aftermath::advance(const WordChange* changes, std::size_t count) {
  const std::uint64_t slots = victim_.header().slots_offset;
  for (std::size_t i = 0; i < count; ++i) {
    std::memcpy(image_ + changes[i].offset, &changes[i].value, 8);
    const std::uint64_t slot = (changes[i].offset - slots) / sizeof(Slot);
    if (slot < kDatabaseLimit * kDatabaseStride)
      touched_slots_.insert(SlotId(static_cast<std::uint32_t>(slot)));
  }
}

void Aftermath::fail(const std::string& message) { failures_->push_back(way_ + ": " + message); }

void Aftermath::explore(const Crash& crash, std::vector<std::string>* failures) {
  failures_ = failures;
  ++totals_.explored;
  read_before_recovery(crash);
  recover_as_reaper(crash);
  recover_as_writer(crash);
  for (std::uint64_t i = 0; i < crash.helpers; ++i) {
    recover_after_dead_helper(crash, crash.number + i * 0x10001);
  }
}

Slot& Aftermath::slot_of(const HashedKey& key) const {
  return SlotArray(segment_->base() + segment_->header().slots_offset)[key.slot];
}

// Those of the keys whose cells the changes will change.
std::set<std::string> Aftermath::keys_of_cells(const std::set<std::string>& names, const WordChange* changes,
                                               std::size_t count) const {
  std::set<std::string> found;
  const std::uint64_t end = segment_->mapped_bytes() - kPageBytes;
  for (std::size_t i = 0; i < count; ++i) {
    std::uint64_t cell = 0;
    std::memcpy(&cell, segment_->base() + changes[i].offset, sizeof cell);
    const Offset offset = Cell::offset(cell);
    if (offset.value < segment_->header().arena_offset || offset.value >= end) continue;
    const Entry entry = Entry::parse(segment_->base() + offset);
    if (entry.key_bytes > kPageBytes / 2) continue;
    const std::string name(entry.key(), entry.key_bytes);
    if (names.contains(name)) found.insert(name);
  }
  return found;
}

void Aftermath::read_across(const Crash& crash, const WordChange* changes, std::size_t count,
                            std::vector<std::string>* failures) {
  failures_ = failures;
  std::set<std::string> names;
  for (const Model& model : crash.allowed) {
    for (const auto& entry : model) names.insert(entry.first);
  }
  if (names.empty()) return;
  const std::uint64_t random = scatter(crash.number + crash.seed * 0x100000001);
  madvise(segment_->base(), segment_->mapped_bytes(), MADV_DONTNEED);
  if (const std::set<std::string> about_to_change = keys_of_cells(names, changes, count);
      !about_to_change.empty() && random % 4 != 0) {
    names = about_to_change;
  }
  auto name = names.begin();
  std::advance(name, static_cast<std::ptrdiff_t>(random / 4 % names.size()));
  const Keyspace reader(*segment_, kReader);
  // Where a change to several keys is half made, a reader soon waits for the victim: it stops before.
  if (!slot_of(key_named(reader, *name)).is_changing()) {
    const std::uint64_t states = reader_length_ > kLongRead ? 4 * kStatesForOneReader : kStatesForOneReader;
    if (crash.number % states != 0) return;
    // Between the cell and the end of the copy, near the end of a read, is where most can go wrong.
    const std::uint64_t part = random / 32 % 2 == 0 ? reader_length_ : reader_length_ / 4;
    return stop_reader(crash, *name, reader_length_ - 1 - random / 64 % part, changes, count);
  }
  for (std::uint64_t cut = random / 64 % kCutsApart; cut < kInstructionsOfOneTry; cut += kCutsApart) {
    stop_reader(crash, *name, cut, changes, count);
  }
}

void Aftermath::stop_reader(const Crash& crash, const std::string& name, std::uint64_t cut,
                            const WordChange* changes, std::size_t count) {
  madvise(segment_->base(), segment_->mapped_bytes(), MADV_DONTNEED);
  Keyspace reader(*segment_, kReader);
  reader.set_now_ms(crash.now_ms);
  HashedKey key = key_named(reader, name);
  Expected found;
  found.value.reserve(kLargestBlockBytes);
  bool is_there = false;
  const auto copy = [&](const EntryView& view) {
    found.value.clear();
    for (std::size_t at = 0; at < view.value.size(); at += kPieceBytes) {
      found.value.append(view.value.substr(at, kPieceBytes));
    }
    found.expiry_ms = view.expiry_ms;
  };
  auto read = [&] {
    if (crash.number / kStatesForOneReader % 2 == 0) {
      is_there = reader.read(key, copy);
    } else {  // seen at first, as workers do
      reader.prefetch_entry(key);
      is_there = reader.read_where_seen(key, copy) || reader.read(key, copy);
    }
  };
  std::uint64_t executed = 0;
  stepper_.run(read, [&](greg_t* registers) {
    if (executed++ != cut) return true;
    Stepper::stop_stepping(registers);
    for (std::size_t i = 0; i < count; ++i) {
      std::memcpy(segment_->base() + changes[i].offset, &changes[i].value, 8);
    }
    return true;
  });
  if (executed <= cut) reader_length_ = std::max<std::uint64_t>(executed, 16);
  ++totals_.slow_readers;
  const bool is_known =
      (!is_there && crash.may_be_gone.contains(name)) ||
      std::ranges::any_of(crash.allowed, [&](const Model& model) {
        const auto expected = model.find(name);
        return is_there ? expected != model.end() && expected->second == found : expected == model.end();
      });
  way_ = "reader that stops at instruction " + std::to_string(cut) + " until the operation is done";
  if (!is_known) fail(name + " has neither its old nor its new value");
}

// The state, and what the kernel does to it. False: a lock is stuck; whoever wants it would wait for ever.
bool Aftermath::die(const Crash& crash) {
  madvise(segment_->base(), segment_->mapped_bytes(), MADV_DONTNEED);
  copy_rings(kVictim, kVictim + 1);
  mark_dead_owner(segment_->base(), segment_->mapped_bytes(), victim_.base(), crash.list, thread_id_);
  return !find_stuck_lock();
}

// All who ever lock here are dead or finished: a lock that names an owner was missed by the kernel.
bool Aftermath::find_stuck_lock() {
  bool stuck = false;
  dead_locks_.clear();
  const auto look = [&](RobustLock& lock, const char* name) {
    const std::uint32_t word = lock.word.load();
    if ((word & FUTEX_TID_MASK) != 0) {
      stuck = true;
      fail(std::string(name) + " lock is stuck: the kernel does not find it");
    } else if (word != 0) {
      dead_locks_.push_back(&lock);
    }
  };
  Header& header = segment_->header();
  const SlotArray slots(segment_->base() + header.slots_offset);
  for (const SlotId slot : touched_slots_) look(slots[slot].lock, "a slot's");
  look(header.arena_lock, "the arena's");
  look(header.flush_lock, "the FLUSH");
  look(header.gate_lock, "the gate's");
  for (std::uint32_t i = 0; i < header.process_count; ++i) look(segment_->process(i).repair, "a repair");
  return stuck;
}

void Aftermath::read_before_recovery(const Crash& crash) {
  way_ = "reading before recovery";
  if (!die(crash)) return;
  Keyspace reader(*segment_, kReader);
  reader.set_now_ms(crash.now_ms);
  const auto locks = [&] {
    std::vector<std::uint32_t> words;
    const SlotArray slots(segment_->base() + segment_->header().slots_offset);
    for (const auto& entry : crash.allowed.front())
      words.push_back(slots[key_named(reader, entry.first).slot].lock.word);
    return words;
  };
  const auto before = locks();
  // A change to several keys that is half made makes readers wait for it: there, they may lock.
  const SlotArray slots(segment_->base() + segment_->header().slots_offset);
  const bool may_lock =
      std::ranges::any_of(touched_slots_, [&](SlotId slot) { return slots[slot].is_changing(); });
  const Model seen = observe(reader, crash.allowed);
  // One key at a time: between them others may see a change half made. As of one instant: read_as_one().
  for (const auto& [key, value] : seen) {
    const bool known = std::ranges::any_of(crash.allowed, [&](const Model& model) {
      const auto found = model.find(key);
      return found != model.end() && found->second == value;
    });
    if (!known) fail(key + " has neither its old nor its new value");
  }
  for (const auto& [key, value] : crash.allowed.front()) {
    const bool may_be_missing =
        crash.may_be_gone.contains(key) ||
        std::ranges::any_of(crash.allowed, [&](const Model& model) { return !model.contains(key); });
    if (!seen.contains(key) && !may_be_missing) fail(key + " is missing");
  }
  if (crash.only_blocks && !may_lock && locks() != before) fail("a read of a small value took a lock");
  if (!matches(crash, crash.allowed, read_as_one(reader, crash.allowed), false)) {
    fail("the keys read as one are neither as before nor as after");
  }
}

void Aftermath::recover_as_reaper(const Crash& crash) {
  way_ = "reaper";
  if (!die(crash)) return;
  reap(kVictim);
  verify(crash, crash.allowed, false);
}

void Aftermath::recover_as_writer(const Crash& crash) {
  const Operation& operation = writers_[crash.number % writers_.size()];
  way_ = "writer (" + operation.name + "), then reaper";
  if (!die(crash)) return;
  const WriteStatus status = write(crash, operation, kWriter);
  reap(kVictim);
  verify(crash, status == WriteStatus::kOutOfMemory ? crash.allowed : with(crash.allowed, operation, false),
         true);
}

void Aftermath::recover_after_dead_helper(const Crash& crash, std::uint64_t choice) {
  way_ = "dead helper";
  if (!die(crash)) return;
  HelperKind kind = choice % 64 == 31   ? kHelperWriter
                    : choice % 64 == 63 ? kHelperSuccessor
                    : choice % 2 == 1   ? kHelperReaper
                                        : kHelperLocker;
  if (kind == kHelperLocker && dead_locks_.empty()) kind = kHelperReaper;
  const Operation& first = writers_[choice / 64 % writers_.size()];
  if (!help_and_die(crash, kind, first, choice)) return;

  std::vector<Model> allowed = crash.allowed;
  if (kind == kHelperWriter) allowed = with(allowed, first, true);
  if (choice / 2 % 2 == 0) {
    const Operation& second = writers_[choice / 3 % writers_.size()];
    way_ += ", then writer (" + second.name + ")";
    if (write(crash, second, kReader) != WriteStatus::kOutOfMemory) allowed = with(allowed, second, false);
  }
  if (kind == kHelperWriter || kind == kHelperLocker) reap(kWriter);
  reap(kVictim);
  verify(crash, allowed, true);
}

// Begins to repair in one of the ways there are, and dies at some instruction of it (or finishes, sometimes:
// that is how the length is learnt). False: it left a lock stuck.
bool Aftermath::help_and_die(const Crash& crash, HelperKind kind, const Operation& operation,
                             std::uint64_t choice) {
  std::unique_ptr<Keyspace> writer;
  if (kind == kHelperWriter) {
    writer = std::make_unique<Keyspace>(*segment_, kWriter);
    writer->set_now_ms(crash.now_ms);
  } else {
    if (kind == kHelperSuccessor) segment_->recover_process(kVictim);
    syscall(SYS_set_robust_list, nullptr, sizeof(robust_list_head));
  }
  auto help = [&] {
    if (kind == kHelperWriter) {
      execute(operation, *writer);
    } else if (kind == kHelperLocker) {
      LockOwner owner(segment_->base(), kWriter);
      const LockGuard guard(owner, *dead_locks_[choice / 2 % dead_locks_.size()]);
    } else if (kind == kHelperReaper) {
      segment_->recover_process(kVictim);
    } else {
      const Keyspace successor(*segment_, kVictim);
    }
  };
  std::uint64_t& length = helper_length_[kind];
  const std::uint64_t cut = scatter(choice + crash.seed * 0x100000001) % (length + length / 8 + 4);
  std::uint64_t executed = 0;
  RobustList list;
  const bool finished = stepper_.run(help, [&](const greg_t* registers) {
    if (executed++ < cut || !may_end_here(registers)) return true;
    const robust_list_head* head = RobustList::registered();
    if (head != nullptr) list = RobustList::read(head);
    return false;
  });
  totals_.helper_instructions += executed;
  static constexpr const char* kNames[] = {"writer", "lock", "reaper", "successor"};
  way_ = std::string(kNames[kind]) + (kind == kHelperWriter ? " (" + operation.name + ")" : "");
  if (finished) {
    length = executed;
    return true;
  }
  ++totals_.dead_helpers;
  way_ += " that dies at instruction " + std::to_string(executed);
  static_cast<void>(writer.release());  // what a killed process had in its own memory
  if (list.head != nullptr) {
    mark_dead_owner(segment_->base(), segment_->mapped_bytes(), segment_->base(), list, thread_id_);
  }
  return !find_stuck_lock();
}

WriteStatus Aftermath::write(const Crash& crash, const Operation& operation, std::uint32_t process) {
  Keyspace writer(*segment_, process);
  writer.set_now_ms(crash.now_ms);
  return execute(operation, writer);
}

// As the master does, and then the process it starts in the dead one's place.
void Aftermath::reap(std::uint32_t process) {
  segment_->recover_process(process);
  const Keyspace successor(*segment_, process);
}

std::vector<Model> Aftermath::with(const std::vector<Model>& allowed, const Operation& operation,
                                   bool keep_without) {
  std::vector<Model> models;
  for (const Model& model : allowed) {
    if (keep_without) models.push_back(model);
    models.push_back(model);
    operation.apply(models.back());
  }
  return models;
}

}  // namespace memento::crash
