// FUNCTION and FCALL of memento against redis-server's: the same requests, the same replies, errors included;
// and either restores what the other has dumped.
#include <gtest/gtest.h>

#include "tests/differential/peer.h"
#include "tests/differential/printable.h"

namespace memento::testing {
namespace {

std::string library(const std::string& body, const std::string& name = "lib") {
  return "#!lua name=" + name + "\n" + body;
}

Words load(const std::string& text) { return {"FUNCTION", "LOAD", text}; }

// Texts that are libraries, or are not for one reason each.
std::vector<std::string> texts() {
  std::vector<std::string> all = {"redis.register_function('f', function() end)",
                                  "#!lua",
                                  "#!lua name=x",
                                  "#!lua\nreturn 1",
                                  "#!js name=x\nreturn 1",
                                  "#!lua name=a-b\nreturn 1",
                                  "#!lua name=\nreturn 1",
                                  "#!lua name=a name=b\nreturn 1",
                                  "#!lua foo=a\nreturn 1",
                                  "#!lua name=\"quoted\"\nredis.register_function('f', function() end)",
                                  "#!LUA NAME=upper\nredis.register_function('F', function() end)"};
  for (const char* body : {
           "return 1",
           "syntax error here",
           "redis.call('PING')",
           "redis.setresp(3)",
           "local x = math",
           "local x = pairs",
           "local x = server",
           "x = 1",
           "redis.x = 1",
           "error('x')",
           "redis.log('x')",
           "local v = redis.REDIS_VERSION_NUM + redis.LOG_WARNING redis.register_function('f', function() "
           "return v > 0 end)",
           "redis.register_function()",
           "redis.register_function(1, 2, 3)",
           "redis.register_function('f')",
           "redis.register_function('f', 1)",
           "redis.register_function({}, function() end)",
           "redis.register_function(1, function() end)",
           "redis.register_function('', function() end)",
           "redis.register_function('a-b', function() end)",
           "redis.register_function('f', function() end) redis.register_function('f', function() end)",
           "redis.register_function{function_name='f'}",
           "redis.register_function{callback=function() end}",
           "redis.register_function{function_name={}, callback=function() end}",
           "redis.register_function{function_name=1, callback=function() end}",
           "redis.register_function{function_name='f', callback=1}",
           "redis.register_function{function_name='f', callback=function() end, flags=1}",
           "redis.register_function{function_name='f', callback=function() end, flags={'x'}}",
           "redis.register_function{function_name='f', callback=function() end, flags={1}}",
           "redis.register_function{function_name='f', callback=function() end, flags={'no-writes', "
           "'allow-oom', 'allow-stale', "
           "'no-cluster', 'allow-cross-slot-keys'}, description='all of them'}",
           "redis.register_function{function_name='f', callback=function() end, description={}}",
           "redis.register_function{function_name='f', callback=function() end, other=1}",
           "redis.register_function{function_name='f', callback=function() end, [1]=1}",
       })
    all.push_back(library(body));
  return all;
}

class DifferentialFunctions : public ::testing::Test {
 protected:
  void compare(const std::vector<Words>& requests) {
    const std::vector<std::string> expected = redis_.ask(requests);
    const std::vector<std::string> replies = memento_.ask(requests);
    ASSERT_EQ(expected.size(), requests.size());
    ASSERT_EQ(replies.size(), requests.size());
    for (std::size_t i = 0; i < requests.size(); ++i)
      EXPECT_EQ(printable(expected[i]), printable(replies[i])) << printable(requests[i]);
  }

  RedisServer redis_server_;
  TestServer memento_server_{{"--workers", "1"}};
  Peer redis_{"redis", redis_server_.port()};
  Peer memento_{"memento", memento_server_.port()};
};

TEST_F(DifferentialFunctions, Libraries) {
  for (const char* protocol : {"2", "3"}) {
    std::vector<Words> requests;
    for (const std::string& text : texts()) {
      requests.push_back(load(text));
      requests.push_back({"FUNCTION", "LIST", "WITHCODE"});
      requests.push_back({"FUNCTION", "STATS"});
      requests.push_back({"FCALL", "f", "0"});
      requests.push_back({"FCALL_RO", "f", "0"});
      requests.push_back({"FUNCTION", "FLUSH"});
    }
    (void)redis_.ask({{"HELLO", protocol}});
    (void)memento_.ask({{"HELLO", protocol}});
    compare(requests);
  }
}

TEST_F(DifferentialFunctions, Calls) {
  std::string body;
  const std::vector<std::string> functions = {"return {keys, args}",
                                              "return redis.call('SET', keys[1], args[1])",
                                              "return redis.call('GET', keys[1])",
                                              "error('bad')",
                                              "error({err='MY bad'})",
                                              "return nosuch",
                                              "y = 1",
                                              "return KEYS",
                                              "return redis.call('nosuch')",
                                              "return redis.pcall('nosuch')",
                                              "return redis.error_reply('MY x')",
                                              "return redis.register_function('q', function() end)",
                                              "return {1.5, 'x', false, {ok='y'}}",
                                              "return cjson.encode(args)",
                                              "return redis.sha1hex('')",
                                              "redis.setresp(3) return redis.call('GET', 'none')",
                                              "return string.format('%s', type(math.floor))",
                                              "return redis.call('FCALL', 'f0', 0)",
                                              "return select('#', keys, args)"};
  for (std::size_t i = 0; i < functions.size(); ++i)
    body += "redis.register_function('f" + std::to_string(i) + "', function(keys, args) " + functions[i] +
            " end)\n";
  std::vector<Words> requests{load(library(body)), load(library(body)),
                              load(library("redis.register_function('F0', function() end)", "other"))};
  for (std::size_t i = 0; i < functions.size(); ++i) {
    const std::string name = "f" + std::to_string(i);
    requests.push_back({"FCALL", name, "1", "k", "v"});
    requests.push_back({"FCALL", name, "0"});
  }
  for (const char* count : {"-1", "x", "5", "1.5"}) requests.push_back({"FCALL", "f0", count, "a"});
  requests.insert(requests.end(),
                  {{"FCALL", "nosuch", "0"}, {"FCALL", "f0"}, {"FCALL", "F0", "0"}, {"GET", "k"}});
  compare(requests);
}

TEST_F(DifferentialFunctions, Arguments) {
  compare({{"FUNCTION"},
           {"FUNCTION", "NOSUCH"},
           load(library("redis.register_function('f', function() end)")),
           {"FUNCTION", "LOAD", "OTHER", "x"},
           {"FUNCTION", "LOAD", "REPLACE"},
           {"FUNCTION", "LOAD", "REPLACE", library("redis.register_function('g', function() return 1 end)")},
           {"FCALL", "f", "0"},
           {"FCALL", "g", "0"},
           load(library("redis.register_function('g', function() end)", "other")),
           {"FUNCTION", "LIST", "X"},
           {"FUNCTION", "LIST", "LIBRARYNAME"},
           {"FUNCTION", "LIST", "LIBRARYNAME", "L?B"},
           {"FUNCTION", "LIST", "LIBRARYNAME", "x*"},
           {"FUNCTION", "LIST", "WITHCODE", "WITHCODE"},
           {"FUNCTION", "LIST", "LIBRARYNAME", "a", "LIBRARYNAME", "b"},
           {"FUNCTION", "LIST", "LIBRARYNAME", "lib", "WITHCODE"},
           {"FUNCTION", "DELETE", "nosuch"},
           {"FUNCTION", "DELETE", "LIB"},
           {"FUNCTION", "DELETE"},
           {"FUNCTION", "DELETE", "lib"},
           {"FUNCTION", "KILL"},
           {"FUNCTION", "FLUSH", "x"},
           {"FUNCTION", "FLUSH", "ASYNC"},
           {"FUNCTION", "FLUSH", "SYNC"},
           {"FUNCTION", "DUMP", "x"},
           {"FUNCTION", "DUMP"},
           {"FUNCTION", "RESTORE", "x"},
           {"FUNCTION", "RESTORE", "x", "OTHER"},
           {"EVAL", "return redis.call('FUNCTION', 'LIST')", "0"}});
}

// Either way and by each policy, whether Redis compresses the text or not.
TEST_F(DifferentialFunctions, DumpsAreExchanged) {
  const std::string small = library("redis.register_function('f', function() return 1 end)");
  const std::string long_text = library(
      "redis.register_function('g', function() return '" + std::string(20000, 'x') + "' end)", "other");
  for (Peer* from : {&redis_, &memento_}) {
    Peer* const to = from == &redis_ ? &memento_ : &redis_;
    (void)from->ask({{"FUNCTION", "FLUSH"}, load(small), load(long_text)});
    const std::string reply = from->ask({{"FUNCTION", "DUMP"}})[0];
    const std::size_t begin = reply.find("\r\n") + 2;
    const std::string payload = reply.substr(begin, reply.size() - begin - 2);
    const std::vector<std::string> replies = to->ask({{"FUNCTION", "FLUSH"},
                                                      {"FUNCTION", "RESTORE", payload},
                                                      {"FCALL", "f", "0"},
                                                      {"FCALL", "g", "0"},
                                                      {"FUNCTION", "RESTORE", payload},
                                                      {"FUNCTION", "RESTORE", payload, "REPLACE"},
                                                      {"FUNCTION", "RESTORE", payload, "FLUSH"},
                                                      {"FCALL", "f", "0"}});
    ASSERT_EQ(replies.size(), 8u);
    EXPECT_EQ(replies[1], "+OK\r\n") << from->name();
    EXPECT_EQ(replies[2], ":1\r\n");
    EXPECT_EQ(replies[3].size(), 20000u + 10);
    EXPECT_EQ(replies[4].substr(0, 13), "-ERR Library ");
    EXPECT_EQ(replies[5], "+OK\r\n");
    EXPECT_EQ(replies[6], "+OK\r\n");
    EXPECT_EQ(replies[7], ":1\r\n");
  }
}

}  // namespace
}  // namespace memento::testing
