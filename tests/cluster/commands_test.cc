// Any node answers anything: real nodes, commands over keys of all of them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>
#include <sstream>

#include "tests/cluster/test_cluster.h"

namespace memento::testing {
namespace {

std::vector<std::string> words_of_list() {
  std::ifstream file("/usr/share/dict/words");
  std::vector<std::string> words;
  for (std::string word; std::getline(file, word);) words.push_back(word);
  return words;
}

std::vector<std::string> lines_of(const std::string& reply) {
  std::istringstream text(reply);
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

// Sends lines in large portions, and reads as many replies.
std::vector<std::string> pipeline(Client client, const std::vector<std::string>& lines) {
  std::vector<std::string> replies;
  constexpr std::size_t kPortion = 1000;
  for (std::size_t begin = 0; begin < lines.size(); begin += kPortion) {
    const std::size_t end = std::min(begin + kPortion, lines.size());
    for (std::size_t i = begin; i < end; ++i) {
      if (const Outcome sent = client.send_line(lines[i]); !sent) ADD_FAILURE() << sent.error().message;
    }
    for (std::size_t i = begin; i < end; ++i) {
      const Result<std::string> reply = client.read_reply();
      replies.push_back(reply ? *reply : "(failed) " + reply.error().message);
      if (!reply) return replies;
    }
  }
  return replies;
}

class ClusterCommands : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { cluster_ = new TestCluster({5}); }
  static void TearDownTestSuite() {
    delete cluster_;
    cluster_ = nullptr;
  }
  void SetUp() override { EXPECT_EQ(cluster_->request(0, "FLUSH"), "OK"); }

  static std::string ask(std::size_t node, const std::string& line) { return cluster_->request(node, line); }
  static std::string key_of(std::size_t node, int number = 0) { return cluster_->key_of(node, number); }

  static TestCluster* cluster_;
};
TestCluster* ClusterCommands::cluster_ = nullptr;

// Shows that what is stored through one node is read through every other, by a pipelining client, in order.
TEST_F(ClusterCommands, WordListThroughAnyNode) {
  const std::vector<std::string> words = words_of_list();
  ASSERT_GT(words.size(), 10'000u);
  std::vector<std::string> sets;
  std::vector<std::string> gets;
  for (std::size_t i = 0; i < words.size(); ++i) {
    sets.push_back("SET " + words[i] + " " + std::to_string(i));
    gets.push_back("GET " + words[i]);
  }
  for (const std::string& reply : pipeline(cluster_->connect(0), sets)) ASSERT_EQ(reply, "OK");
  for (std::size_t node = 0; node < cluster_->node_count(); ++node) {
    const std::vector<std::string> replies = pipeline(cluster_->connect(node), gets);
    ASSERT_EQ(replies.size(), words.size());
    for (std::size_t i = 0; i < words.size(); ++i) ASSERT_EQ(replies[i], std::to_string(i)) << words[i];
    EXPECT_EQ(ask(node, "COUNT"), std::to_string(words.size()));
  }
}

// Shows that a client's replies come in the order of its requests, whoever answers them.
TEST_F(ClusterCommands, RepliesKeepTheirOrder) {
  std::vector<std::string> lines;
  std::vector<std::string> expected;
  for (int i = 0; i < 3000; ++i) {
    const std::string key = key_of(static_cast<std::size_t>(i) % 5, i % 7);
    lines.insert(lines.end(),
                 {"SET " + key + " " + std::to_string(i), "ECHO " + std::to_string(i), "GET " + key});
    expected.insert(expected.end(), {"OK", std::to_string(i), std::to_string(i)});
  }
  EXPECT_EQ(pipeline(cluster_->connect(2), lines), expected);
}

// Shows that commands over keys of several nodes are divided, and their replies joined.
TEST_F(ClusterCommands, SeveralKeysAreOfAnyNodes) {
  std::string pairs;
  std::string keys;
  std::string values;
  for (int i = 0; i < 10; ++i) {
    const std::string key = key_of(static_cast<std::size_t>(i) % 5, i / 5);
    pairs += " " + key + " v" + std::to_string(i);
    keys += " " + key;
    values += (i > 0 ? "\n" : "") + std::string("v") + std::to_string(i);
  }
  EXPECT_EQ(ask(0, "MSET" + pairs), "OK");
  EXPECT_EQ(ask(1, "MGET" + keys), values);
  EXPECT_EQ(ask(2, "MGET" + keys + " nothing"), values + "\n(null)");
  EXPECT_EQ(ask(3, "EXISTS" + keys + " nothing"), "10");
  EXPECT_EQ(ask(4, "TOUCH" + keys), "10");
  EXPECT_EQ(ask(0, "UNLINK " + key_of(0) + " " + key_of(3)), "2");
  EXPECT_EQ(ask(1, "DEL" + keys), "8");
  EXPECT_EQ(ask(1, "MSET a 1 b"), "(error) wrong number of arguments for 'mset' command");
  EXPECT_EQ(ask(1, "RENAME " + key_of(0) + " " + key_of(1)),
            "(error) CROSSSLOT Keys in request don't hash to the same slot");
  EXPECT_EQ(ask(1, "MSETNX {x}a 1 {x}b 2"), "1");
}

// Shows that commands over all keys see those of all nodes.
TEST_F(ClusterCommands, AllKeysAreOfAllNodes) {
  std::set<std::string> keys;
  for (std::size_t node = 0; node < 5; ++node) {
    for (int i = 0; i < 20; ++i) {
      keys.insert(key_of(node, i));
      EXPECT_EQ(ask(node, "SET " + key_of(node, i) + " 12345"), "OK");
    }
  }
  EXPECT_EQ(ask(1, "DBSIZE"), "100");
  const std::vector<std::string> listed = lines_of(ask(2, "KEYS"));
  EXPECT_EQ(std::set<std::string>(listed.begin(), listed.end()), keys);
  std::size_t bytes = 0;
  for (const std::string& key : keys) bytes += key.size() + 5;
  EXPECT_EQ(ask(3, "KEYSPACE"), "keys: 100\nbytes: " + std::to_string(bytes));
  EXPECT_TRUE(keys.contains(ask(4, "RANDOMKEY")));
  std::set<std::string> walked;
  std::string cursor = "0";
  do {
    std::vector<std::string> part = lines_of(ask(walked.size() % 5, "SCAN " + cursor + " COUNT 7"));
    ASSERT_FALSE(part.empty());
    cursor = part[0];
    for (std::size_t i = 1; i < part.size(); ++i)
      walked.insert(part[i].substr(part[i].find_first_not_of(' ')));
  } while (cursor != "0");
  EXPECT_EQ(walked, keys);
  EXPECT_EQ(ask(0, "FLUSH"), "OK");
  for (std::size_t node = 0; node < 5; ++node) EXPECT_EQ(ask(node, "COUNT"), "0");
}

// Shows that RANDOMKEY draws each key as often as any other, wherever it is; and that CLUSTER RANDOMKEY tells
// of one node.
TEST_F(ClusterCommands, RandomKeysOfAllNodes) {
  EXPECT_EQ(ask(0, "RANDOMKEY"), "(null)");
  constexpr int kDraws = 4000;
  for (int i = 0; i < 90; ++i) EXPECT_EQ(ask(1, "SET {" + key_of(1) + "}" + std::to_string(i) + " v"), "OK");
  for (int i = 0; i < 10; ++i) EXPECT_EQ(ask(2, "SET {" + key_of(2) + "}" + std::to_string(i) + " v"), "OK");
  EXPECT_TRUE(ask(1, "CLUSTER RANDOMKEY").starts_with("90\n{" + key_of(1) + "}"));
  const std::vector<std::string> keys =
      pipeline(cluster_->connect(3), std::vector<std::string>(kDraws, "RANDOMKEY"));
  const auto is_of_second = [](const std::string& key) { return key.starts_with("{" + key_of(2) + "}"); };
  const double deviation = std::sqrt(kDraws * 0.1 * 0.9);
  EXPECT_NEAR(static_cast<double>(std::ranges::count_if(keys, is_of_second)), kDraws / 10, 6 * deviation);
}

// Shows that what is told of one of Redis's slots is of its keys, not of those of the slot beside it.
TEST_F(ClusterCommands, KeysOfOneSlot) {
  const std::string slot = ask(0, "CLUSTER KEYSLOT a");
  const std::string beside = std::to_string(std::stoi(slot) ^ 1);
  std::size_t owner = 0;
  while (owner < 5 && ask(owner, "SET {a}0 v") == "OK" &&
         ask(owner, "CLUSTER COUNTKEYSINSLOT " + slot) != "1")
    ++owner;
  ASSERT_LT(owner, 5u);
  for (int i = 1; i < 1000; ++i) EXPECT_EQ(ask(owner, "SET {a}" + std::to_string(i) + " v"), "OK");
  EXPECT_EQ(ask(owner, "CLUSTER COUNTKEYSINSLOT " + slot), "1000");
  EXPECT_EQ(ask(owner, "CLUSTER COUNTKEYSINSLOT " + beside), "0");
  EXPECT_EQ(lines_of(ask(owner, "CLUSTER GETKEYSINSLOT " + slot + " 7")).size(), 7u);
  EXPECT_EQ(lines_of(ask(owner, "CLUSTER GETKEYSINSLOT " + slot + " 5000")).size(), 1000u);
  EXPECT_EQ(ask(owner, "CLUSTER GETKEYSINSLOT " + slot + " 0"), "");
  EXPECT_EQ(ask(owner, "CLUSTER GETKEYSINSLOT " + beside + " 7"), "");
}

// Shows that a transaction over one node's keys runs there as one change, watched keys included; over several
// it is refused.
TEST_F(ClusterCommands, TransactionsRunAtTheKeysNode) {
  Client client = cluster_->connect(0);
  const auto say = [&](const std::string& line) {
    const Result<std::string> reply = client.request(line);
    return reply ? *reply : reply.error().message;
  };
  for (std::size_t node = 0; node < 5; ++node) {
    const std::string key = key_of(node);
    EXPECT_EQ(say("MULTI"), "OK");
    EXPECT_EQ(say("SET " + key + " 5"), "QUEUED");
    EXPECT_EQ(say("INC " + key), "QUEUED");
    EXPECT_EQ(say("EXEC"), "OK\n6");
    EXPECT_EQ(say("WATCH " + key), "OK");
    EXPECT_EQ(say("MULTI"), "OK");
    EXPECT_EQ(say("INC " + key), "QUEUED");
    EXPECT_EQ(say("EXEC"), "7") << "nobody changed it";
    EXPECT_EQ(say("WATCH " + key), "OK");
    EXPECT_EQ(ask((node + 1) % 5, "SET " + key + " 9"), "OK");
    EXPECT_EQ(say("MULTI"), "OK");
    EXPECT_EQ(say("INC " + key), "QUEUED");
    EXPECT_EQ(say("EXEC"), "(null)") << "somebody changed it";
    EXPECT_EQ(ask(2, "GET " + key), "9");
  }
  EXPECT_EQ(say("MULTI"), "OK");
  EXPECT_EQ(say("INC " + key_of(1)), "QUEUED");
  EXPECT_EQ(say("INC " + key_of(2)), "QUEUED");
  EXPECT_EQ(say("EXEC").substr(0, 17), "(error) CROSSSLOT");
  EXPECT_EQ(ask(2, "MGET " + key_of(1) + " " + key_of(2)), "9\n9");
  EXPECT_EQ(say("PING"), "PONG");
}

// Shows that a request is about the client's database wherever it is executed: one key's, several keys', all
// keys', in a transaction and under WATCH.
TEST_F(ClusterCommands, DatabasesAtAnyNode) {
  Client client = cluster_->connect(0);
  const auto say = [&](const std::string& line) {
    const Result<std::string> reply = client.request(line);
    return reply ? *reply : reply.error().message;
  };
  std::string all = "MGET";
  for (std::size_t node = 0; node < 5; ++node) {
    const std::string key = key_of(node);
    all += " " + key;
    EXPECT_EQ(say("SELECT 0"), "OK");
    EXPECT_EQ(say("SET " + key + " zero"), "OK");
    EXPECT_EQ(say("SELECT 7"), "OK");
    EXPECT_EQ(say("GET " + key), "(null)");
    EXPECT_EQ(say("SET " + key + " 7"), "OK");
    EXPECT_EQ(say("WATCH " + key), "OK");
    EXPECT_EQ(ask((node + 1) % 5, "SET " + key + " null"), "OK");
    EXPECT_EQ(say("MULTI"), "OK");
    EXPECT_EQ(say("INC " + key), "QUEUED");
    EXPECT_EQ(say("EXEC"), "8") << "the key of another database was changed";
    EXPECT_EQ(say("COPY " + key + " " + key + " DB 3"), "1");
    EXPECT_EQ(say("MOVE " + key + " 3"), "0");
  }
  EXPECT_EQ(say(all), "8\n8\n8\n8\n8");
  EXPECT_EQ(say("DBSIZE"), "5");
  EXPECT_EQ(lines_of(say("KEYS")).size(), 5u);
  EXPECT_EQ(ask(2, all), "null\nnull\nnull\nnull\nnull");
  EXPECT_EQ(say("FLUSHDB"), "OK");
  EXPECT_EQ(say("DBSIZE"), "0");
  EXPECT_EQ(say("SELECT 3"), "OK");
  EXPECT_EQ(say("DBSIZE"), "5");
  EXPECT_EQ(say("SWAPDB 0 3"), "(error) SWAPDB is not allowed in cluster mode");
  EXPECT_EQ(
      say("CLIENT TRACKING ON"),
      "(error) CLIENT TRACKING is not allowed in cluster mode: a node does not hear of the changes that "
      "others make");
  EXPECT_EQ(ask(4, "COUNT"), "5");
}

// Shows that SELECT in a transaction is another node's matter too, and the client's when it was done: the
// requests that follow in the same pipeline are about that database.
TEST_F(ClusterCommands, TransactionsSelectDatabases) {
  for (std::size_t node = 0; node < 5; ++node) {
    const std::string key = key_of(node);
    EXPECT_EQ(pipeline(cluster_->connect(0),
                       {"MULTI", "SET " + key + " zero", "SELECT 9", "SET " + key + " nine", "SELECT 99",
                        "EXEC", "GET " + key, "DBSIZE", "SELECT 0", "GET " + key}),
              (std::vector<std::string>{"OK", "QUEUED", "QUEUED", "QUEUED", "QUEUED",
                                        "OK\nOK\nOK\n(error) DB index is out of range", "nine",
                                        std::to_string(node + 1), "OK", "zero"}));
    Client client = cluster_->connect(1);
    const auto say = [&](const std::string& line) { return *client.request(line); };
    EXPECT_EQ(say("WATCH " + key), "OK");
    EXPECT_EQ(ask(2, "SET " + key + " other"), "OK");
    EXPECT_EQ(say("MULTI"), "OK");
    EXPECT_EQ(say("SELECT 9"), "QUEUED");
    EXPECT_EQ(say("GET " + key), "QUEUED");
    EXPECT_EQ(say("EXEC"), "(null)");
    EXPECT_EQ(say("GET " + key), "other") << "nothing was done, nor selected";
  }
}

// Shows that WATCH, its answer and EXEC in one pipeline are in step.
TEST_F(ClusterCommands, WatchInAPipeline) {
  const std::string key = key_of(3);
  const std::vector<std::string> replies =
      pipeline(cluster_->connect(1), {"WATCH " + key, "MULTI", "SET " + key + " x", "EXEC", "GET " + key});
  EXPECT_EQ(replies, (std::vector<std::string>{"OK", "OK", "QUEUED", "OK", "x"}));
}

// Shows that a message reaches subscribers at every node, and is counted; also one published by EXEC
// elsewhere.
TEST_F(ClusterCommands, MessagesReachAllNodes) {
  std::vector<Client> subscribers;
  for (std::size_t node = 0; node < 5; ++node) {
    subscribers.push_back(cluster_->connect(node));
    EXPECT_EQ(*subscribers.back().request("SUBSCRIBE news"), "subscribe\nnews\n1");
  }
  EXPECT_EQ(ask(2, "PUBLISH news hello"), "5");
  Client client = cluster_->connect(1);
  for (const std::string& line :
       {std::string("MULTI"), "SET " + key_of(4) + " 1", std::string("PUBLISH news again")}) {
    EXPECT_TRUE(client.request(line));
  }
  EXPECT_TRUE(client.request("EXEC")->starts_with("OK\n"));
  for (Client& subscriber : subscribers) {
    EXPECT_EQ(*subscriber.read_reply(), "message\nnews\nhello");
    EXPECT_EQ(*subscriber.read_reply(), "message\nnews\nagain");
  }
}

// Shows that a node tells its clients of its own keys, whichever node a command came to, and of no others.
TEST_F(ClusterCommands, EventsOfOwnKeys) {
  std::vector<Client> listeners;
  for (std::size_t node = 0; node < 5; ++node) {
    EXPECT_EQ(ask(node, "CONFIG SET notify-keyspace-events E$g"), "OK");
    listeners.push_back(cluster_->connect(node));
    EXPECT_EQ(*listeners.back().request("PSUBSCRIBE __keyevent*"), "psubscribe\n__keyevent*\n1");
  }
  Client client = cluster_->connect(1);
  std::string pairs;
  for (std::size_t node = 0; node < 5; ++node) pairs += " " + key_of(node) + " 1";
  EXPECT_EQ(*client.request("MSET" + pairs), "OK");
  EXPECT_EQ(*client.request("DEL " + key_of(4)), "1");
  for (const std::string& line : {std::string("MULTI"), "INCR " + key_of(2), "APPEND " + key_of(2) + " x"})
    EXPECT_TRUE(client.request(line));
  EXPECT_EQ(*client.request("EXEC"), "2\n2");
  EXPECT_EQ(*client.request("PUBLISH __keyevent_end x"), "5");
  for (std::size_t node = 0; node < 5; ++node) {
    std::vector<std::string> expected = {"set"};
    if (node == 4) expected.emplace_back("del");
    if (node == 2) expected.insert(expected.end(), {"incrby", "append"});
    const std::string front = "pmessage\n__keyevent*\n__keyevent";
    for (const std::string& event : expected)
      EXPECT_EQ(*listeners[node].read_reply(), front + "@0__:" + event + "\n" + key_of(node));
    EXPECT_EQ(*listeners[node].read_reply(), front + "_end\nx");
    EXPECT_EQ(ask(node, "CONFIG SET notify-keyspace-events K"), "OK");
  }
}

// Shows that a shard channel may be subscribed to at any node, whose slot it ever is, and that its messages,
// and who subscribes, are known to its own worker; and that subscribing inside EXEC is refused beside keys of
// another node.
TEST_F(ClusterCommands, ShardChannels) {
  std::vector<Client> subscribers;
  const std::string channel = key_of(2);
  for (std::size_t node = 0; node < 5; ++node) {
    subscribers.push_back(cluster_->connect(node));
    EXPECT_EQ(*subscribers.back().request("SSUBSCRIBE " + channel), "ssubscribe\n" + channel + "\n1");
  }
  EXPECT_EQ(ask(0, "SPUBLISH " + channel + " hello"), "5");
  for (Client& subscriber : subscribers) {
    EXPECT_EQ(*subscriber.read_reply(), "smessage\n" + channel + "\nhello");
    EXPECT_EQ(*subscriber.request("SUNSUBSCRIBE"), "sunsubscribe\n" + channel + "\n0");
  }
  EXPECT_EQ(ask(1, "SPUBLISH " + channel + " nobody"), "0");
  Client client = cluster_->connect(0);
  for (const std::string& line :
       {std::string("MULTI"), "SET " + key_of(3) + " 1", std::string("SUBSCRIBE news")}) {
    EXPECT_TRUE(client.request(line));
  }
  EXPECT_TRUE(client.request("EXEC")->starts_with("(error) SUBSCRIBE is about this node or connection"));
  EXPECT_TRUE(ask(0, "DEBUG OBJECT " + key_of(3)).starts_with("(error) no such key"));
  EXPECT_EQ(ask(0, "SET " + key_of(3) + " 1"), "OK");
  EXPECT_TRUE(ask(0, "DEBUG OBJECT " + key_of(3)).starts_with("Value at:"));
}

// Shows that values up to many times what rings and windows hold pass, both ways, and others' requests beside
// them.
TEST_F(ClusterCommands, ValuesOfAnySizePass) {
  for (const std::size_t size :
       {std::size_t{100'000}, std::size_t{131'072}, std::size_t{5'000'001}, std::size_t{60'000'000}}) {
    std::string value(size, 'x');
    for (std::size_t i = 0; i < size; i += 4096) value[i] = static_cast<char>('a' + i / 4096 % 26);
    const std::string key = key_of(1);
    Client client = cluster_->connect(0);
    ASSERT_EQ(*client.request("SET " + key + " " + value), "OK") << size;
    EXPECT_EQ(ask(2, "STRLEN " + key), std::to_string(size));
    ASSERT_TRUE(client.send_line("GET " + key));
    EXPECT_EQ(ask(0, "ECHO beside"), "beside");
    const Result<std::string> got = client.read_reply();
    ASSERT_TRUE(got);
    EXPECT_TRUE(*got == value) << size;
    EXPECT_EQ(ask(3, "DEL " + key), "1");
  }
}

// Shows what INFO and CLUSTERINFO tell, and that errors of other nodes come back as they are.
TEST_F(ClusterCommands, FiguresAndErrors) {
  EXPECT_EQ(ask(0, "SET " + key_of(1) + " text"), "OK");
  EXPECT_EQ(ask(0, "INC " + key_of(1)), "(error) value is not an integer or out of range");
  const std::vector<std::string> lines = lines_of(ask(3, "CLUSTERINFO"));
  ASSERT_EQ(lines.size(), 5u);
  for (std::size_t node = 0; node < 5; ++node) {
    EXPECT_TRUE(lines[node].starts_with(TestCluster::name(node) +
                                        " 127.0.0.1:" + std::to_string(cluster_->port(node)) + " "));
    EXPECT_TRUE(lines[node].ends_with(node == 3 ? " self" : " up")) << lines[node];
  }
  const std::string info = ask(0, "INFO cluster");
  EXPECT_NE(info.find("cluster_enabled:1\n"), std::string::npos);
  EXPECT_NE(ask(0, "INFO server").find("redis_mode:cluster\n"), std::string::npos);
  EXPECT_NE(ask(0, "CONFIG GET cluster-enabled").find("yes"), std::string::npos);
  EXPECT_EQ(info.find("cluster_forwarded_commands:0\n"), std::string::npos);
  EXPECT_NE(info.find("link=up"), std::string::npos);
  EXPECT_NE(info.find("round_trip_usec="), std::string::npos);
  EXPECT_TRUE(ask(0, "SUB " + key_of(4)).starts_with("(error) " + key_of(4) + " is a key of node node4"));
}

}  // namespace
}  // namespace memento::testing
