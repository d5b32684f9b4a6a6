// See binding.h.
#include "shm/archive/binding.h"

#include <xxhash.h>

#include <cassert>
#include <cstring>

#include "shm/format/binding.h"
#include "shm/os/private_file.h"
#include "shm/os/synced_file.h"

namespace memento {
namespace {

constexpr const char* kBindingsName = "bindings";
constexpr const char* kNewestName = "newest";
constexpr std::uint64_t kChecksumBytes = sizeof(std::uint64_t);
constexpr std::uint64_t kLimitBytes =
    sizeof(NumberListHeader) + NumberListHeader::kCountLimit * sizeof(std::uint64_t) + kChecksumBytes;

Result<std::optional<std::vector<std::uint64_t>>> read_list(const Fd& folder, const std::string& folder_path,
                                                            const char* name, std::uint64_t magic) {
  const Result<std::optional<std::string>> bytes = read_private_file(folder, folder_path, name, kLimitBytes);
  if (!bytes) return bytes.error();
  if (!*bytes) return std::optional<std::vector<std::uint64_t>>();
  std::optional<std::vector<std::uint64_t>> numbers = read_number_list(magic, **bytes);
  if (numbers) return numbers;
  return Error{
      ExitStatus::kSystem, 0,
      folder_path + "/" + name +
          " is damaged, or of another version of this program; put a copy of it in its place, or move it "
          "away to start as with a new folder"};
}

}  // namespace

std::string number_list_bytes(std::uint64_t magic, const std::vector<std::uint64_t>& numbers) {
  assert(numbers.size() <= NumberListHeader::kCountLimit);
  NumberListHeader header;
  header.magic = magic;
  header.count = static_cast<std::uint32_t>(numbers.size());
  const std::size_t numbers_bytes = numbers.size() * sizeof(std::uint64_t);
  std::string bytes(sizeof header + numbers_bytes + kChecksumBytes, '\0');
  std::memcpy(bytes.data(), &header, sizeof header);
  if (!numbers.empty()) std::memcpy(bytes.data() + sizeof header, numbers.data(), numbers_bytes);
  const std::uint64_t checksum = XXH3_64bits(bytes.data(), bytes.size() - kChecksumBytes);
  std::memcpy(bytes.data() + bytes.size() - kChecksumBytes, &checksum, kChecksumBytes);
  return bytes;
}

std::optional<std::vector<std::uint64_t>> read_number_list(std::uint64_t magic, const std::string& bytes) {
  NumberListHeader header;
  if (bytes.size() < sizeof header + kChecksumBytes) return std::nullopt;
  std::memcpy(&header, bytes.data(), sizeof header);
  const std::size_t numbers_bytes = std::size_t{header.count} * sizeof(std::uint64_t);
  if (header.magic != magic || header.version != NumberListHeader::kVersion ||
      bytes.size() != sizeof header + numbers_bytes + kChecksumBytes) {
    return std::nullopt;
  }
  std::uint64_t checksum = 0;
  std::memcpy(&checksum, bytes.data() + bytes.size() - kChecksumBytes, kChecksumBytes);
  if (checksum != XXH3_64bits(bytes.data(), bytes.size() - kChecksumBytes)) return std::nullopt;
  std::vector<std::uint64_t> numbers(header.count);
  if (!numbers.empty()) std::memcpy(numbers.data(), bytes.data() + sizeof header, numbers_bytes);
  return numbers;
}

Result<StateFolder> StateFolder::open(const std::string& path) {
  Result<Fd> folder = open_private_folder(path);
  if (!folder) return folder.error();
  if (Outcome synced = sync_name(path); !synced) return synced.error();
  return StateFolder(std::move(*folder), path);
}

Result<std::optional<std::vector<std::uint64_t>>> StateFolder::bindings() const {
  return read_list(folder_, path_, kBindingsName, NumberListHeader::kBindingsMagic);
}

Outcome StateFolder::add_binding(std::uint64_t binding) {
  Result<std::optional<std::vector<std::uint64_t>>> list = bindings();
  if (!list) return list.error();
  std::vector<std::uint64_t> numbers = *list ? std::move(**list) : std::vector<std::uint64_t>();
  if (numbers.size() == NumberListHeader::kCountLimit) {
    return Error{ExitStatus::kSystem, 0,
                 path_ + "/" + kBindingsName + " names " + std::to_string(numbers.size()) +
                     " starts that did not come to their end; look into the log why"};
  }
  numbers.push_back(binding);
  return replace_synced(folder_, path_, kBindingsName,
                        number_list_bytes(NumberListHeader::kBindingsMagic, numbers));
}

Outcome StateFolder::set_binding(std::uint64_t binding) {
  return replace_synced(folder_, path_, kBindingsName,
                        number_list_bytes(NumberListHeader::kBindingsMagic, {binding}));
}

Result<std::optional<std::uint64_t>> StateFolder::newest_file() const {
  const Result<std::optional<std::vector<std::uint64_t>>> list =
      read_list(folder_, path_, kNewestName, NumberListHeader::kNewestMagic);
  if (!list) return list.error();
  if (!*list || (*list)->empty()) return std::optional<std::uint64_t>();
  return std::optional<std::uint64_t>((*list)->front());
}

Outcome StateFolder::write_newest_file(std::uint64_t number) {
  return replace_synced(folder_, path_, kNewestName,
                        number_list_bytes(NumberListHeader::kNewestMagic, {number}));
}

}  // namespace memento
