// See show_journal.h.
#include "master/show_journal.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <string>
#include <string_view>

#include "shm/archive/journal_folder.h"
#include "shm/archive/journal_reader.h"
#include "shm/archive/manifest_file.h"
#include "worker/command/shown_words.h"

namespace memento {
namespace {

constexpr std::size_t kShownKeyBytes = 64;

const char* name_of(RecordKind kind) {
  switch (kind) {
    case RecordKind::kPut:
      return "put";
    case RecordKind::kPutRun:
      return "put-run";
    case RecordKind::kSplice:
      return "splice";
    case RecordKind::kErase:
      return "erase";
    case RecordKind::kExpire:
      return "expire";
    case RecordKind::kChange:
      return "change";
    case RecordKind::kFlush:
      return "flush";
    case RecordKind::kReign:
      return "reign";
    case RecordKind::kGroup:
      return "group";
    case RecordKind::kBegin:
      return "begin";
    case RecordKind::kPart:
      return "part";
    case RecordKind::kComplete:
      return "complete";
    case RecordKind::kFree:
      return "free";
    case RecordKind::kPiece:
      return "piece";
    case RecordKind::kPad:
      return "pad";
    case RecordKind::kSwap:
      return "swap";
    case RecordKind::kDatabaseChange:
      return "database-change";
  }
  return "unknown";
}

// One line: where the record is, what it says, how long it is.
std::string line_of(const std::string& place, const RecordView& record) {
  const RecordHeader& header = record.header;
  std::string line = place + " " + name_of(header.kind) + " slot " + std::to_string(header.slot) +
                     " database " + std::to_string(header.database()) + " position " +
                     std::to_string(epoch_of(header.position)) + ":" +
                     std::to_string(number_of(header.position)) + " key";
  append_quoted(record.key.substr(0, kShownKeyBytes), SIZE_MAX, &line);
  if (record.key.size() > kShownKeyBytes) line += "...";
  return line + " " + std::to_string(record.key.size()) + " value " + std::to_string(header.value_bytes()) +
         " bytes " + std::to_string(header.bytes);
}

class JournalView {
 public:
  JournalView(const Options& options, std::FILE* output, std::FILE* errors)
      : options_(options), path_(options.show_journal), output_(output), errors_(errors) {}

  int show() {
    struct stat status {};
    if (stat(path_.c_str(), &status) != 0)
      return failed(system_error("stat(" + path_ + ") to show its journal", ExitStatus::kUsage));
    if (S_ISDIR(status.st_mode)) return show_folder();
    if (options_.cut_journal) {
      return failed({ExitStatus::kUsage, 0,
                     "--cut takes the journal's folder: where a file ends its successor may say"});
    }
    Result<JournalReader> reader = JournalReader::open_file(path_);
    return reader ? show(*reader) : failed(reader.error());
  }

 private:
  int failed(const Error& error) {
    print(errors_, "memento: " + error.message);
    return static_cast<int>(error.status);
  }
  static void print(std::FILE* file, const std::string& line) { std::fprintf(file, "%s\n", line.c_str()); }

  int show_folder() {
    Result<JournalFolder> folder = JournalFolder::open(path_);
    if (!folder) return failed(folder.error());
    if (options_.cut_journal) {
      if (const Outcome locked = folder->lock(); !locked) return failed(locked.error());
    }
    is_folder_ = true;
    Result<JournalReader> reader = JournalReader::open(folder->fd(), path_, bounds(folder->fd()));
    return reader ? show(*reader) : failed(reader.error());
  }

  // What MANIFEST says of the journal's beginning. Where it says nothing, or is damaged, the journal begins
  // with the oldest file that the newest one leads back to.
  JournalBounds bounds(const Fd& folder) {
    const Result<ManifestFile> manifest = ManifestFile::open(folder, path_);
    if (!manifest) return failed(manifest.error()), JournalBounds();
    const std::optional<Manifest>& newest = manifest->newest();
    if (!newest || newest->state != ManifestState::kValid) return {};
    return {newest->first_file, newest->first_seed, newest->first_frame, 0, 0};
  }

  // Reads all of it; lists it unless only the verdict is asked for.
  int show(JournalReader& reader) {
    const bool lists = !options_.check_journal && !options_.cut_journal;
    for (;;) {
      const Result<const JournalFrame*> frame = reader.next();
      if (!frame) return failed(frame.error());
      if (*frame == nullptr) break;
      if (lists) list(**frame);
    }
    const JournalVerdict verdict = say_verdict(reader.end(), lists ? errors_ : output_);
    return options_.cut_journal ? cut(reader) : static_cast<int>(verdict);
  }

  void list(const JournalFrame& frame) {
    const std::string file = is_folder_ ? journal_file_name(frame.file) : path_;
    const auto line = [&](std::uint64_t offset, const RecordView& record) {
      return line_of(file + " " + std::to_string(frame.offset + offset) + " frame " +
                         std::to_string(frame.frame.header.number),
                     record);
    };
    for (const FrameRecord& one : frame.records) {
      print(output_, line(one.offset, one.record));
      if (one.record.header.kind != RecordKind::kGroup) continue;
      std::string_view members = one.record.rest.substr(2 * sizeof(std::uint32_t));
      while (const std::optional<RecordView> member = read_record(members)) {
        const auto behind_header = static_cast<std::uint64_t>(members.data() - one.record.key.data());
        print(output_, line(one.offset + sizeof(RecordHeader) + behind_header, *member));
        members.remove_prefix(member->header.bytes);
      }
    }
  }

  static JournalVerdict say_verdict(const JournalEnd& end, std::FILE* to) {
    switch (end.kind) {
      case JournalEnd::Kind::kWhole:
        print(to, "whole: " + end.text);
        return JournalVerdict::kWhole;
      case JournalEnd::Kind::kTorn:
      case JournalEnd::Kind::kOpenGroup:
        print(to, "torn, as behind a loss of power; a start cuts it: " + end.text);
        return JournalVerdict::kTorn;
      case JournalEnd::Kind::kCorrupt:
        break;
    }
    print(to, "corrupt: " + end.text);
    if (end.lost_frames != 0) {
      print(to, "at least " + std::to_string(end.lost_frames) + " frames in " +
                    std::to_string(end.lost_bytes) + " bytes do not count");
    }
    return JournalVerdict::kCorrupt;
  }

  int cut(JournalReader& reader) {
    const JournalEnd& end = reader.end();
    if (end.is_corrupt()) {
      print(errors_,
            "memento: it is not cut: that would lose what was on disk; put back a copy of the damaged file");
      return static_cast<int>(JournalVerdict::kCorrupt);
    }
    if (end.kind == JournalEnd::Kind::kWhole) {
      print(output_, "nothing to cut");
    } else {
      if (const Outcome done = reader.cut(); !done) return failed(done.error());
      print(output_, "cut: the journal ends in front of frame " + std::to_string(end.frame));
    }
    return static_cast<int>(JournalVerdict::kWhole);
  }

  const Options& options_;
  const std::string& path_;
  std::FILE* const output_;
  std::FILE* const errors_;
  bool is_folder_ = false;
};

}  // namespace

int show_journal(const Options& options, std::FILE* output, std::FILE* errors) {
  return JournalView(options, output, errors).show();
}

}  // namespace memento
