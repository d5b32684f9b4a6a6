// DiskModel: one of the disks that a loss of power may leave. See disk_model.h.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "shm/os/fd.h"
#include "shm/os/file.h"
#include "tests/data/power/disk_model.h"

namespace memento::testing {
namespace {

bool is_kept(std::mt19937_64& random, int percent) { return static_cast<int>(random() % 100) < percent; }

// How many of the first of `count` changes were made.
std::size_t kept_count(std::mt19937_64& random, int percent, std::size_t count) {
  std::size_t kept = 0;
  while (kept < count && is_kept(random, percent)) ++kept;
  return kept;
}

}  // namespace

DrawStyle DrawStyle::draw(std::mt19937_64& random) {
  static constexpr std::array<int, 6> kPercents{0, 100, 50, 90, 10, 98};
  DrawStyle style;
  style.pages_kept_percent = kPercents[random() % kPercents.size()];
  style.sizes_kept_percent = kPercents[random() % kPercents.size()];
  style.names_kept_percent = kPercents[random() % kPercents.size()];
  style.by_sectors = random() % 3 == 0;
  return style;
}

std::string DrawStyle::text() const {
  return "pages " + std::to_string(pages_kept_percent) + " %, sizes " + std::to_string(sizes_kept_percent) +
         " %, names " + std::to_string(names_kept_percent) + " %" + (by_sectors ? ", by sectors" : "");
}

// What the page may hold when the first few of the pending changes of size were made. Behind a cut it holds
// what was written after it; what was written after a cut that was not made is not there.
std::vector<DiskModel::Page> DiskModel::choices(const PageState& page, std::uint64_t begin_bytes,
                                                const std::vector<SizeChange>& sizes,
                                                std::size_t kept_sizes) {
  std::vector<Page> found{page.durable};
  std::size_t next = 0;
  const auto pass_cuts_before = [&](std::uint64_t at) {
    for (; next < sizes.size() && sizes[next].at <= at; ++next) {
      if (!sizes[next].cuts || sizes[next].size_bytes >= begin_bytes + kPageBytes) continue;
      if (next >= kept_sizes) return false;
      if (sizes[next].size_bytes <= begin_bytes) found = {nullptr};
    }
    return true;
  };
  for (const Version& version : page.pending) {
    if (!pass_cuts_before(version.at)) return found;
    found.push_back(version.bytes);
  }
  pass_cuts_before(UINT64_MAX);
  return found;
}

DiskModel::Page DiskModel::pick(std::mt19937_64& random, const DrawStyle& style,
                                const std::vector<Page>& choices) {
  if (choices.size() == 1 || !is_kept(random, style.pages_kept_percent)) return choices.front();
  // Mostly the last one: else little of a page that is written often would ever be new.
  return random() % 4 != 0 ? choices.back() : choices[1 + random() % (choices.size() - 1)];
}

void DiskModel::draw_file(std::mt19937_64& random, const DrawStyle& style, const File& file,
                          const std::string& to) {
  const Fd drawn(open(to.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  const std::size_t kept_sizes = kept_count(random, style.sizes_kept_percent, file.sizes.size());
  const std::uint64_t size_bytes =
      kept_sizes == 0 ? file.durable_bytes : file.sizes[kept_sizes - 1].size_bytes;
  bool is_good = ftruncate(drawn.get(), static_cast<off_t>(size_bytes)) == 0;
  for (const auto& [number, page] : file.pages) {
    const std::uint64_t begin = number * kPageBytes;
    if (begin >= size_bytes) break;
    const std::vector<Page> found = choices(page, begin, file.sizes, kept_sizes);
    Page bytes = pick(random, style, found);
    if (style.by_sectors && found.size() > 1) {
      PageBytes mixed{};
      for (std::uint64_t sector = 0; sector < kPageBytes; sector += kSectorBytes) {
        const Page source = pick(random, style, found);
        if (source) std::memcpy(mixed.data() + sector, source->data() + sector, kSectorBytes);
      }
      bytes = std::make_shared<const PageBytes>(mixed);
    }
    if (bytes)
      is_good &= write_at(drawn.get(), begin, bytes->data(), std::min(kPageBytes, size_bytes - begin));
  }
  if (!is_good) throw std::runtime_error("drawing " + to);
}

void DiskModel::draw_folder(std::mt19937_64& random, const DrawStyle& style, std::uint64_t inode,
                            const std::string& to) const {
  if (mkdir(to.c_str(), 0700) != 0) throw std::runtime_error("mkdir(" + to + ")");
  const Folder& folder = folders_.at(inode);
  Names names = folder.durable;
  const std::size_t kept = kept_count(random, style.names_kept_percent, folder.pending.size());
  for (std::size_t i = 0; i < kept; ++i) {
    const NameChange& change = folder.pending[i];
    if (!change.removed.empty()) names.erase(change.removed);
    if (!change.added.empty()) names[change.added] = change.inode;
  }
  for (const auto& [name, child] : names) {
    const std::string path = to + "/" + name;
    if (folders_.contains(child)) {
      draw_folder(random, style, child, path);
    } else {
      draw_file(random, style, files_.at(child), path);
    }
  }
}

void DiskModel::draw(std::mt19937_64& random, const DrawStyle& style, const std::string& to) const {
  draw_folder(random, style, root_, to);
}

}  // namespace memento::testing
