// See handler_table.h. The rows stand in the order of worker/command/command_rows.h, which the compiler
// checks.
#include "worker/handlers/handler_table.h"

#include <array>
#include <string_view>

#include "worker/command/command_rows.h"
#include "worker/handlers/handlers.h"

namespace memento {
namespace {

struct Row {
  std::string_view name;
  Handler handler;
};

constexpr auto kOfCommands = std::to_array<Row>({
    {"SET", handlers::set},
    {"GET", handlers::get},
    {"GETP", handlers::getp},
    {"GETEX", handlers::getex},
    {"GETDEL", handlers::getdel},
    {"GETSET", handlers::getset},
    {"SETNX", handlers::setnx},
    {"SETEX", handlers::setex},
    {"PSETEX", handlers::psetex},
    {"MGET", handlers::mget},
    {"MSET", handlers::mset},
    {"MSETNX", handlers::msetnx},
    {"APPEND", handlers::append},
    {"PREPEND", handlers::prepend},
    {"STRLEN", handlers::strlen},
    {"GETRANGE", handlers::getrange},
    {"SUBSTR", handlers::getrange},
    {"SETRANGE", handlers::setrange},
    {"LCS", handlers::lcs},
    {"DELIFEQ", handlers::delifeq},
    {"DEL", handlers::del},
    {"UNLINK", handlers::del},
    {"EXISTS", handlers::exists},
    {"TOUCH", handlers::exists},
    {"TYPE", handlers::type},
    {"RENAME", handlers::rename},
    {"RENAMENX", handlers::renamenx},
    {"COPY", handlers::copy},
    {"MOVE", handlers::move_key},
    {"DUMP", handlers::dump},
    {"RESTORE", handlers::restore},
    {"OBJECT", handlers::no_subcommand},
    {"MEMORY", handlers::no_subcommand},
    {"INC", handlers::inc},
    {"DEC", handlers::dec},
    {"INCF", handlers::incf},
    {"DECF", handlers::decf},
    {"INCR", handlers::incr},
    {"DECR", handlers::decr},
    {"INCRBY", handlers::incrby},
    {"DECRBY", handlers::decrby},
    {"INCRBYFLOAT", handlers::incrbyfloat},
    {"GETBIT", handlers::getbit},
    {"SETBIT", handlers::setbit},
    {"BITCOUNT", handlers::bitcount},
    {"BITPOS", handlers::bitpos},
    {"BITOP", handlers::bitop},
    {"BITFIELD", handlers::bitfield},
    {"BITFIELD_RO", handlers::bitfield_ro},
    {"PFADD", handlers::pfadd},
    {"PFCOUNT", handlers::pfcount},
    {"PFMERGE", handlers::pfmerge},
    {"EXPIRE", handlers::expire},
    {"PEXPIRE", handlers::pexpire},
    {"EXPIREAT", handlers::expireat},
    {"PEXPIREAT", handlers::pexpireat},
    {"EXPIRETIME", handlers::expiretime},
    {"PEXPIRETIME", handlers::pexpiretime},
    {"TTL", handlers::ttl},
    {"PTTL", handlers::pttl},
    {"PERSIST", handlers::persist},
    {"COUNT", handlers::count},
    {"DBSIZE", handlers::count},
    {"SCAN", handlers::scan},
    {"RANDOMKEY", handlers::randomkey},
    {"KEYS", handlers::keys},
    {"VALUES", handlers::values},
    {"PREFSCAN", handlers::prefscan},
    {"FUZZYSCAN", handlers::fuzzyscan},
    {"KEYSPACE", handlers::keyspace},
    {"FLUSH", handlers::flush},
    {"FLUSHALL", handlers::flushall},
    {"FLUSHDB", handlers::flushdb},
    {"SWAPDB", handlers::swapdb},
    {"MULTI", handlers::multi},
    {"EXEC", handlers::exec},
    {"DISCARD", handlers::discard},
    {"WATCH", handlers::watch},
    {"UNWATCH", handlers::unwatch},
    {"SUBSCRIBE", handlers::subscribe},
    {"UNSUBSCRIBE", handlers::unsubscribe},
    {"PSUBSCRIBE", handlers::psubscribe},
    {"PUNSUBSCRIBE", handlers::punsubscribe},
    {"PUBLISH", handlers::publish},
    {"SSUBSCRIBE", handlers::ssubscribe},
    {"SUNSUBSCRIBE", handlers::sunsubscribe},
    {"SPUBLISH", handlers::spublish},
    {"PUBSUB", handlers::no_subcommand},
    {"SUB", handlers::sub},
    {"UNSUB", handlers::unsub},
    {"PING", handlers::ping},
    {"ECHO", handlers::echo},
    {"SELECT", handlers::select},
    {"HELLO", handlers::hello},
    {"AUTH", handlers::auth},
    {"CLIENT", handlers::no_subcommand},
    {"RESET", handlers::reset},
    {"QUIT", handlers::quit},
    {"EXIT", handlers::quit},
    {"COMMAND", handlers::command_all},
    {"EVAL", handlers::eval},
    {"EVALSHA", handlers::evalsha},
    {"EVAL_RO", handlers::eval_ro},
    {"EVALSHA_RO", handlers::evalsha_ro},
    {"SCRIPT", handlers::no_subcommand},
    {"FCALL", handlers::fcall},
    {"FCALL_RO", handlers::fcall_ro},
    {"FUNCTION", handlers::no_subcommand},
    {"CLUSTERINFO", handlers::clusterinfo},
    {"CLUSTER", handlers::no_subcommand},
    {"ASKING", handlers::cluster_ok},
    {"READONLY", handlers::cluster_ok},
    {"READWRITE", handlers::cluster_ok},
    {"INFO", handlers::info},
    {"CONFIG", handlers::no_subcommand},
    {"MONITOR", handlers::monitor},
    {"SLOWLOG", handlers::no_subcommand},
    {"LATENCY", handlers::no_subcommand},
    {"TIME", handlers::time},
    {"DEBUG", handlers::no_subcommand},
    {"LOLWUT", handlers::lolwut},
    {"HELP", handlers::help},
});

constexpr auto kOfSubcommands = std::to_array<Row>({
    {"CLIENT|GETNAME", handlers::client_getname},
    {"CLIENT|HELP", handlers::subcommand_help},
    {"CLIENT|ID", handlers::client_id},
    {"CLIENT|INFO", handlers::client_info},
    {"CLIENT|KILL", handlers::client_kill},
    {"CLIENT|LIST", handlers::client_list},
    {"CLIENT|NO-EVICT", handlers::client_no_evict},
    {"CLIENT|NO-TOUCH", handlers::client_no_touch},
    {"CLIENT|PAUSE", handlers::client_pause},
    {"CLIENT|REPLY", handlers::client_reply},
    {"CLIENT|SETINFO", handlers::client_setinfo},
    {"CLIENT|SETNAME", handlers::client_setname},
    {"CLIENT|UNPAUSE", handlers::client_unpause},
    {"CLUSTER|COUNTKEYSINSLOT", handlers::cluster_countkeysinslot},
    {"CLUSTER|GETKEYSINSLOT", handlers::cluster_getkeysinslot},
    {"CLUSTER|HELP", handlers::subcommand_help},
    {"CLUSTER|INFO", handlers::cluster_info},
    {"CLUSTER|KEYSLOT", handlers::cluster_keyslot},
    {"CLUSTER|LINKS", handlers::cluster_links},
    {"CLUSTER|MYID", handlers::cluster_myid},
    {"CLUSTER|MYSHARDID", handlers::cluster_myid},
    {"CLUSTER|NODES", handlers::cluster_nodes},
    {"CLUSTER|RANDOMKEY", handlers::cluster_randomkey},
    {"CLUSTER|SHARDS", handlers::cluster_shards},
    {"CLUSTER|SLOTS", handlers::cluster_slots},
    {"COMMAND|COUNT", handlers::command_count},
    {"COMMAND|DOCS", handlers::command_docs},
    {"COMMAND|GETKEYS", handlers::command_getkeys},
    {"COMMAND|HELP", handlers::subcommand_help},
    {"COMMAND|INFO", handlers::command_info},
    {"COMMAND|LIST", handlers::command_list},
    {"CONFIG|GET", handlers::config_get},
    {"CONFIG|HELP", handlers::subcommand_help},
    {"CONFIG|RESETSTAT", handlers::config_resetstat},
    {"CONFIG|SET", handlers::config_set},
    {"DEBUG|HELP", handlers::subcommand_help},
    {"DEBUG|OBJECT", handlers::debug_object},
    {"DEBUG|PROTOCOL", handlers::debug_protocol},
    {"DEBUG|SET-ACTIVE-EXPIRE", handlers::debug_set_active_expire},
    {"DEBUG|SLEEP", handlers::debug_sleep},
    {"LATENCY|HELP", handlers::subcommand_help},
    {"LATENCY|HISTOGRAM", handlers::latency_histogram},
    {"LATENCY|HISTORY", handlers::latency_history},
    {"LATENCY|LATEST", handlers::latency_latest},
    {"LATENCY|RESET", handlers::latency_reset},
    {"MEMORY|HELP", handlers::subcommand_help},
    {"MEMORY|USAGE", handlers::memory_usage},
    {"PUBSUB|CHANNELS", handlers::pubsub_channels},
    {"PUBSUB|HELP", handlers::subcommand_help},
    {"PUBSUB|NUMPAT", handlers::pubsub_numpat},
    {"PUBSUB|SHARDCHANNELS", handlers::pubsub_shardchannels},
    {"PUBSUB|SHARDNUMSUB", handlers::pubsub_shardnumsub},
    {"PUBSUB|NUMSUB", handlers::pubsub_numsub},
    {"FUNCTION|DELETE", handlers::function_delete},
    {"FUNCTION|DUMP", handlers::function_dump},
    {"FUNCTION|FLUSH", handlers::function_flush},
    {"FUNCTION|HELP", handlers::subcommand_help},
    {"FUNCTION|KILL", handlers::function_kill},
    {"FUNCTION|LIST", handlers::function_list},
    {"FUNCTION|LOAD", handlers::function_load},
    {"FUNCTION|RESTORE", handlers::function_restore},
    {"FUNCTION|STATS", handlers::function_stats},

    {"SCRIPT|EXISTS", handlers::script_exists},
    {"SCRIPT|FLUSH", handlers::script_flush},
    {"SCRIPT|HELP", handlers::subcommand_help},
    {"SCRIPT|KILL", handlers::script_kill},
    {"SCRIPT|LOAD", handlers::script_load},
    {"SCRIPT|SHOW", handlers::script_show},
    {"OBJECT|ENCODING", handlers::object_encoding},
    {"OBJECT|FREQ", handlers::object_freq},
    {"OBJECT|HELP", handlers::subcommand_help},
    {"OBJECT|IDLETIME", handlers::object_idletime},
    {"OBJECT|REFCOUNT", handlers::object_refcount},
    {"SLOWLOG|GET", handlers::slowlog_get},
    {"SLOWLOG|HELP", handlers::subcommand_help},
    {"SLOWLOG|LEN", handlers::slowlog_len},
    {"SLOWLOG|RESET", handlers::slowlog_reset},
});

template <class Rows, class Commands>
constexpr bool are_parallel(const Rows& rows, const Commands& commands) {
  if (rows.size() != commands.size()) return false;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].name != commands[i].name) return false;
  }
  return true;
}
static_assert(are_parallel(kOfCommands, command_rows::kCommands) &&
                  are_parallel(kOfSubcommands, command_rows::kSubcommands),
              "each row of the command table has its handler, in the same order");

constexpr auto handlers_by_number() {
  std::array<Handler, kCommandStatisticsLimit> all{};
  for (std::size_t i = 0; i < kOfCommands.size(); ++i) all[i] = kOfCommands[i].handler;
  for (std::size_t i = 0; i < kOfSubcommands.size(); ++i)
    all[kOfCommands.size() + i] = kOfSubcommands[i].handler;
  return all;
}

}  // namespace

constinit const std::array<Handler, kCommandStatisticsLimit> kHandlers = handlers_by_number();

}  // namespace memento
