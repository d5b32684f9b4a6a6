// Mapping: owns a range of this process's addresses that mmap gave, and gives it back (munmap) when it ends.
// Move-only. Children that are forked inherit the addresses, and the memory too when it is shared. Any
// process.
//
// Invariant: either it is empty (data() is null and size_bytes() is 0), or every address in [data(), data() +
// size_bytes()) is mapped and nobody else unmaps it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "shm/os/result.h"

namespace memento {

class Mapping {
 public:
  Mapping() = default;

  /// The first `size_bytes` of an open file, shared, to read and write. `object` is what an error calls it.
  /// Touching what the file has no memory for may end in SIGBUS: see reserve_range() in file.h.
  static Result<Mapping> of_file(int file, std::size_t size_bytes, const std::string& object);

  /// Memory without a file, all zero, shared with the children that this process forks.
  static Result<Mapping> shared_memory(std::size_t size_bytes, const std::string& object);

  /// Addresses without memory: not to be touched before place() has put a file there.
  static Result<Mapping> addresses(std::size_t size_bytes, const std::string& object);

  Mapping(Mapping&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_bytes_(std::exchange(other.size_bytes_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    if (this != &other) {
      reset();
      data_ = std::exchange(other.data_, nullptr);
      size_bytes_ = std::exchange(other.size_bytes_, 0);
    }
    return *this;
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() { reset(); }

  /// Puts [file_offset, file_offset + size_bytes) of the file in the place of what was at data() + offset.
  /// False: errno says why. REQUIRES: it lies within this mapping; all three numbers are multiples of the
  /// page size.
  bool place(std::size_t offset, int file, std::uint64_t file_offset, std::size_t size_bytes);

  void reset();

  char* data() const { return data_; }
  std::size_t size_bytes() const { return size_bytes_; }
  explicit operator bool() const { return data_ != nullptr; }

 private:
  Mapping(char* data, std::size_t size_bytes) : data_(data), size_bytes_(size_bytes) {}
  static Result<Mapping> map(std::size_t size_bytes, int protection, int flags, int file,
                             const std::string& object);

  char* data_ = nullptr;
  std::size_t size_bytes_ = 0;
};

}  // namespace memento
