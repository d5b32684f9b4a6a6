// A journal's file with anything behind its head. What is read are whole records in frames with consecutive
// numbers, wherever it ends; and when it has been cut there, the same is read and nothing is behind it. The
// first byte says how many frames get a number and a checksum, so that what is behind those is reached.
#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "shm/archive/duplicates.h"
#include "shm/archive/journal_reader.h"
#include "shm/os/file.h"

namespace {

using namespace memento;

constexpr std::uint64_t kSeed = 7;

void check(bool holds) {
  if (!holds) std::abort();
}

void seal_some(std::string& bytes, unsigned count) {
  std::uint64_t number = 1;
  for (std::size_t begin = 0; count > 0; --count, ++number) {
    const std::optional<FrameHeader> header = read_frame_header(std::string_view(bytes).substr(begin));
    if (!header || header->frame_bytes() > bytes.size() - begin) return;
    seal_frames({bytes.data() + begin, header->frame_bytes()}, {number, number - 1, 9, kSeed});
    begin += header->frame_bytes();
  }
}

std::vector<std::string> read_all(JournalReader& reader) {
  std::vector<std::string> frames;
  Duplicates duplicates;
  for (;;) {
    const Result<const JournalFrame*> frame = reader.next();
    check(static_cast<bool>(frame));
    if (*frame == nullptr) return frames;
    const FrameView& view = (*frame)->frame;
    check(view.header.number > frames.size());
    std::uint64_t bytes = 0;
    for (const FrameRecord& one : (*frame)->records) {
      bytes += one.record.header.bytes;
      (void)duplicates.has(view.header.memory_id, one);
    }
    check(bytes == view.records.size());
    frames.emplace_back(view.records);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string frames(reinterpret_cast<const char*>(data + 1), size - 1);
  seal_some(frames, data[0] % 8);
  JournalHead head;
  head.number = 1;
  head.seed = kSeed;
  const std::string bytes = journal_head_bytes(head) + frames;
  const Fd file(memfd_create("journal", MFD_CLOEXEC));
  check(write_at(file.get(), 0, bytes.data(), bytes.size()));
  const std::string path = "/proc/self/fd/" + std::to_string(file.get());
  Result<JournalReader> reader = JournalReader::open_file(path);
  check(static_cast<bool>(reader));
  const std::vector<std::string> found = read_all(*reader);
  const JournalEnd end = reader->end();
  check(end.frame > found.size() && end.offset <= bytes.size());
  check(static_cast<bool>(reader->cut()));
  Result<JournalReader> again = JournalReader::open_file(path);
  check(again && read_all(*again) == found && again->end().kind == JournalEnd::Kind::kWhole);
  return 0;
}
