// The one command table, and finding a row of it. The rows are in command_rows.h. Constant; any process.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "worker/command/command.h"

namespace memento {

/// All commands, grouped, in the order HELP lists them.
std::span<const Command> all_commands();
/// The rows of the containers' subcommands, those of one container together.
std::span<const Command> all_subcommands();
std::span<const Command> subcommands_of(const Command& container);

/// The command of that name in any case, or nullptr.
const Command* find_command(std::string_view name);

/// For names of one to eight letters, by length.
struct BriefName {
  std::uint64_t letters;  ///< the bits that count of so many letters in any case
  std::uint64_t length;   ///< in three bits that don't
};
constexpr std::array<BriefName, 8> brief_names() {
  constexpr std::uint64_t kUpperMask = 0xdfdfdfdfdfdfdfdf;
  std::array<BriefName, 8> names{};
  for (std::uint64_t last = 0; last < names.size(); ++last)
    names[last] = {kUpperMask >> (7 - last) * 8, (last & 1) << 5 | (last & 2) << 12 | (last & 4) << 19};
  return names;
}
inline constexpr std::array<BriefName, 8> kBriefNames = brief_names();

/// The plain commands (kPlain) with names of at most eight letters and no underscore, in open addressing by
/// one word that is the whole name: its letters in upper case, whose bits 5 are free, and in those of the
/// first three its length.
class BriefCommands {
 public:
  BriefCommands();

  /// In any case, or nullptr: the name is the first `length` of the bytes of `letters`, from the lowest on.
  /// REQUIRES: 1 <= length <= 8.
  const Command* find(std::uint64_t letters, std::size_t length) const {
    const std::uint64_t wanted = word_of(letters, length);
    std::size_t place = place_of(wanted);
    while (rows_[place].word != wanted) {
      if (rows_[place].command == nullptr) return nullptr;
      place = (place + 1) % kPlaces;
    }
    return rows_[place].command;
  }

 private:
  static constexpr int kPlaceBits = 9;
  static constexpr std::size_t kPlaces = std::size_t{1} << kPlaceBits;
  struct Row {
    std::uint64_t word = 0;
    const Command* command = nullptr;
  };
  static constexpr std::uint64_t word_of(std::uint64_t letters, std::size_t length) {
    return (letters & kBriefNames[length - 1].letters) | kBriefNames[length - 1].length;
  }
  static std::size_t place_of(std::uint64_t word) {
    return (word * 0x9e3779b97f4a7c15ull) >> (64 - kPlaceBits);
  }

  std::array<Row, kPlaces> rows_{};
};
extern const BriefCommands kBriefCommands;

/// The subcommand of that name in any case; the container itself when it has none of that name.
const Command* find_subcommand(const Command& container, std::string_view name);

/// For a container the subcommand that words[1] names, when there is one; else the command itself.
inline const Command* resolve_subcommand(const Command* command, std::span<const std::string_view> words) {
  if (command == nullptr || !command->has(kContainer) || words.size() < 2) [[likely]]
    return command;
  return find_subcommand(*command, words[1]);
}

std::string_view group_title(CommandGroup group);
/// The group as Redis's COMMAND DOCS names it.
std::string_view group_name(CommandGroup group);

}  // namespace memento
