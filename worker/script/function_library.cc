// See function_library.h.
#include "worker/script/function_library.h"

#include <algorithm>
#include <new>

#include "worker/script/interpreter.h"
#include "worker/script/sandbox.h"
#include "worker/text/words.h"

namespace memento {
namespace {

char loading_key;  // a field of the registry, by its address: the Loading that goes on

constexpr const char* kBadName =
    "Library names can only contain letters, numbers, or underscores(_) and must be at least one character "
    "long";

// What of redis.* a library sees while it is loaded, beside register_function.
constexpr const char* kLoadFields[] = {"log",         "LOG_DEBUG",     "LOG_VERBOSE",      "LOG_NOTICE",
                                       "LOG_WARNING", "REDIS_VERSION", "REDIS_VERSION_NUM"};

struct Loading {
  std::string_view text;
  FunctionLibrary* library;
  std::size_t words_bytes = 0;  // of names and descriptions so far
  bool is_set = false;          // in the registry
  bool is_compiled = false;
  bool has_failed = false;
  std::string error{};
};

int raise(lua_State* lua, const char* text) {
  lua_pushstring(lua, text);
  return lua_error(lua);
}

Loading* loading_of(lua_State* lua) {
  lua_pushlightuserdata(lua, &loading_key);
  lua_rawget(lua, LUA_REGISTRYINDEX);
  auto* const loading = static_cast<Loading*>(lua_touserdata(lua, -1));
  lua_pop(lua, 1);
  return loading;
}

void set_loading(lua_State* lua, Loading* loading) {
  lua_pushlightuserdata(lua, &loading_key);
  if (loading == nullptr) {
    lua_pushnil(lua);
  } else {
    lua_pushlightuserdata(lua, loading);
  }
  lua_rawset(lua, LUA_REGISTRYINDEX);
}

std::string_view text_at(lua_State* lua, int index) {
  std::size_t size = 0;
  const char* const bytes = lua_tolstring(lua, index, &size);
  return {bytes != nullptr ? bytes : "", size};
}

// The flags in the table on top of the stack.
std::uint8_t take_flags(lua_State* lua) {
  std::uint8_t flags = 0;
  const int count = static_cast<int>(lua_objlen(lua, -1));
  for (int i = 1; i <= count; ++i) {
    ScriptLimits::of(lua).spend(lua, 1);
    lua_rawgeti(lua, -1, i);
    const std::string_view word = lua_type(lua, -1) == LUA_TSTRING ? text_at(lua, -1) : std::string_view();
    const auto* const found = std::find_if(std::begin(kFunctionFlags), std::end(kFunctionFlags),
                                           [&](auto& one) { return word == one.name; });
    if (found == std::end(kFunctionFlags)) raise(lua, "unknown flag given");
    flags = static_cast<std::uint8_t>(flags | found->flag);
    lua_pop(lua, 1);
  }
  return flags;
}

// The arguments of register_function as they came: places on the stack, 0: not given.
struct Registered {
  int name = 0;
  int description = 0;
  int callback = 0;
  std::uint8_t flags = 0;
};

// One field of the table of named arguments; its value is on top of the stack and stays there.
void take_named(lua_State* lua, std::string_view key, Registered* registered) {
  const int value = lua_gettop(lua);
  if (key == "function_name") {
    if (lua_isstring(lua, value) == 0)
      raise(lua, "function_name argument given to redis.register_function must be a string");
    registered->name = value;
  } else if (key == "description") {
    if (lua_isstring(lua, value) == 0)
      raise(lua, "description argument given to redis.register_function must be a string");
    registered->description = value;
  } else if (key == "callback") {
    if (!lua_isfunction(lua, value))
      raise(lua, "callback argument given to redis.register_function must be a function");
    registered->callback = value;
  } else if (key == "flags") {
    if (!lua_istable(lua, value))
      raise(lua, "flags argument to redis.register_function must be a table representing function flags");
    registered->flags = take_flags(lua);
  } else {
    raise(lua, "unknown argument given to redis.register_function");
  }
}

Registered take_arguments(lua_State* lua) {
  Registered registered;
  const int count = lua_gettop(lua);
  if (count < 1 || count > 2) raise(lua, "wrong number of arguments to redis.register_function");
  if (count == 2) {
    if (lua_isstring(lua, 1) == 0) raise(lua, "first argument to redis.register_function must be a string");
    if (!lua_isfunction(lua, 2)) raise(lua, "second argument to redis.register_function must be a function");
    return {1, 0, 2, 0};
  }
  if (!lua_istable(lua, 1))
    raise(lua,
          "calling redis.register_function with a single argument is only applicable to Lua table "
          "(representing "
          "named arguments).");
  lua_pushnil(lua);
  while (lua_next(lua, 1) != 0) {
    // The value stays on the stack, below the key from which the walk goes on.
    take_named(lua, lua_type(lua, -2) == LUA_TSTRING ? text_at(lua, -2) : std::string_view(), &registered);
    lua_pushvalue(lua, -2);
  }
  if (registered.name == 0) raise(lua, "redis.register_function must get a function name argument");
  if (registered.callback == 0) raise(lua, "redis.register_function must get a callback argument");
  return registered;
}

const char* refusal(const Loading& loading, std::string_view name) {
  if (!is_library_word(name)) return kBadName;
  const std::vector<LibraryFunction>& functions = loading.library->functions;
  const auto is_same = [&](const LibraryFunction& one) { return one.name == name; };
  if (std::any_of(functions.begin(), functions.end(), is_same))
    return "Function already exists in the library";
  if (functions.size() >= FunctionLibrary::kFunctionLimit ||
      loading.words_bytes > FunctionLibrary::kWordsLimitBytes)
    return "the library registers too many functions, or too long names and descriptions";
  return nullptr;
}

int register_function(lua_State* lua) {
  Loading* const loading = loading_of(lua);
  if (loading == nullptr)
    return raise(lua, "redis.register_function can only be called on FUNCTION LOAD command");
  const Registered registered = take_arguments(lua);
  const std::string_view name = text_at(lua, registered.name);
  const std::string_view description =
      registered.description != 0 ? text_at(lua, registered.description) : "";
  loading->words_bytes += name.size() + description.size();
  ScriptLimits::of(lua).spend(lua, static_cast<std::int64_t>(loading->library->functions.size()));
  if (const char* const reason = refusal(*loading, name)) return raise(lua, reason);
  lua_pushvalue(lua, registered.callback);
  const int chunk = luaL_ref(lua, LUA_REGISTRYINDEX);
  bool is_short = false;
  try {
    LibraryFunction function{std::string(name), std::nullopt, registered.flags, chunk};
    if (registered.description != 0) function.description = description;
    loading->library->functions.push_back(std::move(function));
  } catch (const std::bad_alloc&) {
    is_short = true;
  }
  if (is_short) {
    luaL_unref(lua, LUA_REGISTRYINDEX, chunk);
    raise_out_of_memory(lua);
  }
  return 0;
}

// Pushes the globals that a library sees while it is loaded.
void push_load_globals(lua_State* lua) {
  lua_newtable(lua);
  lua_newtable(lua);
  lua_pushcfunction(lua, register_function);
  lua_setfield(lua, -2, "register_function");
  push_real_globals(lua);
  lua_getfield(lua, -1, "redis");
  for (const char* const name : kLoadFields) {
    lua_getfield(lua, -1, name);
    lua_setfield(lua, -4, name);
  }
  lua_pop(lua, 2);
  refuse_missing_names(lua);
  protect(lua);
  lua_setfield(lua, -2, "redis");
  refuse_missing_names(lua);
  protect(lua);
}

std::string error_at_top(lua_State* lua) {
  if (lua_istable(lua, -1)) {
    lua_pushliteral(lua, "err");
    lua_rawget(lua, -2);
    return std::string(text_at(lua, -1));
  }
  return "ERR " +
         std::string(lua_type(lua, -1) == LUA_TSTRING ? text_at(lua, -1) : "an error without a text");
}

// Outside a protected call nothing may need memory of Lua's: so the error's text is taken here.
int load_protected(lua_State* lua) {
  auto& loading = *static_cast<Loading*>(lua_touserdata(lua, 1));
  set_loading(lua, &loading);
  loading.is_set = true;
  if (load_text(lua, loading.text.data(), loading.text.size(), "@user_function") != 0) return lua_error(lua);
  loading.is_compiled = true;
  push_load_globals(lua);
  lua_pushvalue(lua, -1);
  lua_setfenv(lua, 2);
  lua_insert(lua, 2);
  if (lua_pcall(lua, 0, 0, 0) != 0) {
    loading.has_failed = true;
    try {
      loading.error = error_at_top(lua);
    } catch (const std::bad_alloc&) {
      loading.error.clear();
    }
    return 0;
  }
  push_real_globals(lua);
  redirect_view(lua);
  return 0;
}

// Cuts the first word off, which may stand in quotes.
std::string_view take_part(std::string_view* line) {
  while (!line->empty() && (line->front() == ' ' || line->front() == '\t')) line->remove_prefix(1);
  const std::string_view part = line->substr(0, line->find_first_of(" \t"));
  line->remove_prefix(part.size());
  return part;
}

}  // namespace

bool is_library_word(std::string_view word) {
  return !word.empty() && word.size() <= FunctionLibrary::kNameLimitBytes &&
         std::all_of(word.begin(), word.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
         });
}

std::string take_library_line(std::string_view* text, std::string* name) {
  if (!text->starts_with("#!")) return "Missing library metadata";
  const std::size_t end = text->find('\n');
  if (end == std::string_view::npos) return "Invalid library metadata";
  std::string_view line = text->substr(2, end - 2);
  text->remove_prefix(end);
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.starts_with(' ')) return "Invalid library metadata";
  const std::string_view engine = take_part(&line);
  bool has_name = false;
  for (std::string_view part; !(part = take_part(&line)).empty();) {
    if (!is_word(part.substr(0, 5), "NAME="))
      return "Invalid metadata value given: " + std::string(quotable(part, 128));
    if (has_name) return "Invalid metadata value, name argument was given multiple times";
    has_name = true;
    std::string_view value = part.substr(5);
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
      value = value.substr(1, value.size() - 2);
    *name = value;
  }
  if (!has_name) return "Library name was not given";
  if (!is_library_word(*name)) return kBadName;
  if (!is_word(engine, "LUA")) return "Engine '" + std::string(quotable(engine, 128)) + "' not found";
  return "";
}

std::string Interpreter::load_library(std::string_view text, ScriptHost& host, FunctionLibrary* library) {
  Loading loading{text, library};
  host_ = &host;
  call_protocol = Protocol::kResp2;
  limits_.begin(
      lua_, [](void* context) { return static_cast<ScriptHost*>(context)->stop_reason(); }, &host);
  const int status = lua_cpcall(lua_, load_protected, &loading);
  const char* const stop_reason = limits_.stop_reason();
  limits_.end(lua_);
  host_ = nullptr;
  std::string error;
  if (status != 0 || loading.has_failed) {
    error = !loading.error.empty() ? loading.error
                                   : (loading.is_compiled ? "ERR " : "") + std::string(text_at(lua_, -1));
    error = (loading.is_compiled ? "Error registering functions: " : "Error compiling function: ") +
            (stop_reason != nullptr ? std::string(stop_reason) : error);
  }
  lua_settop(lua_, 0);
  if (loading.is_set) set_loading(lua_, nullptr);
  collect();
  if (!error.empty()) {
    for (const LibraryFunction& function : library->functions) forget(function.chunk);
    library->functions.clear();
  }
  return error;
}

}  // namespace memento
