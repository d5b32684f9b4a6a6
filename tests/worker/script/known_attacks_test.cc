// What was published against the scripts of Redis and Valkey, by its number: each is tried here, or a
// sentence says why there is nothing to try. Behind each the worker's scripts go on as before.
//
// There is nothing of what these were about: CVE-2021-32672 (the debugger, of which breakpoint() alone is
// here, and does nothing), CVE-2024-51741 and CVE-2024-31227 (access lists with selectors), CVE-2021-32687,
// CVE-2023-41053 and others of collections (there are only strings), CVE-2026-23631 as it was carried out
// (becoming a replica while a function runs: there are no replicas). CVE-2018-12326 and CVE-2021-3470 were in
// redis-cli and in an allocator.
#include <gtest/gtest.h>

#include "tests/worker/session/session_fixture.h"

namespace memento::testing {
namespace {

class KnownAttacksTest : public SessionTest {
 protected:
  ~KnownAttacksTest() override { EXPECT_EQ(eval("return 'as before'"), bulk("as before")); }
  std::string eval(const std::string& text, const Words& arguments = {}) {
    Words words{"EVAL", text, "0"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return ask(words);
  }
  /// It ends with an error, and not the process.
  void expect_error(const std::string& text) {
    const std::string reply = eval(text);
    EXPECT_EQ(reply.front(), '-') << text << ": " << reply;
  }
};

// Bytecode can be made to read and write anywhere: no way takes it.
TEST_F(KnownAttacksTest, Cve_2015_4335_Bytecode) {
  EXPECT_EQ(eval("return {loadstring('\\27Lua\\81\\0\\1\\4\\8\\4\\8\\0')}"), "*0\r\n");
  EXPECT_EQ(eval("return {load(function() return '\\27Lua' end)}"), "*0\r\n");
  EXPECT_EQ(eval("return {type(string.dump), type(dofile), type(loadfile), type(require)}").substr(0, 1),
            "-");
  expect_error("\27Lua\1");
}

// Sizes and alignments of struct's formats, and positions, beyond what an int holds.
TEST_F(KnownAttacksTest, Cve_2015_8080_And_2020_14147_NumbersOfStruct) {
  for (const char* const format : {"i2147483648", "I4294967297", "c99999999999999999999", "i2147483647",
                                   "c2147483647c2147483647", "!2147483648", "!3", "i33"}) {
    expect_error(std::string("return struct.pack('") + format + "', 10)");
    expect_error(std::string("return struct.unpack('") + format + "', 'abcdefgh')");
  }
  EXPECT_EQ(eval("return struct.size('c2147483647c2147483647')"), ":4294967294\r\n");
}
TEST_F(KnownAttacksTest, Cve_2018_11219_PositionsOfStruct) {
  for (const char* const position : {"-1", "2147483647", "2147483648", "-2147483648", "1e300", "0/0", "2^53"})
    expect_error(std::string("return struct.unpack('i', 'abcdefgh', ") + position + ")");
  expect_error("return struct.unpack('c4294967295', 'abc')");
  expect_error("return struct.unpack('>I4c0', '\\255\\255\\255\\255abc')");
}

// Counts that say more than there is, nesting without an end, and numbers of values that no stack holds.
TEST_F(KnownAttacksTest, Cve_2018_11218_And_2021_32626_StacksOfCmsgpack) {
  expect_error("return cmsgpack.unpack('\\221\\221\\221')");
  expect_error("return cmsgpack.unpack('\\223\\221\\221')");
  expect_error("return cmsgpack.unpack(string.rep('\\145', 100000))");
  expect_error("return cmsgpack.unpack('\\221' .. string.rep('\\221', 1000000))");
  expect_error("return cmsgpack.unpack('\\221\\223\\1')");
  expect_error("return cmsgpack.unpack('\\220\\255\\255\\255\\255')");
  expect_error("return cmsgpack.unpack('\\221\\255\\255\\255\\255\\1')");
  expect_error("return cmsgpack.unpack('\\219\\255\\255\\255\\255x')");
  expect_error("return cmsgpack.unpack(string.rep('\\1', 1e6))");
  expect_error("local t = {} for i = 1, 1e6 do t[i] = i end return cmsgpack.pack(unpack(t))");
  expect_error("local t = {} for i = 1, 1e6 do t[i] = 'x' end return redis.call('echo', unpack(t))");
  expect_error("return cjson.decode(string.rep('[', 1e6))");
}

// Lengths of what cjson and cmsgpack write, beyond an int.
TEST_F(KnownAttacksTest, Cve_2022_24834_BuffersOfCjsonAndCmsgpack) {
  expect_error("local s = string.rep('x', 2^25) return cjson.encode({s, s, s, s, s, s, s, s})");
  expect_error("local s = string.rep('\\0', 12 * 1024 * 1024) return cjson.encode(s)");
  expect_error(
      "local s = string.rep('x', 2^24) local t = {} for i = 1, 200 do t[i] = s end return cmsgpack.pack(t)");
  expect_error("local s = string.rep('x', 2^24) return cmsgpack.pack(s, s, s, s, s, s, s, s)");
}

// What one script leaves for the next, which another user may run: in globals, in libraries, in the
// metatables of what all share.
TEST_F(KnownAttacksTest, Cve_2022_24735_And_2025_46818_NothingIsLeftForOthers) {
  for (const char* const text : {"getmetatable(_G).__index = function() return 1 end",
                                 "setmetatable(_G, {})",
                                 "rawset(_G, 'x', 1)",
                                 "_G.tostring = 1",
                                 "redis.call = 1",
                                 "string.len = 1",
                                 "getmetatable('').__index.len = 1",
                                 "getmetatable('').__index = 1",
                                 "table.insert(redis, 1)",
                                 "math.pi = 1",
                                 "cjson.encode = 1",
                                 "bit.band = 1",
                                 "struct.pack = 1",
                                 "cmsgpack.pack = 1",
                                 "setmetatable('', {})",
                                 "setmetatable(1, {__index = {}})",
                                 "setmetatable(true, {})",
                                 "setmetatable(print, {})",
                                 "setfenv(1, {})",
                                 "getfenv(1).x = 1",
                                 "debug.setmetatable(1, {})",
                                 "load('x = 1')()",
                                 "loadstring('tostring = 1')()"})
    expect_error(text);
  for (const char* const value : {"1", "true", "nil", "pcall", "coroutine.create(function() end)"})
    EXPECT_EQ(eval(std::string("return getmetatable(") + value + ")"), kNil) << value;
  EXPECT_EQ(eval("return {tostring(5), ('abc'):len(), bit.band(6, 3), cjson.encode({1})}"),
            "*4\r\n" + bulk("5") + ":3\r\n:2\r\n" + bulk("[1]"));
}

// Texts that ended the process when they were compiled or failed. Which it was of 2022 was not published;
// here are what errors know nothing of, and texts that are hardly any.
TEST_F(KnownAttacksTest, Cve_2022_24736_TextsWithoutSense) {
  for (const char* const text : {"error()",
                                 "error(nil)",
                                 "error({})",
                                 "error({ok = 'x'})",
                                 "error({err = {}})",
                                 "error({err = false})",
                                 "error(print)",
                                 "error(setmetatable({}, {__index = error}))",
                                 "return redis.error_reply()",
                                 "return redis.error_reply({})",
                                 "local x <const> = 1",
                                 "for",
                                 "return return",
                                 "local function f() f( end",
                                 "goto x",
                                 "::x::",
                                 "a.b.c.d = 1",
                                 "redis.call(nil)",
                                 "redis.pcall(nil).x.y = 1",
                                 "return #nil",
                                 "return -{}",
                                 "return {} .. {}",
                                 "return {} < {}",
                                 "return 1 < 'x'",
                                 "local t = nil t[1] = 1",
                                 "return ('x').y.z",
                                 "return (function(...) return ... .. 1 end)()"})
    expect_error(text);
  EXPECT_EQ(eval(""), kNil);
  EXPECT_EQ(eval(std::string(1, '\0')).front(), '-');
  expect_error(std::string(190, '(') + "1" + std::string(190, ')') + " = 1");
  expect_error("return " + std::string(100'000, '{'));
  expect_error("return function() " + std::string(5000, ' ') + "if x then");
}

// The Debian package left `package` where scripts found it.
TEST_F(KnownAttacksTest, Cve_2022_0543_NoLibrariesFromOutside) {
  for (const char* const name : {"package", "io", "debug", "require", "module", "dofile", "loadfile"})
    expect_error(std::string("return ") + name);
  expect_error("return os.execute('true')");
  expect_error("return package.loadlib('liblua5.1.so.0', 'luaopen_io')");
}

// Freed while it was still in use: by the collector, which scripts drive, and by the end of what they ran in.
TEST_F(KnownAttacksTest, Cve_2024_46981_TheCollector) {
  expect_error("return newproxy(true)");
  for (const char* const option :
       {"stop", "collect", "step", "restart", "setpause", "setstepmul", "generational"})
    (void)eval(std::string("collectgarbage('") + option +
               "', 1) local t = {} for i = 1, 1e5 do t[i] = {i} end "
               "setmetatable(t, {__gc = function() error('x') end}) t = nil collectgarbage() return 1");
  EXPECT_EQ(eval("local m = setmetatable({}, {__mode = 'kv'}) for i = 1, 1000 do m[i] = {} end "
                 "collectgarbage() return next(m)"),
            kNil);
  EXPECT_EQ(ask("SCRIPT FLUSH"), kOk);
}

// The name of a chunk that is being compiled was freed by the collector.
TEST_F(KnownAttacksTest, Cve_2025_49844_TheNameOfAChunk) {
  EXPECT_EQ(eval("for i = 1, 50 do local name = string.rep('n' .. i, 20000) "
                 "local text = string.rep('local a = \"' .. string.rep(i, 100) .. '\" ', 150) "
                 "local f = loadstring(text, name) name = nil collectgarbage() if f then f() end "
                 "loadstring('+', string.rep('m' .. i, 20000)) end return 1"),
            ":1\r\n");
}

// The number of values that unpack is to give did not fit an int.
TEST_F(KnownAttacksTest, Cve_2025_46817_RangesOfUnpack) {
  for (const char* const range : {"-2147483648, 2147483647", "0, 2147483647", "-2147483647, 2147483647",
                                  "1, 1e9", "-2^31, -1", "-1, 1e8"})
    expect_error(std::string("return {unpack({1, 2, 3}, ") + range + ")}");
  EXPECT_EQ(eval("return {unpack({1, 2, 3}, 2147483647, 2147483647)}"), "*0\r\n");
  EXPECT_EQ(eval("return {unpack({1, 2, 3}, 3, -2147483648)}"), "*0\r\n");
}

// The lexer looked behind the end of a text with a long bracket.
TEST_F(KnownAttacksTest, Cve_2025_46819_LongBrackets) {
  for (const std::size_t length : {1u, 1000u, 65'536u, 500'000u}) {
    const std::string equals(length, '=');
    expect_error("return [" + equals);
    expect_error("return [" + equals + "[");
    expect_error("return [" + equals + "[x]" + equals);
    EXPECT_EQ(eval("--[" + equals), kNil);
    EXPECT_EQ(eval("return [" + equals + "[x]" + equals + "]"), bulk("x"));
  }
  EXPECT_EQ(eval("return type(loadstring('return [' .. string.rep('=', 1e6)))"), bulk("nil"));
}

// bit.tohex wrote in front of its buffer; more of it is in interpreter_test.cc.
TEST_F(KnownAttacksTest, Cve_2024_31449_DigitsOfHexadecimals) {
  EXPECT_EQ(eval("return bit.tohex(65535, -2147483648)"), bulk("0000FFFF"));
}

// A text of a script's that ends a line of the reply begins another reply, which is taken for the next one's.
TEST_F(KnownAttacksTest, Cve_2025_67733_ErrorsAreOneLine) {
  for (const char* const text :
       {"return redis.error_reply('MY error\\r\\n+OK')", "return {err = 'MY error\\r\\n$3\\r\\nabc'}",
        "error('text\\n+OK')", "error({err = 'MY error\\r\\n+OK'})", "return {ok = 'fine\\r\\n+OK'}",
        "return redis.status_reply('fine\\n+OK')", "return redis.call('nonsense\\r\\n+OK')",
        "return redis.call('set', 'k', 'v', 'x\\r\\n+OK')", "#!lua flags=no\r+OK\nreturn 1",
        "#!lua x\r+OK\nreturn 1", "#!x\r+OK\nreturn 1",
        "return redis.error_reply('MY \\0 error\\r\\n+OK')"}) {
    const std::string reply = eval(text);
    EXPECT_EQ(reply.find_first_of("\r\n"), reply.size() - 2) << reply;
  }
  EXPECT_EQ(ask(Words{"FCALL", "no\r\n+OK", "0"}).find("+OK"), std::string::npos);
  const std::string reply = ask(Words{"FUNCTION", "LOAD", "#!lua name=a\r+OK\nreturn 1"});
  EXPECT_EQ(reply.find_first_of("\r\n"), reply.size() - 2) << reply;
  EXPECT_EQ(ask(Words{"EVAL", "redis.setresp(3) return {big_number = '1\\r\\n+OK'}", "0"}).find("\n+"),
            std::string::npos);
  Conversation client(*context_);
  client.ask("HELLO 3");
  EXPECT_EQ(client.ask(Words{"EVAL", "return {big_number = '1\\r\\n+OK'}", "0"}).find("\n+"),
            std::string::npos);
  EXPECT_EQ(client.ask(Words{"EVAL", "return {verbatim_string = {format = 'a\\r\\n', string = 'x'}}", "0"})
                .substr(0, 4),
            "=5\r\n");
}

// While a function runs for long, nobody takes its library away in the same worker.
TEST_F(KnownAttacksTest, Cve_2026_23631_LibrariesThatRun) {
  EXPECT_EQ(ask(Words{"FUNCTION", "LOAD",
                      "#!lua name=l\nlocal kept = {} redis.register_function('f', function() "
                      "for i = 1, 3e6 do kept[i % 100] = {i} end return #kept end)"}),
            bulk("l"));
  settings_.busy_after_ms = 0;
  int asked = 0;
  services_->serve_beside = [&] {
    Conversation client(*context_);
    for (const char* const line :
         {"FUNCTION FLUSH", "FUNCTION DELETE l", "SCRIPT FLUSH", "FCALL f 0", "EXEC"})
      EXPECT_EQ(client.ask(line).substr(0, 6), "-BUSY ") << line;
    EXPECT_EQ(client.ask("FUNCTION STATS").front(), '*');
    ++asked;
    return false;
  };
  EXPECT_EQ(ask("FCALL f 0"), ":99\r\n");
  EXPECT_GT(asked, 0);
  EXPECT_EQ(ask("FUNCTION FLUSH"), kOk);
}

}  // namespace
}  // namespace memento::testing
