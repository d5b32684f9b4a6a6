// See command_table.h. A command is found by its length and first eight letters, compared as one word.
#include "worker/command/command_table.h"

#include <array>
#include <cstring>

#include "worker/command/handlers.h"

namespace memento {
namespace {

using enum CommandGroup;

// name, arity, first and last key, rest of line, writes, handler, group, arguments, summary
constexpr Command kCommands[] = {
    {"SET", 3, 1, 1, 2, true, handlers::set, kString, "key value", "Store a value; the rest of the line is the value"},
    {"GET", 2, 1, 1, 0, false, handlers::get, kString, "key", "The key's value"},
    {"GETP", 2, 1, 1, 0, false, handlers::getp, kString, "key", "Value, creation time and expiry of a key"},
    {"DEL", -2, 1, -1, 0, true, handlers::del, kString, "key [key ...]", "Remove keys; how many were there"},
    {"EXISTS", -2, 1, -1, 0, false, handlers::exists, kString, "key [key ...]", "How many of the keys are there"},
    {"APPEND", 3, 1, 1, 2, true, handlers::append, kString, "key value", "Add to a value's end; its new length"},
    {"PREPEND", 3, 1, 1, 2, true, handlers::prepend, kString, "key value", "Add to a value's beginning; its new length"},

    {"INC", -2, 1, 1, 0, true, handlers::inc, kNumber, "key [quantity]", "Add an integer, 1 by default; the new number"},
    {"DEC", -2, 1, 1, 0, true, handlers::dec, kNumber, "key [quantity]", "Subtract an integer, 1 by default; the new number"},
    {"INCF", -2, 1, 1, 0, true, handlers::incf, kNumber, "key [quantity]", "Add a decimal number, 1.0 by default; the new number"},
    {"DECF", -2, 1, 1, 0, true, handlers::decf, kNumber, "key [quantity]", "Subtract a decimal number, 1.0 by default; the new number"},

    {"EXPIRE", 3, 1, 1, 0, true, handlers::expire, kExpiry, "key seconds", "Let a key expire; 1, or 0 when there is no such key"},
    {"PEXPIRE", 3, 1, 1, 0, true, handlers::pexpire, kExpiry, "key milliseconds", "EXPIRE in milliseconds"},
    {"TTL", 2, 1, 1, 0, false, handlers::ttl, kExpiry, "key", "Seconds a key has left; -1 without expiry, -2 without key"},
    {"PTTL", 2, 1, 1, 0, false, handlers::pttl, kExpiry, "key", "TTL in milliseconds"},
    {"PERSIST", 2, 1, 1, 0, true, handlers::persist, kExpiry, "key", "Take the expiry back; 1, or 0 when there was none"},

    {"COUNT", 1, 0, 0, 0, false, handlers::count, kKeyspace, "", "Number of keys"},
    {"KEYS", -1, 0, 0, 0, false, handlers::keys, kKeyspace, "[glob]", "The keys that match, one a line"},
    {"VALUES", -1, 0, 0, 0, false, handlers::values, kKeyspace, "[glob]", "The values of the keys that match"},
    {"PREFSCAN", 2, 0, 0, 0, false, handlers::prefscan, kKeyspace, "prefix", "The values of the keys that begin so"},
    {"FUZZYSCAN", 2, 0, 0, 0, false, handlers::fuzzyscan, kKeyspace, "pattern", "The values of the keys that contain the letters in this order"},
    {"KEYSPACE", 1, 0, 0, 0, false, handlers::keyspace, kKeyspace, "", "Number of keys, and bytes of keys and values"},
    {"FLUSH", 1, 0, 0, 0, true, handlers::flush, kKeyspace, "", "Remove all keys"},

    {"PING", -1, 0, 0, 1, false, handlers::ping, kConnection, "[message]", "PONG, or the message"},
    {"ECHO", 2, 0, 0, 1, false, handlers::echo, kConnection, "message", "The message"},
    {"QUIT", 1, 0, 0, 0, false, handlers::quit, kConnection, "", "End the connection"},
    {"EXIT", 1, 0, 0, 0, false, handlers::quit, kConnection, "", "End the connection"},

    {"INFO", -1, 0, 0, 0, false, handlers::info, kServer, "[section]", "Figures about the server"},
    {"HELP", -1, 0, 0, 0, false, handlers::help, kServer, "[command]", "The commands, or one of them"},
};

constexpr std::size_t kNameLimitBytes = 16;
constexpr std::size_t kIndexSize = 256;

// Up to eight letters in upper case as one word. Clearing bit 5 turns no other byte into a letter.
constexpr std::uint64_t kUpperMask = 0xdfdfdfdfdfdfdfdf;

std::uint64_t word_of(const char* name, std::size_t length) {
  std::uint64_t word = 0;
  std::memcpy(&word, name, length < 8 ? length : 8);
  return word & kUpperMask;
}

std::size_t index_of(std::uint64_t head, std::size_t length) {
  return ((head + length) * 0x9e3779b97f4a7c15ull) >> 56;
}

struct Row {
  std::uint64_t head = 0;
  std::uint64_t tail = 0;
  const Command* command = nullptr;
};

struct Index {
  std::array<Row, kIndexSize> rows;

  Index() {
    for (const Command& command : kCommands) {
      const std::size_t length = command.name.size();
      const std::uint64_t head = word_of(command.name.data(), length);
      const std::uint64_t tail = length > 8 ? word_of(command.name.data() + 8, length - 8) : 0;
      std::size_t place = index_of(head, length);
      while (rows[place].command != nullptr) place = (place + 1) % kIndexSize;
      rows[place] = Row{head, tail, &command};
    }
  }
};

const Index& index() {
  static const Index instance;
  return instance;
}

}  // namespace

std::span<const Command> all_commands() { return kCommands; }

const Command* find_command(std::string_view name) {
  const std::size_t length = name.size();
  if (length == 0 || length > kNameLimitBytes) return nullptr;
  const std::uint64_t head = word_of(name.data(), length);
  const std::uint64_t tail = length > 8 ? word_of(name.data() + 8, length - 8) : 0;
  for (std::size_t place = index_of(head, length);; place = (place + 1) % kIndexSize) {
    const Row& row = index().rows[place];
    if (row.command == nullptr) return nullptr;
    if (row.head == head && row.tail == tail && row.command->name.size() == length) return row.command;
  }
}

std::string_view group_title(CommandGroup group) {
  switch (group) {
    case kString: return "Keys and values";
    case kNumber: return "Numbers";
    case kExpiry: return "Expiry";
    case kKeyspace: return "The whole keyspace";
    case kConnection: return "Connection";
    case kServer: return "Server";
  }
  return "";
}

}  // namespace memento
