// The rows of the command table: data, of which all else is derived. What the columns mean is in command.h;
// handlers, in the same order, are in worker/handlers/handler_table.cc. Included by these two, and by
// command_table.cc.
#pragma once

#include <array>
#include <cstdint>

#include "worker/command/command.h"

namespace memento {
namespace command_rows {

using enum CommandGroup;

inline constexpr KeySpec kNoKey{};
inline constexpr KeySpec kOneKey{1, 1, 1};
inline constexpr KeySpec kTwoKeys{1, 2, 1};
inline constexpr KeySpec kAllWords{1, -1, 1};
inline constexpr KeySpec kPairs{1, -1, 2};
inline constexpr KeySpec kSecondWord{2, 2, 1};
inline constexpr KeySpec kTargetAndSources{2, -1, 1};

inline constexpr std::uint32_t kReadFast = kReadonly | kFast;
inline constexpr std::uint32_t kStore = kWrite | kDenyOom;
inline constexpr std::uint32_t kAnyTime = kLoading | kStale | kNoScript;
inline constexpr std::uint32_t kSubscribing = kPubSubFlag | kAnyTime | kSubscribedToo;
inline constexpr KeySpec kCountedKeys = KeySpec::counted(2);
inline constexpr std::uint32_t kScripts = kScript | kNoScript | kStale | kSeesOthers;
inline constexpr std::uint32_t kReadingScripts = kReadonly | kNoScript | kStale | kSeesOthers;
inline constexpr const char* kOwn = "memento";  // a command Redis does not have

/// Derives the columns that follow from others. `first_number`: of the first row.
template <std::size_t count>
constexpr std::array<Command, count> numbered(std::array<Command, count> commands, std::size_t first_number) {
  for (std::size_t i = 0; i < count; ++i) {
    if (commands[i].is_plain()) commands[i].flags |= kPlain;
    commands[i].number = static_cast<std::uint16_t>(first_number + i);
  }
  return commands;
}

// A row is a line.
// clang-format off
// name, arity, flags, keys, rest of line, group, since, arguments, summary, and where that is not nothing:
// how a cluster joins replies, which words are secrets
inline constexpr auto kCommands = numbered(std::to_array<Command>({
    {"SET", -3, kStore, kOneKey, 2, kString, "1.0.0", "key value [NX | XX | IFEQ comparison] [GET] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL]", "Store a value; in the text protocol the rest of the line is the value"},
    {"GET", 2, kReadFast, kOneKey, 0, kString, "1.0.0", "key", "The key's value"},
    {"GETP", 2, kReadFast, kOneKey, 0, kString, kOwn, "key", "Value, creation time and expiry of a key"},
    {"GETEX", -2, kWrite | kFast, kOneKey, 0, kString, "6.2.0", "key [EX s | PX ms | EXAT s | PXAT ms | PERSIST]", "The key's value; set its expiry"},
    {"GETDEL", 2, kWrite | kFast, kOneKey, 0, kString, "6.2.0", "key", "The key's value; remove the key"},
    {"GETSET", 3, kStore | kFast, kOneKey, 2, kString, "1.0.0", "key value", "Store a value; the one before"},
    {"SETNX", 3, kStore | kFast, kOneKey, 2, kString, "1.0.0", "key value", "Store a value if there is none; 1, or 0"},
    {"SETEX", 4, kStore, kOneKey, 3, kString, "2.0.0", "key seconds value", "Store a value that expires"},
    {"PSETEX", 4, kStore, kOneKey, 3, kString, "2.6.0", "key milliseconds value", "Store a value that expires"},
    {"MGET", -2, kReadFast, kAllWords, 0, kString, "1.0.0", "key [key ...]", "The values of several keys as of one instant", JoinKind::kElements},
    {"MSET", -3, kStore, kPairs, 0, kString, "1.0.1", "key value [key value ...]", "Store several values at once", JoinKind::kAllOk},
    {"MSETNX", -3, kStore, kPairs, 0, kString, "1.0.1", "key value [key value ...]", "MSET if none of the keys is there; 1, or 0"},
    {"APPEND", 3, kStore | kFast, kOneKey, 2, kString, "2.0.0", "key value", "Add to a value's end; its new length"},
    {"PREPEND", 3, kStore | kFast, kOneKey, 2, kString, kOwn, "key value", "Add to a value's beginning; its new length"},
    {"STRLEN", 2, kReadFast, kOneKey, 0, kString, "2.2.0", "key", "A value's length in bytes"},
    {"GETRANGE", 4, kReadonly, kOneKey, 0, kString, "2.4.0", "key start end", "Part of a value"},
    {"SUBSTR", 4, kReadonly, kOneKey, 0, kString, "1.0.0", "key start end", "GETRANGE's old name"},
    {"SETRANGE", 4, kStore, kOneKey, 3, kString, "2.2.0", "key offset value", "Overwrite part of a value; its new length"},
    {"LCS", -3, kReadonly, kTwoKeys, 0, kString, "7.0.0", "key key [LEN] [IDX] [MINMATCHLEN n] [WITHMATCHLEN]", "The longest subsequence that two values share"},
    {"DELIFEQ", 3, kWrite | kFast, kOneKey, 2, kString, "9.0.0", "key value", "Remove a key if its value is this one; 1, or 0"},
    {"TAIL", -2, kReadonly | kNoScript | kNoMulti, kOneKey, 0, kString, kOwn, "key [count]", "The last values of a key, which are kept from the first TAIL on; with 0 no longer"},
    {"DEL", -2, kWrite, kAllWords, 0, kKeys, "1.0.0", "key [key ...]", "Remove keys; how many were there", JoinKind::kSum},
    {"UNLINK", -2, kWrite | kFast, kAllWords, 0, kKeys, "4.0.0", "key [key ...]", "DEL", JoinKind::kSum},
    {"EXISTS", -2, kReadFast, kAllWords, 0, kKeys, "1.0.0", "key [key ...]", "How many of the keys are there", JoinKind::kSum},
    {"TOUCH", -2, kReadFast, kAllWords, 0, kKeys, "3.2.1", "key [key ...]", "EXISTS", JoinKind::kSum},
    {"TYPE", 2, kReadFast, kOneKey, 0, kKeys, "1.0.0", "key", "string, or none"},
    {"RENAME", 3, kWrite, kTwoKeys, 0, kKeys, "1.0.0", "key newkey", "Move a value with its expiry to another key"},
    {"RENAMENX", 3, kWrite | kFast, kTwoKeys, 0, kKeys, "1.0.0", "key newkey", "RENAME if newkey is not there; 1, or 0"},
    {"COPY", -3, kStore | kSeesOthers, kTwoKeys, 0, kKeys, "6.2.0", "source destination [DB index] [REPLACE]", "Copy a value with its expiry; 1, or 0"},
    {"MOVE", 3, kWrite | kFast | kSeesOthers, kOneKey, 0, kKeys, "1.0.0", "key index", "Move a key to another database, unless it has one; 1, or 0"},
    {"MIGRATE", -6, kWrite | kNoScript | kNoMulti | kDangerous, KeySpec::migrated(), 0, kKeys, "2.6.0", "host port key db milliseconds [COPY] [REPLACE] [AUTH password | AUTH2 user password] [KEYS key [key ...]]", "Move keys to another server", JoinKind::kNone, Secrets::kBehindAuth},
    {"DUMP", 2, kReadonly, kOneKey, 0, kKeys, "2.6.0", "key", "A value as bytes for RESTORE"},
    {"RESTORE", -4, kStore | kDangerous, kOneKey, 0, kKeys, "2.6.0", "key ttl payload [REPLACE] [ABSTTL]", "Store what DUMP gave"},
    {"OBJECT", -2, kContainer, kNoKey, 0, kKeys, "2.2.3", "subcommand", "About a key's value; OBJECT HELP"},
    {"MEMORY", -2, kContainer, kNoKey, 0, kKeys, "4.0.0", "subcommand", "About memory; MEMORY HELP"},

    {"INC", -2, kStore | kFast, kOneKey, 0, kNumber, kOwn, "key [quantity]", "Add an integer, 1 by default; the new number"},
    {"DEC", -2, kStore | kFast, kOneKey, 0, kNumber, kOwn, "key [quantity]", "Subtract an integer, 1 by default; the new number"},
    {"INCF", -2, kStore | kFast, kOneKey, 0, kNumber, kOwn, "key [quantity]", "Add a decimal number, 1.0 by default; the new number"},
    {"DECF", -2, kStore | kFast, kOneKey, 0, kNumber, kOwn, "key [quantity]", "Subtract a decimal number, 1.0 by default; the new number"},
    {"INCR", 2, kStore | kFast, kOneKey, 0, kNumber, "1.0.0", "key", "Add 1; the new number"},
    {"DECR", 2, kStore | kFast, kOneKey, 0, kNumber, "1.0.0", "key", "Subtract 1; the new number"},
    {"INCRBY", 3, kStore | kFast, kOneKey, 0, kNumber, "1.0.0", "key quantity", "Add an integer; the new number"},
    {"DECRBY", 3, kStore | kFast, kOneKey, 0, kNumber, "1.0.0", "key quantity", "Subtract an integer; the new number"},
    {"INCRBYFLOAT", 3, kStore | kFast, kOneKey, 0, kNumber, "2.6.0", "key quantity", "Add a decimal number; the new number"},

    {"GETBIT", 3, kReadFast, kOneKey, 0, kBits, "2.2.0", "key offset", "A bit of a value"},
    {"SETBIT", 4, kStore, kOneKey, 0, kBits, "2.2.0", "key offset bit", "Set a bit of a value; what it was"},
    {"BITCOUNT", -2, kReadonly, kOneKey, 0, kBits, "2.6.0", "key [start end [BYTE | BIT]]", "How many bits are 1"},
    {"BITPOS", -3, kReadonly, kOneKey, 0, kBits, "2.8.7", "key bit [start [end [BYTE | BIT]]]", "The first bit that is 0 or 1"},
    {"BITOP", -4, kStore, kTargetAndSources, 0, kBits, "2.6.0", "operation target key [key ...]", "Values combined bit by bit into another key, by AND, OR, XOR or NOT; its length"},
    {"BITFIELD", -2, kStore, kOneKey, 0, kBits, "3.2.0", "key [GET type offset | [OVERFLOW WRAP | SAT | FAIL] SET type offset value | INCRBY type offset increment ...]", "Integers of 1 to 64 bits within a value: i8 signed, u8 not; #n counts fields"},
    {"BITFIELD_RO", -2, kReadFast, kOneKey, 0, kBits, "6.0.0", "key [GET type offset [GET type offset ...]]", "BITFIELD that only reads"},
    {"PFADD", -2, kStore | kFast, kOneKey, 0, kHyperLogLog, "2.8.9", "key [element ...]", "Add elements to those that are counted; 1 when the estimate may have changed"},
    {"PFCOUNT", -2, kReadonly | kMayReplicate, kAllWords, 0, kHyperLogLog, "2.8.9", "key [key ...]", "About how many different elements were added to any of the keys"},
    {"PFMERGE", -2, kStore, kAllWords, 0, kHyperLogLog, "2.8.9", "target [key ...]", "Add to a key what was added to others"},

    {"EXPIRE", -3, kWrite | kFast, kOneKey, 0, kExpiry, "1.0.0", "key seconds [NX | XX | GT | LT]", "Let a key expire; 1, or 0 when there is no such key"},
    {"PEXPIRE", -3, kWrite | kFast, kOneKey, 0, kExpiry, "2.6.0", "key milliseconds [NX | XX | GT | LT]", "EXPIRE in milliseconds"},
    {"EXPIREAT", -3, kWrite | kFast, kOneKey, 0, kExpiry, "1.2.0", "key time [NX | XX | GT | LT]", "EXPIRE at a time in seconds since 1970"},
    {"PEXPIREAT", -3, kWrite | kFast, kOneKey, 0, kExpiry, "2.6.0", "key time [NX | XX | GT | LT]", "EXPIRE at a time in milliseconds since 1970"},
    {"EXPIRETIME", 2, kReadFast, kOneKey, 0, kExpiry, "7.0.0", "key", "When a key expires, in seconds since 1970; -1, -2 as TTL"},
    {"PEXPIRETIME", 2, kReadFast, kOneKey, 0, kExpiry, "7.0.0", "key", "EXPIRETIME in milliseconds"},
    {"TTL", 2, kReadFast, kOneKey, 0, kExpiry, "1.0.0", "key", "Seconds a key has left; -1 without expiry, -2 without key"},
    {"PTTL", 2, kReadFast, kOneKey, 0, kExpiry, "2.6.0", "key", "TTL in milliseconds"},
    {"PERSIST", 2, kWrite | kFast, kOneKey, 0, kExpiry, "2.2.0", "key", "Take the expiry back; 1, or 0 when there was none"},

    {"COUNT", 1, kReadFast | kAllKeys, kNoKey, 0, kKeyspace, kOwn, "", "Number of keys", JoinKind::kSum},
    {"DBSIZE", 1, kReadFast | kAllKeys, kNoKey, 0, kKeyspace, "1.0.0", "", "COUNT", JoinKind::kSum},
    {"SCAN", -2, kReadonly | kAllKeys, kNoKey, 0, kKeyspace, "2.8.0", "cursor [MATCH glob] [COUNT n] [TYPE type]", "Some keys and a cursor for the next ones; 0 begins and ends", JoinKind::kScan},
    {"RANDOMKEY", 1, kReadonly | kAllKeys, kNoKey, 0, kKeyspace, "1.0.0", "", "Some key", JoinKind::kAny},
    {"KEYS", -1, kReadonly | kAllKeys | kDangerous, kNoKey, 0, kKeyspace, "1.0.0", "[glob]", "The keys that match, one a line", JoinKind::kLists},
    {"VALUES", -1, kReadonly | kAllKeys | kDangerous, kNoKey, 0, kKeyspace, kOwn, "[glob]", "The values of the keys that match", JoinKind::kLists},
    {"PREFSCAN", 2, kReadonly | kAllKeys | kDangerous, kNoKey, 0, kKeyspace, kOwn, "prefix", "The values of the keys that begin so", JoinKind::kLists},
    {"FUZZYSCAN", 2, kReadonly | kAllKeys | kDangerous, kNoKey, 0, kKeyspace, kOwn, "pattern", "The values of the keys that contain the letters in this order", JoinKind::kLists},
    {"KEYSPACE", 1, kReadFast | kAllKeys, kNoKey, 0, kKeyspace, kOwn, "", "Number of keys, and bytes of keys and values", JoinKind::kFields},
    {"FLUSH", 1, kWrite | kAllKeys | kDangerous, kNoKey, 0, kKeyspace, kOwn, "", "Remove all keys of all databases", JoinKind::kAllOk},
    {"FLUSHALL", -1, kWrite | kAllKeys | kDangerous, kNoKey, 0, kKeyspace, "1.0.0", "[ASYNC | SYNC]", "FLUSH", JoinKind::kAllOk},
    {"FLUSHDB", -1, kWrite | kAllKeys | kDangerous, kNoKey, 0, kKeyspace, "1.0.0", "[ASYNC | SYNC]", "Remove all keys of the database", JoinKind::kAllOk},
    {"SWAPDB", 3, kWrite | kFast | kDangerous | kNoMulti | kNoScript, kNoKey, 0, kKeyspace, "4.0.0", "index index", "Give each of two databases the keys of the other"},

    {"MULTI", 1, kAnyTime | kFast | kUnqueued, kNoKey, 0, kTransaction, "1.2.0", "", "Keep the requests that follow for EXEC"},
    {"EXEC", 1, kLoading | kStale | kNoScript | kUnqueued | kEndsMulti, kNoKey, 0, kTransaction, "1.2.0", "", "Execute them as one change; their replies"},
    {"DISCARD", 1, kAnyTime | kFast | kUnqueued, kNoKey, 0, kTransaction, "2.0.0", "", "Forget them"},
    {"WATCH", -2, kAnyTime | kFast | kUnqueued, kAllWords, 0, kTransaction, "2.2.0", "key [key ...]", "Let EXEC do nothing if one of the keys changes until then", JoinKind::kWatch},
    {"UNWATCH", 1, kAnyTime | kFast | kAnywhere, kNoKey, 0, kTransaction, "2.2.0", "", "Forget the watched keys"},

    {"SUBSCRIBE", -2, kSubscribing, kNoKey, 0, kPubSub, "2.0.0", "channel [channel ...]", "Receive the messages published to channels"},
    {"UNSUBSCRIBE", -1, kSubscribing, kNoKey, 0, kPubSub, "2.0.0", "[channel ...]", "End that, for all channels by default"},
    {"PSUBSCRIBE", -2, kSubscribing, kNoKey, 0, kPubSub, "2.0.0", "glob [glob ...]", "Receive the messages to all channels that match"},
    {"PUNSUBSCRIBE", -1, kSubscribing, kNoKey, 0, kPubSub, "2.0.0", "[glob ...]", "End that, for all patterns by default"},
    {"PUBLISH", 3, kPubSubFlag | kPublishes | kLoading | kStale | kFast | kAnywhere, kNoKey, 2, kPubSub, "2.0.0", "channel message", "Send a message; how many clients receive it", JoinKind::kSumOfSome},
    {"SSUBSCRIBE", -2, kSubscribing, kAllWords, 0, kPubSub, "7.0.0", "channel [channel ...]", "Receive the messages published to shard channels"},
    {"SUNSUBSCRIBE", -1, kSubscribing, kAllWords, 0, kPubSub, "7.0.0", "[channel ...]", "End that, for all shard channels by default"},
    {"SPUBLISH", 3, kPubSubFlag | kPublishes | kLoading | kStale | kFast, kOneKey, 2, kPubSub, "7.0.0", "channel message", "Send a message to a shard channel; how many clients receive it", JoinKind::kSumOfSome},
    {"PUBSUB", -2, kContainer, kNoKey, 0, kPubSub, "2.8.0", "subcommand", "About channels; PUBSUB HELP"},
    {"SUB", -2, kSubscribing, kNoKey, 0, kPubSub, kOwn, "key [key ...]", "Receive each new value of keys"},
    {"UNSUB", -1, kSubscribing, kNoKey, 0, kPubSub, kOwn, "[key ...]", "End that, for all keys by default"},

    {"PING", -1, kAllowBusy | kFast | kSubscribedToo | kAnywhere, kNoKey, 1, kConnection, "1.0.0", "[message]", "PONG, or the message"},
    {"ECHO", 2, kFast | kLoading | kStale | kAnywhere, kNoKey, 1, kConnection, "1.0.0", "message", "The message"},
    {"SELECT", 2, kFast | kLoading | kStale | kAnywhere | kSelects, kNoKey, 0, kConnection, "1.0.0", "index", "Work on the keys of this database from now on; 0 at first"},
    {"HELLO", -1, kAllowBusy | kAnyTime | kFast | kNoAuth, kNoKey, 0, kConnection, "6.0.0", "[2 | 3 [AUTH default password] [SETNAME name]]", "The server; the protocol to speak from here on", JoinKind::kNone, Secrets::kBehindAuth},
    {"AUTH", -2, kAllowBusy | kAnyTime | kFast | kNoAuth, kNoKey, 0, kConnection, "1.0.0", "[default] password", "Give the password", JoinKind::kNone, Secrets::kAllWords},
    {"CLIENT", -2, kContainer, kNoKey, 0, kConnection, "2.4.0", "subcommand", "About connections; CLIENT HELP"},
    {"RESET", 1, kAllowBusy | kAnyTime | kSubscribedToo | kFast | kNoAuth | kUnqueued, kNoKey, 0, kConnection, "6.2.0", "", "The connection as it was when it began"},
    {"QUIT", -1, kAllowBusy | kAnyTime | kSubscribedToo | kFast | kNoAuth | kUnqueued, kNoKey, 0, kConnection, "1.0.0", "", "End the connection"},
    {"EXIT", -1, kAllowBusy | kAnyTime | kFast | kNoAuth | kUnqueued, kNoKey, 0, kConnection, kOwn, "", "End the connection"},
    {"COMMAND", -1, kLoading | kStale | kContainer, kNoKey, 0, kConnection, "2.8.13", "[subcommand]", "The commands, for programs; COMMAND HELP"},

    {"EVAL", -3, kScripts, kCountedKeys, 0, kScripting, "2.6.0", "script numkeys [key ...] [argument ...]", "Run a script in Lua, as one change"},
    {"EVALSHA", -3, kScripts, kCountedKeys, 0, kScripting, "2.6.0", "sha1 numkeys [key ...] [argument ...]", "Run a script that the server knows, by the SHA-1 of its text"},
    {"EVAL_RO", -3, kReadingScripts, kCountedKeys, 0, kScripting, "7.0.0", "script numkeys [key ...] [argument ...]", "EVAL of a script that changes nothing"},
    {"EVALSHA_RO", -3, kReadingScripts, kCountedKeys, 0, kScripting, "7.0.0", "sha1 numkeys [key ...] [argument ...]", "EVALSHA of a script that changes nothing"},
    {"SCRIPT", -2, kContainer, kNoKey, 0, kScripting, "2.6.0", "subcommand", "About scripts; SCRIPT HELP"},
    {"FCALL", -3, kScripts, kCountedKeys, 0, kScripting, "7.0.0", "function numkeys [key ...] [argument ...]", "Call a function of a library, as one change"},
    {"FCALL_RO", -3, kReadingScripts, kCountedKeys, 0, kScripting, "7.0.0", "function numkeys [key ...] [argument ...]", "FCALL of a function that changes nothing"},
    {"FUNCTION", -2, kContainer, kNoKey, 0, kScripting, "7.0.0", "subcommand", "About libraries of functions; FUNCTION HELP"},

    {"CLUSTERINFO", 1, kAnyTime, kNoKey, 0, kCluster, kOwn, "", "The cluster's nodes: name, address, slots, state"},
    {"CLUSTER", -2, kContainer, kNoKey, 0, kCluster, "3.0.0", "subcommand", "The cluster, for clients of Redis Cluster; CLUSTER HELP"},
    {"ASKING", 1, kFast, kNoKey, 0, kCluster, "3.0.0", "", "OK; no slot is being moved here"},
    {"READONLY", 1, kLoading | kStale | kFast, kNoKey, 0, kCluster, "3.0.0", "", "OK; there are no replicas to read from"},
    {"READWRITE", 1, kLoading | kStale | kFast, kNoKey, 0, kCluster, "3.0.0", "", "OK"},

    {"INFO", -1, kLoading | kStale | kDangerous, kNoKey, 0, kServer, "1.0.0", "[section ...]", "Figures about the server"},
    {"CONFIG", -2, kContainer, kNoKey, 0, kServer, "2.0.0", "subcommand", "Parameters; CONFIG HELP"},
    {"ROLE", 1, kAnyTime | kFast | kDangerous, kNoKey, 0, kServer, "2.8.12", "", "master; there are no replicas"},
    {"WAIT", 3, kNoScript, kNoKey, 0, kServer, "3.0.0", "replicas timeout", "0, at once: there are no replicas to wait for"},
    {"WAITAOF", 4, kNoScript, kNoKey, 0, kServer, "7.2.0", "local replicas timeout", "Wait until what the client wrote last is on disk: 1, or 0 when the time is over; and 0, the replicas"},
    {"LASTSAVE", 1, kLoading | kStale | kFast, kNoKey, 0, kServer, "1.0.0", "", "When the newest snapshot was complete; without one: when the server started"},
    {"SAVE", 1, kAdmin | kNoScript | kNoMulti, kNoKey, 0, kServer, "1.0.0", "", "Make a snapshot of the data on disk, and wait for it"},
    {"BGSAVE", -1, kAdmin | kNoScript, kNoKey, 0, kServer, "1.0.0", "[SCHEDULE]", "Begin a snapshot of the data on disk"},
    {"BGREWRITEAOF", 1, kAdmin | kNoScript, kNoKey, 0, kServer, "1.0.0", "", "BGSAVE: the journal begins anew behind a snapshot"},
    {"REPLICAOF", 3, kAdmin | kStale | kNoScript, kNoKey, 0, kServer, "5.0.0", "NO ONE", "OK; the server cannot be another's replica"},
    {"SYNC", 1, kAdmin | kNoScript | kNoMulti, kNoKey, 0, kServer, "1.0.0", "", "Refused: there are no replicas, and no file of all keys"},
    {"PSYNC", -3, kAdmin | kNoScript | kNoMulti, kNoKey, 0, kServer, "2.8.0", "replication_id offset", "Refused, as SYNC is"},
    {"REPLCONF", -1, kAdmin | kNoScript | kNoMulti, kNoKey, 0, kServer, "3.0.0", "", "Refused, as SYNC is"},
    {"SLAVEOF", 3, kAdmin | kStale | kNoScript, kNoKey, 0, kServer, "1.0.0", "NO ONE", "REPLICAOF"},
    {"SHUTDOWN", -1, kAdmin | kAnyTime | kNoMulti, kNoKey, 0, kServer, "1.0.0", "[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]", "End the server, SAVE: behind a snapshot; its data stays for the next start"},
    {"MODULE", -2, kContainer, kNoKey, 0, kServer, "4.0.0", "subcommand", "About modules; MODULE HELP"},
    {"MONITOR", 1, kAdmin | kAnyTime, kNoKey, 0, kServer, "1.0.0", "", "Receive every command that any client has executed"},
    {"SLOWLOG", -2, kContainer, kNoKey, 0, kServer, "2.2.12", "subcommand", "Commands that took long; SLOWLOG HELP"},
    {"LATENCY", -2, kContainer, kNoKey, 0, kServer, "2.8.13", "subcommand", "How long commands take; LATENCY HELP"},
    {"TIME", 1, kLoading | kStale | kFast | kAnywhere, kNoKey, 0, kServer, "2.6.0", "", "Seconds since 1970, and microseconds"},
    {"DEBUG", -2, kAdmin | kAnyTime | kDebug | kContainer, kNoKey, 0, kServer, "1.0.0", "subcommand", "For tests; DEBUG HELP"},
    {"LOLWUT", -1, kReadFast | kAnywhere, kNoKey, 0, kServer, "5.0.0", "[VERSION version]", "A picture and the version"},
    {"HELP", -1, kLoading | kStale, kNoKey, 0, kServer, kOwn, "[command]", "The commands, or one of them"},
}), 0);

inline constexpr auto kSubcommands = numbered(std::to_array<Command>({
    {"CLIENT|CACHING", 3, kAnyTime, kNoKey, 0, kConnection, "6.0.0", "YES | NO", "Whether the keys that the next command reads are tracked"},
    {"CLIENT|GETNAME", 2, kAnyTime, kNoKey, 0, kConnection, "2.6.9", "", "The connection's name"},
    {"CLIENT|GETREDIR", 2, kAnyTime, kNoKey, 0, kConnection, "6.0.0", "", "The client that gets this one's invalidations; 0: itself, -1: nothing is tracked"},
    {"CLIENT|HELP", 2, kLoading | kStale, kNoKey, 0, kConnection, "5.0.0", "", "The subcommands"},
    {"CLIENT|ID", 2, kAnyTime, kNoKey, 0, kConnection, "5.0.0", "", "The connection's number"},
    {"CLIENT|INFO", 2, kAnyTime, kNoKey, 0, kConnection, "6.2.0", "", "A line about the connection"},
    {"CLIENT|KILL", -3, kAnyTime | kAdmin | kAsksOthers, kNoKey, 0, kConnection, "2.4.0", "address:port | [ID n] [TYPE type] [ADDR address:port] [LADDR address:port] [USER name] [MAXAGE s] [SKIPME yes | no]", "Close connections; how many"},
    {"CLIENT|LIST", -2, kAnyTime | kAdmin | kAsksOthers, kNoKey, 0, kConnection, "2.4.0", "[TYPE type | ID n [n ...]]", "A line about each connection"},
    {"CLIENT|NO-EVICT", 3, kAnyTime | kAdmin, kNoKey, 0, kConnection, "7.0.0", "ON | OFF", "Mark the connection; no connection is evicted here"},
    {"CLIENT|NO-TOUCH", 3, kAnyTime, kNoKey, 0, kConnection, "7.2.0", "ON | OFF", "Mark the connection; reading changes no key's age here"},
    {"CLIENT|PAUSE", -3, kAnyTime | kAdmin, kNoKey, 0, kConnection, "3.0.0", "milliseconds [WRITE | ALL]", "Let all clients' commands wait, or those that write"},
    {"CLIENT|REPLY", 3, kAnyTime | kNoMulti, kNoKey, 0, kConnection, "3.2.0", "ON | OFF | SKIP", "Whether requests are answered"},
    {"CLIENT|SETINFO", 4, kAnyTime, kNoKey, 0, kConnection, "7.2.0", "LIB-NAME name | LIB-VER version", "Name the client's library"},
    {"CLIENT|SETNAME", 3, kAnyTime, kNoKey, 0, kConnection, "2.6.9", "name", "Name the connection"},
    {"CLIENT|TRACKING", -3, kAnyTime | kNoMulti, kNoKey, 0, kConnection, "6.0.0", "ON | OFF [REDIRECT id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]", "Be told when keys that were read are changed"},
    {"CLIENT|TRACKINGINFO", 2, kAnyTime, kNoKey, 0, kConnection, "6.2.0", "", "What CLIENT TRACKING has set"},
    {"CLIENT|UNBLOCK", -3, kAnyTime | kAdmin, kNoKey, 0, kConnection, "5.0.0", "id [TIMEOUT | ERROR]", "0: no client waits for others here"},
    {"CLIENT|UNPAUSE", 2, kAnyTime | kAdmin, kNoKey, 0, kConnection, "6.2.0", "", "End CLIENT PAUSE"},

    {"CLUSTER|COUNTKEYSINSLOT", 3, kStale | kSeesOthers, kNoKey, 0, kCluster, "3.0.0", "slot", "How many of this node's keys are in one of 16384 slots"},
    {"CLUSTER|GETKEYSINSLOT", 4, kStale | kSeesOthers, kNoKey, 0, kCluster, "3.0.0", "slot count", "Some of them"},
    {"CLUSTER|HELP", 2, kLoading | kStale, kNoKey, 0, kCluster, "5.0.0", "", "The subcommands"},
    {"CLUSTER|INFO", 2, kStale, kNoKey, 0, kCluster, "3.0.0", "", "Figures about the cluster"},
    {"CLUSTER|KEYSLOT", 3, kStale, kNoKey, 0, kCluster, "3.0.0", "key", "The key's slot, of 16384"},
    {"CLUSTER|LINKS", 2, kStale, kNoKey, 0, kCluster, "7.0.0", "", "The links to other nodes and from them"},
    {"CLUSTER|MYID", 2, kStale, kNoKey, 0, kCluster, "3.0.0", "", "This node's id"},
    {"CLUSTER|MYSHARDID", 2, kStale, kNoKey, 0, kCluster, "7.2.0", "", "The same; a shard is one node"},
    {"CLUSTER|NODES", 2, kStale, kNoKey, 0, kCluster, "3.0.0", "", "The nodes, a line each"},
    {"CLUSTER|RANDOMKEY", 2, kReadonly | kStale | kSeesOthers, kNoKey, 0, kCluster, kOwn, "", "How many keys this node has, and one of them"},
    {"CLUSTER|SHARDS", 2, kLoading | kStale, kNoKey, 0, kCluster, "7.0.0", "", "The nodes and their slots"},
    {"CLUSTER|SLOTS", 2, kLoading | kStale, kNoKey, 0, kCluster, "3.0.0", "", "Ranges of slots and their nodes"},

    {"COMMAND|COUNT", 2, kLoading | kStale, kNoKey, 0, kConnection, "2.8.13", "", "How many commands there are"},
    {"COMMAND|DOCS", -2, kLoading | kStale, kNoKey, 0, kConnection, "7.0.0", "[command ...]", "What commands are for"},
    {"COMMAND|GETKEYS", -3, kLoading | kStale, kNoKey, 0, kConnection, "2.8.13", "command [argument ...]", "The keys in a request"},
    {"COMMAND|GETKEYSANDFLAGS", -3, kLoading | kStale, kNoKey, 0, kConnection, "7.0.0", "command [argument ...]", "The keys in a request, and what it does to each"},
    {"COMMAND|HELP", 2, kLoading | kStale, kNoKey, 0, kConnection, "5.0.0", "", "The subcommands"},
    {"COMMAND|INFO", -2, kLoading | kStale, kNoKey, 0, kConnection, "2.8.13", "[command ...]", "Arity, flags and keys of commands"},
    {"COMMAND|LIST", -2, kLoading | kStale, kNoKey, 0, kConnection, "7.0.0", "[FILTERBY PATTERN glob | ACLCAT category | MODULE name]", "Names of commands"},

    {"CONFIG|GET", -3, kAdmin | kAnyTime, kNoKey, 0, kServer, "2.0.0", "glob [glob ...]", "Parameters and their values"},
    {"CONFIG|HELP", 2, kLoading | kStale, kNoKey, 0, kServer, "5.0.0", "", "The subcommands"},
    {"CONFIG|RESETSTAT", 2, kAdmin | kAnyTime, kNoKey, 0, kServer, "2.0.0", "", "Let INFO's counters begin again"},
    {"CONFIG|REWRITE", 2, kAdmin | kAnyTime | kNoMulti, kNoKey, 0, kServer, "2.8.0", "", "Write what CONFIG SET changed into the configuration file"},
    {"CONFIG|SET", -4, kAdmin | kAnyTime, kNoKey, 0, kServer, "2.0.0", "parameter value [parameter value ...]", "Change parameters; CONFIG REWRITE keeps them", JoinKind::kNone, Secrets::kPasswordValues},

    {"DEBUG|HELP", 2, kAdmin | kAnyTime | kDebug, kNoKey, 0, kServer, "1.0.0", "", "The subcommands"},
    {"DEBUG|OBJECT", 3, kAdmin | kAnyTime | kDebug, kSecondWord, 0, kServer, "1.0.0", "key", "What is known of a key's value"},
    {"DEBUG|PROTOCOL", 3, kAdmin | kAnyTime | kDebug, kNoKey, 0, kServer, "6.0.0", "string | integer | double | null | array | set | map | attrib | push | verbatim | true | false | bignum", "A reply of that type, for tests of clients"},
    {"DEBUG|SET-ACTIVE-EXPIRE", 3, kAdmin | kAnyTime | kDebug, kNoKey, 0, kServer, "2.8.0", "0 | 1", "Whether keys that have expired are removed in the background"},
    {"DEBUG|SLEEP", 3, kAdmin | kAnyTime | kDebug, kNoKey, 0, kServer, "1.0.0", "seconds", "Stop the worker for a while"},

    {"LATENCY|DOCTOR", 2, kAdmin | kAnyTime, kNoKey, 0, kServer, "2.8.13", "", "What the samples say, in words"},
    {"LATENCY|HELP", 2, kLoading | kStale, kNoKey, 0, kServer, "2.8.13", "", "The subcommands"},
    {"LATENCY|HISTOGRAM", -2, kAdmin | kAnyTime, kNoKey, 0, kServer, "7.0.0", "[command ...]", "How many calls took how long"},
    {"LATENCY|HISTORY", 3, kAdmin | kAnyTime, kNoKey, 0, kServer, "2.8.13", "event", "Times and milliseconds of an event's samples"},
    {"LATENCY|LATEST", 2, kAdmin | kAnyTime, kNoKey, 0, kServer, "2.8.13", "", "The latest and the longest sample of each event"},
    {"LATENCY|RESET", -2, kAdmin | kAnyTime, kNoKey, 0, kServer, "2.8.13", "[event ...]", "Forget the samples of events, all by default"},

    {"MEMORY|DOCTOR", 2, 0, kNoKey, 0, kServer, "4.0.0", "", "What the figures about memory say, in words"},
    {"MEMORY|HELP", 2, kLoading | kStale, kNoKey, 0, kServer, "4.0.0", "", "The subcommands"},
    {"MEMORY|MALLOC-STATS", 2, 0, kNoKey, 0, kServer, "4.0.0", "", "What the worker's heap holds"},
    {"MEMORY|PURGE", 2, 0, kNoKey, 0, kServer, "4.0.0", "", "Give what the worker's heap does not use back to the system"},
    {"MEMORY|STATS", 2, 0, kNoKey, 0, kServer, "4.0.0", "", "Figures about memory"},
    {"MEMORY|USAGE", -3, kReadonly, kSecondWord, 0, kServer, "4.0.0", "key [SAMPLES count]", "Bytes that a key and its value take"},

    {"MODULE|HELP", 2, kLoading | kStale, kNoKey, 0, kServer, "5.0.0", "", "The subcommands"},
    {"MODULE|LIST", 2, kAdmin | kNoScript, kNoKey, 0, kServer, "4.0.0", "", "An empty list: there are no modules"},

    {"PUBSUB|CHANNELS", -2, kPubSubFlag | kLoading | kStale, kNoKey, 0, kPubSub, "2.8.0", "[glob]", "Channels that somebody subscribes to"},
    {"PUBSUB|HELP", 2, kLoading | kStale, kNoKey, 0, kPubSub, "6.2.0", "", "The subcommands"},
    {"PUBSUB|NUMPAT", 2, kPubSubFlag | kLoading | kStale, kNoKey, 0, kPubSub, "2.8.0", "", "How many patterns are subscribed to"},
    {"PUBSUB|SHARDCHANNELS", -2, kPubSubFlag | kLoading | kStale, kNoKey, 0, kPubSub, "7.0.0", "[glob]", "Shard channels that somebody subscribes to"},
    {"PUBSUB|SHARDNUMSUB", -2, kPubSubFlag | kLoading | kStale, kNoKey, 0, kPubSub, "7.0.0", "[channel ...]", "How many clients subscribe to shard channels"},
    {"PUBSUB|NUMSUB", -2, kPubSubFlag | kLoading | kStale, kNoKey, 0, kPubSub, "2.8.0", "[channel ...]", "How many clients subscribe to channels"},

    {"FUNCTION|DELETE", 3, kNoScript | kAllKeys, kNoKey, 0, kScripting, "7.0.0", "library", "Remove a library", JoinKind::kAllOk},
    {"FUNCTION|DUMP", 2, kNoScript, kNoKey, 0, kScripting, "7.0.0", "", "All libraries as bytes, for FUNCTION RESTORE"},
    {"FUNCTION|FLUSH", -2, kNoScript | kAllKeys, kNoKey, 0, kScripting, "7.0.0", "[ASYNC | SYNC]", "Remove all libraries", JoinKind::kAllOk},
    {"FUNCTION|HELP", 2, kLoading | kStale, kNoKey, 0, kScripting, "7.0.0", "", "The subcommands"},
    {"FUNCTION|KILL", 2, kNoScript | kAllowBusy, kNoKey, 0, kScripting, "7.0.0", "", "Stop functions that have been running for a while"},
    {"FUNCTION|LIST", -2, kNoScript, kNoKey, 0, kScripting, "7.0.0", "[LIBRARYNAME pattern] [WITHCODE]", "The libraries with their functions"},
    {"FUNCTION|LOAD", -3, kNoScript | kAllKeys, kNoKey, 0, kScripting, "7.0.0", "[REPLACE] code", "Take a library of functions; its name", JoinKind::kSame},
    {"FUNCTION|RESTORE", -3, kNoScript | kAllKeys, kNoKey, 0, kScripting, "7.0.0", "payload [FLUSH | APPEND | REPLACE]", "Take the libraries that FUNCTION DUMP gave", JoinKind::kAllOk},
    {"FUNCTION|STATS", 2, kNoScript | kAllowBusy, kNoKey, 0, kScripting, "7.0.0", "", "How many libraries and functions there are; how long one has been running"},

    {"SCRIPT|DEBUG", 3, kNoScript | kNoMulti, kNoKey, 0, kScripting, "3.2.0", "NO", "OK; there is no debugger of scripts"},
    {"SCRIPT|EXISTS", -3, kNoScript, kNoKey, 0, kScripting, "2.6.0", "sha1 [sha1 ...]", "Which scripts the server knows"},
    {"SCRIPT|FLUSH", -2, kNoScript | kAllNodes, kNoKey, 0, kScripting, "2.6.0", "[ASYNC | SYNC]", "Forget all scripts", JoinKind::kAllOk},
    {"SCRIPT|HELP", 2, kLoading | kStale, kNoKey, 0, kScripting, "5.0.0", "", "The subcommands"},
    {"SCRIPT|KILL", 2, kNoScript | kAllowBusy, kNoKey, 0, kScripting, "2.6.0", "", "Stop scripts that have been running for a while"},
    {"SCRIPT|LOAD", 3, kNoScript | kStale | kAllNodes, kNoKey, 0, kScripting, "2.6.0", "script", "Let the server know a script; its SHA-1", JoinKind::kSame},
    {"SCRIPT|SHOW", 3, kNoScript, kNoKey, 0, kScripting, "8.0.0", "sha1", "A script's text"},

    {"OBJECT|ENCODING", 3, kReadonly, kSecondWord, 0, kKeys, "2.2.3", "key", "int, embstr or raw, by the value"},
    {"OBJECT|FREQ", 3, kReadonly, kSecondWord, 0, kKeys, "4.0.0", "key", "Refused: frequencies of use are not kept"},
    {"OBJECT|HELP", 2, kLoading | kStale, kNoKey, 0, kKeys, "6.2.0", "", "The subcommands"},
    {"OBJECT|IDLETIME", 3, kReadonly, kSecondWord, 0, kKeys, "2.2.3", "key", "Seconds since the key was stored"},
    {"OBJECT|REFCOUNT", 3, kReadonly, kSecondWord, 0, kKeys, "2.2.3", "key", "1"},

    {"SLOWLOG|GET", -2, kAdmin | kLoading | kStale, kNoKey, 0, kServer, "2.2.12", "[count]", "The newest lines, 10 by default; -1: all"},
    {"SLOWLOG|HELP", 2, kLoading | kStale, kNoKey, 0, kServer, "6.2.0", "", "The subcommands"},
    {"SLOWLOG|LEN", 2, kAdmin | kLoading | kStale, kNoKey, 0, kServer, "2.2.12", "", "How many lines there are"},
    {"SLOWLOG|RESET", 2, kAdmin | kLoading | kStale, kNoKey, 0, kServer, "2.2.12", "", "Forget the lines"},
}), kCommands.size());
// clang-format on

}  // namespace command_rows
}  // namespace memento
