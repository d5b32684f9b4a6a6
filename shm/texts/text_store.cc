// See text_store.h.
#include "shm/texts/text_store.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cerrno>
#include <cstring>

#include "shm/os/file.h"
#include "shm/os/file_lock.h"

namespace memento {
namespace {

constexpr std::uint64_t kMagic = 0x6d656d7363726970;
constexpr std::uint64_t kVersion = 1;
constexpr std::uint64_t kFrontBytes = 4096;
// Twice what may live in it, so that it is not written anew with every text.
constexpr std::uint64_t kFileBytes =
    2 * (TextStore::kKeptLimitBytes + TextStore::kEvaluatedLimitBytes) + (16 << 20);
constexpr int kPatienceMs = 100;
constexpr std::uint64_t kGarbageLimitBytes = 4 << 20;

enum What : std::uint8_t { kText, kErased, kCleared };
constexpr RecordKind kRecordKinds[] = {RecordKind::kPut, RecordKind::kErase, RecordKind::kFlush};
constexpr std::string_view kKeyLetters = "sl";  // by TextGroup

std::uint64_t round_up(std::uint64_t bytes) { return (bytes + 7) / 8 * 8; }

}  // namespace

struct TextStore::Front {
  std::uint64_t magic;
  std::uint64_t version;
  std::atomic<std::uint64_t> tail;
  std::atomic<std::uint64_t> is_replaced;  ///< another file has taken its place, or is about to
};

struct TextStore::Record {
  std::uint32_t text_bytes;
  std::uint16_t name_bytes;
  TextGroup group;
  std::uint8_t what : 4;
  std::uint8_t keep : 4;

  std::uint64_t total_bytes() const { return round_up(sizeof(Record) + name_bytes + text_bytes); }
  std::string_view name() const { return {reinterpret_cast<const char*>(this + 1), name_bytes}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(this + 1) + name_bytes, text_bytes}; }
};

// Writers of all processes, one after the other. The kernel takes it from one that dies.
TextStore::TextStore(std::string segment_path)
    : path_(segment_path.empty() ? "" : segment_path.substr(0, segment_path.rfind('/')) + "/scripts") {}

void TextStore::remove_file(const std::string& segment_path) {
  unlink(TextStore(segment_path).path_.c_str());
}

const TextStore::Record& TextStore::record(std::uint64_t offset) const {
  return *reinterpret_cast<const Record*>(memory_.data() + offset);
}

std::string_view TextStore::text_of(const Place& place) const { return record(place.offset).text(); }

// Opens and maps; a new file, or one of another version, begins empty.
bool TextStore::open_file(const std::string& path, int flags) {
  Fd file(path.empty() ? memfd_create("memento-scripts", MFD_CLOEXEC)
                       : ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_CREAT | flags, 0600));
  if (!file || ftruncate(file.get(), static_cast<off_t>(kFileBytes)) != 0 ||
      !reserve_range(file.get(), 0, kFrontBytes))
    return false;
  Result<Mapping> mapped = Mapping::of_file(file.get(), kFileBytes, "the texts of scripts");
  if (!mapped) return false;
  file_ = std::move(file);
  memory_ = std::move(*mapped);
  groups_[0] = groups_[1] = {};
  seen_ = kFrontBytes;
  for (std::uint64_t& generation : generations_) ++generation;
  return true;
}

bool TextStore::is_in_place() const {
  if (path_.empty()) return true;
  struct stat named {
  }, opened{};
  return stat(path_.c_str(), &named) == 0 && fstat(file_.get(), &opened) == 0 &&
         named.st_ino == opened.st_ino && named.st_dev == opened.st_dev;
}

// The file that has the name now, with its front in order.
bool TextStore::open() {
  if (!open_file(path_, 0)) return false;
  if (front().magic == kMagic && front().version == kVersion) return true;
  const FileLock lock(file_.get(), kPatienceMs);
  if (!lock.is_held()) return false;
  if (front().magic != kMagic || front().version != kVersion) format();
  return true;
}

void TextStore::format() {
  std::memset(memory_.data(), 0, sizeof(Front));
  front().tail.store(kFrontBytes);
  front().version = kVersion;
  std::atomic_thread_fence(std::memory_order_release);
  front().magic = kMagic;
}

// Takes what others have written since. False: there is no file to be had.
bool TextStore::sync() {
  const bool is_replaced = memory_ && front().is_replaced.load(std::memory_order_acquire) != 0;
  if ((!memory_ || (is_replaced && !is_in_place())) && !open()) return false;
  const std::uint64_t tail = front().tail.load(std::memory_order_acquire);
  while (seen_ < tail) {
    const Record& next = record(seen_);
    take(next, seen_);
    seen_ += next.total_bytes();
  }
  return true;
}

void TextStore::drop(Group& group, Index::iterator place) {
  const auto keep = static_cast<std::size_t>(place->second.keep);
  group.bytes[keep] -= place->first.size() + record(place->second.offset).text_bytes;
  --group.counts[keep];
  group.record_bytes -= record(place->second.offset).total_bytes();
  if (place->second.keep == Keep::kEvaluated) group.by_age.erase(place->second.offset);
  group.places.erase(place);
}

void TextStore::take(const Record& record, std::uint64_t offset) {
  Group& group = of(record.group);
  if (record.what == kCleared || record.group == TextGroup::kLibrary)
    ++generations_[static_cast<std::size_t>(record.group)];
  if (record.what == kCleared) {
    group = {};
    return;
  }
  if (const auto before = group.places.find(record.name()); before != group.places.end()) drop(group, before);
  if (record.what == kErased) return;
  group.places.emplace(record.name(), Place{offset, static_cast<Keep>(record.keep)});
  group.bytes[record.keep] += record.name_bytes + record.text_bytes;
  ++group.counts[record.keep];
  group.record_bytes += record.total_bytes();
  if (static_cast<Keep>(record.keep) == Keep::kEvaluated) group.by_age.emplace(offset, record.name());
}

std::optional<std::string_view> TextStore::find(TextGroup group, std::string_view name) {
  if (!sync()) return std::nullopt;
  const auto place = of(group).places.find(name);
  if (place == of(group).places.end()) return std::nullopt;
  return text_of(place->second);
}

void TextStore::each(TextGroup group, const std::function<void(std::string_view, std::string_view)>& visit) {
  if (!sync()) return;
  for (const auto& [name, place] : of(group).places) visit(name, text_of(place));
}

std::uint64_t TextStore::count(TextGroup group) { return sync() ? of(group).places.size() : 0; }

std::uint64_t TextStore::size_bytes(TextGroup group) {
  return sync() ? of(group).bytes[0] + of(group).bytes[1] : 0;
}

std::uint64_t TextStore::generation(TextGroup group) {
  sync();
  return generations_[static_cast<std::size_t>(group)];
}

// REQUIRES: the lock is held, all is synced. False: no memory.
bool TextStore::reserve(std::uint64_t bytes) {
  return seen_ + bytes <= kFileBytes && reserve_range(file_.get(), seen_, seen_ + bytes);
}

// REQUIRES: the lock is held, all is synced, and it has room.
void TextStore::append(const Record& front_part, std::string_view name, std::string_view text) {
  const std::uint64_t tail = seen_;
  const std::uint64_t bytes = front_part.total_bytes();
  char* const at = memory_.data() + tail;
  std::memcpy(at, &front_part, sizeof front_part);
  if (!name.empty()) std::memcpy(at + sizeof front_part, name.data(), name.size());
  if (!text.empty()) std::memcpy(at + sizeof front_part + name.size(), text.data(), text.size());
  front().tail.store(tail + bytes, std::memory_order_release);
  take(record(tail), tail);
  seen_ = tail + bytes;
}

// Much of the file was removed, or the rest of it is too small.
bool TextStore::is_crowded(std::uint64_t bytes) const {
  const std::uint64_t live = kFrontBytes + groups_[0].record_bytes + groups_[1].record_bytes;
  return seen_ + bytes > kFileBytes || seen_ - live > std::max(live, kGarbageLimitBytes);
}

// Writes what lives into another file, which takes this one's place.
bool TextStore::rewrite() {
  TextStore next("");  // and then the file before, until its lock was let go
  {
    const FileLock lock(file_.get(), kPatienceMs);
    if (!lock.is_held() || !is_in_place() || !sync()) return false;
    const std::string path = path_.empty() ? "" : path_ + ".new";
    if (!next.open_file(path, O_TRUNC)) return false;
    next.format();
    std::map<std::uint64_t, const Place*> by_age;
    for (const Group& group : groups_) {
      for (const auto& [name, place] : group.places) by_age.emplace(place.offset, &place);
    }
    for (const auto& [offset, place] : by_age) {
      const Record& old = record(offset);
      if (!next.reserve(old.total_bytes())) return false;
      next.append(old, old.name(), old.text());
    }
    front().is_replaced.store(1, std::memory_order_release);
    if (!path_.empty() && rename(path.c_str(), path_.c_str()) != 0) {
      front().is_replaced.store(0, std::memory_order_release);
      return false;
    }
  }
  std::swap(file_, next.file_);
  std::swap(memory_, next.memory_);
  std::swap(seen_, next.seen_);
  std::swap(groups_, next.groups_);
  return true;
}

// The oldest of those that were merely seen.
bool TextStore::drop_oldest() {
  const Group& group = of(TextGroup::kScript);
  if (group.by_age.empty()) return false;
  const std::string_view name = group.by_age.begin()->second;
  const Record head{0, static_cast<std::uint16_t>(name.size()), TextGroup::kScript, kErased, 0};
  if (!reserve(head.total_bytes())) return false;
  append(head, name, "");
  return true;
}

std::uint64_t TextStore::kept_bytes() const {
  constexpr auto kKept = static_cast<std::size_t>(Keep::kKept);
  return groups_[0].bytes[kKept] + groups_[1].bytes[kKept] +
         (groups_[0].counts[kKept] + groups_[1].counts[kKept]) * kOverheadBytes;
}

// False: beyond the limits.
bool TextStore::fits(TextGroup group, std::string_view name, std::string_view text, Keep keep) {
  const std::uint64_t bytes = name.size() + text.size();
  if (keep == Keep::kKept) {
    std::uint64_t others = kept_bytes();
    const auto before = of(group).places.find(name);
    if (before != of(group).places.end() && before->second.keep == Keep::kKept)
      others -= name.size() + text_of(before->second).size() + kOverheadBytes;
    return others + bytes + kOverheadBytes <= kKeptLimitBytes;
  }
  if (bytes > kEvaluatedLimitBytes) return false;
  constexpr auto kEvaluated = static_cast<std::size_t>(Keep::kEvaluated);
  const Group& scripts = of(TextGroup::kScript);
  while (scripts.counts[kEvaluated] >= kEvaluatedLimit ||
         scripts.bytes[kEvaluated] + bytes > kEvaluatedLimitBytes) {
    if (!drop_oldest()) return false;
  }
  return true;
}

TextStore::Put TextStore::write(TextGroup group, std::uint8_t what, std::string_view name,
                                std::string_view text, Keep keep) {
  assert(name.size() <= UINT16_MAX && text.size() <= UINT32_MAX / 2);
  if (!sync()) return Put::kNoRoom;
  // When that fails there may be room all the same.
  if (is_crowded(sizeof(Record) + name.size() + text.size() + 8)) rewrite();
  const FileLock lock(file_.get(), kPatienceMs);
  // Somebody has replaced the file meanwhile: the next call finds the new one.
  if (!lock.is_held() || !is_in_place()) return Put::kBusy;
  front().is_replaced.store(0, std::memory_order_release);  // who said so has died before it did it
  if (!sync()) return Put::kNoRoom;
  const Record head{static_cast<std::uint32_t>(text.size()), static_cast<std::uint16_t>(name.size()), group,
                    static_cast<std::uint8_t>(what & 15),
                    static_cast<std::uint8_t>(static_cast<int>(keep) & 15)};
  if (what == kText && !fits(group, name, text, keep)) return Put::kNoRoom;
  const bool is_recorded =
      journal_ != nullptr && (what == kText ? keep == Keep::kKept : what == kCleared || is_kept(group, name));
  if (is_recorded && !journal_->has_room(1, name.size() + 1 + text.size())) return Put::kTooLong;
  if (!reserve(head.total_bytes())) return Put::kNoRoom;
  if (is_recorded) journal_->record(kRecordKinds[what], key_of(group, name), text);
  append(head, name, text);
  return Put::kDone;
}

bool TextStore::is_kept(TextGroup group, std::string_view name) {
  const auto place = of(group).places.find(name);
  return place != of(group).places.end() && place->second.keep == Keep::kKept;
}

std::string TextStore::key_of(TextGroup group, std::string_view name) {
  return std::string(1, kKeyLetters[static_cast<std::size_t>(group)]).append(name);
}

std::optional<std::pair<TextGroup, std::string_view>> TextStore::read_key(std::string_view key) {
  const std::size_t group = key.empty() ? std::string_view::npos : kKeyLetters.find(key.front());
  if (group == std::string_view::npos) return std::nullopt;
  return std::pair(static_cast<TextGroup>(group), key.substr(1));
}

bool TextStore::each_kept(const std::function<void()>& begin,
                          const std::function<void(TextGroup, std::string_view, std::string_view)>& visit) {
  if (!sync()) return false;
  const FileLock lock(file_.get(), kPatienceMs);
  if (!lock.is_held() || !is_in_place() || !sync()) return false;
  begin();
  for (const TextGroup group : {TextGroup::kScript, TextGroup::kLibrary}) {
    for (const auto& [name, place] : of(group).places) {
      if (place.keep == Keep::kKept) visit(group, name, text_of(place));
    }
  }
  return true;
}

std::uint64_t TextStore::kept_count() {
  constexpr auto kKept = static_cast<std::size_t>(Keep::kKept);
  return sync() ? groups_[0].counts[kKept] + groups_[1].counts[kKept] : 0;
}

TextStore::Put TextStore::put(TextGroup group, std::string_view name, std::string_view text, Keep keep) {
  if (!sync()) return Put::kNoRoom;
  const auto before = of(group).places.find(name);
  const bool is_there = before != of(group).places.end() && text_of(before->second) == text;
  if (is_there && (before->second.keep == Keep::kKept || keep == Keep::kEvaluated)) return Put::kDone;
  return write(group, kText, name, text, keep);
}

TextStore::Put TextStore::erase(TextGroup group, std::string_view name) {
  if (!sync()) return Put::kNoRoom;
  if (!of(group).places.contains(name)) return Put::kDone;
  return write(group, kErased, name, "", Keep::kKept);
}

TextStore::Put TextStore::clear(TextGroup group) { return write(group, kCleared, "", "", Keep::kKept); }

}  // namespace memento
