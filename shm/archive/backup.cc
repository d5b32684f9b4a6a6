// See backup.h. Files of the source may vanish, or be used again, at any time, when the server makes another
// snapshot. What was copied is whole when its checksums are: each file has a seed of its own for them.
#include "shm/archive/backup.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <vector>

#include "shm/archive/journal_folder.h"
#include "shm/archive/journal_reader.h"
#include "shm/archive/manifest_file.h"
#include "shm/archive/snapshot_file.h"
#include "shm/os/file.h"
#include "shm/os/private_file.h"
#include "shm/os/random.h"
#include "shm/os/synced_file.h"

namespace memento {
namespace {

constexpr std::uint64_t kChunkBytes = 1 << 20;

/// Where the last frame ends that a copy is to have.
struct Place {
  std::uint64_t file = 0;
  std::uint64_t offset = kJournalHeadBytes;
};

Error moved_on(const std::string& what) {
  return Error{ExitStatus::kRuntime, EAGAIN, what + "; the server makes another snapshot"};
}

class Backup {
 public:
  Backup(const std::string& from, const std::string& to,
         const std::function<void(std::uint64_t, std::uint64_t)>& progress)
      : from_(from), to_(to), progress_(progress) {}

  Result<BackupReport> run();

 private:
  Outcome open();
  Result<Place> end_of_journal(const Fd& folder, const std::string& path) const;
  Outcome copy_all();
  Outcome copy_file(const std::string& name, std::optional<std::uint64_t> end);
  Outcome check();
  Outcome write_manifest() const;
  void remove_copies() const;
  void show(std::uint64_t bytes) {
    done_bytes_ += bytes;
    progress_(std::min(done_bytes_, all_bytes_), all_bytes_);
  }

  const std::string& from_;
  const std::string& to_;
  const std::function<void(std::uint64_t, std::uint64_t)>& progress_;
  Fd source_;
  Fd target_;
  Manifest manifest_;
  std::uint64_t last_frame_ = 0;
  BackupReport report_;
  std::vector<std::string> names_;  ///< of files that were begun in the target
  std::uint64_t done_bytes_ = 0;
  std::uint64_t all_bytes_ = 0;  ///< copied, then checked
};

Result<BackupReport> Backup::run() {
  if (Outcome opened = open(); !opened) return opened.error();
  Outcome made = copy_all();
  if (made) made = check();
  if (made) made = write_manifest();
  if (made) return report_;
  remove_copies();
  return made.error();
}

Outcome Backup::open() {
  source_ = Fd(::open(from_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!source_) return system_error("open(" + from_ + ")");
  Result<ManifestFile> manifest = ManifestFile::open(source_, from_);
  if (!manifest) return manifest.error();
  if (!manifest->newest())
    return Error{ExitStatus::kConfig, 0, from_ + " has no MANIFEST: it is no data folder"};
  manifest_ = *manifest->newest();
  if (manifest_.state != ManifestState::kValid || manifest_.snapshot == 0)
    return moved_on(from_ + " has no snapshot yet");
  Result<Fd> target = open_private_folder(to_);
  if (!target) return target.error();
  target_ = std::move(*target);
  std::error_code failed;
  if (!std::filesystem::is_empty(to_, failed))
    return Error{ExitStatus::kConfig, 0, to_ + " is not empty; name a folder that is, or is not there yet"};
  return Done{};
}

// Of the last frame that the snapshot needs.
Result<Place> Backup::end_of_journal(const Fd& folder, const std::string& path) const {
  Place end{manifest_.first_file};
  if (last_frame_ < manifest_.first_frame) return end;
  Result<JournalReader> reader = JournalReader::open(
      folder, path, {manifest_.first_file, manifest_.first_seed, manifest_.first_frame, 0, 0});
  if (!reader) return reader.error();
  for (;;) {
    const Result<const JournalFrame*> next = reader->next();
    if (!next) return next.error();
    if (*next == nullptr) return moved_on(path + " lacks frame " + std::to_string(last_frame_));
    const JournalFrame& frame = **next;
    end = {frame.file, frame.offset + frame.frame.header.frame_bytes()};
    if (frame.frame.header.number >= last_frame_) return end;
  }
}

Outcome Backup::copy_all() {
  Result<SnapshotReader> snapshot = SnapshotReader::open(source_, from_, manifest_.snapshot);
  if (!snapshot) return moved_on(snapshot.error().message);
  last_frame_ = snapshot->footer().last_frame;
  report_.snapshot = manifest_.snapshot;
  report_.keys = snapshot->footer().entry_count;
  all_bytes_ = 2 * snapshot->size_bytes();
  // The journal first: it is short, and the first that goes.
  const Result<Place> end = end_of_journal(source_, from_);
  if (!end) return end.error();
  const Result<std::vector<std::uint64_t>> numbers = journal_file_numbers(source_, from_);
  if (!numbers) return numbers.error();
  for (const std::uint64_t number : *numbers) {
    if (number < manifest_.first_file || number > end->file) continue;
    const bool is_last = number == end->file;
    Outcome copied =
        copy_file(journal_file_name(number), is_last ? std::optional(end->offset) : std::nullopt);
    if (!copied) return copied;
  }
  return copy_file(snapshot_file_name(manifest_.snapshot), std::nullopt);
}

// Up to its end, or to `end`.
Outcome Backup::copy_file(const std::string& name, std::optional<std::uint64_t> end) {
  const Fd file(openat(source_.get(), name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file && errno == ENOENT) return moved_on(from_ + "/" + name + " is gone");
  const std::optional<std::uint64_t> size_bytes = file ? file_size_bytes(file.get()) : std::nullopt;
  if (!size_bytes) return system_error("open(" + from_ + "/" + name + ")");
  const std::string path = to_ + "/" + name;
  Result<Fd> copy = open_private_file(target_, name, O_RDWR | O_CREAT | O_EXCL, path);
  if (!copy) return copy.error();
  names_.push_back(name);
  const std::uint64_t bytes = std::min(*size_bytes, end.value_or(*size_bytes));
  std::string chunk;
  for (std::uint64_t offset = 0; offset < bytes; offset += chunk.size()) {
    chunk.resize(std::min(kChunkBytes, bytes - offset));
    if (!read_at(file.get(), offset, chunk.data(), chunk.size())) {
      if (errno == 0) return moved_on(from_ + "/" + name + " has become shorter");
      return system_error("read(" + from_ + "/" + name + ")");
    }
    if (!write_at(copy->get(), offset, chunk.data(), chunk.size()))
      return system_error("write(" + path + ")");
    show(chunk.size());
  }
  report_.bytes += bytes;
  return sync_data(*copy, path);
}

// All that was copied, by its checksums.
Outcome Backup::check() {
  if (const Result<Place> end = end_of_journal(target_, to_); !end) return moved_on(end.error().message);
  Result<SnapshotReader> snapshot = SnapshotReader::open(target_, to_, manifest_.snapshot);
  if (!snapshot) return snapshot.error();
  for (std::uint64_t offset = kSnapshotHeadBytes; offset < snapshot->footer().index_offset;) {
    const std::uint64_t begin = offset;
    if (const auto frame = snapshot->read_frame_at(&offset); !frame) return frame.error();
    show(offset - begin);
  }
  return Done{};
}

// Last: without it the folder is none. Whoever starts on the copy has data that others may have gone on from,
// so it gets an id of its own then.
Outcome Backup::write_manifest() const {
  Manifest manifest = manifest_;
  manifest.binding = random_number();
  manifest.is_exact = manifest.is_clean = 0;
  manifest.detached_ms = 0;
  if (Outcome synced = sync_all(target_, to_); !synced) return synced;
  Result<ManifestFile> file = ManifestFile::open(target_, to_);
  if (!file) return file.error();
  return file->write(manifest);
}

void Backup::remove_copies() const {
  for (const std::string& name : names_) (void)unlinkat(target_.get(), name.c_str(), 0);
}

}  // namespace

Result<BackupReport> back_up(const std::string& from, const std::string& to,
                             const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  return Backup(from, to, progress).run();
}

}  // namespace memento
