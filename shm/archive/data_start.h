// Which data a start begins with: what is in memory, what is in the data folder, or neither. The binding
// (shm/format/binding.h) of the last start stands in three places: the state folder's list, MANIFEST and the
// segment. What holds one of the list is that start's data; what does not was put there from elsewhere, or
// was left behind. Pure: the master gathers what is found, and does what is decided.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shm/format/manifest.h"

namespace memento {

struct FoundData {
  std::string folder;  ///< the data folder, for messages
  std::string segment;
  std::string state_folder;
  std::optional<std::vector<std::uint64_t>> bindings;  ///< nothing: the state folder has no list
  std::optional<std::uint64_t> newest_file;            ///< that the state folder knows
  std::optional<Manifest> manifest;
  std::vector<std::uint64_t> files;  ///< numbers of the journal's, ascending
  // Of the segment:
  bool is_attached = false;  ///< it was there; whether with data:
  std::uint64_t keys = 0;
  std::uint64_t binding = 0;  ///< 0: no start with a data folder has served from it
  bool is_half_loaded = false;
  std::uint64_t file = 0;  ///< the newest one that its archiver has written
};

enum class DataStart {
  kGoesOn,  ///< from memory; the folder's files go on
  kBegins,  ///< from memory, which may be empty; the folder's files begin anew, with a snapshot
  kLoads,   ///< from the folder, into an empty segment
  kIsRefused
};

/// What to do with a folder that is not as the last start left it: conf's RecoveryMode::kDetached.
struct StartWishes {
  bool takes_detached = false;  ///< the folder's data is wanted, whatever else is there
  bool is_fresh = false;        ///< no data is
};

struct StartDecision {
  DataStart start = DataStart::kIsRefused;
  bool sets_segment_aside = false;
  bool sets_folder_aside = false;
  std::string text;  ///< why it is refused and what to do, or what is to be logged; empty: nothing
};

StartDecision decide_start(const FoundData& found, const StartWishes& wishes);

}  // namespace memento
