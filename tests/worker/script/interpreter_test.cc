// Scripts without a server: what a chunk may do, what it returns, what its errors say. A host that knows two
// commands plays the server. Expectations are what redis-server 7.0.15 answers, but where a test says so.
#include "worker/script/interpreter.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace memento {
namespace {

class FakeHost : public ScriptHost {
 public:
  std::string_view call(std::span<const std::string_view> words, Protocol protocol) override {
    ++calls;
    protocols.push_back(protocol);
    if (words[0] == "echo") {
      reply_ = "$" + std::to_string(words[1].size()) + "\r\n" + std::string(words[1]) + "\r\n";
    } else if (words[0] == "raw") {
      reply_ = words[1];
    } else {
      reply_ = "-ERR Unknown Redis command called from script\r\n";
    }
    return reply_;
  }
  bool has_command(std::span<const std::string_view> words) override { return words[0] == "echo"; }
  void log(ScriptLogLevel level, std::string_view text) override {
    logged += std::to_string(static_cast<int>(level)) + " " + std::string(text) + "\n";
  }
  const char* stop_reason() noexcept override { return ++looks >= look_limit ? "ERR stopped" : nullptr; }

  int calls = 0;
  int looks = 0;
  int look_limit = 100'000;
  std::string logged;
  std::vector<Protocol> protocols;

 private:
  std::string reply_;
};

class InterpreterTest : public ::testing::Test {
 protected:
  // What EVAL of the text would answer.
  std::string run(std::string_view text, std::vector<std::string_view> keys = {},
                  std::vector<std::string_view> arguments = {}, Protocol protocol = Protocol::kResp2) {
    ByteBuffer output;
    ReplyWriter reply(output, protocol);
    const Interpreter::Compiled compiled = interpreter_.compile(text, "@user_script");
    if (!compiled.error.empty()) return "compile: " + compiled.error;
    host_.looks = 0;
    interpreter_.run(compiled.chunk, {"SHA", keys, arguments}, host_, reply, protocol);
    interpreter_.forget(compiled.chunk);
    return std::string(output.view());
  }
  static std::string error(const std::string& text) {
    return "-ERR " + text + " script: SHA, on @user_script:1.\r\n";
  }
  static std::string raised(const std::string& text) { return error("user_script:1: " + text); }

  Interpreter interpreter_{8 << 20};
  FakeHost host_;
};

// Each of Lua's types, and each of the tables that stand for a type of reply.
TEST_F(InterpreterTest, ValuesBecomeReplies) {
  EXPECT_EQ(run("return 3.99"), ":3\r\n");
  EXPECT_EQ(run("return -3.99"), ":-3\r\n");
  EXPECT_EQ(run("return 'a\\r\\nb'"), "$4\r\na\r\nb\r\n");
  EXPECT_EQ(run("return true"), ":1\r\n");
  EXPECT_EQ(run("return false"), "$-1\r\n");
  EXPECT_EQ(run("return nil"), "$-1\r\n");
  EXPECT_EQ(run("return print"), raised("Script attempted to access nonexistent global variable 'print'"));
  EXPECT_EQ(run("return {1, {2, 'x'}, nil, 4}"), "*2\r\n:1\r\n*2\r\n:2\r\n$1\r\nx\r\n");
  EXPECT_EQ(run("return {ok = 'fi\\nne'}"), "+fi ne\r\n");
  EXPECT_EQ(run("return {err = 'My Err'}"), "-My Err\r\n");
  EXPECT_EQ(run("return redis.error_reply('xx')"), "-ERR xx\r\n");
  EXPECT_EQ(run("return redis.error_reply('-CODE xx')"), "-CODE xx\r\n");
  EXPECT_EQ(run("return redis.status_reply(1)"), "-ERR wrong number or type of arguments\r\n");
  EXPECT_EQ(run("return {double = 3.5}"), "$3\r\n3.5\r\n");
  EXPECT_EQ(run("return {map = {a = 1}}"), "*2\r\n$1\r\na\r\n:1\r\n");
  EXPECT_EQ(run("return {set = {a = true}}"), "*1\r\n$1\r\na\r\n");
  EXPECT_EQ(run("return {verbatim_string = {string = 'x', format = 'mkd'}}", {}, {}, Protocol::kResp3),
            "=5\r\nmkd:x\r\n");
  EXPECT_EQ(run("return {double = 3.5}", {}, {}, Protocol::kResp3), ",3.5\r\n");
  EXPECT_EQ(run("return {true, false}", {}, {}, Protocol::kResp3), "*2\r\n:1\r\n_\r\n");
  EXPECT_EQ(run("redis.setresp(3) return {true, false}", {}, {}, Protocol::kResp3), "*2\r\n#t\r\n#f\r\n");
}

// What comes from commands, as the script sees it.
TEST_F(InterpreterTest, RepliesBecomeValues) {
  EXPECT_EQ(run("return redis.call('echo', ARGV[1]) .. KEYS[1]", {"k"}, {"v"}), "$2\r\nvk\r\n");
  EXPECT_EQ(run("return redis.call('echo', 3.5)"), "$3\r\n3.5\r\n");
  EXPECT_EQ(run("return redis.call('echo', 1e15)"), "$16\r\n1000000000000000\r\n");
  EXPECT_EQ(run("return redis.call('echo', 0.1)"), "$19\r\n0.10000000000000001\r\n");
  EXPECT_EQ(run("return redis.call('raw', '$-1\\r\\n') == false"), ":1\r\n");
  EXPECT_EQ(run("return redis.call('raw', '_\\r\\n') == nil"), ":1\r\n");
  EXPECT_EQ(run("return redis.call('raw', '+OK\\r\\n').ok"), "$2\r\nOK\r\n");
  EXPECT_EQ(run("local t = redis.call('raw', '*2\\r\\n:1\\r\\n$-1\\r\\n') return {#t, t[1]}"),
            "*2\r\n:2\r\n:1\r\n");
  EXPECT_EQ(run("return redis.call('raw', '%1\\r\\n+a\\r\\n:1\\r\\n').map ~= nil"), ":1\r\n");
  EXPECT_EQ(run("return redis.call('raw', ',2.5\\r\\n').double * 2"), ":5\r\n");
  EXPECT_EQ(run("redis.setresp(3) redis.call('echo', 'x') return 1"), ":1\r\n");
  EXPECT_EQ(host_.protocols.back(), Protocol::kResp3);
}

// Where an error was raised is told of those that end the script, by their place.
TEST_F(InterpreterTest, ErrorsSayWhere) {
  EXPECT_EQ(run("error('x')"), raised("x"));
  EXPECT_EQ(run("error({err = 'a b'})"), "-a b script: SHA, on @user_script:1.\r\n");
  EXPECT_EQ(run("error()"), error("nil"));
  EXPECT_EQ(run("\nredis.call('nope')"),
            "-ERR Unknown Redis command called from script script: SHA, on @user_script:2.\r\n");
  EXPECT_EQ(run("return redis.pcall('nope')"), "-ERR Unknown Redis command called from script\r\n");
  EXPECT_EQ(run("local ok, e = pcall(redis.call, 'nope') return {tostring(ok), e}"),
            "*2\r\n$5\r\nfalse\r\n$44\r\nERR Unknown Redis command called from script\r\n");
  EXPECT_EQ(run("redis.call()"), error("Please specify at least one argument for this redis lib call"));
  EXPECT_EQ(run("redis.call('echo', {})"),
            error("Lua redis lib command arguments must be strings or integers"));
  EXPECT_EQ(run("x"), "compile: user_script:1: '=' expected near '<eof>'");
  // Redis ends itself at these.
  EXPECT_EQ(run("error({})"),
            "-ERR the script ended with an error that has no text script: SHA, on @user_script:1.\r\n");
  EXPECT_EQ(run("error({err = {}})"),
            "-ERR the script ended with an error that has no text script: SHA, on @user_script:1.\r\n");
}

// No way to change what other scripts see.
TEST_F(InterpreterTest, GlobalsAreReadOnly) {
  const std::string readonly = "Attempt to modify a readonly table";
  for (const char* text :
       {"x = 1", "_G.x = 1", "string.find = 1", "KEYS = {}", "getmetatable('').__index = 1",
        "getmetatable('').x = 1", "getmetatable('').__index.rep = 1", "server.call = nil"})
    EXPECT_EQ(run(text), raised(readonly)) << text;
  for (const char* text :
       {"rawset(_G, 'x', 1)", "setmetatable(_G, {})", "table.insert(redis, 1)", "rawset(string, 'find', 1)",
        "rawset(getmetatable(''), 'x', 1)", "setmetatable(getmetatable(''), {})", "table.sort(_G)"})
    EXPECT_EQ(run(text), error(readonly)) << text;
  EXPECT_EQ(run("error(redis)"),
            "-ERR the script ended with an error that has no text script: SHA, on @user_script:1.\r\n");
  EXPECT_EQ(run("return rawget(redis, 'source') == nil and redis.line == nil"), ":1\r\n");
  EXPECT_EQ(run("return y"), raised("Script attempted to access nonexistent global variable 'y'"));
  EXPECT_EQ(run("KEYS[1] = 'b' ARGV.x = 1 return KEYS[1]", {"a"}), "$1\r\nb\r\n");
  EXPECT_EQ(run("return {KEYS[1], #ARGV, ARGV.x == nil}", {"a"}), "*3\r\n$1\r\na\r\n:0\r\n:1\r\n");
  EXPECT_EQ(run("return getmetatable('').__index == string and _G._G == _G"), ":1\r\n");
  EXPECT_EQ(run("return ('x'):rep(3)"), "$3\r\nxxx\r\n");
  EXPECT_EQ(run("return rawget(_G, 'redis') == redis and rawget(redis, 'call') == redis.call"), ":1\r\n");
}

// The globals are those of redis-server's scripts; `server` beside them.
TEST_F(InterpreterTest, GlobalsAreThoseOfRedis) {
  EXPECT_EQ(
      run("local t = {} for k in pairs(_G) do t[#t + 1] = k "
          "end "
          "table.sort(t) return table.concat(t, ' ')"),
      [](const std::string& s) {
        return "$" + std::to_string(s.size()) + "\r\n" + s + "\r\n";
      }("ARGV KEYS _G _VERSION assert bit cjson cmsgpack collectgarbage coroutine error gcinfo getmetatable "
        "ipairs "
        "load "
        "loadstring math next pairs pcall rawequal rawget rawset redis select server setmetatable string "
        "struct "
        "table tonumber tostring type unpack xpcall"));
}

// Bytecode is no script, and what load() compiles has the same globals.
TEST_F(InterpreterTest, ChunksOfScriptsAreTextInTheSandbox) {
  EXPECT_EQ(run("return loadstring('return KEYS[1]')()", {"a"}), "$1\r\na\r\n");
  EXPECT_EQ(run("loadstring('x = 1')()"),
            "-ERR [string \"x = 1\"]:1: Attempt to modify a readonly table script: SHA, on x = 1:1.\r\n");
  EXPECT_EQ(run("local n = 0 return load(function() n = n + 1 return ({'return ', '42'})[n] end)()"),
            ":42\r\n");
  EXPECT_EQ(run("return {loadstring(string.dump(function() end))}"), "*0\r\n");
  EXPECT_EQ(run("return select(2, loadstring(string.dump(function() end)))"),
            "$30\r\na script is text, not bytecode\r\n");
  EXPECT_NE(interpreter_.compile("\33Lua", "@user_script").error, "");
}

// Nothing goes on behind the host's reason to stop: handlers of errors and finalizers either.
TEST_F(InterpreterTest, AnythingIsStopped) {
  host_.look_limit = 100;
  for (const char* text :
       {"while true do end", "while true do pcall(function() while true do end end) end",
        "xpcall(function() while true do end end, function() while true do end end) while true do end",
        "xpcall(error, function() while true do end end)",
        "while true do coroutine.wrap(function() pcall(function() while true do end end) end)() end",
        "setmetatable({}, {__index = function(t, k) return t[k .. 'x'] end}).x = nil while true do end",
        "local function f() return f() end return f()", "repeat until pcall(error)",
        "while true do loadstring('return 1')() end",
        "local w = coroutine.wrap local function f() for i = 1, 300 do end end "
        "local function g() for i = 1, 100 do w(f)() end end "
        "local function h() for i = 1, 100 do w(g)() end end for i = 1, 100 do w(h)() end",
        "string.gsub(string.rep('a ', 1e5), '(%a) ', function() redis.pcall('PING') end) while true do end",
        "while true do collectgarbage() end"}) {
    EXPECT_EQ(run(text).substr(0, 12), "-ERR stopped") << text;
  }
  EXPECT_EQ(run("return newproxy"),
            raised("Script attempted to access nonexistent global variable 'newproxy'"));
  EXPECT_EQ(run("return 1"), ":1\r\n");
}

// Memory bombs, deep recursion, and values that are too deep for a reply end the script, and nothing else.
TEST_F(InterpreterTest, BombsEndTheScript) {
  const std::string out_of_memory = "-OOM the script takes more memory than 8388608 bytes\r\n";
  EXPECT_EQ(run("local s = 'x' while true do s = s .. s end"), out_of_memory);
  EXPECT_EQ(run("local t = {} for i = 1, 1e8 do t[i] = {} end"), out_of_memory);
  EXPECT_EQ(run("return string.rep('x', 1e9)"), out_of_memory);
  EXPECT_EQ(run("local function f() return 1 + f() end return f()"), raised("stack overflow"));
  EXPECT_EQ(run("local t = {} t[1] = t return t"),
            "-ERR the script's reply is too long, or nested too deeply\r\n");
  EXPECT_EQ(run("local t = {} t[1] = t t[2] = t return t"),
            "-ERR the script's reply is too long, or nested too deeply\r\n");
  EXPECT_EQ(run("local t = {} for i = 1, 40 do t = {t, t} end return cjson.encode(t)"),
            error("not enough memory"));
  EXPECT_EQ(run("cjson.encode_sparse_array(false, 0) return cjson.encode({[1e9] = 1})"),
            error("not enough memory"));
  EXPECT_EQ(
      run("cjson.encode_sparse_array(false, 2) local t = {} t[1] = t return cjson.encode(t)").substr(0, 5),
      "-ERR ");
  EXPECT_EQ(run("cjson.encode()"), raised("bad argument #1 to 'encode' (expected 1 argument)"));
  EXPECT_EQ(run("return select('#', unpack({}, 1, 1e7))").substr(0, 5), "-ERR ");
  EXPECT_EQ(run("return cjson.new"), "$-1\r\n");  // another encoder would count nothing
  EXPECT_EQ(run("return cjson.decode('[' .. string.rep('[],', 1e5) .. '1]')"), error("not enough memory"));
  EXPECT_EQ(run("return cjson.decode('[' .. string.rep('1,', 1e4) .. '7]')[10001]"), ":7\r\n");
  EXPECT_EQ(run("cjson.decode('[')").substr(0, 5), "-ERR ");
  EXPECT_EQ(run("local t = {} for i = 1, 1e8 do t[i] = {} end"),
            out_of_memory);  // decode lifts no limit for good
  EXPECT_EQ(run("return 1"), ":1\r\n");
}

// bit.tohex with the least number wrote 2 GiB in front of its buffer (CVE-2024-31449).
TEST_F(InterpreterTest, DigitsOfHexadecimals) {
  EXPECT_EQ(run("return bit.tohex(65535, -2147483648)"), "$8\r\n0000FFFF\r\n");
  EXPECT_EQ(run("return bit.tohex(65535, -4294967296 * 3 - 2147483648)"), "$8\r\n0000FFFF\r\n");
  EXPECT_EQ(run("return bit.tohex(65535, 1e300)").substr(0, 1), "$");
  EXPECT_EQ(run("return bit.tohex(65535, 0/0)").substr(0, 1), "$");
  EXPECT_EQ(run("return bit.tohex(65535)"), "$8\r\n0000ffff\r\n");
  EXPECT_EQ(run("return bit.tohex(-1, 4)"), "$4\r\nffff\r\n");
  EXPECT_EQ(run("return bit.tohex(-1, -4)"), "$4\r\nFFFF\r\n");
}

// Texts that would keep the parser busy for minutes are refused: nothing can stop it.
TEST_F(InterpreterTest, ParserBombsAreRefused) {
  std::string text = "local a return a";
  while (text.size() < 500'000) text += " or a";
  EXPECT_EQ(run(text), "compile: a script has more than 5000 conditions");
  text = "if a then ";
  while (text.size() < 500'000) text += "elseif a then ";
  EXPECT_EQ(run(text + "end"), "compile: a script has more than 5000 conditions");
  EXPECT_EQ(run("return loadstring(string.rep('(', 1e5))").substr(0, 4), "$-1\r");
  EXPECT_EQ(run(std::string(2'000'000, ' ')), "compile: a script is longer than the limit of 1048576 bytes");
  EXPECT_EQ(run("--[" + std::string(900'000, '=')), "$-1\r\n");
}

// Of a run that is repeated, random numbers are the same; the next script goes on behind them.
TEST_F(InterpreterTest, RandomNumbersCanBeRepeated) {
  const std::uint64_t state = interpreter_.random_state();
  const std::string first = run("return math.random(1, 1000000)");
  const std::string next = run("return math.random(1, 1000000)");
  EXPECT_NE(first, next);
  interpreter_.set_random_state(state);
  EXPECT_EQ(run("return math.random(1, 1000000)"), first);
}

TEST_F(InterpreterTest, FunctionsOfRedis) {
  EXPECT_EQ(run("return redis.sha1hex('')"), "$40\r\nda39a3ee5e6b4b0d3255bfef95601890afd80709\r\n");
  EXPECT_EQ(run("redis.sha1hex()"), error("wrong number of arguments"));
  EXPECT_EQ(run("redis.log(redis.LOG_NOTICE, 'a', 1)"), "$-1\r\n");
  EXPECT_EQ(host_.logged, "2 a 1\n");
  EXPECT_EQ(run("redis.log(1)"), error("redis.log() requires two arguments or more."));
  EXPECT_EQ(run("redis.log(9, 'x')"), error("Invalid debug level."));
  EXPECT_EQ(run("redis.setresp(4)"), error("RESP version must be 2 or 3."));
  EXPECT_EQ(run("redis.set_repl(99)"),
            error("Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE."));
  EXPECT_EQ(run("return redis.acl_check_cmd('echo')"), ":1\r\n");
  EXPECT_EQ(run("return redis.acl_check_cmd('nope')"),
            error("Invalid command passed to redis.acl_check_cmd()"));
  EXPECT_EQ(run("return {redis.replicate_commands(), redis.breakpoint()}"), "*2\r\n:1\r\n$-1\r\n");
  EXPECT_EQ(run("return cjson.encode({1, 'x', cjson.null})"), "$12\r\n[1,\"x\",null]\r\n");
  EXPECT_EQ(run("return bit.band(6, 3)"), ":2\r\n");
}

}  // namespace
}  // namespace memento
