// FUNCTION and FCALL through a session: libraries are taken, called, listed, dumped and restored, and what
// means harm is refused.
#include <gtest/gtest.h>

#include "tests/worker/session/session_fixture.h"
#include "worker/script/function_dump.h"

namespace memento::testing {
namespace {

class FunctionCommandsTest : public SessionTest {
 protected:
  std::string load(const std::string& body, const std::string& name = "lib") {
    return ask(Words{"FUNCTION", "LOAD", "#!lua name=" + name + "\n" + body});
  }
  // The payload of FUNCTION DUMP.
  std::string dump() {
    const std::string reply = ask(Words{"FUNCTION", "DUMP"});
    const std::size_t begin = reply.find("\r\n") + 2;
    return reply.substr(begin, reply.size() - begin - 2);
  }
};

constexpr const char* kCounter =
    "redis.register_function('count', function(keys, args) return redis.call('INCRBY', keys[1], args[1]) "
    "end)\n"
    "redis.register_function{function_name='look', callback=function(keys) return redis.call('GET', keys[1]) "
    "end, "
    "flags={'no-writes'}, description='looks'}";

TEST_F(FunctionCommandsTest, FunctionsAreCalled) {
  EXPECT_EQ(load(kCounter), "$3\r\nlib\r\n");
  EXPECT_EQ(ask(Words{"FCALL", "count", "1", "k", "5"}), ":5\r\n");
  EXPECT_EQ(ask(Words{"FCALL", "look", "1", "k"}), "$1\r\n5\r\n");
  EXPECT_EQ(ask(Words{"FCALL_RO", "look", "1", "k"}), "$1\r\n5\r\n");
  EXPECT_EQ(ask(Words{"FCALL_RO", "count", "1", "k", "5"}),
            "-ERR Can not execute a script with write flag using *_ro command.\r\n");
  EXPECT_EQ(ask(Words{"FCALL", "LOOK", "1", "k"}), "$1\r\n5\r\n");
  EXPECT_EQ(ask(Words{"FCALL", "other", "0"}), "-ERR Function not found\r\n");
  EXPECT_EQ(ask(Words{"FCALL", "look", "x"}), "-ERR Bad number of keys provided\r\n");
  // What fails has changed nothing, as with scripts.
  load("redis.register_function('half', function(keys) redis.call('SET', keys[1], 'x') error('no') end)",
       "other");
  EXPECT_EQ(ask(Words{"FCALL", "half", "1", "k"}),
            "-ERR user_function:2: no script: half, on @user_function:2.\r\n");
  EXPECT_EQ(ask("GET k"), "$1\r\n5\r\n");
}

// A library is one text: it is replaced and removed as a whole, and names of functions are taken once.
TEST_F(FunctionCommandsTest, LibrariesAreReplacedAndRemoved) {
  load(kCounter);
  EXPECT_EQ(load(kCounter), "-ERR Library 'lib' already exists\r\n");
  EXPECT_EQ(load("redis.register_function('look', function() end)", "other"),
            "-ERR Function look already exists\r\n");
  EXPECT_EQ(ask(Words{"FUNCTION", "LOAD", "REPLACE",
                      "#!lua name=lib\nredis.register_function('look', function() return 'new' end)"}),
            "$3\r\nlib\r\n");
  EXPECT_EQ(ask(Words{"FCALL", "look", "0"}), "$3\r\nnew\r\n");
  EXPECT_EQ(ask(Words{"FCALL", "count", "1", "k", "1"}), "-ERR Function not found\r\n");
  EXPECT_EQ(ask("FUNCTION DELETE lib"), "+OK\r\n");
  EXPECT_EQ(ask("FUNCTION DELETE lib"), "-ERR Library not found\r\n");
  EXPECT_EQ(ask(Words{"FCALL", "look", "0"}), "-ERR Function not found\r\n");
}

TEST_F(FunctionCommandsTest, ListAndStats) {
  load(kCounter);
  load("redis.register_function('f', function() end)", "other");
  const std::string list = ask("FUNCTION LIST LIBRARYNAME O*");
  EXPECT_NE(list.find("other"), std::string::npos);
  EXPECT_EQ(list.find("count"), std::string::npos);
  EXPECT_NE(ask("FUNCTION LIST").find("+no-writes"), std::string::npos);
  EXPECT_NE(ask("FUNCTION LIST WITHCODE").find("library_code"), std::string::npos);
  EXPECT_EQ(ask("FUNCTION STATS"),
            "*4\r\n$14\r\nrunning_script\r\n$-1\r\n$7\r\nengines\r\n*2\r\n$3\r\nLUA\r\n*4\r\n$"
            "15\r\nlibraries_count\r\n:2\r\n"
            "$15\r\nfunctions_count\r\n:3\r\n");
  EXPECT_EQ(ask("FUNCTION KILL"), "-NOTBUSY No scripts in execution right now.\r\n");
}

// A payload brings back what was there, by each policy.
TEST_F(FunctionCommandsTest, DumpIsRestored) {
  load(kCounter);
  const std::string payload = dump();
  EXPECT_EQ(ask(Words{"FUNCTION", "RESTORE", payload}), "-ERR Library lib already exists\r\n");
  EXPECT_EQ(ask(Words{"FUNCTION", "RESTORE", payload, "REPLACE"}), "+OK\r\n");
  load("redis.register_function('f', function() end)", "other");
  EXPECT_EQ(ask(Words{"FUNCTION", "RESTORE", payload, "FLUSH"}), "+OK\r\n");
  EXPECT_EQ(ask(Words{"FCALL", "f", "0"}), "-ERR Function not found\r\n");
  EXPECT_EQ(ask("FUNCTION FLUSH"), "+OK\r\n");
  load("redis.register_function('look', function() end)", "other");
  EXPECT_EQ(ask(Words{"FUNCTION", "RESTORE", payload}), "-ERR Function look already exists\r\n");
  EXPECT_EQ(ask(Words{"FUNCTION", "RESTORE", "nonsense"}),
            "-ERR DUMP payload version or checksum are wrong\r\n");
  // A sound payload with a text that is no library changes nothing.
  FunctionDump broken;
  broken.add("#!lua name=good\nredis.register_function('g', function() end)");
  broken.add("#!lua name=bad\nredis.call('PING')");
  EXPECT_EQ(ask(Words{"FUNCTION", "RESTORE", broken.finish(), "FLUSH"}).substr(0, 33),
            "-ERR Error registering functions:");
  EXPECT_EQ(ask(Words{"FCALL", "look", "0"}), "$-1\r\n");
}

// While it is loaded a library sees next to nothing, does not run long, and takes no more than its share.
TEST_F(FunctionCommandsTest, LoadingIsBounded) {
  const std::string refused = "-ERR Error registering functions: ERR ";
  EXPECT_EQ(load("redis.call('SET', 'k', 'v')"),
            refused + "user_function:2: Script attempted to access nonexistent global variable 'call'\r\n");
  EXPECT_EQ(load("local s = string"),
            refused + "user_function:2: Script attempted to access nonexistent global variable 'string'\r\n");
  EXPECT_EQ(load("x = 1"), refused + "user_function:2: Attempt to modify a readonly table\r\n");
  EXPECT_EQ(load("redis.call = 1"), refused + "user_function:2: Attempt to modify a readonly table\r\n");
  EXPECT_EQ(load("while true do end"), refused + "FUNCTION LOAD timeout\r\n");
  EXPECT_EQ(load("local s = 'x' while true do s = s .. s end"), refused + "not enough memory\r\n");
  // The last bytes are gone, and yet what comes next has memory.
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(load("local t = {} while true do t = {t} end"), refused + "not enough memory\r\n");
  EXPECT_EQ(load("redis.log(redis.LOG_NOTICE, 'dropped')"), "-ERR No functions registered\r\n");
  EXPECT_EQ(load("local d = 'x' for i = 1, 10 do d = d .. d end for i = 1, 2000 do "
                 "redis.register_function{function_name='f'..i, callback=function() end, description=d} end"),
            refused + "the library registers too many functions, or too long names and descriptions\r\n");
  EXPECT_EQ(load("redis.register_function('f', function() end)", std::string(70000, 'n')),
            "-ERR Library names can only contain letters, numbers, or underscores(_) and must be at least "
            "one character "
            "long\r\n");
  EXPECT_EQ(ask(Words{"FUNCTION", "LOAD", "\x1bLua"}), "-ERR Missing library metadata\r\n");
}

// What a library keeps of the loading does not work when it is called, and it has no KEYS of others.
TEST_F(FunctionCommandsTest, CallsAreApartFromLoading) {
  load(
      "local register = redis.register_function redis.register_function('late', function() register('x', "
      "function() end) end) "
      "redis.register_function('keys', function() return KEYS end) "
      "redis.register_function('more', function() return type(string.format) .. type(redis.call) end)");
  EXPECT_EQ(ask(Words{"EVAL", "return KEYS[1]", "1", "k"}), "$1\r\nk\r\n");
  EXPECT_EQ(ask(Words{"FCALL", "late", "0"}),
            "-ERR redis.register_function can only be called on FUNCTION LOAD command script: late, on "
            "@user_function:2.\r\n");
  EXPECT_EQ(ask(Words{"FCALL", "keys", "0"}).substr(0, 80),
            std::string("-ERR user_function:2: Script attempted to access nonexistent global variable 'KEYS'")
                .substr(0, 80));
  EXPECT_EQ(ask(Words{"FCALL", "more", "0"}), "$16\r\nfunctionfunction\r\n");
  EXPECT_EQ(ask(Words{"EVAL", "return redis.call('FCALL', 'more', 0)", "0"}).substr(0, 51),
            "-ERR This Redis command is not allowed from script ");
}

// What libraries keep in their variables is dropped when it takes most of the memory: no other function goes
// without.
TEST_F(FunctionCommandsTest, LargeStateStarvesNoOtherLibrary) {
  load(
      "local kept = {} redis.register_function('keep', function(keys, args) kept[#kept + 1] = "
      "string.rep('x', args[1]) return #kept end)",
      "hog");
  load("redis.register_function('needs', function() return #string.rep('x', 20e6) end)", "other");
  EXPECT_EQ(ask("FCALL keep 0 1000"), ":1\r\n");
  EXPECT_EQ(ask("FCALL keep 0 1000"), ":2\r\n");
  EXPECT_EQ(ask("FCALL keep 0 20000000"), ":3\r\n");
  EXPECT_EQ(ask("FCALL keep 0 15000000"), ":4\r\n");
  EXPECT_EQ(ask("FCALL needs 0"), ":20000000\r\n");
  EXPECT_EQ(ask("FCALL keep 0 1000"), ":1\r\n");
  EXPECT_EQ(ask("FCALL keep 0 20000000"), ":2\r\n");
  EXPECT_EQ(load("local big = {} for i = 1, 200000 do big[i] = {i} end "
                 "redis.register_function('big', function() return #big end)",
                 "big"),
            "$3\r\nbig\r\n");
  EXPECT_EQ(ask("FCALL big 0"), ":200000\r\n");
}

// Others are told which function has been running for a while, and by which request.
TEST_F(FunctionCommandsTest, StatsTellWhatRuns) {
  load("redis.register_function('slow', function() while true do end end)");
  settings_.busy_after_ms = 0;
  std::string stats;
  services_->serve_beside = [&] {
    Conversation client(*context_);
    stats = client.ask("FUNCTION STATS");
    EXPECT_EQ(client.ask("SCRIPT KILL").substr(0, 5), "-BUSY");
    EXPECT_EQ(client.ask("FUNCTION KILL"), "+OK\r\n");
    return false;
  };
  EXPECT_EQ(ask(Words{"FCALL", "SLOW", "1", "key", std::string(300, 'x')}).substr(0, 27),
            "-ERR Script killed by user ");
  EXPECT_TRUE(stats.starts_with("*4\r\n" + bulk("running_script") + "*6\r\n" + bulk("name") + bulk("slow") +
                                bulk("command") + "*5\r\n" + bulk("FCALL") + bulk("SLOW") + bulk("1") +
                                bulk("key") + "$"))
      << stats;
  EXPECT_NE(stats.find(bulk("duration_ms") + ":"), std::string::npos) << stats;
  EXPECT_EQ(ask("FUNCTION STATS").substr(0, 27), "*4\r\n" + bulk("running_script") + "$-");
}

// In transactions functions are called, and libraries are changed, which is taken back when nothing is done.
TEST_F(FunctionCommandsTest, InTransactions) {
  load(kCounter);
  Conversation client(*context_);
  EXPECT_EQ(client.ask("MULTI"), "+OK\r\n");
  EXPECT_EQ(client.ask(Words{"FCALL", "count", "1", "k", "2"}), "+QUEUED\r\n");
  EXPECT_EQ(client.ask("EXEC"), "*1\r\n:2\r\n");
  EXPECT_EQ(client.ask("MULTI"), "+OK\r\n");
  const std::string text = "#!lua name=new\nredis.register_function('fresh', function() return 7 end)";
  EXPECT_EQ(client.ask(Words{"FUNCTION", "LOAD", text}), "+QUEUED\r\n");
  EXPECT_EQ(client.ask("FCALL fresh 0"), "+QUEUED\r\n");
  EXPECT_EQ(client.ask("FUNCTION DELETE lib"), "+QUEUED\r\n");
  EXPECT_EQ(client.ask("FCALL count 1 k 2"), "+QUEUED\r\n");
  EXPECT_EQ(client.ask("EXEC"), "*4\r\n$3\r\nnew\r\n:7\r\n+OK\r\n-ERR Function not found\r\n");
  EXPECT_EQ(ask("FCALL fresh 0"), ":7\r\n");
  // The script that is last ends all of it.
  EXPECT_EQ(client.ask_all({"MULTI", "FUNCTION FLUSH"}), "+OK\r\n+QUEUED\r\n");
  client.ask(Words{"FUNCTION", "LOAD", "#!lua name=late\nredis.register_function('late', function() end)"});
  client.ask(Words{"EVAL", "local s = 'x' while true do s = s .. s end", "0"});
  EXPECT_EQ(client.ask("EXEC").substr(0, 10), "-EXECABORT");
  EXPECT_EQ(ask("FCALL fresh 0"), ":7\r\n");
  EXPECT_EQ(ask("FCALL late 0"), "-ERR Function not found\r\n");
}

// What is taken back is what was done, and nothing that others have done meanwhile.
TEST(FunctionEngineTest, OthersChangesStay) {
  TextStore texts("");
  FunctionEngine own(texts);
  FunctionEngine other(texts);
  const auto load = [](FunctionEngine& functions, const std::string& name, int value) {
    std::string loaded;
    return functions.load("#!lua name=" + name + "\nredis.register_function('" + name +
                              "', function() return " + std::to_string(value) + " end)",
                          FunctionEngine::Policy::kReplace, &loaded);
  };
  for (const char* name : {"changed", "erased", "both"}) EXPECT_EQ(load(own, name, 1), "");
  const FunctionEngine::Snapshot begin = own.snapshot();
  LibraryChanges changes;
  const auto change = [&](const std::function<std::string()>& step) {
    const FunctionEngine::Snapshot before = own.snapshot();
    EXPECT_EQ(step(), "");
    own.note_changes(before, &changes);
  };
  change([&] { return load(own, "changed", 2); });
  change([&] { return load(own, "changed", 3); });
  change([&] { return own.erase("erased"); });
  change([&] { return load(own, "new", 2); });
  change([&] { return load(own, "both", 2); });
  EXPECT_EQ(load(other, "others", 4), "");
  EXPECT_EQ(load(other, "both", 5), "");
  const std::string of_both = own.snapshot().at("both");
  own.take_back(changes);
  const FunctionEngine::Snapshot now = own.snapshot();
  EXPECT_EQ(now.at("changed"), begin.at("changed"));
  EXPECT_EQ(now.at("erased"), begin.at("erased"));
  EXPECT_FALSE(now.contains("new"));
  EXPECT_TRUE(now.contains("others"));
  EXPECT_EQ(now.at("both"), of_both);
}

}  // namespace
}  // namespace memento::testing
