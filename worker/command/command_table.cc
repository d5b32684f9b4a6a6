// See command_table.h. A command is found by its length and first eight letters, compared as one word.
#include "worker/command/command_table.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

#include "conf/statistics.h"
#include "worker/command/command_rows.h"
#include "worker/text/words.h"

namespace memento {
namespace {

constexpr std::size_t kNameLimitBytes = 16;
constexpr int kIndexBits = 10;  // few names share a place
constexpr std::size_t kIndexSize = 1 << kIndexBits;

// Up to eight letters in upper case as one word. Clearing bit 5 turns no other byte into a letter, but the
// last of ASCII into an underscore.
constexpr std::uint64_t kUpperMask = 0xdfdfdfdfdfdfdfdf;

template <class Number>
std::uint64_t load(const char* from) {
  Number number;
  std::memcpy(&number, from, sizeof number);
  return number;
}

// Short names by two loads that overlap.
std::uint64_t word_of(const char* name, std::size_t length) {
  std::uint64_t word = 0;
  if (length >= 8) {
    word = load<std::uint64_t>(name);
  } else if (length >= 4) {
    word = load<std::uint32_t>(name) | load<std::uint32_t>(name + length - 4) << (length - 4) * 8;
  } else if (length >= 2) {
    word = load<std::uint16_t>(name) | load<std::uint16_t>(name + length - 2) << (length - 2) * 8;
  } else if (length == 1) {
    word = load<std::uint8_t>(name);
  }
  return word & kUpperMask;
}

std::size_t index_of(std::uint64_t head, std::size_t length) {
  return ((head + length) * 0x9e3779b97f4a7c15ull) >> (64 - kIndexBits);
}

struct Row {
  std::uint64_t head = 0;
  std::uint64_t tail = 0;
  const Command* command = nullptr;
  bool has_underscore = false;
};

struct Index {
  std::array<Row, kIndexSize> rows;

  Index() {
    for (const Command& command : all_commands()) {
      const std::size_t length = command.name.size();
      const std::uint64_t head = word_of(command.name.data(), length);
      const std::uint64_t tail = length > 8 ? word_of(command.name.data() + 8, length - 8) : 0;
      std::size_t place = index_of(head, length);
      while (rows[place].command != nullptr) place = (place + 1) % kIndexSize;
      rows[place] = Row{head, tail, &command, command.name.find('_') != command.name.npos};
    }
  }
};

const Index kIndex;

// By the letters with bit 5 cleared: another byte may stand for an underscore.
const Row* find_row(std::uint64_t head, std::uint64_t tail, std::size_t length) {
  for (std::size_t place = index_of(head, length);; place = (place + 1) % kIndexSize) {
    const Row& row = kIndex.rows[place];
    if (row.command == nullptr) return nullptr;
    if (row.head == head && row.tail == tail && row.command->name.size() == length) return &row;
  }
}

// What is asked of all nodes has one reply.
constexpr bool has_join(const Command& command) {
  return (command.flags & (kAllKeys | kPublishes)) == 0 || command.join != JoinKind::kNone;
}
static_assert(std::ranges::all_of(command_rows::kCommands, has_join) &&
              std::ranges::all_of(command_rows::kSubcommands, has_join));
static_assert(command_rows::kCommands.size() + command_rows::kSubcommands.size() <= kCommandStatisticsLimit);

}  // namespace

std::span<const Command> all_commands() { return command_rows::kCommands; }
std::span<const Command> all_subcommands() { return command_rows::kSubcommands; }

const Command* find_command(std::string_view name) {
  const std::size_t length = name.size();
  if (length == 0 || length > kNameLimitBytes) return nullptr;
  const std::uint64_t head = word_of(name.data(), length);
  const std::uint64_t tail = length > 8 ? word_of(name.data() + 8, length - 8) : 0;
  const Row* const row = find_row(head, tail, length);
  if (row == nullptr || (row->has_underscore && !is_word(name, row->command->name))) return nullptr;
  return row->command;
}

BriefCommands::BriefCommands() {
  for (const Command& command : all_commands()) {
    const bool is_brief =
        command.has(kPlain) && command.name.size() <= 8 && command.name.find('_') == command.name.npos;
    if (!is_brief) continue;
    const std::uint64_t word =
        word_of(memento::word_of(command.name.data(), command.name.size()), command.name.size());
    std::size_t place = place_of(word);
    while (rows_[place].command != nullptr) place = (place + 1) % kPlaces;
    rows_[place] = {word, &command};
  }
}

const BriefCommands kBriefCommands;

const Command* find_subcommand(const Command& container, std::string_view name) {
  for (const Command& subcommand : subcommands_of(container)) {
    if (is_word(name, subcommand.name.substr(container.name.size() + 1))) return &subcommand;
  }
  return &container;
}

std::span<const Command> subcommands_of(const Command& container) {
  const std::span<const Command> rows = all_subcommands();
  const auto belongs = [&](const Command& row) {
    return row.name.size() > container.name.size() && row.name.starts_with(container.name) &&
           row.name[container.name.size()] == '|';
  };
  const auto first = std::ranges::find_if(rows, belongs);
  return {first, std::find_if_not(first, rows.end(), belongs)};
}

std::string_view group_title(CommandGroup group) {
  using enum CommandGroup;
  switch (group) {
    case kString:
      return "Values";
    case kKeys:
      return "Keys";
    case kNumber:
      return "Numbers";
    case kBits:
      return "Bits";
    case kHyperLogLog:
      return "Counting different elements";
    case kExpiry:
      return "Expiry";
    case kKeyspace:
      return "The whole keyspace";
    case kTransaction:
      return "Transactions";
    case kPubSub:
      return "Messages";
    case kConnection:
      return "Connection";
    case kCluster:
      return "Cluster";
    case kServer:
      return "Server";
    case kScripting:
      return "Scripts";
  }
  return "";
}

std::string_view group_name(CommandGroup group) {
  using enum CommandGroup;
  switch (group) {
    case kString:
    case kNumber:
      return "string";
    case kBits:
      return "bitmap";
    case kHyperLogLog:
      return "hyperloglog";
    case kKeys:
    case kExpiry:
    case kKeyspace:
      return "generic";
    case kTransaction:
      return "transactions";
    case kPubSub:
      return "pubsub";
    case kConnection:
      return "connection";
    case kCluster:
      return "cluster";
    case kServer:
      return "server";
    case kScripting:
      return "scripting";
  }
  return "";
}

}  // namespace memento
