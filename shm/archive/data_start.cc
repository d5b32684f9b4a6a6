// See data_start.h.
#include "shm/archive/data_start.h"

#include <algorithm>

namespace memento {
namespace {

class Decision {
 public:
  Decision(const FoundData& found, const StartWishes& wishes) : found_(found), wishes_(wishes) {}

  StartDecision make() const {
    if (wishes_.is_fresh) return {DataStart::kBegins, false, has_folder() || !found_.files.empty(), ""};
    if (!found_.manifest && !found_.files.empty()) {
      return refusal(found_.folder +
                     " has a journal but no MANIFEST, so nobody knows what of it counts; put a "
                     "backup of the folder in its place, or move it away");
    }
    if (wishes_.takes_detached) return take_folder();
    if (has_memory() && found_.binding != 0 && is_of_last_start(found_.binding)) return go_on();
    if (is_folder_newest()) return load();
    if (has_memory() && !has_data_in_folder()) return {DataStart::kBegins, false, has_folder(), ""};
    if (!has_memory() && !has_folder()) return {DataStart::kBegins, false, false, ""};
    if (!has_memory() && !has_data_in_folder())
      return {DataStart::kBegins, false, true,
              found_.folder +
                  " has no whole data: its first snapshot was never complete, and what was in "
                  "memory is gone. Its files are set aside"};
    return refuse_both();
  }

 private:
  // An empty segment is as good as none.
  bool has_memory() const {
    return found_.is_attached && !found_.is_half_loaded && (found_.keys > 0 || found_.binding != 0);
  }
  bool has_folder() const { return found_.manifest.has_value(); }
  bool has_data_in_folder() const { return has_folder() && found_.manifest->state == ManifestState::kValid; }
  bool is_of_last_start(std::uint64_t binding) const {
    if (!found_.bindings)
      return !has_folder() || found_.manifest->binding == binding || !has_data_in_folder();
    return std::ranges::find(*found_.bindings, binding) != found_.bindings->end();
  }
  bool has_file(std::uint64_t number) const { return std::ranges::binary_search(found_.files, number); }

  bool is_folder_newest() const {
    if (!has_data_in_folder() || found_.manifest->detached_ms != 0) return false;
    if (!found_.bindings) return !has_memory();
    const bool is_whole = !found_.newest_file || has_file(*found_.newest_file);
    return is_of_last_start(found_.manifest->binding) && is_whole && !(has_memory() && found_.binding == 0);
  }

  StartDecision go_on() const {
    const bool is_its_folder = has_data_in_folder() && found_.manifest->detached_ms == 0 &&
                               is_of_last_start(found_.manifest->binding) && has_file(found_.file);
    if (is_its_folder) return {DataStart::kGoesOn, false, false, ""};
    // The server ended before its first snapshot was complete.
    if (has_folder() && !has_data_in_folder() && is_of_last_start(found_.manifest->binding))
      return {DataStart::kBegins, false, false, ""};
    const std::string text =
        has_folder() ? "the data in memory is newer than what is in " + found_.folder +
                           ", which was not written by the server that left it; the folder's files are set "
                           "aside, and it begins anew"
                     : "";
    return {DataStart::kBegins, false, has_folder(), text};
  }

  StartDecision load() const {
    const bool is_stale = has_memory();
    return {DataStart::kLoads, is_stale, false,
            is_stale ? "the data in " + found_.segment +
                           " is not of the last start; it is set aside, and what "
                           "is in " +
                           found_.folder + " is loaded"
                     : ""};
  }

  StartDecision take_folder() const {
    if (has_data_in_folder()) return {DataStart::kLoads, has_memory(), false, ""};
    return refusal("--recover detached: " + found_.folder + " has no whole data");
  }

  StartDecision refuse_both() const {
    const std::string in_folder =
        found_.bindings ? "the data in " + found_.folder + " is not what the last start left there (" +
                              found_.state_folder + " says so): it is a copy, or another server's"
                        : "nobody knows whether the data in " + found_.folder +
                              " is the newest: " + found_.state_folder + " is new or was lost";
    if (!has_memory())
      return refusal(in_folder +
                     "; start with --recover detached to serve it as it is, with --fresh to begin "
                     "empty, or put back what belongs there");
    return refusal("there are " + std::to_string(found_.keys) + " keys in memory (" + found_.segment +
                   "), and other data in " + found_.folder + ": " +
                   (found_.binding == 0 ? "the server has run without that folder since" : in_folder) +
                   "; move the folder away to keep what is in memory, or start with --recover detached to "
                   "set that aside and serve the folder's");
  }

  static StartDecision refusal(std::string text) {
    return {DataStart::kIsRefused, false, false, std::move(text)};
  }

  const FoundData& found_;
  const StartWishes& wishes_;
};

}  // namespace

StartDecision decide_start(const FoundData& found, const StartWishes& wishes) {
  return Decision(found, wishes).make();
}

}  // namespace memento
