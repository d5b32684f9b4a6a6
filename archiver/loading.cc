// See loading.h.
#include "archiver/loading.h"

#include <optional>
#include <string>

#include "conf/size_text.h"
#include "shm/archive/frame_bytes.h"
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

// The new file has its name when it is whole: else a loss of power would leave one that takes the place of
// what is in the former. Its number; of the former, when there is nothing to write.
Result<std::uint64_t> write_again(const ArchiverProcess& process, UnsureFrames& unsure) {
  if (unsure.bytes.empty()) return unsure.former_file;
  const Result<std::vector<std::uint64_t>> numbers = process.folder.numbers();
  if (!numbers) return numbers.error();
  JournalHead head;
  head.number = numbers->back() + 1;
  head.data_id = process.segment.header().data_id;
  head.former_file = unsure.former_file;
  head.former_end = unsure.former_end;
  head.seed = random_number();
  seal_frames(unsure.bytes, {head.former_end + 1, head.former_end, unsure.memory_id, head.seed});
  if (Outcome written = process.folder.add_whole(head, unsure.bytes); !written) return written.error();
  if (Outcome noted = process.state_folder.write_newest_file(head.number); !noted) return noted.error();
  return head.number;
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
  Result<LoadReport> report = load(process.segment, options);
  if (!report) return report.error();
  log_report(process, *report);

  Header& header = process.segment.header();
  const bool is_all = (manifest.is_exact != 0 || manifest.is_clean != 0) && mode == RecoveryMode::kExact;
  if (!is_all) {
    draw_data_id(manifest);
    if (Outcome written = manifest_file.write(manifest); !written) return written;
    header.data_id = manifest.data_id;
  }
  const Result<std::uint64_t> last_file = write_again(process, report->unsure);
  if (!last_file) return last_file.error();
  header.disk.file.store(*last_file);
  header.disk.known_frame.store(report->end.frame - 1);
  if (Outcome begun = process.segment.begin_journal(kJournalForDisk, process.options.journal_ring_bytes);
      !begun)
    return begun;
  if (report->has_open_change) finish_database_change(process.segment, process.process);
  return Done{};
}

}  // namespace memento
