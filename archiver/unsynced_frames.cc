// See unsynced_frames.h.
#include "archiver/unsynced_frames.h"

#include <fcntl.h>
#include <unistd.h>

#include <cassert>

#include "shm/os/file.h"
#include "shm/os/private_file.h"

namespace memento {

Result<UnsyncedFrames> UnsyncedFrames::open(const std::string& segment_path, DiskState& state) {
  const std::string directory = segment_path.substr(0, segment_path.rfind('/'));
  const Result<Fd> folder = open_private_folder(directory);
  if (!folder) return folder.error();
  UnsyncedFrames frames(directory + "/unsynced-", state);
  for (std::size_t i = 0; i < frames.files_.size(); ++i) {
    const std::string path = frames.path_ + std::to_string(i);
    Result<Fd> file = open_private_file(*folder, "unsynced-" + std::to_string(i), O_RDWR | O_CREAT, path);
    if (!file) return file.error();
    const std::optional<std::uint64_t> size_bytes = file_size_bytes(file->get());
    if (!size_bytes) return system_error("fstat(" + path + ")");
    if (*size_bytes < frames.length(i)) {
      return Error{ExitStatus::kSystem, 0,
                   path + " has " + std::to_string(*size_bytes) + " bytes of the journal, not the " +
                       std::to_string(frames.length(i)) + " that were written to it"};
    }
    frames.files_[i] = std::move(*file);
  }
  return frames;
}

Outcome UnsyncedFrames::add(std::string_view frames) {
  const std::size_t file = collecting();
  const std::uint64_t end = length(file);
  if (!write_at(files_[file].get(), end, frames.data(), frames.size()))
    return system_error("pwrite(" + path_ + std::to_string(file) + ") of " + std::to_string(frames.size()) +
                        " bytes");
  state_->unsynced_bytes[file].store(end + frames.size());
  return Done{};
}

void UnsyncedFrames::begin_sync() {
  assert(length(1 - collecting()) == 0);
  state_->unsynced_file.store(1 - collecting());
}

void UnsyncedFrames::end_sync() { empty_file(1 - collecting()); }

void UnsyncedFrames::clear() {
  end_sync();
  empty_file(collecting());
}

// Its memory is given back, but for what is needed again at once: getting it costs as much as filling it.
void UnsyncedFrames::empty_file(std::size_t file) {
  constexpr std::uint64_t kKeptBytes = 16 << 20;
  const std::uint64_t bytes = state_->unsynced_bytes[file].exchange(0);
  if (bytes > kKeptBytes) punch_hole(files_[file].get(), kKeptBytes, bytes);
}

Result<std::string> UnsyncedFrames::read() const {
  std::string frames(bytes(), '\0');
  char* to = frames.data();
  for (const std::size_t file : {1 - collecting(), collecting()}) {
    if (!read_at(files_[file].get(), 0, to, length(file)))
      return system_error("read(" + path_ + std::to_string(file) + ")");
    to += length(file);
  }
  return frames;
}

}  // namespace memento
