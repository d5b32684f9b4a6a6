// The rows of the command table; what a row's columns mean is in command.h, what they are read for in command_table.h.
#include <array>

#include "conf/statistics.h"
#include "worker/command/command_table.h"
#include "worker/handlers/handlers.h"

namespace memento {
namespace {

using enum CommandGroup;

constexpr KeyPositions kNoKey{};
constexpr KeyPositions kOneKey{1, 1, 1};
constexpr KeyPositions kTwoKeys{1, 2, 1};
constexpr KeyPositions kAllWords{1, -1, 1};
constexpr KeyPositions kPairs{1, -1, 2};
constexpr KeyPositions kSecondWord{2, 2, 1};

constexpr std::uint32_t kReadFast = kReadonly | kFast;
constexpr std::uint32_t kStore = kWrite | kDenyOom;
constexpr std::uint32_t kAnyTime = kLoading | kStale | kNoScript;
constexpr std::uint32_t kSubscribing = kPubSubFlag | kAnyTime | kSubscribedToo;
constexpr const char* kOwn = "memento";  // a command Redis does not have

template <std::size_t count>
constexpr std::array<Command, count> with_marks(std::array<Command, count> commands) {
  for (Command& command : commands) {
    if (command.is_plain()) command.flags |= kPlain;
  }
  return commands;
}

// name, arity, flags, keys, rest of line, handler, group, since, arguments, summary, and where that is not nothing:
// how a cluster joins replies, which words are secrets
constexpr auto kCommands = with_marks(std::to_array<Command>({
    {"SET", -3, kStore, kOneKey, 2, handlers::set, kString, "1.0.0", "key value [NX | XX] [GET] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL]", "Store a value; in the text protocol the rest of the line is the value"},
    {"GET", 2, kReadFast, kOneKey, 0, handlers::get, kString, "1.0.0", "key", "The key's value"},
    {"GETP", 2, kReadFast, kOneKey, 0, handlers::getp, kString, kOwn, "key", "Value, creation time and expiry of a key"},
    {"GETEX", -2, kWrite | kFast, kOneKey, 0, handlers::getex, kString, "6.2.0", "key [EX s | PX ms | EXAT s | PXAT ms | PERSIST]", "The key's value; set its expiry"},
    {"GETDEL", 2, kWrite | kFast, kOneKey, 0, handlers::getdel, kString, "6.2.0", "key", "The key's value; remove the key"},
    {"GETSET", 3, kStore | kFast, kOneKey, 2, handlers::getset, kString, "1.0.0", "key value", "Store a value; the one before"},
    {"SETNX", 3, kStore | kFast, kOneKey, 2, handlers::setnx, kString, "1.0.0", "key value", "Store a value if there is none; 1, or 0"},
    {"SETEX", 4, kStore, kOneKey, 3, handlers::setex, kString, "2.0.0", "key seconds value", "Store a value that expires"},
    {"PSETEX", 4, kStore, kOneKey, 3, handlers::psetex, kString, "2.6.0", "key milliseconds value", "Store a value that expires"},
    {"MGET", -2, kReadFast, kAllWords, 0, handlers::mget, kString, "1.0.0", "key [key ...]", "The values of several keys as of one instant", JoinKind::kElements},
    {"MSET", -3, kStore, kPairs, 0, handlers::mset, kString, "1.0.1", "key value [key value ...]", "Store several values at once", JoinKind::kAllOk},
    {"MSETNX", -3, kStore, kPairs, 0, handlers::msetnx, kString, "1.0.1", "key value [key value ...]", "MSET if none of the keys is there; 1, or 0"},
    {"APPEND", 3, kStore | kFast, kOneKey, 2, handlers::append, kString, "2.0.0", "key value", "Add to a value's end; its new length"},
    {"PREPEND", 3, kStore | kFast, kOneKey, 2, handlers::prepend, kString, kOwn, "key value", "Add to a value's beginning; its new length"},
    {"STRLEN", 2, kReadFast, kOneKey, 0, handlers::strlen, kString, "2.2.0", "key", "A value's length in bytes"},
    {"GETRANGE", 4, kReadonly, kOneKey, 0, handlers::getrange, kString, "2.4.0", "key start end", "Part of a value"},
    {"SUBSTR", 4, kReadonly, kOneKey, 0, handlers::getrange, kString, "1.0.0", "key start end", "GETRANGE's old name"},
    {"SETRANGE", 4, kStore, kOneKey, 3, handlers::setrange, kString, "2.2.0", "key offset value", "Overwrite part of a value; its new length"},
    {"LCS", -3, kReadonly, kTwoKeys, 0, handlers::lcs, kString, "7.0.0", "key key [LEN] [IDX] [MINMATCHLEN n] [WITHMATCHLEN]", "The longest subsequence that two values share"},
    {"DEL", -2, kWrite, kAllWords, 0, handlers::del, kKeys, "1.0.0", "key [key ...]", "Remove keys; how many were there", JoinKind::kSum},
    {"UNLINK", -2, kWrite | kFast, kAllWords, 0, handlers::del, kKeys, "4.0.0", "key [key ...]", "DEL", JoinKind::kSum},
    {"EXISTS", -2, kReadFast, kAllWords, 0, handlers::exists, kKeys, "1.0.0", "key [key ...]", "How many of the keys are there", JoinKind::kSum},
    {"TOUCH", -2, kReadFast, kAllWords, 0, handlers::exists, kKeys, "3.2.1", "key [key ...]", "EXISTS", JoinKind::kSum},
    {"TYPE", 2, kReadFast, kOneKey, 0, handlers::type, kKeys, "1.0.0", "key", "string, or none"},
    {"RENAME", 3, kWrite, kTwoKeys, 0, handlers::rename, kKeys, "1.0.0", "key newkey", "Move a value with its expiry to another key"},
    {"RENAMENX", 3, kWrite | kFast, kTwoKeys, 0, handlers::renamenx, kKeys, "1.0.0", "key newkey", "RENAME if newkey is not there; 1, or 0"},
    {"COPY", -3, kStore, kTwoKeys, 0, handlers::copy, kKeys, "6.2.0", "source destination [DB 0] [REPLACE]", "Copy a value with its expiry; 1, or 0"},
    {"DUMP", 2, kReadonly, kOneKey, 0, handlers::dump, kKeys, "2.6.0", "key", "A value as bytes for RESTORE"},
    {"RESTORE", -4, kStore | kDangerous, kOneKey, 0, handlers::restore, kKeys, "2.6.0", "key ttl payload [REPLACE] [ABSTTL]", "Store what DUMP gave"},
    {"OBJECT", -2, kContainer, kNoKey, 0, handlers::no_subcommand, kKeys, "2.2.3", "subcommand", "About a key's value; OBJECT HELP"},
    {"MEMORY", -2, kContainer, kNoKey, 0, handlers::no_subcommand, kKeys, "4.0.0", "subcommand", "About memory; MEMORY HELP"},

    {"INC", -2, kStore | kFast, kOneKey, 0, handlers::inc, kNumber, kOwn, "key [quantity]", "Add an integer, 1 by default; the new number"},
    {"DEC", -2, kStore | kFast, kOneKey, 0, handlers::dec, kNumber, kOwn, "key [quantity]", "Subtract an integer, 1 by default; the new number"},
    {"INCF", -2, kStore | kFast, kOneKey, 0, handlers::incf, kNumber, kOwn, "key [quantity]", "Add a decimal number, 1.0 by default; the new number"},
    {"DECF", -2, kStore | kFast, kOneKey, 0, handlers::decf, kNumber, kOwn, "key [quantity]", "Subtract a decimal number, 1.0 by default; the new number"},
    {"INCR", 2, kStore | kFast, kOneKey, 0, handlers::incr, kNumber, "1.0.0", "key", "Add 1; the new number"},
    {"DECR", 2, kStore | kFast, kOneKey, 0, handlers::decr, kNumber, "1.0.0", "key", "Subtract 1; the new number"},
    {"INCRBY", 3, kStore | kFast, kOneKey, 0, handlers::incrby, kNumber, "1.0.0", "key quantity", "Add an integer; the new number"},
    {"DECRBY", 3, kStore | kFast, kOneKey, 0, handlers::decrby, kNumber, "1.0.0", "key quantity", "Subtract an integer; the new number"},
    {"INCRBYFLOAT", 3, kStore | kFast, kOneKey, 0, handlers::incrbyfloat, kNumber, "2.6.0", "key quantity", "Add a decimal number; the new number"},

    {"GETBIT", 3, kReadFast, kOneKey, 0, handlers::getbit, kBits, "2.2.0", "key offset", "A bit of a value"},
    {"SETBIT", 4, kStore, kOneKey, 0, handlers::setbit, kBits, "2.2.0", "key offset bit", "Set a bit of a value; what it was"},
    {"BITCOUNT", -2, kReadonly, kOneKey, 0, handlers::bitcount, kBits, "2.6.0", "key [start end [BYTE | BIT]]", "How many bits are 1"},
    {"BITPOS", -3, kReadonly, kOneKey, 0, handlers::bitpos, kBits, "2.8.7", "key bit [start [end [BYTE | BIT]]]", "The first bit that is 0 or 1"},

    {"EXPIRE", -3, kWrite | kFast, kOneKey, 0, handlers::expire, kExpiry, "1.0.0", "key seconds [NX | XX | GT | LT]", "Let a key expire; 1, or 0 when there is no such key"},
    {"PEXPIRE", -3, kWrite | kFast, kOneKey, 0, handlers::pexpire, kExpiry, "2.6.0", "key milliseconds [NX | XX | GT | LT]", "EXPIRE in milliseconds"},
    {"EXPIREAT", -3, kWrite | kFast, kOneKey, 0, handlers::expireat, kExpiry, "1.2.0", "key time [NX | XX | GT | LT]", "EXPIRE at a time in seconds since 1970"},
    {"PEXPIREAT", -3, kWrite | kFast, kOneKey, 0, handlers::pexpireat, kExpiry, "2.6.0", "key time [NX | XX | GT | LT]", "EXPIRE at a time in milliseconds since 1970"},
    {"EXPIRETIME", 2, kReadFast, kOneKey, 0, handlers::expiretime, kExpiry, "7.0.0", "key", "When a key expires, in seconds since 1970; -1, -2 as TTL"},
    {"PEXPIRETIME", 2, kReadFast, kOneKey, 0, handlers::pexpiretime, kExpiry, "7.0.0", "key", "EXPIRETIME in milliseconds"},
    {"TTL", 2, kReadFast, kOneKey, 0, handlers::ttl, kExpiry, "1.0.0", "key", "Seconds a key has left; -1 without expiry, -2 without key"},
    {"PTTL", 2, kReadFast, kOneKey, 0, handlers::pttl, kExpiry, "2.6.0", "key", "TTL in milliseconds"},
    {"PERSIST", 2, kWrite | kFast, kOneKey, 0, handlers::persist, kExpiry, "2.2.0", "key", "Take the expiry back; 1, or 0 when there was none"},

    {"COUNT", 1, kReadFast | kAllKeys, kNoKey, 0, handlers::count, kKeyspace, kOwn, "", "Number of keys", JoinKind::kSum},
    {"DBSIZE", 1, kReadFast | kAllKeys, kNoKey, 0, handlers::count, kKeyspace, "1.0.0", "", "COUNT", JoinKind::kSum},
    {"SCAN", -2, kReadonly | kAllKeys, kNoKey, 0, handlers::scan, kKeyspace, "2.8.0", "cursor [MATCH glob] [COUNT n] [TYPE type]", "Some keys and a cursor for the next ones; 0 begins and ends", JoinKind::kScan},
    {"RANDOMKEY", 1, kReadonly | kAllKeys, kNoKey, 0, handlers::randomkey, kKeyspace, "1.0.0", "", "Some key", JoinKind::kAny},
    {"KEYS", -1, kReadonly | kAllKeys | kDangerous, kNoKey, 0, handlers::keys, kKeyspace, "1.0.0", "[glob]", "The keys that match, one a line", JoinKind::kLists},
    {"VALUES", -1, kReadonly | kAllKeys | kDangerous, kNoKey, 0, handlers::values, kKeyspace, kOwn, "[glob]", "The values of the keys that match", JoinKind::kLists},
    {"PREFSCAN", 2, kReadonly | kAllKeys | kDangerous, kNoKey, 0, handlers::prefscan, kKeyspace, kOwn, "prefix", "The values of the keys that begin so", JoinKind::kLists},
    {"FUZZYSCAN", 2, kReadonly | kAllKeys | kDangerous, kNoKey, 0, handlers::fuzzyscan, kKeyspace, kOwn, "pattern", "The values of the keys that contain the letters in this order", JoinKind::kLists},
    {"KEYSPACE", 1, kReadFast | kAllKeys, kNoKey, 0, handlers::keyspace, kKeyspace, kOwn, "", "Number of keys, and bytes of keys and values", JoinKind::kFields},
    {"FLUSH", 1, kWrite | kAllKeys | kDangerous, kNoKey, 0, handlers::flush, kKeyspace, kOwn, "", "Remove all keys", JoinKind::kAllOk},
    {"FLUSHALL", -1, kWrite | kAllKeys | kDangerous, kNoKey, 0, handlers::flushall, kKeyspace, "1.0.0", "[ASYNC | SYNC]", "FLUSH", JoinKind::kAllOk},
    {"FLUSHDB", -1, kWrite | kAllKeys | kDangerous, kNoKey, 0, handlers::flushall, kKeyspace, "1.0.0", "[ASYNC | SYNC]", "FLUSH", JoinKind::kAllOk},

    {"MULTI", 1, kAnyTime | kFast | kUnqueued, kNoKey, 0, handlers::multi, kTransaction, "1.2.0", "", "Keep the requests that follow for EXEC"},
    {"EXEC", 1, kLoading | kStale | kNoScript | kUnqueued | kEndsMulti, kNoKey, 0, handlers::exec, kTransaction, "1.2.0", "", "Execute them as one change; their replies"},
    {"DISCARD", 1, kAnyTime | kFast | kUnqueued, kNoKey, 0, handlers::discard, kTransaction, "2.0.0", "", "Forget them"},
    {"WATCH", -2, kAnyTime | kFast | kUnqueued, kAllWords, 0, handlers::watch, kTransaction, "2.2.0", "key [key ...]", "Let EXEC do nothing if one of the keys changes until then", JoinKind::kWatch},
    {"UNWATCH", 1, kAnyTime | kFast | kAnywhere, kNoKey, 0, handlers::unwatch, kTransaction, "2.2.0", "", "Forget the watched keys"},

    {"SUBSCRIBE", -2, kSubscribing, kNoKey, 0, handlers::subscribe, kPubSub, "2.0.0", "channel [channel ...]", "Receive the messages published to channels"},
    {"UNSUBSCRIBE", -1, kSubscribing, kNoKey, 0, handlers::unsubscribe, kPubSub, "2.0.0", "[channel ...]", "End that, for all channels by default"},
    {"PSUBSCRIBE", -2, kSubscribing, kNoKey, 0, handlers::psubscribe, kPubSub, "2.0.0", "glob [glob ...]", "Receive the messages to all channels that match"},
    {"PUNSUBSCRIBE", -1, kSubscribing, kNoKey, 0, handlers::punsubscribe, kPubSub, "2.0.0", "[glob ...]", "End that, for all patterns by default"},
    {"PUBLISH", 3, kPubSubFlag | kPublishes | kLoading | kStale | kFast | kAnywhere, kNoKey, 2, handlers::publish, kPubSub, "2.0.0", "channel message", "Send a message; how many clients receive it", JoinKind::kSumOfSome},
    {"SSUBSCRIBE", -2, kSubscribing, kAllWords, 0, handlers::ssubscribe, kPubSub, "7.0.0", "channel [channel ...]", "Receive the messages published to shard channels"},
    {"SUNSUBSCRIBE", -1, kSubscribing, kAllWords, 0, handlers::sunsubscribe, kPubSub, "7.0.0", "[channel ...]", "End that, for all shard channels by default"},
    {"SPUBLISH", 3, kPubSubFlag | kPublishes | kLoading | kStale | kFast, kOneKey, 2, handlers::spublish, kPubSub, "7.0.0", "channel message", "Send a message to a shard channel; how many clients receive it", JoinKind::kSumOfSome},
    {"PUBSUB", -2, kContainer, kNoKey, 0, handlers::no_subcommand, kPubSub, "2.8.0", "subcommand", "About channels; PUBSUB HELP"},
    {"SUB", -2, kSubscribing, kNoKey, 0, handlers::sub, kPubSub, kOwn, "key [key ...]", "Receive each new value of keys"},
    {"UNSUB", -1, kSubscribing, kNoKey, 0, handlers::unsub, kPubSub, kOwn, "[key ...]", "End that, for all keys by default"},

    {"PING", -1, kFast | kSubscribedToo | kAnywhere, kNoKey, 1, handlers::ping, kConnection, "1.0.0", "[message]", "PONG, or the message"},
    {"ECHO", 2, kFast | kLoading | kStale | kAnywhere, kNoKey, 1, handlers::echo, kConnection, "1.0.0", "message", "The message"},
    {"SELECT", 2, kFast | kLoading | kStale | kAnywhere, kNoKey, 0, handlers::select, kConnection, "1.0.0", "index", "There is one keyspace, 0"},
    {"HELLO", -1, kAnyTime | kFast | kNoAuth, kNoKey, 0, handlers::hello, kConnection, "6.0.0", "[2 | 3 [AUTH default password] [SETNAME name]]", "The server; the protocol to speak from here on", JoinKind::kNone, Secrets::kBehindAuth},
    {"AUTH", -2, kAnyTime | kFast | kNoAuth, kNoKey, 0, handlers::auth, kConnection, "1.0.0", "[default] password", "Give the password", JoinKind::kNone, Secrets::kAllWords},
    {"CLIENT", -2, kContainer, kNoKey, 0, handlers::no_subcommand, kConnection, "2.4.0", "subcommand", "About connections; CLIENT HELP"},
    {"RESET", 1, kAnyTime | kSubscribedToo | kFast | kNoAuth | kUnqueued, kNoKey, 0, handlers::reset, kConnection, "6.2.0", "", "The connection as it was when it began"},
    {"QUIT", -1, kAnyTime | kSubscribedToo | kFast | kNoAuth | kUnqueued, kNoKey, 0, handlers::quit, kConnection, "1.0.0", "", "End the connection"},
    {"EXIT", -1, kAnyTime | kFast | kNoAuth | kUnqueued, kNoKey, 0, handlers::quit, kConnection, kOwn, "", "End the connection"},
    {"COMMAND", -1, kLoading | kStale | kContainer, kNoKey, 0, handlers::command_all, kConnection, "2.8.13", "[subcommand]", "The commands, for programs; COMMAND HELP"},

    {"CLUSTERINFO", 1, kAnyTime, kNoKey, 0, handlers::clusterinfo, kCluster, kOwn, "", "The cluster's nodes: name, address, slots, state"},
    {"CLUSTER", -2, kContainer, kNoKey, 0, handlers::no_subcommand, kCluster, "3.0.0", "subcommand", "The cluster, for clients of Redis Cluster; CLUSTER HELP"},
    {"ASKING", 1, kFast, kNoKey, 0, handlers::cluster_ok, kCluster, "3.0.0", "", "OK; no slot is being moved here"},
    {"READONLY", 1, kLoading | kStale | kFast, kNoKey, 0, handlers::cluster_ok, kCluster, "3.0.0", "", "OK; there are no replicas to read from"},
    {"READWRITE", 1, kLoading | kStale | kFast, kNoKey, 0, handlers::cluster_ok, kCluster, "3.0.0", "", "OK"},

    {"INFO", -1, kLoading | kStale | kDangerous, kNoKey, 0, handlers::info, kServer, "1.0.0", "[section ...]", "Figures about the server"},
    {"CONFIG", -2, kContainer, kNoKey, 0, handlers::no_subcommand, kServer, "2.0.0", "subcommand", "Parameters; CONFIG HELP"},
    {"MONITOR", 1, kAdmin | kAnyTime, kNoKey, 0, handlers::monitor, kServer, "1.0.0", "", "Receive every command that any client has executed"},
    {"SLOWLOG", -2, kContainer, kNoKey, 0, handlers::no_subcommand, kServer, "2.2.12", "subcommand", "Commands that took long; SLOWLOG HELP"},
    {"LATENCY", -2, kContainer, kNoKey, 0, handlers::no_subcommand, kServer, "2.8.13", "subcommand", "How long commands take; LATENCY HELP"},
    {"TIME", 1, kLoading | kStale | kFast | kAnywhere, kNoKey, 0, handlers::time, kServer, "2.6.0", "", "Seconds since 1970, and microseconds"},
    {"DEBUG", -2, kAdmin | kAnyTime | kDebug | kContainer, kNoKey, 0, handlers::no_subcommand, kServer, "1.0.0", "subcommand", "For tests; DEBUG HELP"},
    {"LOLWUT", -1, kReadFast | kAnywhere, kNoKey, 0, handlers::lolwut, kServer, "5.0.0", "[VERSION version]", "A picture and the version"},
    {"HELP", -1, kLoading | kStale, kNoKey, 0, handlers::help, kServer, kOwn, "[command]", "The commands, or one of them"},
}));

constexpr Command kSubcommands[] = {
    {"CLIENT|GETNAME", 2, kAnyTime, kNoKey, 0, handlers::client_getname, kConnection, "2.6.9", "", "The connection's name"},
    {"CLIENT|HELP", 2, kLoading | kStale, kNoKey, 0, handlers::subcommand_help, kConnection, "5.0.0", "", "The subcommands"},
    {"CLIENT|ID", 2, kAnyTime, kNoKey, 0, handlers::client_id, kConnection, "5.0.0", "", "The connection's number"},
    {"CLIENT|INFO", 2, kAnyTime, kNoKey, 0, handlers::client_info, kConnection, "6.2.0", "", "A line about the connection"},
    {"CLIENT|KILL", -3, kAnyTime | kAdmin | kAsksOthers, kNoKey, 0, handlers::client_kill, kConnection, "2.4.0", "address:port | [ID n] [TYPE type] [ADDR address:port] [LADDR address:port] [USER name] [MAXAGE s] [SKIPME yes | no]", "Close connections; how many"},
    {"CLIENT|LIST", -2, kAnyTime | kAdmin | kAsksOthers, kNoKey, 0, handlers::client_list, kConnection, "2.4.0", "[TYPE type | ID n [n ...]]", "A line about each connection"},
    {"CLIENT|NO-EVICT", 3, kAnyTime | kAdmin, kNoKey, 0, handlers::client_no_evict, kConnection, "7.0.0", "ON | OFF", "Mark the connection; no connection is evicted here"},
    {"CLIENT|NO-TOUCH", 3, kAnyTime, kNoKey, 0, handlers::client_no_touch, kConnection, "7.2.0", "ON | OFF", "Mark the connection; reading changes no key's age here"},
    {"CLIENT|PAUSE", -3, kAnyTime | kAdmin, kNoKey, 0, handlers::client_pause, kConnection, "3.0.0", "milliseconds [WRITE | ALL]", "Let all clients' commands wait, or those that write"},
    {"CLIENT|REPLY", 3, kAnyTime | kNoMulti, kNoKey, 0, handlers::client_reply, kConnection, "3.2.0", "ON | OFF | SKIP", "Whether requests are answered"},
    {"CLIENT|SETINFO", 4, kAnyTime, kNoKey, 0, handlers::client_setinfo, kConnection, "7.2.0", "LIB-NAME name | LIB-VER version", "Name the client's library"},
    {"CLIENT|SETNAME", 3, kAnyTime, kNoKey, 0, handlers::client_setname, kConnection, "2.6.9", "name", "Name the connection"},
    {"CLIENT|UNPAUSE", 2, kAnyTime | kAdmin, kNoKey, 0, handlers::client_unpause, kConnection, "6.2.0", "", "End CLIENT PAUSE"},

    {"CLUSTER|COUNTKEYSINSLOT", 3, kStale, kNoKey, 0, handlers::cluster_countkeysinslot, kCluster, "3.0.0", "slot", "How many of this node's keys are in one of 16384 slots"},
    {"CLUSTER|GETKEYSINSLOT", 4, kStale, kNoKey, 0, handlers::cluster_getkeysinslot, kCluster, "3.0.0", "slot count", "Some of them"},
    {"CLUSTER|HELP", 2, kLoading | kStale, kNoKey, 0, handlers::subcommand_help, kCluster, "5.0.0", "", "The subcommands"},
    {"CLUSTER|INFO", 2, kStale, kNoKey, 0, handlers::cluster_info, kCluster, "3.0.0", "", "Figures about the cluster"},
    {"CLUSTER|KEYSLOT", 3, kStale, kNoKey, 0, handlers::cluster_keyslot, kCluster, "3.0.0", "key", "The key's slot, of 16384"},
    {"CLUSTER|LINKS", 2, kStale, kNoKey, 0, handlers::cluster_links, kCluster, "7.0.0", "", "The links to other nodes and from them"},
    {"CLUSTER|MYID", 2, kStale, kNoKey, 0, handlers::cluster_myid, kCluster, "3.0.0", "", "This node's id"},
    {"CLUSTER|MYSHARDID", 2, kStale, kNoKey, 0, handlers::cluster_myid, kCluster, "7.2.0", "", "The same; a shard is one node"},
    {"CLUSTER|NODES", 2, kStale, kNoKey, 0, handlers::cluster_nodes, kCluster, "3.0.0", "", "The nodes, a line each"},
    {"CLUSTER|RANDOMKEY", 2, kReadonly | kStale, kNoKey, 0, handlers::cluster_randomkey, kCluster, kOwn, "", "How many keys this node has, and one of them"},
    {"CLUSTER|SHARDS", 2, kLoading | kStale, kNoKey, 0, handlers::cluster_shards, kCluster, "7.0.0", "", "The nodes and their slots"},
    {"CLUSTER|SLOTS", 2, kLoading | kStale, kNoKey, 0, handlers::cluster_slots, kCluster, "3.0.0", "", "Ranges of slots and their nodes"},

    {"COMMAND|COUNT", 2, kLoading | kStale, kNoKey, 0, handlers::command_count, kConnection, "2.8.13", "", "How many commands there are"},
    {"COMMAND|DOCS", -2, kLoading | kStale, kNoKey, 0, handlers::command_docs, kConnection, "7.0.0", "[command ...]", "What commands are for"},
    {"COMMAND|GETKEYS", -3, kLoading | kStale, kNoKey, 0, handlers::command_getkeys, kConnection, "2.8.13", "command [argument ...]", "The keys in a request"},
    {"COMMAND|HELP", 2, kLoading | kStale, kNoKey, 0, handlers::subcommand_help, kConnection, "5.0.0", "", "The subcommands"},
    {"COMMAND|INFO", -2, kLoading | kStale, kNoKey, 0, handlers::command_info, kConnection, "2.8.13", "[command ...]", "Arity, flags and keys of commands"},
    {"COMMAND|LIST", -2, kLoading | kStale, kNoKey, 0, handlers::command_list, kConnection, "7.0.0", "[FILTERBY PATTERN glob | ACLCAT category | MODULE name]", "Names of commands"},

    {"CONFIG|GET", -3, kAdmin | kAnyTime, kNoKey, 0, handlers::config_get, kServer, "2.0.0", "glob [glob ...]", "Parameters and their values"},
    {"CONFIG|HELP", 2, kLoading | kStale, kNoKey, 0, handlers::subcommand_help, kServer, "5.0.0", "", "The subcommands"},
    {"CONFIG|RESETSTAT", 2, kAdmin | kAnyTime, kNoKey, 0, handlers::config_resetstat, kServer, "2.0.0", "", "Let INFO's counters begin again"},
    {"CONFIG|SET", -4, kAdmin | kAnyTime, kNoKey, 0, handlers::config_set, kServer, "2.0.0", "parameter value [parameter value ...]", "Change parameters until the server ends", JoinKind::kNone, Secrets::kPasswordValues},

    {"DEBUG|HELP", 2, kAdmin | kAnyTime | kDebug, kNoKey, 0, handlers::subcommand_help, kServer, "1.0.0", "", "The subcommands"},
    {"DEBUG|OBJECT", 3, kAdmin | kAnyTime | kDebug, kSecondWord, 0, handlers::debug_object, kServer, "1.0.0", "key", "What is known of a key's value"},
    {"DEBUG|PROTOCOL", 3, kAdmin | kAnyTime | kDebug, kNoKey, 0, handlers::debug_protocol, kServer, "6.0.0", "string | integer | double | null | array | set | map | attrib | push | verbatim | true | false | bignum", "A reply of that type, for tests of clients"},
    {"DEBUG|SET-ACTIVE-EXPIRE", 3, kAdmin | kAnyTime | kDebug, kNoKey, 0, handlers::debug_set_active_expire, kServer, "2.8.0", "0 | 1", "Whether keys that have expired are removed in the background"},
    {"DEBUG|SLEEP", 3, kAdmin | kAnyTime | kDebug, kNoKey, 0, handlers::debug_sleep, kServer, "1.0.0", "seconds", "Stop the worker for a while"},

    {"LATENCY|HELP", 2, kLoading | kStale, kNoKey, 0, handlers::subcommand_help, kServer, "2.8.13", "", "The subcommands"},
    {"LATENCY|HISTOGRAM", -2, kAdmin | kAnyTime, kNoKey, 0, handlers::latency_histogram, kServer, "7.0.0", "[command ...]", "How many calls took how long"},
    {"LATENCY|HISTORY", 3, kAdmin | kAnyTime, kNoKey, 0, handlers::latency_history, kServer, "2.8.13", "event", "Times and milliseconds of an event's samples"},
    {"LATENCY|LATEST", 2, kAdmin | kAnyTime, kNoKey, 0, handlers::latency_latest, kServer, "2.8.13", "", "The latest and the longest sample of each event"},
    {"LATENCY|RESET", -2, kAdmin | kAnyTime, kNoKey, 0, handlers::latency_reset, kServer, "2.8.13", "[event ...]", "Forget the samples of events, all by default"},

    {"MEMORY|HELP", 2, kLoading | kStale, kNoKey, 0, handlers::subcommand_help, kServer, "4.0.0", "", "The subcommands"},
    {"MEMORY|USAGE", -3, kReadonly, kSecondWord, 0, handlers::memory_usage, kServer, "4.0.0", "key [SAMPLES count]", "Bytes that a key and its value take"},

    {"PUBSUB|CHANNELS", -2, kPubSubFlag | kLoading | kStale, kNoKey, 0, handlers::pubsub_channels, kPubSub, "2.8.0", "[glob]", "Channels that somebody subscribes to"},
    {"PUBSUB|HELP", 2, kLoading | kStale, kNoKey, 0, handlers::subcommand_help, kPubSub, "6.2.0", "", "The subcommands"},
    {"PUBSUB|NUMPAT", 2, kPubSubFlag | kLoading | kStale, kNoKey, 0, handlers::pubsub_numpat, kPubSub, "2.8.0", "", "How many patterns are subscribed to"},
    {"PUBSUB|SHARDCHANNELS", -2, kPubSubFlag | kLoading | kStale, kNoKey, 0, handlers::pubsub_shardchannels, kPubSub, "7.0.0", "[glob]", "Shard channels that somebody subscribes to"},
    {"PUBSUB|SHARDNUMSUB", -2, kPubSubFlag | kLoading | kStale, kNoKey, 0, handlers::pubsub_shardnumsub, kPubSub, "7.0.0", "[channel ...]", "How many clients subscribe to shard channels"},
    {"PUBSUB|NUMSUB", -2, kPubSubFlag | kLoading | kStale, kNoKey, 0, handlers::pubsub_numsub, kPubSub, "2.8.0", "[channel ...]", "How many clients subscribe to channels"},

    {"OBJECT|ENCODING", 3, kReadonly, kSecondWord, 0, handlers::object_encoding, kKeys, "2.2.3", "key", "int, embstr or raw, by the value"},
    {"OBJECT|FREQ", 3, kReadonly, kSecondWord, 0, handlers::object_freq, kKeys, "4.0.0", "key", "Refused: frequencies of use are not kept"},
    {"OBJECT|HELP", 2, kLoading | kStale, kNoKey, 0, handlers::subcommand_help, kKeys, "6.2.0", "", "The subcommands"},
    {"OBJECT|IDLETIME", 3, kReadonly, kSecondWord, 0, handlers::object_idletime, kKeys, "2.2.3", "key", "Seconds since the key was stored"},
    {"OBJECT|REFCOUNT", 3, kReadonly, kSecondWord, 0, handlers::object_refcount, kKeys, "2.2.3", "key", "1"},

    {"SLOWLOG|GET", -2, kAdmin | kLoading | kStale, kNoKey, 0, handlers::slowlog_get, kServer, "2.2.12", "[count]", "The newest lines, 10 by default; -1: all"},
    {"SLOWLOG|HELP", 2, kLoading | kStale, kNoKey, 0, handlers::subcommand_help, kServer, "6.2.0", "", "The subcommands"},
    {"SLOWLOG|LEN", 2, kAdmin | kLoading | kStale, kNoKey, 0, handlers::slowlog_len, kServer, "2.2.12", "", "How many lines there are"},
    {"SLOWLOG|RESET", 2, kAdmin | kLoading | kStale, kNoKey, 0, handlers::slowlog_reset, kServer, "2.2.12", "", "Forget the lines"},
};

}  // namespace

static_assert(std::size(kCommands) + std::size(kSubcommands) <= kCommandStatisticsLimit);

std::span<const Command> all_commands() { return kCommands; }
std::span<const Command> all_subcommands() { return kSubcommands; }

}  // namespace memento
