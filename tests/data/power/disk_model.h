// DiskModel: what the disk may hold after a loss of power, by the log of all that was asked of it
// (disk_log.h). POSIX promises little, and the model nothing more:
//   - what a file held when a sync that succeeded began is there, and its size then; so are the names of a
//     folder
//   - of what was written since, each page (or each sector of 512 bytes) holds any of what it held meanwhile
//   - of the changes of a file's size since, and of a folder's names, the first few were made; each file and
//     each folder for itself. What a file has grown by and was not written reads as zeros
//   - a sync that fails has forgotten some of the pages that it was to write: no later one writes them,
//     unless they are written to again, though reading shows them as long as the machine runs
// Not thread safe.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "tests/data/power/disk_log.h"

namespace memento::testing {

/// How much of what was not synced a drawn disk has.
struct DrawStyle {
  int pages_kept_percent = 50;
  int sizes_kept_percent = 50;  ///< each of the first few changes, until one is not
  int names_kept_percent = 50;
  bool by_sectors = false;

  /// One of those that find the most: all, nothing, nearly all, any.
  static DrawStyle draw(std::mt19937_64& random);
  std::string text() const;
};

class DiskModel {
 public:
  /// What is below this folder, all of it synced. `seed`: of what failed syncs forget.
  DiskModel(const std::string& root, std::uint64_t seed);

  void reseed(std::uint64_t seed) { random_.seed(seed); }

  /// The log's next record. REQUIRES: in order.
  void apply(const DiskRecord& record);

  /// A disk as it may be after a loss of power now, into this folder, which is made.
  void draw(std::mt19937_64& random, const DrawStyle& style, const std::string& to) const;

  /// What differs from what is below this folder, without a loss of power; empty: nothing. It tells whether
  /// the log has all.
  std::string difference_to(const std::string& root) const;

  std::uint64_t applied() const { return now_; }

 private:
  static constexpr std::uint64_t kPageBytes = 4096;
  static constexpr std::uint64_t kSectorBytes = 512;
  using PageBytes = std::array<char, kPageBytes>;
  using Page = std::shared_ptr<const PageBytes>;  ///< nullptr: zeros

  struct Version {
    std::uint64_t at;  ///< record that made it
    Page bytes;
  };
  struct PageState {
    Page durable;
    Page cached;
    std::vector<Version> pending;
  };
  struct SizeChange {
    std::uint64_t at;
    std::uint64_t size_bytes;
    bool cuts;
  };
  struct File {
    std::map<std::uint64_t, PageState> pages;
    std::uint64_t durable_bytes = 0;
    std::uint64_t cached_bytes = 0;
    std::vector<SizeChange> sizes;  ///< pending
  };
  struct NameChange {
    std::uint64_t at;
    std::string removed;  ///< empty: none
    std::string added;
    std::uint64_t inode = 0;  ///< of what was added
  };
  using Names = std::map<std::string, std::uint64_t>;
  struct Folder {
    Names durable;
    Names cached;
    std::vector<NameChange> pending;
  };

  std::uint64_t add_folder(const std::string& path);
  std::uint64_t add_file(const std::string& path);
  void write(File& file, std::uint64_t offset, std::string_view data);
  void resize(File& file, std::uint64_t size_bytes, bool only_grows);
  void set_page(File& file, std::uint64_t number, const PageBytes& content);
  void change_names(std::uint64_t folder, NameChange change);
  void end_sync(std::uint64_t inode, std::uint64_t begin, bool has_failed);
  void forget_pages(File& file, std::uint64_t begin);
  static void settle(File& file, std::uint64_t begin);
  static std::vector<Page> choices(const PageState& page, std::uint64_t begin_bytes,
                                   const std::vector<SizeChange>& sizes, std::size_t kept_sizes);
  static Page pick(std::mt19937_64& random, const DrawStyle& style, const std::vector<Page>& choices);
  void draw_folder(std::mt19937_64& random, const DrawStyle& style, std::uint64_t inode,
                   const std::string& to) const;
  static void draw_file(std::mt19937_64& random, const DrawStyle& style, const File& file,
                        const std::string& to);
  std::string folder_difference(std::uint64_t inode, const std::string& path) const;

  std::mt19937_64 random_;
  std::map<std::uint64_t, File> files_;
  std::map<std::uint64_t, Folder> folders_;
  std::map<std::uint64_t, std::uint64_t> syncs_;  ///< under way: by the record of its begin, the inode
  std::uint64_t root_ = 0;
  std::uint64_t now_ = 0;  ///< number of the next record
};

}  // namespace memento::testing
