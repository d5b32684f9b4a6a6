// See interpreter.h.
#include "worker/script/interpreter.h"

#include <new>

#include "worker/script/redis_library.h"
#include "worker/script/reply_values.h"
#include "worker/script/sandbox.h"

namespace memento {
namespace {

constexpr std::size_t kReplyLimitBytes = 512 << 20;

void push_array(lua_State* lua, std::span<const std::string_view> values) {
  lua_createtable(lua, static_cast<int>(values.size()), 0);
  int place = 0;
  for (const std::string_view value : values) {
    lua_pushlstring(lua, value.data(), value.size());
    lua_rawseti(lua, -2, ++place);
  }
}

// Pushes the text of the error that is the first value of the stack; nil: it has none.
void push_error_text(lua_State* lua) {
  if (lua_istable(lua, 1)) {
    lua_pushliteral(lua, "err");
    lua_rawget(lua, 1);
    if (lua_isstring(lua, -1) == 0) lua_pushnil(lua);
    return;
  }
  lua_pushliteral(lua, "ERR ");
  if (lua_isstring(lua, 1) != 0) {
    lua_pushvalue(lua, 1);
  } else if (lua_isboolean(lua, 1)) {
    lua_pushstring(lua, lua_toboolean(lua, 1) != 0 ? "true" : "false");
  } else {
    lua_pushstring(lua, luaL_typename(lua, 1));
  }
  lua_concat(lua, 2);
}

std::string text_of_field(lua_State* lua, const char* name) {
  lua_pushstring(lua, name);
  lua_rawget(lua, -2);
  std::size_t size = 0;
  const char* const bytes = lua_isstring(lua, -1) != 0 ? lua_tolstring(lua, -1, &size) : "";
  std::string text(bytes, size);
  lua_pop(lua, 1);
  return text;
}

}  // namespace

struct Interpreter::Run {
  Interpreter& interpreter;
  const Chunk chunk;
  const ScriptCall& call;
  ReplyWriter& reply;
  const Protocol protocol;
  const ReplyWriter::Mark begin;
  bool has_failed = false;
  bool is_too_long = false;       ///< its reply
  bool is_out_of_memory = false;  ///< the process
  bool is_answered = false;

  void begin_reply() {
    reply.roll_back(begin);
    reply.set_protocol(protocol);
  }
};

Interpreter::Interpreter(std::size_t memory_limit_bytes)
    : limits_(memory_limit_bytes, this), lua_(limits_.open()) {
  if (lua_ == nullptr || lua_cpcall(lua_, &Interpreter::set_up, this) == 0) return;
  lua_close(lua_);
  lua_ = nullptr;
}

Interpreter::~Interpreter() {
  if (lua_ != nullptr) lua_close(lua_);
}

Interpreter& Interpreter::of(lua_State* lua) {
  return *static_cast<Interpreter*>(ScriptLimits::of(lua).owner());
}

int Interpreter::set_up(lua_State* lua) {
  auto& self = *static_cast<Interpreter*>(lua_touserdata(lua, 1));
  set_up_sandbox(lua, add_redis_library);
  lua_pushcfunction(lua, &Interpreter::handle_error);
  self.error_handler_ = luaL_ref(lua, LUA_REGISTRYINDEX);
  lua_pushcfunction(lua, &Interpreter::run_protected);
  self.runner_ = luaL_ref(lua, LUA_REGISTRYINDEX);
  push_real_globals(lua);
  self.globals_ = luaL_ref(lua, LUA_REGISTRYINDEX);
  lua_pushliteral(lua, "KEYS");
  self.keys_name_ = luaL_ref(lua, LUA_REGISTRYINDEX);
  lua_pushliteral(lua, "ARGV");
  self.arguments_name_ = luaL_ref(lua, LUA_REGISTRYINDEX);
  return 0;
}

namespace {

struct Compilation {
  std::string_view text;
  const char* name;
  Interpreter::Compiled result;
};

}  // namespace

int Interpreter::compile_protected(lua_State* lua) {
  auto& compilation = *static_cast<Compilation*>(lua_touserdata(lua, 1));
  if (load_text(lua, compilation.text.data(), compilation.text.size(), compilation.name) == 0) {
    compilation.result.chunk = luaL_ref(lua, LUA_REGISTRYINDEX);
    return 0;
  }
  return lua_error(lua);
}

Interpreter::Compiled Interpreter::compile(std::string_view text, const char* name) {
  Compilation compilation{text, name, {}};
  if (lua_cpcall(lua_, &Interpreter::compile_protected, &compilation) != 0) {
    std::size_t size = 0;
    const char* const error = lua_tolstring(lua_, -1, &size);
    compilation.result.error = error != nullptr ? std::string(error, size) : "not compiled";
    lua_pop(lua_, 1);
  }
  return std::move(compilation.result);
}

// Not in a protected call: it may take a little memory, and must not fail.
void Interpreter::forget(Chunk chunk) {
  limits_.lift(true);
  luaL_unref(lua_, LUA_REGISTRYINDEX, chunk);
  limits_.lift(false);
}

Interpreter::End Interpreter::run(Chunk chunk, const ScriptCall& call, ScriptHost& host, ReplyWriter& reply,
                                  Protocol protocol) {
  host_ = &host;
  call_protocol = Protocol::kResp2;
  Run run{*this, chunk, call, reply, protocol, reply.mark()};
  limits_.begin(
      lua_, [](void* context) { return static_cast<ScriptHost*>(context)->stop_reason(); }, &host);
  lua_rawgeti(lua_, LUA_REGISTRYINDEX, runner_);  // lua_cpcall() would make a closure each time
  lua_pushlightuserdata(lua_, &run);
  const int status = lua_pcall(lua_, 1, 0, 0);
  limits_.end(lua_);
  host_ = nullptr;
  lua_settop(lua_, 0);
  collect();
  if (run.is_out_of_memory) throw std::bad_alloc();
  const bool is_unanswered = run.is_too_long || status != 0 || !run.is_answered;
  if (!is_unanswered && limits_.stop_reason() == nullptr) return run.has_failed ? End::kByError : End::kWhole;
  if (limits_.stop_reason() != nullptr) {
    limit_error_ = limits_.stop_reason();
  } else if (run.is_too_long) {
    limit_error_ = "ERR the script's reply is too long, or nested too deeply";
  } else {
    limit_error_ =
        "OOM the script takes more memory than " + std::to_string(limits_.memory_limit_bytes()) + " bytes";
  }
  if (is_unanswered) {
    run.begin_reply();
    reply.error(limit_error_);
  }
  return End::kByLimit;
}

// On top of the stack are the real globals. `is_set`: it is to be there.
void Interpreter::set_global(int name, std::span<const std::string_view> values, bool is_set) {
  lua_rawgeti(lua_, LUA_REGISTRYINDEX, name);
  is_set ? push_array(lua_, values) : lua_pushnil(lua_);
  lua_rawset(lua_, -3);
}

// The stack: the run, the handler of errors, the chunk.
int Interpreter::run_protected(lua_State* lua) {
  Run& run = *static_cast<Run*>(lua_touserdata(lua, 1));
  Interpreter& interpreter = run.interpreter;
  const bool is_function = run.call.is_function;
  lua_rawgeti(lua, LUA_REGISTRYINDEX, interpreter.globals_);
  interpreter.set_global(interpreter.keys_name_, run.call.keys, !is_function);
  interpreter.set_global(interpreter.arguments_name_, run.call.arguments, !is_function);
  lua_settop(lua, 1);
  lua_rawgeti(lua, LUA_REGISTRYINDEX, interpreter.error_handler_);
  lua_rawgeti(lua, LUA_REGISTRYINDEX, run.chunk);
  if (is_function) {
    push_array(lua, run.call.keys);
    push_array(lua, run.call.arguments);
  }
  const int status = lua_pcall(lua, is_function ? 2 : 0, 1, 2);
  run.has_failed = status != 0 || run.interpreter.limits_.stop_reason() != nullptr;
  try {
    if (status == LUA_ERRMEM) return 0;
    run.begin_reply();
    if (run.has_failed) {
      run.interpreter.write_error(run);
    } else {
      run.interpreter.finish_run(run);
    }
    run.is_answered = true;
  } catch (const std::bad_alloc&) {
    run.is_out_of_memory = true;
  }
  return 0;
}

void Interpreter::finish_run(Run& run) {
  const ReplyForm form{call_protocol == Protocol::kResp3, kReplyLimitBytes};
  run.is_too_long = !write_reply(lua_, form, run.reply);
}

// On top of the stack is the table that handle_error() gave, or a text when it could not.
void Interpreter::write_error(Run& run) {
  std::string message = limits_.stop_reason() != nullptr ? limits_.stop_reason() : "";
  std::string place;
  if (lua_istable(lua_, -1)) {
    if (message.empty()) message = text_of_field(lua_, "err");
    place = text_of_field(lua_, "source");
    if (!place.empty()) place += ":" + text_of_field(lua_, "line");
  }
  if (message.empty()) message = "ERR the script ended with an error that has no text";
  if (!place.empty())
    message.append(" script: ").append(run.call.name).append(", on ").append(place).append(".");
  run.reply.error(message);
}

// The error becomes a table of ours with its text, and where it was raised.
int Interpreter::handle_error(lua_State* lua) {
  lua_Debug where;
  const auto find_place = [&](int level) {
    return lua_getstack(lua, level, &where) != 0 && lua_getinfo(lua, "Sl", &where) != 0;
  };
  bool is_known = find_place(1);
  if (is_known && where.what[0] == 'C') is_known = find_place(2);
  lua_settop(lua, 1);
  lua_createtable(lua, 0, 3);
  push_error_text(lua);
  lua_setfield(lua, 2, "err");
  lua_settop(lua, 2);
  if (!is_known) return 1;
  lua_pushstring(lua, where.source);
  lua_setfield(lua, 2, "source");
  lua_pushinteger(lua, where.currentline);
  lua_setfield(lua, 2, "line");
  return 1;
}

// What a script of the usual size leaves is left to the collector's own pace.
void Interpreter::collect() {
  if (limits_.memory_used_bytes() <= limits_.memory_limit_bytes() / 4) return;
  const auto act = [](lua_State* lua) -> int { return lua_gc(lua, LUA_GCCOLLECT, 0), 0; };
  limits_.lift(true);
  if (lua_cpcall(lua_, act, nullptr) != 0) lua_settop(lua_, 0);
  limits_.lift(false);
}

// The linear congruence of drand48(3).
double Interpreter::next_random() {
  random_state_ = (random_state_ * 0x5deece66d + 0xb) & ((1ull << 48) - 1);
  return static_cast<double>(random_state_) / static_cast<double>(1ull << 48);
}

}  // namespace memento
