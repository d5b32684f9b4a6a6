// See data_manifest.h.
#include "archiver/data_manifest.h"

#include "archiver/disk_health.h"
#include "shm/commit/journal_heads.h"
#include "shm/os/clock.h"

namespace memento {

Outcome DataManifest::write(Manifest manifest) {
  const DiskCall call(segment_.header().disk, DiskCall::kWrite, monotonic_time_ns());
  return file_.write(manifest);
}

Outcome DataManifest::make_sure() { return file_.is_on_disk() ? Outcome(Done{}) : write(newest()); }

Outcome DataManifest::begin_with(std::uint64_t snapshot, const JournalHead& head) {
  Manifest manifest = newest();
  manifest.state = ManifestState::kValid;
  manifest.snapshot = snapshot;
  manifest.first_file = head.number;
  manifest.first_seed = head.seed;
  manifest.first_frame = head.former_end + 1;
  manifest.is_clean = 0;
  return write(manifest);
}

Outcome DataManifest::go_on() {
  if (newest().is_clean == 0) return Done{};
  Manifest manifest = newest();
  manifest.is_clean = 0;
  return write(manifest);
}

Outcome DataManifest::end_clean() {
  Manifest manifest = newest();
  manifest.is_clean = 1;
  return write(manifest);
}

Outcome DataManifest::follow(SyncPolicy wanted) {
  if (is_followed_ && wanted == policy_) return Done{};
  Word& rule = segment_.header().disk.release_rule;
  exact_from_.clear();
  if (wanted == SyncPolicy::kAlways) {
    rule.store(DiskState::kWaitForDisk);
    is_followed_ = true;
    policy_ = wanted;
    if (newest().is_exact != 0) return Done{};
    exact_from_ = ring_tails(segment_);
    return settle();
  }
  Manifest manifest = newest();
  manifest.policy = wanted;
  manifest.is_exact = 0;
  if (Outcome written = write(manifest); !written) return written;
  is_followed_ = true;
  policy_ = wanted;
  rule.store(0);
  return Done{};
}

Outcome DataManifest::settle() {
  for (std::uint32_t i = 0; i < exact_from_.size(); ++i) {
    if (segment_.process(i).journal.durable.load() < exact_from_[i]) return Done{};
  }
  if (exact_from_.empty()) return Done{};
  Manifest manifest = newest();
  manifest.policy = SyncPolicy::kAlways;
  manifest.is_exact = 1;
  if (Outcome written = write(manifest); !written) return written;
  exact_from_.clear();
  return Done{};
}

}  // namespace memento
