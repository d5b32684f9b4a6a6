// What several files of ours need of the kernel, whole or not at all: a call that a signal interrupted is
// made again, and one that did less than it was asked to goes on. An empty range is done at once. Each
// returns false when it failed, and errno says why. Any process.
#pragma once

#include <cstdint>
#include <optional>

namespace memento {

/// Gives [begin, end) of a file its memory, and the file that length at least (fallocate). Only then may a
/// mapping of it be touched: a full tmpfs is an answer here (ENOSPC), and SIGBUS there.
bool reserve_range(int file, std::uint64_t begin, std::uint64_t end);

/// Gives the memory of [begin, end) back; the file keeps its length and reads as zero there.
bool punch_hole(int file, std::uint64_t begin, std::uint64_t end);

/// All of these bytes, from this offset on. A file that ends before them is a failure (errno 0).
bool read_at(int file, std::uint64_t offset, void* bytes, std::uint64_t count);
bool write_at(int file, std::uint64_t offset, const void* bytes, std::uint64_t count);

/// How long the file is; nothing: it cannot be asked.
std::optional<std::uint64_t> file_size_bytes(int file);

}  // namespace memento
