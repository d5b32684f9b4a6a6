// See loading.h.
#include "archiver/loading.h"

#include <optional>
#include <string>

#include "conf/size_text.h"
#include "shm/archive/recovery.h"
#include "shm/format/layout.h"
#include "shm/os/clock.h"
#include "shm/os/random.h"

namespace memento {
namespace {

// Other data than any that was there before.
void draw_data_id(Manifest& manifest) {
  manifest.add_ancestor(manifest.data_id);
  manifest.data_id = {random_number(), random_number()};
}

// Takes what a dead loader left, and shows that another one is at work.
Outcome begin_load(const ArchiverProcess& process) {
  for (const std::uint32_t record : process.loader_processes) {
    if (!process.segment.open_process(record)) return system_error("fallocate of a process's record");
    process.segment.recover_process(record);
  }
  if (Outcome cleared = clear_for_load(process.segment); !cleared) return cleared;
  DiskState& disk = process.segment.header().disk;
  disk.load_began_ms.store(static_cast<std::uint64_t>(wall_time_ms()));
  disk.load.store(static_cast<std::uint64_t>(LoadState::kUnderWay));
  return Done{};
}

void log_report(const ArchiverProcess& process, const LoadReport& report) {
  if (!report.text.empty()) process.log.warning(report.text);
  process.log.info(std::to_string(report.keys) + " keys came back from " + process.folder.path() + " in " +
                   std::to_string(report.elapsed_ms) + " ms (" + std::to_string(report.records) +
                   " records in " + format_size(report.bytes) + ")");
}

}  // namespace

Outcome load_data(const ArchiverProcess& process, DataManifest& manifest_file,
                  const std::function<bool()>& goes_on) {
  if (Outcome begun = begin_load(process); !begun) return begun;
  const Result<std::optional<std::uint64_t>> newest_file = process.state_folder.newest_file();
  if (!newest_file) return newest_file.error();
  const RecoveryMode mode = process.options.recovery;
  Manifest manifest = manifest_file.newest();
  LoadOptions options;
  options.folder = &process.folder.fd();
  options.path = process.folder.path();
  options.manifest = manifest;
  options.newest_file = mode == RecoveryMode::kExact ? newest_file->value_or(0) : 0;
  options.salvages = mode == RecoveryMode::kSalvage;
  options.processes = process.loader_processes;
  options.goes_on = goes_on;
  process.log.info("loading the data in " + options.path);
  const Result<LoadReport> report = load(process.segment, options);
  if (!report) return report.error();
  log_report(process, *report);

  Header& header = process.segment.header();
  const bool is_all = (manifest.is_exact != 0 || manifest.is_clean != 0) && mode == RecoveryMode::kExact;
  if (!is_all) {
    draw_data_id(manifest);
    if (Outcome written = manifest_file.write(manifest); !written) return written;
    header.data_id = manifest.data_id;
  }
  header.disk.file.store(report->end.file);
  header.disk.known_frame.store(report->end.frame - 1);
  if (Outcome begun = process.segment.begin_journal(kJournalForDisk, process.options.journal_ring_bytes);
      !begun)
    return begun;
  if (report->has_open_change) finish_database_change(process.segment, process.process);
  return Done{};
}

}  // namespace memento
