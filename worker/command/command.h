// What a command is: one row of the command table, and what its handler gets. Dispatch, HELP, and the client's
// completion derive from the rows. Runs in workers.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "shm/keyspace.h"
#include "worker/wire/reply_writer.h"

namespace memento {

/// Facts about the server that INFO tells.
struct ServerFacts {
  TimeMs start_ms = 0;
  std::uint32_t worker_count = 0;
  std::uint32_t worker_index = 0;
  std::uint16_t port = 0;
};

struct CommandContext {
  Keyspace& keyspace;
  ReplyWriter reply;
  const ServerFacts& facts;
  bool close_after_reply = false;  ///< set by QUIT
};

/// One call. args[0] is the command's name as typed; `key` is args[first_key], hashed, when the command has one.
struct Call {
  std::span<const std::string_view> args;
  HashedKey key;

  std::size_t count() const { return args.size(); }
  std::string_view operator[](std::size_t index) const { return args[index]; }
};

/// REQUIRES: arity and key lengths were checked. Writes exactly one reply.
using Handler = void (*)(CommandContext&, const Call&);

enum class CommandGroup { kString, kNumber, kExpiry, kKeyspace, kConnection, kServer };

struct Command {
  std::string_view name;  ///< upper case
  int arity;              ///< words with the name; negative: at least so many (as in Redis's COMMAND)
  int first_key;          ///< index of the first key, 0 when it has none
  int last_key;           ///< index of the last key, -1: the last argument
  int text_rest;          ///< in the text protocol: index of the argument that is the rest of the line; 0: none
  bool writes;
  Handler handler;
  CommandGroup group;
  std::string_view arguments;
  std::string_view summary;

  bool accepts(std::size_t count) const {
    return arity >= 0 ? count == static_cast<std::size_t>(arity) : count >= static_cast<std::size_t>(-arity);
  }
};

}  // namespace memento
