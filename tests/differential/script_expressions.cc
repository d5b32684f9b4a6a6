// See script_source.h: expressions, and the commands that scripts call.
#include <string>

#include "tests/differential/script_source.h"

namespace memento::testing {
namespace {

constexpr int kDepthLimit = 3;

}  // namespace

std::string ScriptSource::key() {
  if (one_in(5)) return one_in(2) ? "KEYS[1]" : "KEYS[2] or 'x'";
  return "'" + keys()[below(keys().size())] + "'";
}

std::string ScriptSource::integer_word() {
  static constexpr const char* kWords[] = {"0",  "1",    "2",   "-1",  "7",     "100",
                                           "-5", "'12'", "3.0", "2.5", "'abc'", "2^40"};
  return pick(kWords);
}

// An argument of a command: what Lua turns into one, and what it cannot.
std::string ScriptSource::word() {
  static constexpr const char* kWords[] = {"'v'",
                                           "''",
                                           "'hello world'",
                                           "10",
                                           "-1",
                                           "3.5",
                                           "1e15",
                                           "1e17",
                                           "0.1",
                                           "'12'",
                                           "ARGV[1]",
                                           "ARGV[2] or 'z'",
                                           "2^53",
                                           "2^63",
                                           "-0",
                                           "1/3",
                                           "100000000000000000000",
                                           "'\\0\\255'",
                                           "('x'):rep(40)"};
  static constexpr const char* kWrong[] = {"nil", "true", "{}", "{'a'}", "print", "0/0", "1/0", "-1/0"};
  if (one_in(30)) return pick(kWrong);
  if (one_in(6) && local_count_ > 0) return "tostring(type(" + name() + "))";
  return pick(kWords);
}

// The words of a command, as arguments of redis.call.
std::string ScriptSource::command() {
  struct Form {
    const char* name;
    const char* words;  // k: key, w: any word, i: integer, mostly; p: a position that is one (0 may be -0 in
                        // Lua's constants), t: a time, none of which ends meanwhile
  };
  static constexpr Form kForms[] = {
      {"get", "k"},        {"set", "kw"},       {"incr", "k"},         {"incrby", "ki"},
      {"decr", "k"},       {"decrby", "ki"},    {"append", "kw"},      {"strlen", "k"},
      {"getrange", "kii"}, {"setrange", "kiw"}, {"mget", "kkk"},       {"mset", "kwkw"},
      {"exists", "kk"},    {"del", "k"},        {"type", "k"},         {"expire", "kt"},
      {"persist", "k"},    {"ttl", "k"},        {"getset", "kw"},      {"getdel", "k"},
      {"setnx", "kw"},     {"msetnx", "kwkw"},  {"incrbyfloat", "kw"}, {"setbit", "kii"},
      {"getbit", "ki"},    {"bitcount", "k"},   {"bitcount", "kpp"},   {"bitpos", "kp"},
      {"copy", "kk"},      {"rename", "kk"},    {"renamenx", "kk"},    {"echo", "w"},
      {"ping", ""},        {"ping", "w"},       {"lcs", "kk"},         {"dbsize", ""},
      {"publish", "ww"},   {"pfadd", "kww"},    {"pfcount", "kk"},     {"pfmerge", "kk"},
      {"psetex", "ktw"},   {"setex", "ktw"},    {"unlink", "kk"},      {"touch", "kk"},
      {"select", "i"},     {"GET", "k"},        {"SeT", "kw"},         {"getex", "k"},
      {"substr", "kii"},   {"object", "wk"},    {"expireat", "ki"},    {"flushall", ""},
      {"subscribe", "w"},  {"multi", ""},       {"watch", "k"},        {"eval", "wi"},
      {"nonsense", "kw"},  {"get", "kk"},       {"set", "k"},          {"script", "w"},
      {"time", "w"},       {"auth", "w"},       {"client", "w"},       {"randomkey", "w"}};
  static constexpr const char* kOptions[] = {", 'nx'",        ", 'xx'",      ", 'get'",     ", 'ex', 100",
                                             ", 'nx', 'get'", ", 'keepttl'", ", 'px', 'x'", ", 'wrong'"};
  static constexpr const char* kRare[] = {"",
                                          "nil",
                                          "{}",
                                          "1",
                                          "'bitop', 'and', 'x', 'n', 's'",
                                          "'bitfield', 'b', 'incrby', 'u8', 8, 200, 'get', 'i16', 0",
                                          "'lcs', 's', 'b', 'idx', 'withmatchlen'",
                                          "unpack({'get', 's'})",
                                          "'mget', unpack(KEYS)"};
  if (one_in(20)) return pick(kRare);
  const Form& form = one_in(3) ? kForms[below(std::size(kForms))] : kForms[below(26)];
  std::string words = std::string("'") + form.name + "'";
  static constexpr const char* kTimes[] = {"1000", "'10000'", "0", "-5", "2.5", "'abc'", "2^62"};
  for (const char kind : std::string_view(form.words)) {
    const std::string word_of_kind = kind == 'k'   ? key()
                                     : kind == 'i' ? integer_word()
                                     : kind == 'p' ? (one_in(2) ? "'0'" : "'1'")
                                     : kind == 't' ? pick(kTimes)
                                                   : word();
    words += ", " + word_of_kind;
  }
  if (std::string_view(form.name) == "set" && one_in(3)) words += pick(kOptions);
  return words;
}

// One value: the first of several.
std::string ScriptSource::value(int depth) {
  static constexpr const char* kSimple[] = {"nil",  "true", "false", "KEYS[1]", "ARGV[1]", "ARGV",
                                            "KEYS", "{}",   "show",  "'text'",  "3.7"};
  if (depth >= kDepthLimit) return one_in(2) && local_count_ > 0 ? name() : pick(kSimple);
  switch (below(14)) {
    case 0:
    case 1:
      return number(depth + 1);
    case 2:
    case 3:
      return text(depth + 1);
    case 4:
      return table(depth + 1);
    case 5:
    case 6:
      return library(depth + 1);
    case 7:
      return caught(depth + 1);
    case 8:
    case 9:
      return "redis.call(" + command() + ")";
    case 10:
      return "redis.pcall(" + command() + ")";
    case 11:
      return "(" + condition(depth + 1) + ")";
    default:
      return local_count_ > 0 ? name() : pick(kSimple);
  }
}

std::string ScriptSource::number(int depth) {
  static constexpr const char* kNumbers[] = {"0",    "1",    "-1",    "3.14", "-2.9", "1e10",
                                             "2^31", "2^53", "-2^63", "2^63", "1e20", "0/0",
                                             "1/0",  "-1/0", "0x1f",  "99",   "0.5",  "1e-5"};
  static constexpr const char* kOperators[] = {" + ", " - ", " * ", " / ", " % ", " ^ "};
  if (depth >= kDepthLimit || one_in(3)) return pick(kNumbers);
  switch (below(8)) {
    case 0:
    case 1:
      return "(" + number(depth + 1) + pick(kOperators) + number(depth + 1) + ")";
    case 2:
      return "#" + std::string(one_in(2) ? table(depth + 1) : "(" + text(depth + 1) + ")");
    case 3:
      return "math.floor(" + number(depth + 1) + ")";
    case 4:
      return "(tonumber(" + text(depth + 1) + ") or 0)";
    case 5:
      return "math.max(" + number(depth + 1) + ", " + number(depth + 1) + ")";
    case 6:
      return "select('#', " + value(depth + 1) + ", " + value(depth + 1) + ")";
    default:
      return "-" + number(depth + 1);
  }
}

std::string ScriptSource::text(int depth) {
  static constexpr const char* kTexts[] = {
      "'abc'",     "''",      "'12'",           "'a b c'",           "'\\0x'",        "'%d'",
      "'x=1,y=2'", "'[1,2]'", "'{\"k\":null}'", "ARGV[1] or 'none'", "KEYS[1] or 'n'"};
  if (depth >= kDepthLimit || one_in(3)) return pick(kTexts);
  const std::string inner = "(" + text(depth + 1) + ")";
  switch (below(10)) {
    case 0:
      return inner + " .. " + (one_in(2) ? "(" + number(depth + 1) + ")" : inner);
    case 1:
      return inner + ":upper()";
    case 2:
      return inner + ":sub(" + std::to_string(below(4)) + ", -" + std::to_string(below(3)) + ")";
    case 3:
      return inner + ":rep(" + std::to_string(below(4)) + ")";
    case 4:
      return inner + ":gsub('%a', '<%0>')";
    case 5:
      return "string.format('%s|%5.2f|%d', " + inner + ", " + number(depth + 1) + ", 7)";
    case 6:
      return "tostring(" + number(depth + 1) + ")";
    case 7:
      return "type(" + value(depth + 1) + ")";
    case 8:
      return inner + ":reverse()";
    default:
      return "redis.sha1hex(" + inner + ")";
  }
}

std::string ScriptSource::condition(int depth) {
  static constexpr const char* kComparisons[] = {" == ", " ~= ", " < ", " <= ", " > "};
  switch (below(6)) {
    case 0:
      return value(depth);
    case 1:
      return "not " + value(depth);
    case 2:
      return value(depth) + (one_in(2) ? " == " : " ~= ") + value(depth);
    case 3:
      return one_in(2) ? "true" : "false";
    case 4:
      return "(" + value(depth) + (one_in(2) ? ") and (" : ") or (") + value(depth) + ")";
    default:
      return number(depth) + pick(kComparisons) + number(depth);
  }
}

std::string ScriptSource::table(int depth) {
  static constexpr const char* kFixed[] = {"{ok = 'fine'}",
                                           "{err = 'ERR own'}",
                                           "{err = 'no code'}",
                                           "{ok = 1}",
                                           "{double = 3.25}",
                                           "{map = {a = 1}}",
                                           "{set = {a = true}}",
                                           "{big_number = '123456789012345678901234567890'}",
                                           "{verbatim_string = {format = 'txt', string = 'hello'}}",
                                           "{1, 2, nil, 4}",
                                           "{[1] = 'a', [3] = 'c'}",
                                           "{a = 1, 2, 3}",
                                           "{{}, {{}}, {1, {2, {3}}}}",
                                           "redis.status_reply('S')",
                                           "redis.error_reply('E')",
                                           "redis.error_reply('CODE with text')",
                                           "redis.error_reply('-CODE dash')",
                                           "{double = 'x'}",
                                           "{map = 1}",
                                           "{err = 'a\\r\\nb'}",
                                           "{ok = 'a\\nb'}"};
  if (depth >= kDepthLimit || one_in(3)) return pick(kFixed);
  std::string fields;
  for (std::size_t left = below(5); left > 0; --left) {
    if (one_in(6)) fields += one_in(2) ? "k = " : "['f'] = ";
    fields += value(depth + 1) + ", ";
  }
  return "{" + fields + "}";
}

std::string ScriptSource::library(int depth) {
  static constexpr const char* kBits[] = {"band", "bor", "bxor", "lshift", "rshift", "arshift", "rol", "ror"};
  static constexpr const char* kFormats[] = {"'>I4'",  "'<i2'", "'b'", "'d'",
                                             "'!4bi'", "'Bc0'", "'s'", "'>h'"};
  switch (below(16)) {
    case 0:
      return "cjson.encode(" + (one_in(2) ? table(depth) : value(depth)) + ")";
    case 1:
      return "cjson.decode(" + text(depth) + ")";
    case 2:
      return "cjson.decode('[1,-2.5,\"x\",null,true,{\"a\":{}},[],1e3]')";
    case 3:
      return "cmsgpack.pack(" + value(depth) + ", " + value(depth) + ")";
    case 4:
      return "cmsgpack.unpack(cmsgpack.pack(" + value(depth) + "))";
    case 5:
      return "struct.pack(" + pick(kFormats) + ", " + (one_in(2) ? number(depth) : text(depth)) + ")";
    case 6:
      return "struct.unpack(" + pick(kFormats) + ", " + text(depth) + ")";
    case 7:
      return "bit." + pick(kBits) + "(" + number(depth) + ", " + number(depth) + ")";
    case 8:
      return "bit.tohex(" + number(depth) + ")";
    case 9:
      return "table.concat(" + table(depth) + ", ',')";
    case 10:
      return "unpack(" + table(depth) + ")";
    case 11:
      return "string.byte(" + text(depth) + ", 1, 2)";
    case 12:
      return "string.find(" + text(depth) + ", " + text(depth) + ")";
    case 13:
      return "tonumber(" + text(depth) + ", " + std::to_string(2 + below(36)) + ")";
    case 14:
      return "(next(" + table(depth) + "))";
    default:
      return "({string.match(" + text(depth) + ", '(%w)=(%w)')})";
  }
}

// What gives an error as a value.
std::string ScriptSource::caught(int depth) {
  switch (below(6)) {
    case 0:
      return "{pcall(redis.call, " + command() + ")}";
    case 1:
      return "(select(2, pcall(redis.call, " + command() + ")))";
    case 2:
      return "{pcall(function() return " + value(depth) + " end)}";
    case 3:
      return "(select(2, pcall(error, " + text(depth) + ")))";
    case 4:
      return "{xpcall(function() return " + value(depth) + " end, function(e) return {e} end)}";
    default:
      return "redis.pcall(" + command() + ").err";
  }
}

}  // namespace memento::testing
