// The rows of the command table; what a row's columns mean is in command.h, what they are read for in command_table.h.
#include "worker/command/command_table.h"
#include "worker/command/handlers.h"

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
constexpr const char* kOwn = "memento";  // a command Redis does not have

// name, arity, flags, keys, rest of line, handler, group, since, arguments, summary
constexpr Command kCommands[] = {
    {"SET", -3, kStore, kOneKey, 2, handlers::set, kString, "1.0.0", "key value", "Store a value; the rest of the line is the value"},
    {"GET", 2, kReadFast, kOneKey, 0, handlers::get, kString, "1.0.0", "key", "The key's value"},
    {"GETP", 2, kReadFast, kOneKey, 0, handlers::getp, kString, kOwn, "key", "Value, creation time and expiry of a key"},
    {"DEL", -2, kWrite, kAllWords, 0, handlers::del, kString, "1.0.0", "key [key ...]", "Remove keys; how many were there"},
    {"EXISTS", -2, kReadFast, kAllWords, 0, handlers::exists, kString, "1.0.0", "key [key ...]", "How many of the keys are there"},
    {"APPEND", 3, kStore | kFast, kOneKey, 2, handlers::append, kString, "2.0.0", "key value", "Add to a value's end; its new length"},
    {"PREPEND", 3, kStore | kFast, kOneKey, 2, handlers::prepend, kString, kOwn, "key value", "Add to a value's beginning; its new length"},

    {"INC", -2, kStore | kFast, kOneKey, 0, handlers::inc, kNumber, kOwn, "key [quantity]", "Add an integer, 1 by default; the new number"},
    {"DEC", -2, kStore | kFast, kOneKey, 0, handlers::dec, kNumber, kOwn, "key [quantity]", "Subtract an integer, 1 by default; the new number"},
    {"INCF", -2, kStore | kFast, kOneKey, 0, handlers::incf, kNumber, kOwn, "key [quantity]", "Add a decimal number, 1.0 by default; the new number"},
    {"DECF", -2, kStore | kFast, kOneKey, 0, handlers::decf, kNumber, kOwn, "key [quantity]", "Subtract a decimal number, 1.0 by default; the new number"},

    {"EXPIRE", -3, kWrite | kFast, kOneKey, 0, handlers::expire, kExpiry, "1.0.0", "key seconds", "Let a key expire; 1, or 0 when there is no such key"},
    {"PEXPIRE", -3, kWrite | kFast, kOneKey, 0, handlers::pexpire, kExpiry, "2.6.0", "key milliseconds", "EXPIRE in milliseconds"},
    {"TTL", 2, kReadFast, kOneKey, 0, handlers::ttl, kExpiry, "1.0.0", "key", "Seconds a key has left; -1 without expiry, -2 without key"},
    {"PTTL", 2, kReadFast, kOneKey, 0, handlers::pttl, kExpiry, "2.6.0", "key", "TTL in milliseconds"},
    {"PERSIST", 2, kWrite | kFast, kOneKey, 0, handlers::persist, kExpiry, "2.2.0", "key", "Take the expiry back; 1, or 0 when there was none"},

    {"COUNT", 1, kReadFast | kAllKeys, kNoKey, 0, handlers::count, kKeyspace, kOwn, "", "Number of keys"},
    {"KEYS", -1, kReadonly | kAllKeys | kDangerous, kNoKey, 0, handlers::keys, kKeyspace, "1.0.0", "[glob]", "The keys that match, one a line"},
    {"VALUES", -1, kReadonly | kAllKeys | kDangerous, kNoKey, 0, handlers::values, kKeyspace, kOwn, "[glob]", "The values of the keys that match"},
    {"PREFSCAN", 2, kReadonly | kAllKeys | kDangerous, kNoKey, 0, handlers::prefscan, kKeyspace, kOwn, "prefix", "The values of the keys that begin so"},
    {"FUZZYSCAN", 2, kReadonly | kAllKeys | kDangerous, kNoKey, 0, handlers::fuzzyscan, kKeyspace, kOwn, "pattern", "The values of the keys that contain the letters in this order"},
    {"KEYSPACE", 1, kReadFast | kAllKeys, kNoKey, 0, handlers::keyspace, kKeyspace, kOwn, "", "Number of keys, and bytes of keys and values"},
    {"FLUSH", 1, kWrite | kAllKeys | kDangerous, kNoKey, 0, handlers::flush, kKeyspace, kOwn, "", "Remove all keys"},

    {"PING", -1, kFast, kNoKey, 1, handlers::ping, kConnection, "1.0.0", "[message]", "PONG, or the message"},
    {"ECHO", 2, kFast, kNoKey, 1, handlers::echo, kConnection, "1.0.0", "message", "The message"},
    {"SELECT", 2, kFast | kLoading | kStale, kNoKey, 0, handlers::select, kConnection, "1.0.0", "index", "There is one keyspace, 0"},
    {"HELLO", -1, kAnyTime | kFast | kNoAuth, kNoKey, 0, handlers::hello, kConnection, "6.0.0", "[2 | 3 [AUTH default password] [SETNAME name]]", "The server; the protocol to speak from here on"},
    {"AUTH", -2, kAnyTime | kFast | kNoAuth, kNoKey, 0, handlers::auth, kConnection, "1.0.0", "[default] password", "Give the password"},
    {"CLIENT", -2, kContainer, kNoKey, 0, handlers::no_subcommand, kConnection, "2.4.0", "subcommand", "About this connection; CLIENT HELP"},
    {"RESET", 1, kAnyTime | kFast | kNoAuth | kUnqueued, kNoKey, 0, handlers::reset, kConnection, "6.2.0", "", "The connection as it was when it began"},
    {"QUIT", -1, kAnyTime | kFast | kNoAuth | kUnqueued, kNoKey, 0, handlers::quit, kConnection, "1.0.0", "", "End the connection"},
    {"EXIT", -1, kAnyTime | kFast | kNoAuth | kUnqueued, kNoKey, 0, handlers::quit, kConnection, kOwn, "", "End the connection"},

    {"INFO", -1, kLoading | kStale | kDangerous, kNoKey, 0, handlers::info, kServer, "1.0.0", "[section ...]", "Figures about the server"},
    {"HELP", -1, kLoading | kStale, kNoKey, 0, handlers::help, kServer, kOwn, "[command]", "The commands, or one of them"},
};

constexpr Command kSubcommands[] = {
    {"CLIENT|GETNAME", 2, kAnyTime, kNoKey, 0, handlers::client_getname, kConnection, "2.6.9", "", "The connection's name"},
    {"CLIENT|HELP", 2, kLoading | kStale, kNoKey, 0, handlers::subcommand_help, kConnection, "5.0.0", "", "The subcommands"},
    {"CLIENT|ID", 2, kAnyTime, kNoKey, 0, handlers::client_id, kConnection, "5.0.0", "", "The connection's number"},
    {"CLIENT|INFO", 2, kAnyTime, kNoKey, 0, handlers::client_info, kConnection, "6.2.0", "", "A line about the connection"},
    {"CLIENT|NO-EVICT", 3, kAnyTime | kAdmin, kNoKey, 0, handlers::client_no_evict, kConnection, "7.0.0", "ON | OFF", "Mark the connection; no connection is evicted here"},
    {"CLIENT|NO-TOUCH", 3, kAnyTime, kNoKey, 0, handlers::client_no_touch, kConnection, "7.2.0", "ON | OFF", "Mark the connection; reading changes no key's age here"},
    {"CLIENT|REPLY", 3, kAnyTime, kNoKey, 0, handlers::client_reply, kConnection, "3.2.0", "ON | OFF | SKIP", "Whether requests are answered"},
    {"CLIENT|SETINFO", 4, kAnyTime, kNoKey, 0, handlers::client_setinfo, kConnection, "7.2.0", "LIB-NAME name | LIB-VER version", "Name the client's library"},
    {"CLIENT|SETNAME", 3, kAnyTime, kNoKey, 0, handlers::client_setname, kConnection, "2.6.9", "name", "Name the connection"},
};

}  // namespace

std::span<const Command> all_commands() { return kCommands; }
std::span<const Command> all_subcommands() { return kSubcommands; }

}  // namespace memento
