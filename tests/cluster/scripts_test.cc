// Scripts, functions, and the commands that came with them, in a cluster: each from every node, for keys of
// every node.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/cluster/test_cluster.h"
#include "tests/differential/peer.h"

namespace memento::testing {
namespace {

constexpr const char* kCrossSlot = "-CROSSSLOT Keys in request don't hash to the same slot\r\n";
constexpr std::size_t kNodes = 3;

class ClusterScripts : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ = new TestCluster({kNodes});
    for (std::size_t node = 0; node < kNodes; ++node)
      peers_.emplace_back(TestCluster::name(node), cluster_->port(node));
  }
  static void TearDownTestSuite() {
    peers_.clear();
    delete cluster_;
    cluster_ = nullptr;
  }
  void SetUp() override {
    EXPECT_EQ(ask(0, {"FLUSHALL"}), "+OK\r\n");
    EXPECT_EQ(ask(1, {"SCRIPT", "FLUSH"}), "+OK\r\n");
    EXPECT_EQ(ask(2, {"FUNCTION", "FLUSH"}), "+OK\r\n");
  }

  static std::string ask(std::size_t node, const Words& words) {
    const std::vector<std::string> replies = peers_[node].ask({words});
    return replies.empty() ? "the end of the connection" : replies[0];
  }
  /// The same from a line of words without spaces in them.
  static std::string say(std::size_t node, const std::string& line) {
    Words words;
    for (std::size_t begin = 0; begin < line.size();) {
      const std::size_t end = std::min(line.find(' ', begin), line.size());
      words.push_back(line.substr(begin, end - begin));
      begin = end + 1;
    }
    return ask(node, words);
  }
  static std::string key_of(std::size_t node, int number = 0) { return cluster_->key_of(node, number); }
  static std::string bulk(const std::string& bytes) {
    return "$" + std::to_string(bytes.size()) + "\r\n" + bytes + "\r\n";
  }
  /// Calls visit(node, owner) for each node that is asked, and each whose keys it is about.
  template <class Visit>
  static void each_pair(Visit&& visit) {
    for (std::size_t node = 0; node < kNodes; ++node) {
      for (std::size_t owner = 0; owner < kNodes; ++owner) {
        SCOPED_TRACE("node " + std::to_string(node) + ", keys of node " + std::to_string(owner));
        visit(node, owner);
      }
    }
  }

  static TestCluster* cluster_;
  static std::vector<Peer> peers_;
};
TestCluster* ClusterScripts::cluster_ = nullptr;
std::vector<Peer> ClusterScripts::peers_;

// Shows that a script that was loaded through one node is run through every, for keys of every.
TEST_F(ClusterScripts, LoadedScriptsAreKnownEverywhere) {
  const std::string text = "return redis.call('incr', KEYS[1])";
  for (std::size_t loader = 0; loader < kNodes; ++loader) {
    EXPECT_EQ(say(loader, "SCRIPT FLUSH"), "+OK\r\n");
    const std::string reply = ask(loader, {"SCRIPT", "LOAD", text});
    ASSERT_EQ(reply.size(), 47u) << reply;
    const std::string sha1 = reply.substr(5, 40);
    for (std::size_t node = 0; node < kNodes; ++node)
      EXPECT_EQ(ask(node, {"SCRIPT", "EXISTS", sha1}), "*1\r\n:1\r\n");
    each_pair([&](std::size_t node, std::size_t owner) {
      EXPECT_EQ(ask(node, {"EVALSHA", sha1, "1", key_of(owner)}),
                ":" + std::to_string(loader * kNodes + node + 1) + "\r\n");
      EXPECT_EQ(ask(node, {"EVALSHA_RO", sha1, "1", key_of(owner)}).substr(0, 30),
                "-ERR Write commands are not al");
    });
  }
}

// Shows that a node to which a script was given knows it, whichever node ran it; in a transaction, too.
TEST_F(ClusterScripts, ANodeKnowsWhatItWasGiven) {
  each_pair([&](std::size_t node, std::size_t owner) {
    EXPECT_EQ(say(node, "SCRIPT FLUSH"), "+OK\r\n");
    const std::string text = "return " + std::to_string(node * 10 + owner);
    EXPECT_EQ(ask(node, {"EVAL", text, "1", key_of(owner)}), ":" + text.substr(7) + "\r\n");
    const Words sha1_of{"EVAL", "return redis.sha1hex(ARGV[1])", "1", key_of(node), text};
    const std::string sha1 = ask(node, sha1_of).substr(5, 40);
    for (std::size_t other = 0; other < kNodes; ++other) {
      EXPECT_EQ(ask(node, {"EVALSHA", sha1, "1", key_of(other)}), ":" + text.substr(7) + "\r\n");
      EXPECT_EQ(say(node, "MULTI"), "+OK\r\n");
      EXPECT_EQ(ask(node, {"EVALSHA", sha1, "1", key_of(other)}), "+QUEUED\r\n");
      EXPECT_EQ(say(node, "EXEC"), "*1\r\n:" + text.substr(7) + "\r\n");
    }
  });
}

// The other node of a transaction's keys has forgotten the script, or never knew it.
TEST_F(ClusterScripts, AQueuedScriptTakesItsTextAlong) {
  const std::string text = "return redis.call('incrby', KEYS[1], 5)";
  each_pair([&](std::size_t node, std::size_t owner) {
    if (node == owner) return;
    EXPECT_EQ(say(node, "SCRIPT FLUSH"), "+OK\r\n");
    EXPECT_EQ(ask(node, {"EVAL", text, "1", key_of(node)}).front(), ':');
    const std::string sha1 =
        ask(node, {"EVAL", "return redis.sha1hex(ARGV[1])", "1", key_of(node), text}).substr(5, 40);
    EXPECT_EQ(ask(owner, {"SCRIPT", "EXISTS", sha1}), "*1\r\n:0\r\n");
    EXPECT_EQ(ask(node, {"SET", key_of(owner), "1"}), "+OK\r\n");
    EXPECT_EQ(say(node, "MULTI"), "+OK\r\n");
    EXPECT_EQ(ask(node, {"EVALSHA", sha1, "1", key_of(owner)}), "+QUEUED\r\n");
    EXPECT_EQ(ask(node, {"EVALSHA_RO", sha1, "1", key_of(owner)}), "+QUEUED\r\n");
    EXPECT_EQ(ask(node, {"GET", key_of(owner)}), "+QUEUED\r\n");
    const std::string reply = say(node, "EXEC");
    EXPECT_TRUE(reply.starts_with("*3\r\n:6\r\n-ERR Write commands are not allowed")) << reply;
    EXPECT_TRUE(reply.ends_with("$1\r\n6\r\n")) << reply;
  });
}

// Shows that a script which is queued many times takes its text along once, which is enough, also
// where its SHA-1 is written in other letters.
TEST_F(ClusterScripts, AQueuedScriptTakesItsTextAlongOnce) {
  constexpr int kCalls = 300;
  const std::string text = "return redis.call('incrby', KEYS[1], 5) --" + std::string(900'000, 'x');
  EXPECT_EQ(say(0, "SCRIPT FLUSH"), "+OK\r\n");
  EXPECT_EQ(ask(0, {"EVAL", text, "1", key_of(0)}).front(), ':');
  std::string sha1 = ask(0, {"EVAL", "return redis.sha1hex(ARGV[1])", "1", key_of(0), text}).substr(5, 40);
  EXPECT_EQ(ask(0, {"SET", key_of(1), "0"}), "+OK\r\n");
  EXPECT_EQ(say(0, "MULTI"), "+OK\r\n");
  for (int i = 0; i < kCalls; ++i) {
    EXPECT_EQ(ask(0, {"EVALSHA", sha1, "1", key_of(1)}), "+QUEUED\r\n");
    if (i == 0) std::ranges::replace(sha1, 'a', 'A');
  }
  std::string expected = "*" + std::to_string(kCalls) + "\r\n";
  for (int i = 1; i <= kCalls; ++i) expected += ":" + std::to_string(5 * i) + "\r\n";
  EXPECT_EQ(say(0, "EXEC"), expected);
}

// Shows that libraries are every node's, whichever took or removed them.
TEST_F(ClusterScripts, FunctionsAreEverywhere) {
  const std::string text =
      "#!lua name=lib\nredis.register_function('add', function(keys, args) return redis.call('incrby', "
      "keys[1], args[1]) end)\nredis.register_function{function_name='look', callback=function(keys) return "
      "redis.call('get', keys[1]) end, flags={'no-writes'}}";
  for (std::size_t loader = 0; loader < kNodes; ++loader) {
    EXPECT_EQ(say(0, "FLUSHALL"), "+OK\r\n");
    EXPECT_EQ(ask(loader, {"FUNCTION", "LOAD", text}), bulk("lib"));
    EXPECT_EQ(ask((loader + 1) % kNodes, {"FUNCTION", "LOAD", text}),
              "-ERR Library 'lib' already exists\r\n");
    EXPECT_EQ(ask((loader + 1) % kNodes, {"FUNCTION", "LOAD", "REPLACE", text}), bulk("lib"));
    each_pair([&](std::size_t node, std::size_t owner) {
      EXPECT_EQ(ask(node, {"FCALL", "add", "1", key_of(owner), "2"}),
                ":" + std::to_string(2 * node + 2) + "\r\n");
      EXPECT_EQ(ask(node, {"FCALL_RO", "look", "1", key_of(owner)}), bulk(std::to_string(2 * node + 2)));
      EXPECT_EQ(say(node, "FUNCTION LIST LIBRARYNAME lib").substr(0, 4), "*1\r\n");
    });
    const std::string dump = say(loader, "FUNCTION DUMP");
    const std::string payload = dump.substr(dump.find('\n') + 1, dump.size() - dump.find('\n') - 3);
    EXPECT_EQ(say((loader + 2) % kNodes, "FUNCTION DELETE lib"), "+OK\r\n");
    each_pair([&](std::size_t node, std::size_t owner) {
      EXPECT_EQ(ask(node, {"FCALL", "add", "1", key_of(owner), "2"}), "-ERR Function not found\r\n");
    });
    EXPECT_EQ(ask((loader + 1) % kNodes, {"FUNCTION", "RESTORE", payload}), "+OK\r\n");
    each_pair([&](std::size_t node, std::size_t owner) {
      EXPECT_EQ(ask(node, {"FCALL", "add", "1", key_of(owner), "0"}), ":6\r\n");
    });
    EXPECT_EQ(say(loader, "FUNCTION FLUSH"), "+OK\r\n");
  }
}

// Shows that keys of several nodes are refused, declared or not, and nothing is done.
TEST_F(ClusterScripts, KeysAreOfOneNode) {
  const std::string write = "redis.call('set', ARGV[1], 'v') redis.call('set', ARGV[2], 'v')";
  for (std::size_t node = 0; node < kNodes; ++node) {
    for (std::size_t first = 0; first < kNodes; ++first) {
      const std::string a = key_of(first), b = key_of((first + 1) % kNodes);
      for (const Words& words : std::vector<Words>{{"EVAL", "return 1", "2", a, b},
                                                   {"EVALSHA", std::string(40, 'a'), "2", a, b},
                                                   {"EVAL_RO", "return 1", "2", a, b},
                                                   {"FCALL", "f", "2", a, b},
                                                   {"FCALL_RO", "f", "2", a, b},
                                                   {"BITOP", "AND", a, a, b},
                                                   {"BITOP", "NOT", a, b},
                                                   {"PFMERGE", a, b},
                                                   {"PFCOUNT", a, b},
                                                   {"COPY", a, b},
                                                   {"RENAME", a, b},
                                                   {"RENAMENX", a, b},
                                                   {"LCS", a, b},
                                                   {"MSETNX", a, "1", b, "2"}})
        EXPECT_EQ(ask(node, words), kCrossSlot) << words[0];
      EXPECT_EQ(ask(node, {"EVAL", write, "1", a, a, b}).substr(0, 62),
                "-ERR Script attempted to access a non local key in a cluster n");
      EXPECT_EQ(ask(node, {"EXISTS", a, b}), ":0\r\n");
    }
  }
}

// Shows the commands on one node's keys from every node.
TEST_F(ClusterScripts, CommandsOnKeysOfAnyNode) {
  each_pair([&](std::size_t node, std::size_t owner) {
    EXPECT_EQ(say(node, "FLUSHALL"), "+OK\r\n");
    const std::string tag = "{" + key_of(owner) + "}";
    const auto key = [&](const char* name) { return tag + name; };
    EXPECT_EQ(ask(node, {"SET", key("a"), "abc"}), "+OK\r\n");
    EXPECT_EQ(ask(node, {"SET", key("b"), "abd"}), "+OK\r\n");
    EXPECT_EQ(ask(node, {"BITOP", "OR", key("c"), key("a"), key("b")}), ":3\r\n");
    EXPECT_EQ(ask(node, {"GET", key("c")}), bulk("abg"));
    EXPECT_EQ(ask(node, {"BITCOUNT", key("a")}), ":10\r\n");
    EXPECT_EQ(ask(node, {"BITPOS", key("a"), "1"}), ":1\r\n");
    EXPECT_EQ(ask(node, {"BITFIELD", key("a"), "GET", "u8", "0"}), "*1\r\n:97\r\n");
    EXPECT_EQ(ask(node, {"BITFIELD_RO", key("a"), "GET", "u8", "8"}), "*1\r\n:98\r\n");
    EXPECT_EQ(ask(node, {"LCS", key("a"), key("b"), "LEN"}), ":2\r\n");
    EXPECT_EQ(ask(node, {"PFADD", key("h"), "x", "y"}), ":1\r\n");
    EXPECT_EQ(ask(node, {"PFADD", key("i"), "y", "z"}), ":1\r\n");
    EXPECT_EQ(ask(node, {"PFCOUNT", key("h"), key("i")}), ":3\r\n");
    EXPECT_EQ(ask(node, {"PFMERGE", key("j"), key("h"), key("i")}), "+OK\r\n");
    EXPECT_EQ(ask(node, {"PFCOUNT", key("j")}), ":3\r\n");
    EXPECT_EQ(ask(node, {"COPY", key("a"), key("d")}), ":1\r\n");
    EXPECT_EQ(ask(node, {"COPY", key("a"), key("d"), "DB", "4"}), ":1\r\n");
    EXPECT_EQ(ask(node, {"MOVE", key("b"), "4"}), ":1\r\n");
    EXPECT_EQ(ask(node, {"MOVE", key("d"), "4"}), ":0\r\n");
    EXPECT_EQ(ask(node, {"RENAMENX", key("c"), key("e")}), ":1\r\n");
    EXPECT_EQ(ask(node, {"GETDEL", key("e")}), bulk("abg"));
    const std::string dump = ask(node, {"DUMP", key("a")});
    const std::string payload = dump.substr(dump.find('\n') + 1, dump.size() - dump.find('\n') - 3);
    EXPECT_EQ(ask(node, {"RESTORE", key("r"), "0", payload}), "+OK\r\n");
    EXPECT_EQ(ask(node, {"GET", key("r")}), bulk("abc"));
    EXPECT_EQ(say((node + 1) % kNodes, "SELECT 4"), "+OK\r\n");
    EXPECT_EQ(ask((node + 1) % kNodes, {"MGET", key("b"), key("d")}), "*2\r\n" + bulk("abd") + bulk("abc"));
    EXPECT_EQ(say((node + 1) % kNodes, "SELECT 0"), "+OK\r\n");
  });
}

}  // namespace
}  // namespace memento::testing
