// See library_calls.h.
#include "tests/differential/library_calls.h"

#include <algorithm>

namespace memento::testing {
namespace {

// A string in Lua's source, every byte as its number.
std::string quoted(std::string_view bytes) {
  std::string text = "'";
  for (const char byte : bytes) {
    const std::string digits = std::to_string(static_cast<unsigned char>(byte));
    text.append("\\").append(3 - digits.size(), '0').append(digits);
  }
  return text + "'";
}

// Writes values without the addresses of tables and functions, and tables in the order of their keys.
constexpr const char* kShow = R"(
local function show(value)
  local kind = type(value)
  if kind == 'number' then return string.format('%.17g', value) end
  if kind == 'string' then return string.format('%q', value) end
  if kind ~= 'table' then return kind == 'boolean' and tostring(value) or kind end
  local parts = {}
  for key, entry in pairs(value) do parts[#parts + 1] = show(key) .. '=' .. show(entry) end
  table.sort(parts)
  return '{' .. table.concat(parts, ',') .. '}'
end
local function show_all(...)
  local parts = {}
  for i = 1, select('#', ...) do parts[i] = show((select(i, ...))) end
  return table.concat(parts, ' ')
end
)";

}  // namespace

std::string LibraryCalls::script(const std::string& call) {
  return kShow + std::string("return show_all(pcall(function() return ") + call + " end))";
}

std::string LibraryCalls::bytes(std::size_t limit) {
  std::string result(below(limit), '\0');
  const bool narrow = one_in(2);
  for (char& byte : result) byte = static_cast<char>(narrow ? below(8) : below(256));
  return result;
}

std::string LibraryCalls::number() {
  static constexpr const char* kNumbers[] = {
      "0",           "1",          "-1",         "5",     "31",         "-32",        "-33",
      "127",         "128",        "-128",       "-129",  "255",        "256",        "32767",
      "32768",       "-32769",     "65535",      "65536", "2147483647", "2147483648", "-2147483648",
      "-2147483649", "4294967295", "4294967296", "2^53",  "-2^53",      "2^63",       "-2^63",
      "2^63-1024",   "2^64",       "-2^64",      "1e300", "-1e300",     "0/0",        "1/0",
      "-1/0",        "-0",         "0.1",        "1.5",   "-1.5",       "1e-310",     "3.4e38",
      "3.5e38",      "16777217"};
  if (one_in(4)) return std::to_string(static_cast<std::int64_t>(random_()) >> below(64));
  return pick(kNumbers);
}

std::string LibraryCalls::text() {
  static constexpr const char* kLengths[] = {"31", "32", "255", "256", "65535", "65536", "70000"};
  if (one_in(12)) return "string.rep('x', " + pick(kLengths) + ")";
  return quoted(bytes(12));
}

std::string LibraryCalls::table(int depth) {
  // The order of several keys, and so of the bytes, is not the same in every interpreter.
  if (one_in(4)) return "{[" + (one_in(3) ? number() : text()) + "]=" + value(depth + 1) + "}";
  std::string fields;
  for (std::size_t left = below(one_in(10) ? 20 : 5); left > 0; --left) fields += value(depth + 1) + ",";
  return "{" + fields + "}";
}

std::string LibraryCalls::value(int depth) {
  switch (below(12)) {
    case 0:
      return "nil";
    case 1:
      return one_in(2) ? "true" : "false";
    case 2:
      return one_in(8) ? "pcall" : "coroutine.create(function() end)";
    case 3:
    case 4:
    case 5:
      if (depth < 4) return table(depth);
      return number();
    case 6:
      if (!one_in(4)) return text();
      // Deeper than what is packed; in an array and in a map.
      return one_in(2) ? "(function() local t = {} for i = 1, 20 do t = {t} end return t end)()"
                       : "(function() local t = {} for i = 1, 20 do t = {k = t} end return t end)()";
    case 7:
    case 8:
      return text();
    default:
      return number();
  }
}

std::string LibraryCalls::format() {
  static constexpr const char* kItems[] = {"b",           "B",
                                           "h",           "H",
                                           "l",           "L",
                                           "T",           "i",
                                           "I",           "f",
                                           "d",           "s",
                                           "c",           "x",
                                           "c0",          "i1",
                                           "I2",          "i3",
                                           "i4",          "I5",
                                           "i7",          "i8",
                                           "I8",          "i9",
                                           "I16",         "i32",
                                           "i33",         "i0",
                                           "c3",          "c5",
                                           "Ic0",         "bc0",
                                           "<",           ">",
                                           "!",           "!1",
                                           "!2",          "!4",
                                           "!8",          "!16",
                                           "!3",          "!0",
                                           " ",           "=",
                                           "z",           "i99999999999",
                                           "c2147483647", "c2147483648"};
  std::string result;
  for (std::size_t left = below(7); left > 0; --left)
    result += kItems[one_in(10) ? below(std::size(kItems)) : below(35)];
  return result;
}

// Values as the format wants them, mostly.
std::string LibraryCalls::arguments(std::string_view format) {
  std::string result;
  for (const char letter : format) {
    if (one_in(40)) continue;
    const bool is_string = letter == 's' || letter == 'c';
    if (!is_string && std::string_view("bBhHlLTiIfd").find(letter) == std::string_view::npos) continue;
    result += ", ";
    if (one_in(40)) {
      result += value(3);
    } else {
      result += is_string ? (one_in(2) ? "'hello'" : text()) : number();
    }
  }
  return result;
}

std::string LibraryCalls::next_struct() {
  const std::string layout = format();
  const std::string quoted_layout = quoted(layout);
  static constexpr const char* kPositions[] = {"",    ", 1",  ", 2",    ", 4",   ", 100",
                                               ", 0", ", -1", ", 2^40", ", 'a'", ", nil"};
  switch (below(5)) {
    case 0:
      return "struct.size(" + (one_in(50) ? value(3) : quoted_layout) + ")";
    case 1:
      return "struct.unpack(" + quoted_layout + ", " + (one_in(20) ? value(3) : quoted(bytes(40))) +
             pick(kPositions) + ")";
    case 2:
      return "struct.unpack(" + quoted_layout + ", struct.pack(" + quoted_layout + arguments(layout) + ")" +
             pick(kPositions) + ")";
    default:
      return "struct.pack(" + quoted_layout + arguments(layout) + ")";
  }
}

// Bytes that are MessagePack, mostly.
std::string LibraryCalls::packed(int depth) {
  const auto byte = static_cast<unsigned>(below(256));
  std::string result(1, static_cast<char>(byte));
  const auto append_count = [&](std::size_t count_bytes, std::size_t count) {
    for (std::size_t i = count_bytes; i > 0; --i) result += static_cast<char>(i > 1 ? 0 : count);
  };
  const auto nest = [&](std::size_t count) {
    for (; count > 0; --count)
      result += depth < 3 ? packed(depth + 1) : std::string(1, static_cast<char>(below(128)));
  };
  if (byte >= 0x80 && byte < 0x90) {
    nest(2 * (byte & 15));
  } else if (byte >= 0x90 && byte < 0xa0) {
    nest(byte & 15);
  } else if (byte >= 0xa0 && byte < 0xc0) {
    result += std::string(byte & 31, 'x');
  } else if (byte >= 0xca && byte <= 0xd3) {
    const std::size_t size = byte == 0xca ? 4 : byte == 0xcb ? 8 : std::size_t{1} << ((byte - 0xcc) & 3);
    for (std::size_t i = 0; i < size; ++i) result += static_cast<char>(below(256));
  } else if (byte >= 0xd9 && byte <= 0xdb) {
    const std::size_t size = below(200);
    append_count(std::size_t{1} << (byte - 0xd9), size);
    result += std::string(size, 'y');
  } else if (byte >= 0xdc && byte <= 0xdf) {
    const std::size_t count = below(4);
    append_count((byte & 1) == 0 ? 2 : 4, count);
    nest(byte < 0xde ? count : 2 * count);
  }
  if (one_in(50)) result.resize(below(result.size() + 1));
  return result;
}

std::string LibraryCalls::next_cmsgpack() {
  static constexpr const char* kNumbers[] = {"",       ", 0",    ", 1",   ", 2",   ", 3",  ", -1",
                                             ", 2^31", ", 2^32", ", 1.7", ", '1'", ", {}", ", nil"};
  std::string values = value(0);
  for (std::size_t left = below(3); left > 0; --left) values += ", " + value(0);
  std::string input = one_in(3) ? "cmsgpack.pack(" + values + ")" : std::string();
  if (input.empty()) {
    std::string bytes;
    for (std::size_t left = below(4); left > 0; --left) bytes += packed(0);
    input = one_in(100) ? value(3) : quoted(bytes);
  }
  switch (below(5)) {
    case 0:
      return "cmsgpack.unpack_one(" + input + pick(kNumbers) + ")";
    case 1:
      return "cmsgpack.unpack_limit(" + input + pick(kNumbers) + pick(kNumbers) + ")";
    case 2:
      return "cmsgpack.unpack(" + input + pick(kNumbers) + ")";
    default:
      return "cmsgpack.pack(" + (one_in(100) ? std::string() : values) + ")";
  }
}

// One item of a pattern, mostly a sound one.
std::string LibraryCalls::pattern_item() {
  static constexpr const char* kItems[] = {"a",    "b",    "ab",   ".",     "%a",    "%d",    "%s",    "%w",
                                           "%S",   "%x",   "%p",   "%u",    "%l",    "%c",    "%z",    "%Z",
                                           "%%",   "%.",   "[ab]", "[^a]",  "[a-c]", "[%a_]", "[^%s]", "[]]",
                                           "[^]]", "[a-]", "[%]]", "[a-%]", "%g"};
  static constexpr const char* kOthers[] = {"%b()", "%bab", "%f[%w]", "%f[^a]", "%f[%z]",
                                            "%1",   "%2",   "$",      "^",      "()"};
  static constexpr const char* kBroken[] = {"%", "[", "[a", "[%", "%b", "%bx", "%f",
                                            "(", ")", "%9", "%0", "[^", "[]",  "*"};
  static constexpr const char* kCounts[] = {"*", "+", "-", "?"};
  if (one_in(40)) return pick(kBroken);
  if (one_in(6)) return pick(kOthers);
  if (one_in(5)) return "(" + pattern_item() + ")";
  return pick(kItems) + (one_in(2) ? pick(kCounts) : std::string());
}

std::string LibraryCalls::pattern() {
  if (one_in(100)) return number();
  std::string result = one_in(6) ? "^" : "";
  if (one_in(60)) {
    for (std::size_t left = 30 + below(5); left > 0; --left) result += "()";
  }
  for (std::size_t left = below(5); left > 0; --left) result += pattern_item();
  if (one_in(8)) result += "$";
  if (one_in(40)) result += std::string(1, '\0') + "a";
  return quoted(result);
}

// Lua's functions of `string` that are replaced.
std::string LibraryCalls::next_string() {
  static constexpr const char* kSubjects[] = {"abc",       "aaa",    "a b c", "(a(b)c)", "THE (quick) fox",
                                              "x=1, y=22", "_a1_b2", "",      "abab"};
  static constexpr const char* kPositions[] = {"",       ", 1",       ", 2",       ", -2",  ", 0",  ", 100",
                                               ", -100", ", 2, true", ", 1, true", ", nil", ", 'x'"};
  static constexpr const char* kReplacements[] = {
      "'x'",
      "''",
      "'%0%0'",
      "'%1'",
      "'%2'",
      "'%%'",
      "'%a'",
      "'%'",
      "5",
      "{a = 'A', ab = 1, b = false}",
      "{a = {}}",
      "true",
      "function(...) return select('#', ...) .. tostring(...) end",
      "function() end",
      "function() return {} end",
      "nil",
      "setmetatable({}, {__index = function(_, key) return key .. '!' end})"};
  static constexpr const char* kCounts[] = {"", "", "", ", 0", ", 1", ", 2", ", -1", ", 1.7", ", {}"};
  const std::string subject = one_in(12)  ? (one_in(3) ? table(3) : number())
                              : one_in(2) ? quoted(pick(kSubjects))
                                          : quoted(bytes(30));
  switch (below(6)) {
    case 0:
      return "string.find(" + subject + ", " + pattern() + pick(kPositions) + ")";
    case 1:
      return "string.match(" + subject + ", " + pattern() + pick(kPositions) + ")";
    case 2:
      return "(function(...) local all = {} for a, b, c in string.gmatch(...) do all[#all + 1] = {a, b, c} "
             "end return all end)(" +
             subject + ", " + pattern() + ")";
    case 3:
      return "string.rep(" + subject + ", " + (one_in(10) ? value(3) : std::to_string(below(40))) + ")";
    default:
      return "string.gsub(" + subject + ", " + pattern() + ", " + pick(kReplacements) + pick(kCounts) + ")";
  }
}

std::string LibraryCalls::elements() {
  std::string result;
  const bool has_numbers = one_in(2);
  for (std::size_t left = below(one_in(4) ? 60 : 6); left > 0; --left) {
    result += one_in(60) ? value(3) : has_numbers ? std::to_string(below(20)) : quoted(bytes(3));
    result += ", ";
  }
  if (one_in(8)) result += "[9] = 9, [2.5] = 1";
  return "{" + result + "}";
}

// Lua's functions of `table` that are replaced, and unpack; what they did to the table comes behind their
// results.
std::string LibraryCalls::next_table() {
  static constexpr const char* kNumbers[] = {"0",   "1",   "2",  "3",     "-1",     "7",   "2.5",
                                             "nil", "'x'", "{}", "-2^31", "2^31-1", "2^32"};
  static constexpr const char* kOrders[] = {"",
                                            "",
                                            ", function(a, b) return a > b end",
                                            ", function(a, b) return show(a) < show(b) end",
                                            ", function(a, b) return #show(a) < #show(b) end",
                                            ", function() return true end",
                                            ", function() end",
                                            ", 1",
                                            ", function(a, b) error('no order') end"};
  static constexpr const char* kVisitors[] = {", function(k, v) seen[#seen + 1] = show(v) end",
                                              ", function(k, v) return v end",
                                              ", tostring",
                                              "",
                                              ", 1",
                                              ", function() error('e') end"};
  const std::string number = pick(kNumbers);
  std::string call;
  switch (below(8)) {
    case 0:
      call = "table.concat(t" +
             (one_in(2) ? ", " + (one_in(5) ? value(3) : std::string("', '")) : std::string());
      if (call.size() > 15 && one_in(2))
        call += ", " + number + (one_in(2) ? ", " + pick(kNumbers) : std::string());
      call += ")";
      break;
    case 1:
      // Moves from very far away, or to there, are left out: Lua's own takes minutes for them.
      call = "table.insert(t, " + (one_in(2) ? std::string("'new'") : std::to_string(below(9)) + ", 'new'") +
             (one_in(20) ? ", 1)" : ")");
      break;
    case 2:
      call = "table.remove(t" + (one_in(2) ? ", " + number : std::string()) + ")";
      break;
    case 3:
      call = "table.maxn(t)";
      break;
    case 4:
      call = (one_in(2) ? "table.foreach(t" : "table.foreachi(t") + pick(kVisitors) + ")";
      break;
    case 5:
      // Ranges whose length overflows crash Lua's own.
      call = "unpack(t" +
             (one_in(2) ? ", " + std::to_string(below(4)) + (one_in(2) ? ", " + std::to_string(below(9)) : "")
                        : "") +
             ")";
      break;
    default:
      call = "table.sort(t" + pick(kOrders) + ")";
  }
  const std::string table = one_in(40) ? value(3) : elements();
  return "(function(t) seen = {} local all = {pcall(function() return " + call +
         " end)} return t, seen, unpack(all) end)(" + table + ")";
}

}  // namespace memento::testing
