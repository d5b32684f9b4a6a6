// EVAL and SCRIPT through a session: one transaction a script, whatever happens in it, and the texts that the
// server knows.
#include <gtest/gtest.h>

#include "tests/worker/session/session_fixture.h"
#include "worker/handlers/script/script_word.h"

namespace memento::testing {
namespace {

class ScriptCommandsTest : public SessionTest {
 protected:
  std::string eval(const std::string& text, const Words& keys = {}, const Words& arguments = {}) {
    Words words{"EVAL", text, std::to_string(keys.size())};
    words.insert(words.end(), keys.begin(), keys.end());
    words.insert(words.end(), arguments.begin(), arguments.end());
    return ask(words);
  }
};

constexpr const char* kReturnOne = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";  // of "return 1"

// Whatever ends a script, nothing of it was done; keys that it does not declare are part of that.
TEST_F(ScriptCommandsTest, AScriptIsDoneAsAWholeOrNotAtAll) {
  EXPECT_EQ(eval("redis.call('set', KEYS[1], ARGV[1]) return redis.call('incr', 'undeclared')", {"k"}, {"v"}),
            ":1\r\n");
  EXPECT_EQ(ask("GET k"), "$1\r\nv\r\n");
  EXPECT_EQ(eval("redis.call('set', KEYS[1], 'x') redis.call('incr', 'undeclared') error('no')", {"k"})
                .substr(0, 5),
            "-ERR ");
  EXPECT_EQ(eval("redis.call('set', KEYS[1], 'x') redis.call('incr', KEYS[1])", {"k"}).substr(0, 44),
            "-ERR value is not an integer or out of range");
  EXPECT_EQ(eval("redis.call('flushall') error('no')").substr(0, 5), "-ERR ");
  EXPECT_EQ(eval("redis.call('swapdb', 0, 0)").substr(0, 52),
            "-ERR This Redis command is not allowed from script s");
  EXPECT_EQ(
      eval("redis.call('set', KEYS[1], 'x') local s = 'x' while true do s = s .. s end", {"k"}).substr(0, 5),
      "-OOM ");
  EXPECT_EQ(ask("GET k"), "$1\r\nv\r\n");
  EXPECT_EQ(ask("GET undeclared"), "$1\r\n1\r\n");
  // A failure that the script catches is not its end.
  EXPECT_EQ(eval("redis.call('set', KEYS[1], 'y') redis.pcall('incr', KEYS[1]) return 1", {"k"}), ":1\r\n");
  EXPECT_EQ(ask("GET k"), "$1\r\ny\r\n");
  EXPECT_EQ(eval("#!lua flags=partial\nredis.call('set', KEYS[1], 'z') error('no')", {"k"}).substr(0, 5),
            "-ERR ");
  EXPECT_EQ(ask("GET k"), "$1\r\nz\r\n");
  EXPECT_EQ(eval("redis.call('set', 'a', '1') redis.call('rename', 'a', 'b') return redis.call('get', 'b')"),
            "$1\r\n1\r\n");
}

// A script whose reply is an error has done its work.
TEST_F(ScriptCommandsTest, AnErrorThatIsReturnedUndoesNothing) {
  EXPECT_EQ(eval("redis.call('set', 'k', 'v') return redis.error_reply('no')"), "-ERR no\r\n");
  EXPECT_EQ(ask("GET k"), "$1\r\nv\r\n");
}

TEST_F(ScriptCommandsTest, ScriptsAreKnownByTheirSha1) {
  EXPECT_EQ(ask(Words{"EVALSHA", kReturnOne, "0"}), "-NOSCRIPT No matching script. Please use EVAL.\r\n");
  EXPECT_EQ(ask(Words{"SCRIPT", "LOAD", "return 1"}), "$40\r\n" + std::string(kReturnOne) + "\r\n");
  EXPECT_EQ(ask(Words{"EVALSHA", kReturnOne, "0"}), ":1\r\n");
  EXPECT_EQ(ask(Words{"EVALSHA", "E0E1F9FABFC9D4800C877A703B823AC0578FF8DB", "0"}), ":1\r\n");
  EXPECT_EQ(ask(Words{"SCRIPT", "SHOW", kReturnOne}), "$8\r\nreturn 1\r\n");
  EXPECT_EQ(ask(Words{"SCRIPT", "EXISTS", kReturnOne, "x"}), "*2\r\n:1\r\n:0\r\n");
  EXPECT_EQ(ask(Words{"SCRIPT", "FLUSH", "NOW"}), "-ERR SCRIPT FLUSH only support SYNC|ASYNC option\r\n");
  EXPECT_EQ(ask("SCRIPT FLUSH"), "+OK\r\n");
  EXPECT_EQ(ask(Words{"EVALSHA", kReturnOne, "0"}), "-NOSCRIPT No matching script. Please use EVAL.\r\n");
  EXPECT_EQ(eval("return 1"), ":1\r\n");
  EXPECT_EQ(ask(Words{"EVALSHA", kReturnOne, "0"}), ":1\r\n");
  EXPECT_EQ(ask("FLUSHALL"), "+OK\r\n");
  EXPECT_EQ(ask(Words{"EVALSHA", kReturnOne, "0"}), ":1\r\n");
  EXPECT_EQ(ask(Words{"SCRIPT", "LOAD", "x"}),
            "-ERR Error compiling script (new function): user_script:1: '=' expected near '<eof>'\r\n");
}

TEST_F(ScriptCommandsTest, KeysAreCounted) {
  EXPECT_EQ(eval("return {KEYS[2], ARGV[1]}", {"a", "b"}, {"c"}), "*2\r\n$1\r\nb\r\n$1\r\nc\r\n");
  EXPECT_EQ(ask(Words{"EVAL", "return 1", "x"}), "-ERR value is not an integer or out of range\r\n");
  EXPECT_EQ(ask(Words{"EVAL", "return 1", "-1"}), "-ERR Number of keys can't be negative\r\n");
  EXPECT_EQ(ask(Words{"EVAL", "return 1", "2", "a"}),
            "-ERR Number of keys can't be greater than number of args\r\n");
}

TEST_F(ScriptCommandsTest, FirstLinesAreObeyed) {
  EXPECT_EQ(eval("#!lua flags=no-writes\nreturn redis.call('set', 'k', 'v')").substr(0, 55),
            "-ERR Write commands are not allowed from read-only scri");
  EXPECT_EQ(ask(Words{"EVAL_RO", "return redis.call('publish', 'k', 'v')", "0"}).substr(0, 55),
            "-ERR Write commands are not allowed from read-only scri");
  EXPECT_EQ(ask(Words{"EVAL_RO", "#!lua\nreturn 1", "0"}),
            "-ERR Can not execute a script with write flag using *_ro command.\r\n");
  EXPECT_EQ(ask(Words{"EVAL_RO", "#!lua flags=no-writes\nreturn 1", "0"}), ":1\r\n");
  // PFCOUNT writes nothing here, but in Redis, where it keeps the count in the value.
  EXPECT_EQ(ask("PFADD h a b"), ":1\r\n");
  EXPECT_EQ(ask(Words{"EVAL_RO", "return redis.call('pfcount', KEYS[1])", "1", "h"}).substr(0, 58),
            "-ERR Write commands are not allowed from read-only scripts");
  EXPECT_EQ(eval("return redis.call('pfcount', 'h')"), ":2\r\n");
  EXPECT_EQ(eval("#!lua flags=no-writes,allow-oom\nerror('x')").substr(0, 22), "-ERR user_script:2: x ");
  EXPECT_EQ(eval("#!lua flags=none\nreturn 1"), "-ERR Unexpected flag in script shebang: none\r\n");
  EXPECT_EQ(eval("#!js\nreturn 1"), "-ERR Unexpected engine in script shebang: js\r\n");
  EXPECT_EQ(eval("#!lua name=x\nreturn 1"), "-ERR Unknown lua shebang option: name=x\r\n");
  EXPECT_EQ(eval("#!lua"), "-ERR Invalid script shebang\r\n");
}

// In EXEC a script is part of the transaction; its messages go out when that is done.
TEST_F(ScriptCommandsTest, ScriptsInTransactionsAndTheirMessages) {
  Conversation subscriber(*context_);
  subscriber.ask("SUBSCRIBE c");
  Conversation client(*context_);
  EXPECT_EQ(client.ask("MULTI"), "+OK\r\n");
  EXPECT_EQ(client.ask(Words{"EVAL", "redis.call('publish', 'c', 'm') return redis.call('incr', KEYS[1])",
                             "1", "n"}),
            "+QUEUED\r\n");
  EXPECT_EQ(client.ask("INCR n"), "+QUEUED\r\n");
  EXPECT_EQ(client.ask("EXEC"), "*2\r\n:1\r\n:2\r\n");
  EXPECT_EQ(subscriber.pushes(), pushed({"message", "c", "m"}));
  EXPECT_EQ(eval("redis.call('publish', 'c', 'x') error('no')").substr(0, 5), "-ERR ");
  EXPECT_EQ(subscriber.pushes(), "");
  EXPECT_EQ(eval("return redis.call('publish', 'c', 'y')"), ":1\r\n");
  EXPECT_EQ(subscriber.pushes(), pushed({"message", "c", "y"}));
}

// A script that is stopped in EXEC has done its beginning already: then nothing of EXEC is done. An error of
// its own is its reply.
TEST_F(ScriptCommandsTest, ExecIsRefusedWithAScriptThatIsStopped) {
  Conversation client(*context_);
  const auto execute = [&](const std::string& text) {
    client.ask("MULTI");
    client.ask("SET before 1");
    client.ask(Words{"EVAL", "redis.call('set', 'half', 'done') " + text, "0"});
    client.ask("SET behind 1");
    return client.ask("EXEC");
  };
  settings_.busy_after_ms = 0;
  services_->serve_beside = [&] {
    kill_scripts(settings_, RunKind::kScript);
    return false;
  };
  EXPECT_EQ(execute("while true do end"),
            "-EXECABORT Transaction discarded because of: Script killed by user with SCRIPT KILL.\r\n");
  EXPECT_EQ(execute("local s = 'x' while true do s = s .. s end"),
            "-EXECABORT Transaction discarded because of: OOM the script takes more memory than 67108864 "
            "bytes\r\n");
  EXPECT_EQ(client.ask("EXISTS before half behind"), ":0\r\n");
  EXPECT_EQ(execute("return 1"), "*3\r\n+OK\r\n:1\r\n+OK\r\n");
  client.ask("DEL before half behind");
  EXPECT_EQ(execute("error({err = 'no'})").substr(0, 13), "*3\r\n+OK\r\n-no ");
  EXPECT_EQ(client.ask("EXISTS before half behind"), ":3\r\n");
}

// What scripts tell others at their end is bounded: of one script, and of all in an EXEC together.
TEST_F(ScriptCommandsTest, MessagesAreBounded) {
  Conversation subscriber(*context_);
  subscriber.ask("SUBSCRIBE c");
  subscriber.pushes();
  const auto publish = [](int megabytes) {
    return "local s = string.rep('x', 1048576) for i = 1, " + std::to_string(megabytes) +
           " do redis.call('publish', 'c', s) end return 1";
  };
  const std::string refusal = "OOM what the script tells others takes more than 67108864 bytes";
  for (const std::string& text : {publish(70), "pcall(function() " + publish(70) + " end) return 1"}) {
    const std::string reply = eval("redis.call('set', 'k', 'v') " + text);
    EXPECT_TRUE(reply.starts_with("-" + refusal)) << reply;
  }
  EXPECT_EQ(ask("EXISTS k") + subscriber.pushes(), ":0\r\n");
  Conversation client(*context_);
  client.ask_all({"MULTI", "SET k v"});
  for (int i = 0; i < 3; ++i) client.ask(Words{"EVAL", publish(30), "0"});
  EXPECT_EQ(client.ask("EXEC"), "-EXECABORT Transaction discarded because of: " + refusal + "\r\n");
  EXPECT_EQ(ask("EXISTS k") + subscriber.pushes(), ":0\r\n");
  EXPECT_EQ(eval(publish(2)), ":1\r\n");
  EXPECT_GT(subscriber.pushes().size(), 2u << 20);
}

// TIME stands still in a script and in EXEC, and goes on behind them.
TEST_F(ScriptCommandsTest, TimeStandsStill) {
  const std::string later =
      "local t = redis.call('time') for i = 1, 100000 do tostring(i) end "
      "local u = redis.call('time') return {t[1] == u[1] and t[2] == u[2], t[2]}";
  const std::string reply = eval(later);
  EXPECT_TRUE(reply.starts_with("*2\r\n:1\r\n")) << reply;
  EXPECT_NE(eval(later), reply);
  Conversation client(*context_);
  client.ask_all({"MULTI", "TIME"});
  client.ask(Words{"EVAL", "for i = 1, 100000 do tostring(i) end return redis.call('time')", "0"});
  client.ask("TIME");
  const std::string all = client.ask("EXEC");
  const std::string one = all.substr(4, (all.size() - 4) / 3);
  EXPECT_EQ(all, "*3\r\n" + one + one + one);
  EXPECT_NE(client.ask("TIME"), one);
}

// What says its flags, and not allow-oom, is refused as a whole when memory is full, also in EXEC.
class FullMemoryScriptsTest : public SessionTest {
 protected:
  FullMemoryScriptsTest() : SessionTest(1 << 20, 8 << 20) {
    scripts_.functions();
    EXPECT_EQ(ask(Words{"FUNCTION", "LOAD",
                        "#!lua name=l\nredis.register_function('plain', function() return 1 end) "
                        "redis.register_function{function_name='oom', callback=function() return 2 end, "
                        "flags={'allow-oom'}}"}),
              bulk("l"));
    const std::string value(100'000, 'v');
    while (ask(Words{"SET", "k" + std::to_string(count_), value}) == kOk) ++count_;
    while (ask(Words{"SET", "k" + std::to_string(count_), value.substr(0, 1000)}) == kOk) ++count_;
  }
  int count_ = 0;
};

TEST_F(FullMemoryScriptsTest, WhatSaysItsFlagsIsRefusedWithoutAllowOom) {
  const std::string refusal =
      "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'";
  const auto eval = [&](const std::string& text) { return ask(Words{"EVAL", text, "0"}); };
  EXPECT_EQ(eval("#!lua\nreturn 1"), "-" + refusal + "\r\n");
  EXPECT_EQ(eval("return redis.call('exists', 'k0')"), ":1\r\n");
  EXPECT_EQ(eval("#!lua flags=no-writes\nreturn 1"), ":1\r\n");
  EXPECT_EQ(eval("#!lua flags=allow-oom\nreturn 1"), ":1\r\n");
  EXPECT_EQ(
      eval("#!lua flags=allow-oom\nreturn redis.call('set', 'x', string.rep('x', 200000))").substr(0, 5),
      "-OOM ");
  EXPECT_EQ(ask("FCALL plain 0"), "-" + refusal + "\r\n");
  EXPECT_EQ(ask("FCALL oom 0"), ":2\r\n");
  Conversation client(*context_);
  client.ask_all({"MULTI", "DEL k1"});
  client.ask(Words{"EVAL", "#!lua\nreturn 1", "0"});
  EXPECT_EQ(client.ask("EXEC"), "-EXECABORT Transaction discarded because of: " + refusal + "\r\n");
  for (int i = 0; i < count_; ++i)
    EXPECT_EQ(eval("return redis.call('del', 'k" + std::to_string(i) + "')"), ":1\r\n");
  EXPECT_EQ(eval("#!lua\nreturn 1"), ":1\r\n");
}

// While more memory is in use than may be, the commands of scripts that may need more are refused until the
// script has written something, as it may have removed keys; those of a script with allow-oom are not.
TEST_F(ScriptCommandsTest, MoreInUseThanMayBe) {
  ask("MSET k 1 l 1");
  keyspace_->set_memory_limit(1);
  const std::string refusal = "-OOM command not allowed when used memory > 'maxmemory'.";
  EXPECT_EQ(eval("return redis.call('set', 'k', '2')").substr(0, refusal.size()), refusal);
  EXPECT_EQ(eval("return redis.call('get', 'k')"), bulk("1"));
  EXPECT_EQ(eval("redis.call('del', 'l') return redis.call('set', 'k', '2')"), kOk);
  EXPECT_EQ(eval("#!lua flags=allow-oom\nreturn redis.call('set', 'k', '3')"), kOk);
  EXPECT_EQ(eval("#!lua\nreturn 1").substr(0, 5), "-OOM ");
  keyspace_->set_memory_limit(0);
  EXPECT_EQ(eval("return redis.call('set', 'k', '4')"), kOk);
}

// Who watches a key is sent its value after the script.
TEST_F(ScriptCommandsTest, WatchersSeeWhatScriptsWrite) {
  Conversation watcher(*context_);
  watcher.ask("SUB k");
  EXPECT_EQ(eval("redis.call('set', 'k', '1') redis.call('set', 'k', '2') return 1"), ":1\r\n");
  EXPECT_NE(watcher.pushes().find("$1\r\n2\r\n"), std::string::npos);
  EXPECT_EQ(eval("redis.call('set', 'k', '3') error('no')").substr(0, 5), "-ERR ");
  EXPECT_EQ(watcher.pushes(), "");
}

// What the reply looks like is the client's protocol's business, what the script sees is its own.
TEST_F(ScriptCommandsTest, ProtocolsOfClientAndScript) {
  Conversation client(*context_);
  client.ask("HELLO 3");
  EXPECT_EQ(client.ask(Words{"EVAL", "return {redis.call('get', 'none') == false, false}", "0"}),
            "*2\r\n:1\r\n_\r\n");
  EXPECT_EQ(client.ask(Words{"EVAL", "redis.setresp(3) return redis.call('get', 'none') == nil", "0"}),
            "#t\r\n");
}

// The word that others see of it: a script that loops is stopped by a kill of its kind alone.
TEST_F(ScriptCommandsTest, ALongScriptIsKilled) {
  EXPECT_EQ(ask("SCRIPT KILL"), "-NOTBUSY No scripts in execution right now.\r\n");
  settings_.busy_after_ms = 0;
  int asked = 0;
  std::string other, beside;
  services_->serve_beside = [&] {
    Conversation client(*context_);
    beside = client.ask("GET k") + client.ask("PING");
    if (asked++ == 0) {
      EXPECT_EQ(kill_scripts(settings_, RunKind::kFunction), KillOutcome::kOtherKindRuns);
    } else {
      other = client.ask("SCRIPT KILL");
    }
    return false;
  };
  EXPECT_EQ(eval("redis.call('set', 'k', 'v') while true do pcall(function() while true do end end) end")
                .substr(0, 43),
            "-ERR Script killed by user with SCRIPT KILL");
  EXPECT_EQ(other, "+OK\r\n");
  EXPECT_EQ(
      beside,
      "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.\r\n+PONG\r\n");
  EXPECT_EQ(ask("GET k"), "$-1\r\n");
  EXPECT_EQ(ask("SCRIPT KILL"), "-NOTBUSY No scripts in execution right now.\r\n");
}

}  // namespace
}  // namespace memento::testing
