// The master's part in data on disk: the folders, which data a start begins with, and the archiver, which
// does the rest. See master.h.
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "archiver/archiver.h"
#include "master/master.h"
#include "shm/archive/manifest_file.h"
#include "shm/format/layout.h"
#include "shm/os/random.h"
#include "shm/texts/text_store.h"

namespace memento {
namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr std::int64_t kArchiverGraceMs = 10'000;

// Anything that a journal which begins now would not tell: keys, or positions that slots have come to.
bool has_data(Segment& segment) {
  const Header& header = segment.header();
  const SlotArray slots = segment.slots();
  const SlotJournal* const journals = segment.slot_journals();
  for (DatabaseId database; database < kDatabaseEnd; ++database) {
    if (!header.is_open(database)) continue;
    for (std::uint32_t i = 0; i < kSlotCount; ++i) {
      const SlotId slot = slot_in(database, SlotId(i));
      if (slots[slot].cells.load() != 0 || journals[slot.value].position.load() != 0) return true;
    }
  }
  return journals[kTextSlot.value].position.load() != 0 || TextStore(segment.path()).kept_count() != 0;
}

void forget_folder(Header& header) {
  header.journal.store(0);
  header.disk.forget_files();
}

Error refusal(std::string text) { return Error{ExitStatus::kConfig, 0, std::move(text)}; }

}  // namespace

// In front of everything else: who has the folder's lock has its data, too.
Outcome Master::open_data_folders() {
  if (options_.data_folder.empty()) return Done{};
  for (const std::string* path : {&options_.data_folder, &options_.state_folder}) {
    if (const Outcome made = user_ ? user_->make_folder(*path) : Done{}; !made) return made.error();
  }
  const RightsOf rights(user_);
  if (!rights.outcome()) return rights.outcome().error();
  Result<JournalFolder> folder = JournalFolder::open(options_.data_folder);
  if (!folder) return folder.error();
  if (Outcome locked = folder->lock(); !locked) return locked;
  Result<StateFolder> state = StateFolder::open(options_.state_folder);
  if (!state) return state.error();
  data_.emplace(std::move(*folder), std::move(*state));
  return Done{};
}

// After exec: the folder is open, with its lock. The old archiver is ended at once; the new one starts when
// it is gone.
Outcome Master::take_over_data() {
  options_.data_folder = handover_->data_path;
  options_.state_folder = handover_->state_path;
  if (handover_->data_folder < 0) return Done{};
  const RightsOf rights(user_);
  if (!rights.outcome()) return rights.outcome().error();
  Result<StateFolder> state = StateFolder::open(options_.state_folder);
  if (!state) return state.error();
  data_.emplace(JournalFolder(Fd(handover_->data_folder), options_.data_folder), std::move(*state));
  for (Predecessor& process : predecessors_) {
    if (!process.is_archiver || process.pid == 0) continue;
    kill(process.pid, SIGTERM);
    process.kill_at_ns = monotonic_time_ns() + kArchiverGraceMs * kNsPerMs;
  }
  return Done{};
}

FoundData Master::look_at_data(const std::optional<Manifest>& manifest, bool is_attached) {
  const DiskState& disk = segment_->header().disk;
  FoundData found;
  found.folder = options_.data_folder;
  found.state_folder = options_.state_folder;
  found.segment = segment_->path();
  found.manifest = manifest;
  found.is_attached = is_attached;
  found.binding = disk.binding.load();
  found.is_half_loaded = disk.is_loading();
  found.file = disk.file.load();
  return found;
}

// Decides what is served, and binds it to this start (shm/archive/binding.h says in which order).
Outcome Master::begin_data(const AttachReport& report) {
  if (!data_) return forget_data();
  const RightsOf rights(user_);
  if (!rights.outcome()) return rights.outcome().error();
  Result<ManifestFile> manifest_file = ManifestFile::open(data_->folder.fd(), data_->folder.path());
  if (!manifest_file) return manifest_file.error();
  FoundData found = look_at_data(manifest_file->newest(), report.attached);
  found.keys = report.key_count;
  Result<std::optional<std::vector<std::uint64_t>>> bindings = data_->state.bindings();
  if (!bindings) return bindings.error();
  found.bindings = *bindings;
  Result<std::optional<std::uint64_t>> newest_file = data_->state.newest_file();
  if (!newest_file) return newest_file.error();
  found.newest_file = *newest_file;
  Result<std::vector<std::uint64_t>> files = data_->folder.numbers();
  if (!files) return files.error();
  found.files = *files;

  const StartDecision decision =
      decide_start(found, {options_.recovery == RecoveryMode::kDetached, options_.fresh});
  if (decision.start == DataStart::kIsRefused) return refusal(decision.text);
  if (!decision.text.empty()) log_->warning(decision.text);
  if (decision.sets_segment_aside) {
    if (Outcome set_aside = set_segment_aside(); !set_aside) return set_aside;
  }
  Manifest manifest;
  if (decision.start == DataStart::kBegins) {
    manifest.data_id = {random_number(), random_number()};
    manifest.policy = options_.sync_policy;
    manifest.time_base_ms = segment_->header().time_base_ms;
    manifest.first_frame = has_data(*segment_) ? 0 : 1;
    if (found.manifest) manifest.add_ancestor(found.manifest->data_id);
  } else {
    manifest = *found.manifest;
    manifest.detached_ms = 0;
  }
  manifest.binding = random_number();
  if (Outcome added = data_->state.add_binding(manifest.binding); !added) return added;
  if (Outcome written = manifest_file->write(manifest); !written) return written;
  if (decision.sets_folder_aside) {
    const std::string name = "set-aside-" + std::to_string(wall_time_ms());
    if (Outcome set_aside = data_->folder.set_aside(name); !set_aside) return set_aside;
    log_->warning("the former data in " + options_.data_folder + " is in its folder " + name + " now");
    Result<ManifestFile> fresh = ManifestFile::open(data_->folder.fd(), data_->folder.path());
    if (!fresh) return fresh.error();
    if (Outcome written = fresh->write(manifest); !written) return written;
  }
  if (Outcome prepared = prepare_segment(decision.start, manifest); !prepared) return prepared;
  return data_->state.set_binding(manifest.binding);
}

// A new one in its place.
Outcome Master::set_segment_aside() {
  segment_.reset();
  AttachReport report;
  const bool fresh = std::exchange(options_.fresh, true);
  const Outcome made = create_or_attach_segment(&report);
  options_.fresh = fresh;
  if (!made) return made;
  log_->warning(report.set_aside_message);
  return Done{};
}

Outcome Master::prepare_segment(DataStart start, const Manifest& manifest) {
  Header& header = segment_->header();
  DiskState& disk = header.disk;
  disk.process.store(0);
  for (Word& asked : disk.asked_ns) asked.store(0);
  disk.status.store(0);
  disk.is_off.store(0);
  // MANIFEST may say that nothing can be missing, so replies wait until the archiver has it say otherwise.
  // Behind a beginning with data nothing waits before that is on disk.
  const bool needs_snapshot = manifest.state == ManifestState::kVoid && manifest.first_frame == 0;
  const bool waits =
      !needs_snapshot && (manifest.is_exact != 0 || options_.sync_policy == SyncPolicy::kAlways);
  disk.release_rule.store(waits ? DiskState::kWaitForDisk : 0);
  if (start != DataStart::kGoesOn) forget_folder(header);
  header.data_id = manifest.data_id;
  disk.binding.store(manifest.binding);
  if (start == DataStart::kLoads) {
    if (!disk.is_loading()) disk.load.store(static_cast<std::uint64_t>(LoadState::kWanted));
    return Done{};
  }
  // Records that are in rings of another size are written first: then the size changes with the next start.
  const std::uint64_t in_use_bytes = header.journal_ring_bytes.load();
  const bool keeps = start == DataStart::kGoesOn && in_use_bytes != 0 && has_unread_records();
  if (keeps && in_use_bytes != options_.journal_ring_bytes)
    log_->info("journal-ring changes with the next start: what is in the rings is written to disk first");
  return segment_->begin_journal(kJournalForDisk, keeps ? in_use_bytes : options_.journal_ring_bytes);
}

bool Master::has_unread_records() {
  for (std::uint32_t i = 0; i < segment_->process_count(); ++i) {
    const JournalState& ring = segment_->process(i).journal;
    if (ring.heads[0].load() != ring.tail.load()) return true;
  }
  return false;
}

// From now on data changes that no folder is told of. What was not loaded to its end is no data.
Outcome Master::forget_data() {
  if (segment_->header().disk.is_loading()) {
    log_->warning("a server was killed while it loaded its data into " + segment_->path() +
                  ", and this one is started without --data: it begins empty");
    if (Outcome set_aside = set_segment_aside(); !set_aside) return set_aside;
  }
  Header& header = segment_->header();
  forget_folder(header);
  DiskState& disk = header.disk;
  for (Word* word : {&disk.binding, &disk.process, &disk.release_rule, &disk.status, &disk.load})
    word->store(0);
  header.data_id = {};
  return Done{};
}

void Master::on_archiver_ready() {
  if (!std::exchange(awaits_data_, false)) return;
  readiness_.ready();
}

// What is on disk cannot be had: there is nothing to serve. A loader that was killed is followed by another.
void Master::on_load_failure(int status) {
  Child& child = children_.back();
  child.given_up = WIFEXITED(status) && WEXITSTATUS(status) != 0;
  if (!child.given_up) {
    child.respawn_at_ns = monotonic_time_ns();
    return log_->warning("the archiver was killed while it loaded the data; another one begins anew");
  }
  load_error_ = Error{ExitStatus::kConfig, 0,
                      "the data in " + options_.data_folder + " could not be loaded; the log says why"};
  stop(State::kStopping, SIGTERM, kStopPatienceMs);
}

// When nobody writes any more. It has as long as it needs to write and sync what is left, unless the disk
// hangs.
void Master::release_archiver() {
  if (!data_ || state_ == State::kRunning || has_worker()) return;
  if (options_.cluster && children_[options_.workers].pid != 0) return;
  if (const pid_t archiver = children_.back().pid; archiver != 0) kill(archiver, SIGQUIT);
  for (const Predecessor& process : predecessors_) {
    if (process.is_archiver && process.pid != 0) kill(process.pid, SIGQUIT);
  }
}

std::vector<std::uint32_t> Master::unused_records(std::size_t count) const {
  std::vector<std::uint32_t> records;
  for (std::uint32_t record = 1; record < kProcessLimit && records.size() < count; ++record) {
    const auto has_it = [&](const auto& process) { return process.record == record; };
    if (std::ranges::none_of(children_, has_it) && std::ranges::none_of(predecessors_, has_it))
      records.push_back(record);
  }
  return records;
}

void Master::become_archiver(pid_t master) {
  enter_child(master, "memento: archiver", "archiver");
  listen_sockets_.clear();
  redirect_sockets_.clear();
  bus_socket_.reset();
  _exit(
      run_archiver({*segment_, data_->folder, data_->state, std::move(ready_writer_), children_.back().record,
                    unused_records(options_.workers), *log_, **settings_, options_}));
}

}  // namespace memento
