// See journal_switch.h.
#include "archiver/journal_switch.h"

#include "shm/commit/journal_heads.h"
#include "shm/format/layout.h"
#include "shm/os/clock.h"
#include "shm/os/random.h"

namespace memento {
namespace {

constexpr int kPauseMs = 100;

Outcome turn_on(const ArchiverProcess& process) {
  Result<ManifestFile> file = ManifestFile::open(process.folder.fd(), process.folder.path());
  if (!file) return file.error();
  Header& header = process.segment.header();
  Manifest manifest = *file->newest();
  manifest.state = ManifestState::kVoid;
  manifest.policy = static_cast<SyncPolicy>(process.settings.sync_policy.load());
  manifest.is_exact = manifest.is_clean = 0;
  manifest.detached_ms = 0;
  manifest.first_frame = 0;
  manifest.time_base_ms = header.time_base_ms;
  manifest.add_ancestor(manifest.data_id);
  manifest.data_id = {random_number(), random_number()};
  if (Outcome written = file->write(manifest); !written) return written;
  header.data_id = manifest.data_id;
  // What is recorded before all see the bit is in front of the second heads, and no longer needed; behind
  // them nothing is overwritten unread. A change that saw no bit held its slot's lock: the snapshot has it.
  const auto forget_records = [&] {
    move_heads(process.segment, 0,
               [&](std::uint32_t i) { return process.segment.process(i).journal.tail.load(); });
  };
  forget_records();
  header.journal.fetch_or(kJournalForDisk);
  forget_records();
  return Done{};
}

}  // namespace

Outcome turn_journal_off(const ArchiverProcess& process, DataManifest& manifest) {
  Manifest detached = manifest.newest();
  detached.detached_ms = wall_time_ms();
  detached.is_clean = 0;
  if (Outcome written = manifest.write(detached); !written) return written;
  Header& header = process.segment.header();
  header.disk.is_ready.store(0);
  header.disk.release_rule.store(0);
  header.journal.fetch_and(~std::uint64_t{kJournalForDisk});
  header.disk.forget_files();
  header.disk.status.store(0);
  return Done{};
}

bool is_journal_off(Segment& segment) {
  const Header& header = segment.header();
  return (header.journal.load() & kJournalForDisk) == 0 && !header.disk.is_loading();
}

void wait_until_on(ArchiverProcess& process, ArchiverWakeups& wakeups) {
  DiskState& disk = process.segment.header().disk;
  while (disk.is_off.load() != 0 && !wakeups.ends()) wakeups.sleep(kPauseMs, -1);
  if (wakeups.ends()) return;
  if (const Outcome on = turn_on(process); !on) {
    process.log.error(on.error().message + "; the journal stays off");
    disk.is_off.store(1);
    return;
  }
  process.log.info("the journal is on; of use is " + process.folder.path() +
                   " when its first snapshot is complete");
}

}  // namespace memento
