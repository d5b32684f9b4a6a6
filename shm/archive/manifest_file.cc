// See manifest_file.h.
#include "shm/archive/manifest_file.h"

#include <fcntl.h>
#include <xxhash.h>

#include <cassert>
#include <cstring>

#include "shm/os/file.h"
#include "shm/os/private_file.h"
#include "shm/os/synced_file.h"

namespace memento {
namespace {

constexpr const char* kName = "MANIFEST";

std::uint64_t offset_of(std::uint64_t generation) { return generation % 2 * kManifestBlockBytes; }

}  // namespace

std::string manifest_block(Manifest manifest) {
  assert(manifest.ancestor_count <= Manifest::kAncestorLimit);
  manifest.checksum = XXH3_64bits(&manifest, offsetof(Manifest, checksum));
  std::string bytes(kManifestBlockBytes, '\0');
  std::memcpy(bytes.data(), &manifest, sizeof manifest);
  return bytes;
}

std::optional<Manifest> read_manifest_block(std::string_view bytes) {
  Manifest manifest;
  if (bytes.size() < sizeof manifest) return std::nullopt;
  std::memcpy(&manifest, bytes.data(), sizeof manifest);
  if (manifest.magic != Manifest::kMagic || manifest.ancestor_count > Manifest::kAncestorLimit ||
      manifest.checksum != XXH3_64bits(&manifest, offsetof(Manifest, checksum))) {
    return std::nullopt;
  }
  return manifest;
}

Result<ManifestFile> ManifestFile::open(const Fd& folder, const std::string& folder_path) {
  ManifestFile manifest(folder, folder_path);
  const std::string path = folder_path + "/" + kName;
  const Result<std::optional<std::string>> bytes =
      read_private_file(folder, folder_path, kName, 2 * kManifestBlockBytes);
  if (!bytes) return bytes.error();
  if (!*bytes) return manifest;
  const std::string_view all(**bytes);
  for (const std::uint64_t generation : {0u, 1u}) {
    const std::uint64_t offset = offset_of(generation);
    if (all.size() < offset + kManifestBlockBytes) continue;
    const std::optional<Manifest> block = read_manifest_block(all.substr(offset));
    if (!block || block->generation % 2 != generation) continue;
    if (!manifest.newest_ || block->generation > manifest.newest_->generation) manifest.newest_ = block;
  }
  if (!manifest.newest_) {
    return Error{ExitStatus::kSystem, 0,
                 path + " is damaged: neither of its two blocks is whole. Without it nobody knows what of " +
                     folder_path + " counts; put a backup in its place, or move the folder away"};
  }
  if (manifest.newest_->version != Manifest::kVersion) {
    return Error{ExitStatus::kSystem, 0,
                 path + " is of version " + std::to_string(manifest.newest_->version) +
                     "; this program reads version " + std::to_string(Manifest::kVersion)};
  }
  manifest.last_generation_ = manifest.newest_->generation;
  return manifest;
}

Outcome ManifestFile::write(Manifest manifest) {
  manifest.generation = ++last_generation_;
  const std::string block = manifest_block(manifest);
  const std::string path = folder_path_ + "/" + kName;
  if (!file_) {
    if (Outcome replaced = replace(block); !replaced) return replaced;
  } else {
    Fd file = std::move(file_);  // for good, unless all succeeds
    if (!write_at(file.get(), offset_of(manifest.generation), block.data(), block.size()))
      return system_error("pwrite(" + path + ")");
    if (Outcome synced = sync_data(file, path); !synced) return synced;
    file_ = std::move(file);
  }
  newest_ = read_manifest_block(block);
  return Done{};
}

// A new file that holds this block, and an empty one.
Outcome ManifestFile::replace(const std::string& block) {
  std::string bytes(2 * kManifestBlockBytes, '\0');
  bytes.replace(offset_of(last_generation_), block.size(), block);
  if (Outcome replaced = replace_synced(*folder_, folder_path_, kName, bytes); !replaced) return replaced;
  Result<Fd> file = open_private_file(*folder_, kName, O_RDWR, folder_path_ + "/" + kName);
  if (!file) return file.error();
  file_ = std::move(*file);
  return Done{};
}

}  // namespace memento
