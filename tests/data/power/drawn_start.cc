// See drawn_start.h.
#include "tests/data/power/drawn_start.h"

#include <memory>
#include <optional>

#include "shm/archive/binding.h"
#include "shm/archive/data_start.h"
#include "shm/archive/journal_folder.h"
#include "shm/archive/manifest_file.h"
#include "shm/archive/recovery.h"
#include "shm/check.h"
#include "tests/shm/archive/load_fixture.h"

namespace memento::testing {
namespace {

constexpr std::uint64_t kSegmentBytes = 96 << 20;
constexpr std::uint64_t kRingBytes = 1 << 20;

class Start {
 public:
  explicit Start(const std::string& root)
      : path_(root + "/data"),
        folder_(JournalFolder::open(path_)),
        state_(StateFolder::open(root + "/state")) {}

  DrawnStart run() {
    DrawnStart start;
    start.databases.resize(kDatabaseLimit);
    const Outcome outcome = begin(&start);
    if (!outcome) start.refusal = outcome.error().message;
    return start;
  }

 private:
  Outcome begin(DrawnStart* start) {
    if (!folder_) return folder_.error();
    if (!state_) return state_.error();
    const Result<ManifestFile> manifest = ManifestFile::open(folder_->fd(), path_);
    if (!manifest) return manifest.error();
    FoundData found;
    found.folder = path_;
    found.manifest = manifest->newest();
    const auto bindings = state_->bindings();
    if (!bindings) return bindings.error();
    found.bindings = *bindings;
    const auto newest_file = state_->newest_file();
    if (!newest_file) return newest_file.error();
    found.newest_file = *newest_file;
    const auto files = folder_->numbers();
    if (!files) return files.error();
    found.files = *files;
    const StartDecision decision = decide_start(found, {});
    if (decision.start == DataStart::kIsRefused) return Error{ExitStatus::kConfig, 0, decision.text};
    if (decision.start != DataStart::kLoads) return Done{};
    start->has_data = true;
    return load_into(start, found);
  }

  Outcome load_into(DrawnStart* start, const FoundData& found) {
    const std::unique_ptr<Segment> segment = make_segment(kSegmentBytes);
    LoadOptions options;
    options.folder = &folder_->fd();
    options.path = path_;
    options.manifest = *found.manifest;
    options.newest_file = found.newest_file.value_or(0);
    options.processes = {1, 2};
    const Result<LoadReport> report = load(*segment, options);
    if (!report) return report.error();
    if (Outcome begun = segment->begin_journal(kJournalForDisk, kRingBytes); !begun) return begun;
    if (report->has_open_change) finish_database_change(*segment, 0);
    const CheckReport checked = check_segment(*segment);
    if (!checked.errors.empty()) return Error{ExitStatus::kSystem, 0, checked.errors.front()};
    for (auto& [slot, keys] : contents_of(*segment).slots) {
      DataItems& items = start->databases[database_of(SlotId(slot)).value];
      for (const auto& [key, value] : keys) items[key] = {value.bytes, value.expiry_ms};
    }
    return Done{};
  }

  const std::string path_;
  Result<JournalFolder> folder_;
  Result<StateFolder> state_;
};

}  // namespace

DrawnStart start_on_drawn_disk(const std::string& root) { return Start(root).run(); }

}  // namespace memento::testing
