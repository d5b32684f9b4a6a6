// See script_source.h. What scripts are made of; expressions are in script_expressions.cc.
#include "tests/differential/script_source.h"

namespace memento::testing {
namespace {

constexpr int kDepthLimit = 3;

// Values of any kind as one text: tables in the order of their keys, and no addresses.
constexpr const char* kShow =
    "local function show(v, depth) depth = depth or 0 local kind = type(v) "
    "if kind == 'number' then return string.format('%.17g', v) end "
    "if kind == 'string' then return '\"' .. v .. '\"' end "
    "if kind == 'boolean' or kind == 'nil' then return tostring(v) end "
    "if kind ~= 'table' then return kind end if depth > 6 then return '{...}' end "
    "local parts = {} for k, e in pairs(v) do parts[#parts + 1] = show(k, 9) .. '=' .. show(e, depth + 1) "
    "end "
    "table.sort(parts) return '{' .. table.concat(parts, ',') .. '}' end ";

}  // namespace

std::vector<std::string> GeneratedScript::request() const {
  std::vector<std::string> words{is_read_only ? "EVAL_RO" : "EVAL", text, std::to_string(keys.size())};
  words.insert(words.end(), keys.begin(), keys.end());
  words.insert(words.end(), arguments.begin(), arguments.end());
  return words;
}

const std::vector<std::string>& ScriptSource::keys() {
  static const std::vector<std::string> all = {"n", "s", "b", "h", "x", "y"};
  return all;
}

GeneratedScript ScriptSource::next() {
  GeneratedScript script;
  local_count_ = 0;
  script.is_read_only = one_in(25);
  script.keys.assign(keys().begin(), keys().begin() + static_cast<std::ptrdiff_t>(below(4)));
  static constexpr const char* kArguments[] = {
      "5", "-3", "abc", "", "3.5", "1e3", "0x10", "{\"a\":[1,2,{}]}", "\x82\xa1\x61\x01\xa1\x62\xc0", "nan"};
  for (std::size_t left = below(4); left > 0; --left) script.arguments.push_back(pick(kArguments));
  script.text = kShow;
  if (one_in(12)) script.text += one_in(2) ? "redis.setresp(3) " : "redis.setresp(2) ";
  script.text += block(0);
  return script;
}

std::string ScriptSource::new_local() { return "v" + std::to_string(++local_count_); }

std::string ScriptSource::name() { return "v" + std::to_string(1 + below(local_count_)); }

std::string ScriptSource::block(int depth) {
  const std::size_t outer_locals = local_count_;
  std::string text;
  for (std::size_t left = 1 + below(depth == 0 ? 5 : 3); left > 0; --left) text += statement(depth) + " ";
  if (depth == 0 || one_in(8)) text += returning(depth) + " ";
  local_count_ = outer_locals;
  return text;
}

std::string ScriptSource::statement(int depth) {
  const std::size_t kind = below(20);
  if (kind < 6) {
    const std::string initial = value(depth);
    return "local " + new_local() + " = " + initial;
  }
  if (kind < 8 && local_count_ > 0) return name() + " = " + value(depth);
  if (kind < 9 && local_count_ > 0)
    return "if type(" + name() + ") == 'table' then " + name() + " = " + number(depth + 1) + " end";
  if (kind < 13) return "redis.call(" + command() + ")";
  if (kind < 18 && depth < kDepthLimit) return compound(depth + 1);
  if (kind == 18 && one_in(3)) return throwing(depth);
  return "redis.pcall(" + command() + ")";
}

std::string ScriptSource::compound(int depth) {
  switch (below(8)) {
    case 0:
    case 1:
      return "if " + condition(depth) + " then " + block(depth) + "end";
    case 2:
      return "if " + condition(depth) + " then " + block(depth) + "else " + block(depth) + "end";
    case 3:
      return "for i = 1, " + std::to_string(below(4)) + " do " + block(depth) + "end";
    case 4:
      return "for i, e in ipairs(" + table(depth) + ") do " + block(depth) + "end";
    case 5: {
      const std::string result = "pcall(function() " + block(depth) + "end)";
      return "local " + new_local() + " = {" + result + "}";
    }
    case 6: {
      const std::string body = "function(a, b) " + block(depth) + "end";
      const std::string arguments = value(depth) + ", " + value(depth);
      return "local " + new_local() + " = (" + body + ")(" + arguments + ")";
    }
    default: {
      const std::string body = "coroutine.wrap(function() " + block(depth) + "coroutine.yield(1) end)()";
      return "local " + new_local() + " = " + body;
    }
  }
}

// What ends the script, or what catches it.
std::string ScriptSource::throwing(int depth) {
  switch (below(12)) {
    case 0:
      return "error(" + text(depth) + ")";
    case 1:
      return "error({err = " + text(depth) + "})";
    case 2:
      return "error(redis.error_reply('MY own error'))";
    case 3:
      return "error('no place', 0)";
    case 4:
      return "assert(false, 'asserted')";
    case 5:
      return "global = " + value(depth);
    case 6:
      return "local t = undefined_name";
    case 7:
      return "local t = nil + 1";
    case 8:
      return "local t = ('x')()";
    case 9:
      return "redis.call('nonsense', 'x')";
    case 10:
      return "redis.call('get')";
    default:
      return "string.rep = 1";
  }
}

std::string ScriptSource::returning(int depth) {
  switch (below(8)) {
    case 0:
      return "do return " + table(depth) + " end";
    case 1:
    case 2:
      return "do return show(" + value(depth) + ") end";
    case 3:
      return local_count_ > 0 ? "do return show(" + name() + ") end" : "do return 1 end";
    case 4:
      return local_count_ > 0 ? "do return " + name() + " end" : "do return end";
    default:
      return "do return " + value(depth) + " end";
  }
}

}  // namespace memento::testing
