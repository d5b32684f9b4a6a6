// See redis_library.h.
#include "worker/script/redis_library.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <new>
#include <string>
#include <utility>

#include "conf/version.h"
#include "shm/os/cpu_clock.h"
#include "worker/script/interpreter.h"
#include "worker/script/reply_values.h"
#include "worker/script/sha1.h"

namespace memento {
namespace {

constexpr std::size_t kNumberBytes = 32;  // of a number as a word
constexpr std::int64_t kStepsPerCall = 50;
constexpr std::uint64_t kNsPerStep = 4;

// Raises {err = text} with the code ERR in front.
int raise(lua_State* lua, const char* text) {
  lua_createtable(lua, 0, 1);
  lua_pushfstring(lua, "ERR %s", text);
  lua_setfield(lua, -2, "err");
  return lua_error(lua);
}

// A number as Redis hands it to commands.
std::size_t write_number(double number, char* to) {
  const bool is_minus_zero = number == 0 && std::signbit(number);
  if (number == std::trunc(number) && std::abs(number) < 1e15 && !is_minus_zero)
    return static_cast<std::size_t>(
        std::to_chars(to, to + kNumberBytes, static_cast<std::int64_t>(number)).ptr - to);
  return static_cast<std::size_t>(std::snprintf(to, kNumberBytes, "%.17g", number));
}

// The arguments from `first` on as the words of a command. False: one is neither a string nor a number.
bool take_words(lua_State* lua, Interpreter& interpreter) {
  const int count = lua_gettop(lua);
  interpreter.words.clear();
  interpreter.numbers.resize(static_cast<std::size_t>(count) * kNumberBytes);
  char* number_at = interpreter.numbers.data();
  for (int i = 1; i <= count; ++i) {
    const int type = lua_type(lua, i);
    if (type == LUA_TNUMBER) {
      const std::size_t size = write_number(lua_tonumber(lua, i), number_at);
      interpreter.words.emplace_back(number_at, size);
      number_at += size;
    } else if (type == LUA_TSTRING) {
      std::size_t size = 0;
      const char* const bytes = lua_tolstring(lua, i, &size);
      interpreter.words.emplace_back(bytes, size);
    } else {
      return false;
    }
  }
  return true;
}

// Runs act() of ours, which may need memory, where Lua's errors must not be thrown through a handler of ours.
template <class Act>
void with_memory(lua_State* lua, Act&& act) {
  bool is_short = false;
  try {
    act();
  } catch (const std::bad_alloc&) {
    is_short = true;
  }
  if (is_short) raise_out_of_memory(lua);
}

// Leaves the reply on the stack. True: it is an error.
bool call_command(lua_State* lua) {
  Interpreter& interpreter = Interpreter::of(lua);
  if (lua_gettop(lua) == 0) {
    lua_createtable(lua, 0, 1);
    lua_pushliteral(lua, "ERR Please specify at least one argument for this redis lib call");
    lua_setfield(lua, -2, "err");
    return true;
  }
  bool are_words = false;
  with_memory(lua, [&] { are_words = take_words(lua, interpreter); });
  if (!are_words) {
    lua_createtable(lua, 0, 1);
    lua_pushliteral(lua, "ERR Lua redis lib command arguments must be strings or integers");
    lua_setfield(lua, -2, "err");
    return true;
  }
  std::string_view reply;
  with_memory(lua, [&] { reply = interpreter.host().call(interpreter.words, interpreter.call_protocol); });
  const bool is_error = reply.front() == '-';
  push_reply(lua, &reply);
  // A command may take as long as many instructions.
  const std::uint64_t ns = ticks_to_ns(std::exchange(interpreter.host().call_ticks, 0));
  ScriptLimits::of(lua).spend(lua, kStepsPerCall + static_cast<std::int64_t>(ns / kNsPerStep));
  return is_error;
}

int redis_call(lua_State* lua) { return call_command(lua) ? lua_error(lua) : 1; }

int redis_pcall(lua_State* lua) {
  call_command(lua);
  return 1;
}

// {name = text}, of the one argument; else the error that is returned, not raised.
int make_reply(lua_State* lua, bool is_error) {
  lua_createtable(lua, 0, 1);
  if (lua_gettop(lua) != 2 || lua_type(lua, 1) != LUA_TSTRING) {
    lua_pushliteral(lua, "ERR wrong number or type of arguments");
    lua_setfield(lua, -2, "err");
    return 1;
  }
  if (!is_error) {
    lua_pushvalue(lua, 1);
    lua_setfield(lua, -2, "ok");
    return 1;
  }
  // A text without a space has no code.
  std::size_t size = 0;
  const char* const bytes = lua_tolstring(lua, 1, &size);
  std::string_view text(bytes, size);
  if (text.starts_with('-')) text.remove_prefix(1);
  while (text.ends_with('\r') || text.ends_with('\n')) text.remove_suffix(1);
  if (text.find(' ') == std::string_view::npos) {
    lua_pushliteral(lua, "ERR ");
    lua_pushlstring(lua, text.data(), text.size());
    lua_concat(lua, 2);
  } else {
    lua_pushlstring(lua, text.data(), text.size());
  }
  lua_setfield(lua, -2, "err");
  return 1;
}

int error_reply(lua_State* lua) { return make_reply(lua, true); }
int status_reply(lua_State* lua) { return make_reply(lua, false); }

int sha1hex(lua_State* lua) {
  if (lua_gettop(lua) != 1) return raise(lua, "wrong number of arguments");
  std::size_t size = 0;
  const char* const bytes = lua_tolstring(lua, 1, &size);
  ScriptLimits::of(lua).spend(lua, static_cast<std::int64_t>(size / 4));
  const std::array<char, kSha1Digits> text = sha1_digits({bytes != nullptr ? bytes : "", size});
  lua_pushlstring(lua, text.data(), text.size());
  return 1;
}

int log(lua_State* lua) {
  const int count = lua_gettop(lua);
  if (count < 2) return raise(lua, "redis.log() requires two arguments or more.");
  if (lua_isnumber(lua, 1) == 0) return raise(lua, "First argument must be a number (log level).");
  const int level = static_cast<int>(lua_tointeger(lua, 1));
  if (level < static_cast<int>(ScriptLogLevel::kDebug) || level > static_cast<int>(ScriptLogLevel::kWarning))
    return raise(lua, "Invalid debug level.");
  ScriptHost& host = Interpreter::of(lua).host();
  with_memory(lua, [&] {
    std::string text;
    for (int i = 2; i <= count; ++i) {
      std::size_t size = 0;
      const char* const bytes = lua_tolstring(lua, i, &size);
      if (bytes == nullptr) continue;
      if (i > 2) text += ' ';
      text.append(bytes, size);
    }
    host.log(static_cast<ScriptLogLevel>(level), text);
  });
  return 0;
}

int setresp(lua_State* lua) {
  if (lua_gettop(lua) != 1) return raise(lua, "redis.setresp() requires one argument.");
  const double version = lua_tonumber(lua, 1);
  if (version != 2 && version != 3) return raise(lua, "RESP version must be 2 or 3.");
  Interpreter::of(lua).call_protocol = version == 3 ? Protocol::kResp3 : Protocol::kResp2;
  return 0;
}

constexpr int kReplicateNone = 0, kReplicateFile = 1, kReplicateReplica = 2, kReplicateAll = 3;

// There are no replicas and no file of commands: any way of telling them is fine.
int set_repl(lua_State* lua) {
  if (lua_gettop(lua) != 1) return raise(lua, "redis.set_repl() requires one argument.");
  const lua_Integer flags = lua_tointeger(lua, 1);
  if ((flags & ~kReplicateAll) == 0) return 0;
  return raise(lua, "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.");
}

// Every user may run every command.
int acl_check_cmd(lua_State* lua) {
  if (lua_gettop(lua) == 0)
    return raise(lua, "Please specify at least one argument for this redis.acl_check_cmd() call");
  Interpreter& interpreter = Interpreter::of(lua);
  bool are_words = false;
  with_memory(lua, [&] { are_words = take_words(lua, interpreter); });
  if (!are_words) return raise(lua, "redis.acl_check_cmd() require strings or integers as arguments");
  if (!interpreter.host().has_command(interpreter.words))
    return raise(lua, "Invalid command passed to redis.acl_check_cmd()");
  lua_pushboolean(lua, 1);
  return 1;
}

int replicate_commands(lua_State* lua) { return lua_pushboolean(lua, 1), 1; }
int breakpoint(lua_State* lua) { return lua_pushboolean(lua, 0), 1; }
int debug(lua_State*) { return 0; }

// Each script goes on where the one before it ended.
int math_random(lua_State* lua) {
  const double random = Interpreter::of(lua).next_random();
  switch (lua_gettop(lua)) {
    case 0:
      lua_pushnumber(lua, random);
      return 1;
    case 1: {
      const int last = luaL_checkint(lua, 1);
      luaL_argcheck(lua, 1 <= last, 1, "interval is empty");
      lua_pushnumber(lua, std::floor(random * last) + 1);
      return 1;
    }
    case 2: {
      const int first = luaL_checkint(lua, 1);
      const int last = luaL_checkint(lua, 2);
      luaL_argcheck(lua, first <= last, 2, "interval is empty");
      const double count = static_cast<double>(last) - first + 1;
      lua_pushnumber(lua, std::floor(random * count) + first);
      return 1;
    }
    default:
      return luaL_error(lua, "wrong number of arguments");
  }
}

int math_randomseed(lua_State* lua) {
  const auto seed = static_cast<std::uint32_t>(luaL_checkint(lua, 1));
  Interpreter::of(lua).set_random_state(static_cast<std::uint64_t>(seed) << 16 | 0x330e);
  return 0;
}

constexpr luaL_Reg kFunctions[] = {{"call", redis_call},
                                   {"pcall", redis_pcall},
                                   {"error_reply", error_reply},
                                   {"status_reply", status_reply},
                                   {"sha1hex", sha1hex},
                                   {"log", log},
                                   {"setresp", setresp},
                                   {"set_repl", set_repl},
                                   {"acl_check_cmd", acl_check_cmd},
                                   {"replicate_commands", replicate_commands},
                                   {"breakpoint", breakpoint},
                                   {"debug", debug}};

struct Constant {
  const char* name;
  int value;
};
constexpr Constant kConstants[] = {{"LOG_DEBUG", static_cast<int>(ScriptLogLevel::kDebug)},
                                   {"LOG_VERBOSE", static_cast<int>(ScriptLogLevel::kVerbose)},
                                   {"LOG_NOTICE", static_cast<int>(ScriptLogLevel::kNotice)},
                                   {"LOG_WARNING", static_cast<int>(ScriptLogLevel::kWarning)},
                                   {"REPL_NONE", kReplicateNone},
                                   {"REPL_AOF", kReplicateFile},
                                   {"REPL_SLAVE", kReplicateReplica},
                                   {"REPL_REPLICA", kReplicateReplica},
                                   {"REPL_ALL", kReplicateAll}};

void add_version(lua_State* lua, const char* text_name, const char* number_name) {
  lua_pushstring(lua, kRedisVersion);
  lua_setfield(lua, -2, text_name);
  int parts[3] = {};
  std::sscanf(kRedisVersion, "%d.%d.%d", &parts[0], &parts[1], &parts[2]);
  lua_pushinteger(lua, parts[0] << 16 | parts[1] << 8 | parts[2]);
  lua_setfield(lua, -2, number_name);
}

}  // namespace

void add_redis_library(lua_State* lua) {
  lua_newtable(lua);
  for (const luaL_Reg& entry : kFunctions) {
    lua_pushcfunction(lua, entry.func);
    lua_setfield(lua, -2, entry.name);
  }
  for (const Constant& constant : kConstants) {
    lua_pushinteger(lua, constant.value);
    lua_setfield(lua, -2, constant.name);
  }
  add_version(lua, "REDIS_VERSION", "REDIS_VERSION_NUM");
  lua_pushvalue(lua, -1);
  lua_setfield(lua, -3, "server");
  lua_setfield(lua, -2, "redis");
  lua_getfield(lua, -1, "math");
  lua_pushcfunction(lua, math_random);
  lua_setfield(lua, -2, "random");
  lua_pushcfunction(lua, math_randomseed);
  lua_setfield(lua, -2, "randomseed");
  lua_pop(lua, 1);
}

}  // namespace memento
