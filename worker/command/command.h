// What a command is: one row of the command table. Dispatch, COMMAND, HELP, routing in a cluster, and the
// client's completion derive from the rows; what executes a command stands in worker/handlers. Data; any
// process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "worker/command/join_kind.h"
#include "worker/command/key_spec.h"

namespace memento {

enum class CommandGroup : std::uint8_t {
  kString,
  kKeys,
  kNumber,
  kBits,
  kHyperLogLog,
  kExpiry,
  kKeyspace,
  kTransaction,
  kPubSub,
  kConnection,
  kCluster,
  kServer,
  kScripting
};

/// What COMMAND tells and dispatch looks at.
enum CommandFlag : std::uint32_t {
  kWrite = 1 << 0,
  kReadonly = 1 << 1,
  kDenyOom = 1 << 2,  ///< may need memory
  kAdmin = 1 << 3,
  kFast = 1 << 4,    ///< constant time
  kNoAuth = 1 << 5,  ///< allowed before AUTH
  kNoScript = 1 << 6,
  kLoading = 1 << 7,
  kStale = 1 << 8,
  kSeesOthers = 1 << 9,  ///< what it answers may tell of keys that it does not name, or of other databases'
  kUnqueued = 1 << 10,   ///< executed at once inside MULTI
  kAllKeys = 1 << 11,    ///< works on all slots
  kContainer = 1 << 12,  ///< has subcommands
  kPubSubFlag = 1 << 13,
  kDangerous = 1 << 14,
  kEndsMulti = 1 << 15,      ///< EXEC: even a malformed one ends the transaction
  kSubscribedToo = 1 << 16,  ///< allowed in RESP2 while the client subscribes
  kPublishes = 1 << 17,      ///< sends messages to others
  kAsksOthers = 1 << 18,     ///< needs what other workers know of their clients
  kPlain = 1 << 19,      ///< works on one key and on nothing else, and briefly; set by the table (is_plain())
  kNoMulti = 1 << 20,    ///< refused inside MULTI
  kAnywhere = 1 << 21,   ///< without a key it is the same on every node, and for every client
  kDebug = 1 << 22,      ///< only for clients that may debug
  kScript = 1 << 23,     ///< runs commands that its row does not name, which may write and publish
  kAllowBusy = 1 << 24,  ///< also while a script of the same worker has been running for long
  kSelects = 1 << 25,    ///< SELECT
  kAllNodes = 1 << 26,   ///< in a cluster each node executes it
  kMayReplicate = 1 << 27,  ///< writes in Redis, though not here: scripts that only read may not run it
};

/// Which words of a command others may not see (shown_words.h).
enum class Secrets : std::uint8_t {
  kNone,
  kAllWords,       ///< all but the name
  kBehindAuth,     ///< the two behind a word AUTH
  kPasswordValues  ///< the value behind the name of a parameter that is a password
};

struct Command {
  std::string_view name;  ///< upper case; a subcommand's is CONTAINER|NAME
  int arity;              ///< words with the name (a subcommand's: both); negative: at least so many
  std::uint32_t flags;
  KeySpec keys;
  int text_rest;  ///< in the text protocol: index of the argument that is the rest of the line; 0: none
  CommandGroup group;
  std::string_view since;  ///< version of Redis that has it, or "memento"
  std::string_view arguments;
  std::string_view summary;
  JoinKind join = JoinKind::kNone;
  Secrets secrets = Secrets::kNone;
  std::uint16_t number = 0;  ///< among all rows; set by the table

  bool has(std::uint32_t any_of) const { return (flags & any_of) != 0; }
  bool accepts(std::size_t count) const {
    return arity >= 0 ? count == static_cast<std::size_t>(arity) : count >= static_cast<std::size_t>(-arity);
  }
  constexpr bool is_plain() const {
    const bool is_brief = (flags & kWrite) != 0 || (flags & (kReadonly | kFast)) == (kReadonly | kFast);
    return is_brief && keys.first != 0 && keys.first == keys.last &&
           (flags & (kContainer | kPubSubFlag | kNoAuth | kUnqueued)) == 0;
  }
  /// Changes the connection it comes on, or what that receives: no other worker or node can execute it.
  bool is_for_connection() const { return has(kNoAuth | kUnqueued) || subscribes(); }
  bool subscribes() const { return has(kPubSubFlag) && !has(kPublishes); }
  /// Calls visit(key) for each key of a call with these words.
  template <class Visit>
  void each_key(std::span<const std::string_view> words, Visit&& visit) const {
    const KeyRange range = keys.find(words);
    for (std::size_t i = range.first; i < range.end; i += range.step) visit(words[i]);
  }
  /// What it answers may tell of any key.
  bool sees_unnamed_keys() const { return has(kAllKeys | kSeesOthers); }
  /// SUBSCRIBE and its relatives: confirms each name.
  bool confirms_names() const { return has(kPubSubFlag) && has(kSubscribedToo); }
  /// Index of the first key of a call with these words; 0: it has none.
  std::size_t first_key(std::span<const std::string_view> words) const {
    const auto first = static_cast<std::size_t>(keys.first);
    if (first < words.size()) [[likely]]
      return first;
    const KeyRange range = keys.find(words);
    return range.first != range.end ? range.first : 0;
  }
};

}  // namespace memento
