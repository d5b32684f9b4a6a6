// CLIENT TRACKING of memento, with one worker and with four, and of Debian's redis-server: the same steps of
// several clients, and each client gets the same replies and invalidations.
//
// Left out is what differs: in which order the keys of one command are told; that Redis 7.0 tracks the keys
// that a script declares (7.2, and memento, those that it reads); that Redis says in the protocol of the
// tracking client, not of the receiving one, that all is to be dropped; and that a key that EXEC has changed
// and then read is tracked on there, while memento, which tells the change behind the reply, drops it.
#include <gtest/gtest.h>

#include <map>

#include "tests/differential/peer.h"
#include "tests/differential/printable.h"

namespace memento::testing {
namespace {

/// A client's name, and what it sends: words parted by spaces, requests by semicolons. {x}: number of client
/// x.
struct Line {
  char client;
  std::string requests;
};

const std::vector<std::vector<Line>> kScenarios = {
    // What is refused.
    {{'a', "CLIENT TRACKINGINFO"},
     {'a', "CLIENT GETREDIR"},
     {'a', "CLIENT CACHING YES"},
     {'a', "CLIENT TRACKING"},
     {'a', "CLIENT TRACKING MAYBE"},
     {'a', "CLIENT TRACKING ON FOO"},
     {'a', "CLIENT TRACKING ON REDIRECT"},
     {'a', "CLIENT TRACKING ON REDIRECT x"},
     {'a', "CLIENT TRACKING ON REDIRECT 999999"},
     {'a', "CLIENT TRACKING ON REDIRECT {a} REDIRECT {a}"},
     {'a', "CLIENT TRACKING ON PREFIX a"},
     {'a', "CLIENT TRACKING ON OPTIN OPTOUT"},
     {'a', "CLIENT TRACKING ON OPTIN BCAST"},
     {'a', "CLIENT TRACKING ON BCAST PREFIX ab PREFIX abc"},
     {'a', "CLIENT TRACKING OFF FOO"},
     {'a', "CLIENT TRACKINGINFO"},
     {'a', "CLIENT TRACKING ON;CLIENT TRACKING ON BCAST;CLIENT CACHING YES;CLIENT CACHING NO"},
     {'a', "CLIENT CACHING FOO;CLIENT TRACKINGINFO;CLIENT GETREDIR;CLIENT TRACKING OFF"},
     {'a', "CLIENT TRACKING ON OPTIN;CLIENT CACHING NO;CLIENT TRACKING ON OPTOUT;CLIENT TRACKINGINFO"},
     {'a', "RESET;CLIENT TRACKINGINFO"},
     {'a', "CONFIG GET tracking-table-max-keys"}},
    // What counts as a read, and what as a change.
    {{'a', "CLIENT TRACKING ON"},
     {'b', "SET k 1"},
     {'a', "GET k"},
     {'b', "SET k 2;SET k 3"},
     {'a', "GET k;SET k 4"},
     {'a', "GET k;TTL k"},
     {'b', "EXPIRE k 100"},
     {'a', "TYPE k"},
     {'b', "PERSIST k;PERSIST k"},
     {'a', "EXISTS k z"},
     {'b', "SET z 1"},
     {'a', "STRLEN z"},
     {'b', "APPEND z x"},
     {'a', "GETBIT z 1"},
     {'b', "DEL z;DEL z"},
     {'a', "DUMP z"},
     {'b', "SET z 0"},
     {'a', "OBJECT ENCODING z"},
     {'b', "SET z 2"},
     {'a', "GETEX z"},
     {'b', "SET z 3"},
     {'a', "MGET k z"},
     {'b', "SET k 1"},
     {'b', "SET z 1"},
     {'a', "BITCOUNT z"},
     {'b', "SETBIT z 1 1"},
     {'a', "PTTL z"},
     {'b', "GETSET z 1"},
     {'a', "PEXPIRETIME z"},
     {'b', "SETRANGE z 1 a"},
     {'a', "TOUCH z"},
     {'b', "GETDEL z"},
     {'a', "GET z"},
     {'b', "SETNX z 1;SETNX z 2"},
     {'a', "GET z"},
     {'b', "RENAME z y"},
     {'a', "GET z"},
     {'b', "COPY y z"},
     {'a', "GET z"},
     {'b', "MOVE z 1"},
     {'a', "GET z"},
     {'b', "SELECT 1;SET z 1;SELECT 0"},
     {'a', "LCS k z"},
     {'b', "INCR k"},
     {'a', "BITFIELD_RO k GET u8 0"},
     {'b', "BITFIELD k SET u8 0 1"},
     {'a', "BITFIELD k GET u8 0"},
     {'b', "SET k 5"},
     {'a', "GET k"},
     {'b', "FLUSHALL"},
     {'a', "GET k"},
     {'b', "SELECT 3;FLUSHDB"},
     {'a', "FLUSHALL"},
     {'b', "SET k 1"},
     {'a', "GET k"},
     {'b', "PEXPIRE k 0"},
     {'a', "CLIENT TRACKING OFF"},
     {'b', "SET k 9"}},
    // Transactions.
    {{'a', "CLIENT TRACKING ON"},
     {'a', "MULTI;GET k;EXEC"},
     {'b', "SET k 1"},
     {'a', "GET k"},
     {'b', "MULTI;SET k 1;SET k 2;EXEC"},
     {'a', "MULTI;GET k;SET k 3;EXEC"},
     {'b', "SET k 4"},
     {'a', "GET k"},
     {'b', "MULTI;FLUSHALL;EXEC"}},
    // NOLOOP.
    {{'a', "CLIENT TRACKING ON NOLOOP;CLIENT TRACKINGINFO"},
     {'a', "GET k;SET k 1"},
     {'b', "SET k 2"},
     {'a', "GET k"},
     {'b', "SET k 3"},
     {'a', "GET k;FLUSHALL"}},
    // OPTIN and OPTOUT: CLIENT CACHING is for the next command that is none of CLIENT's, or for an EXEC.
    {{'a', "CLIENT TRACKING ON OPTIN;GET k"},
     {'b', "SET k 1"},
     {'a', "CLIENT CACHING YES;CLIENT TRACKINGINFO;GET k;CLIENT TRACKINGINFO"},
     {'b', "SET k 2"},
     {'a', "CLIENT CACHING YES;CLIENT GETNAME;GET k"},
     {'b', "SET k 3"},
     {'a', "CLIENT CACHING YES;ECHO x;GET k"},
     {'b', "SET k 4"},
     {'a', "CLIENT CACHING YES;NOCOMMAND;GET k"},
     {'b', "SET k 5"},
     {'a', "CLIENT CACHING YES;MULTI;GET k;GET z;EXEC"},
     {'b', "SET k 6;SET z 6"},
     {'a', "GET k;CLIENT TRACKING OFF"},
     {'a', "CLIENT TRACKING ON OPTOUT;CLIENT TRACKINGINFO;GET k"},
     {'b', "SET k 7"},
     {'a', "CLIENT CACHING NO;CLIENT TRACKINGINFO;GET k"},
     {'b', "SET k 8"},
     {'a', "GET k"},
     {'b', "SET k 9"}},
    // BCAST.
    {{'a', "CLIENT TRACKING ON BCAST PREFIX a PREFIX b;CLIENT TRACKINGINFO"},
     {'a', "CLIENT TRACKING ON BCAST PREFIX ac;CLIENT TRACKING ON BCAST PREFIX c;CLIENT TRACKINGINFO"},
     {'b', "SET a1 1"},
     {'b', "SET d1 1"},
     {'b', "MSET a2 1 a1 2 b1 3 d1 4 c 5"},
     {'a', "SET a1 3"},
     {'b', "MULTI;SET a2 1;SET a1 1;SET a1 2;EXEC"},
     {'b', "FLUSHALL"},
     {'a', "CLIENT TRACKING OFF;CLIENT TRACKING ON BCAST NOLOOP;CLIENT TRACKINGINFO"},
     {'a', "SET x 1"},
     {'b', "SET x 2"}},
    // REDIRECT, to a subscriber in RESP2 and to a client in RESP3, and to one that goes.
    {{'c', "HELLO 2;SUBSCRIBE __redis__:invalidate"},
     {'d', "HELLO 2;CLIENT TRACKING ON REDIRECT {c};CLIENT TRACKINGINFO;CLIENT GETREDIR"},
     {'d', "GET k"},
     {'b', "SET k 1"},
     {'d', "GET k;SET k 2"},
     {'b', "FLUSHALL"},
     {'d', "CLIENT TRACKING OFF;CLIENT TRACKING ON BCAST REDIRECT {c}"},
     {'b', "SET a 1"},
     {'d', "CLIENT TRACKING OFF;HELLO 3;CLIENT TRACKING ON REDIRECT {a};GET k"},
     {'b', "SET k 2"},
     {'b', "FLUSHALL"},
     {'d', "CLIENT TRACKING ON REDIRECT {c};GET k"},
     {'c', "QUIT"},
     {'b', "SET k 5"},
     {'d', "CLIENT TRACKINGINFO;GET k"},
     {'b', "SET k 6"},
     {'d', "CLIENT TRACKING ON;CLIENT TRACKINGINFO"}},
    // RESP2 alone is told nothing.
    {{'e', "HELLO 2;CLIENT TRACKING ON;GET k"}, {'b', "SET k 6"}, {'e', "HELLO 3;GET k"}, {'b', "SET k 7"}},
};

/// One server's clients, by name; all of them are connected from the beginning, in the same order.
class Side {
 public:
  Side(const std::string& server, std::uint16_t port) : server_(server) {
    for (const char name : {'a', 'b', 'c', 'd', 'e'}) {
      Peer peer(server, port);
      const std::string reply = peer.ask({{"CLIENT", "ID"}}).at(0);
      peer.ask({{"HELLO", "3"}});
      numbers_[name] = reply.substr(1, reply.size() - 3);
      clients_.emplace(name, std::move(peer));
    }
  }

  /// What each client gets of a step, by client. All are asked twice: redis-server tells a prefix's clients
  /// behind all that it has read, and a redirected message is due when the tracking client was answered.
  std::vector<std::string> take(const Line& line) {
    std::map<char, std::vector<std::string>> got;
    got[line.client] = listen(line.client, requests_of(line.requests));
    for (int round = 0; round < 2; ++round) {
      for (auto& [name, peer] : clients_) {
        if (ended_.contains(name)) continue;
        for (const std::string& text : listen(name, {})) got[name].push_back(text);
      }
    }
    std::vector<std::string> all;
    for (const auto& [name, texts] : got) {
      for (const std::string& text : texts) all.push_back(std::string(1, name) + ": " + text);
    }
    return all;
  }

 private:
  std::vector<std::string> listen(char name, const std::vector<Words>& requests) {
    const auto replies = clients_.at(name).ask_until(requests, "marker " + std::to_string(++markers_));
    if (!replies) ended_[name] = true;
    std::vector<std::string> shown;
    for (std::string text : replies.value_or(std::vector<std::string>())) {
      if (text.starts_with("%7") || text.starts_with("*14")) text = "HELLO";
      if (text.find("redir") != std::string::npos || text.starts_with(":")) hide_numbers(&text);
      shown.push_back(text);
    }
    return shown;
  }
  void hide_numbers(std::string* text) const {
    for (const auto& [name, number] : numbers_) {
      const std::string shown = ":" + number + "\r\n";
      if (const std::size_t at = text->find(shown); at != std::string::npos && number.size() > 1)
        text->replace(at, shown.size(), std::string(":client ") + name);
    }
  }
  std::vector<Words> requests_of(const std::string& text) const {
    std::vector<Words> requests(1, Words(1));
    for (const char c : text) {
      if (c == ';') {
        requests.push_back(Words(1));
      } else if (c == ' ') {
        requests.back().emplace_back();
      } else {
        requests.back().back() += c;
      }
    }
    for (Words& words : requests) {
      for (std::string& word : words) {
        if (word.size() == 3 && word[0] == '{') word = numbers_.at(word[1]);
      }
    }
    return requests;
  }

  const std::string server_;
  std::map<char, Peer> clients_;
  std::map<char, std::string> numbers_;
  std::map<char, bool> ended_;
  int markers_ = 0;
};

// Numbers of clients have two digits, so that they are no other numbers.
void compare(const std::vector<Line>& scenario, const std::string& workers) {
  RedisServer redis_server;
  TestServer memento_server({"--workers", workers, "--value-limit", "1MiB"});
  for (int i = 0; i < 10; ++i) {
    Peer("redis", redis_server.port()).ask({{"PING"}});
    Peer("memento", memento_server.port()).ask({{"PING"}});
  }
  Side redis("redis", redis_server.port());
  Side memento("memento", memento_server.port());
  for (const Line& line : scenario) {
    const std::vector<std::string> expected = redis.take(line);
    const std::vector<std::string> replies = memento.take(line);
    EXPECT_EQ(printable(replies), printable(expected)) << line.client << ' ' << line.requests;
  }
}

// Shows that clients are told the same.
TEST(Differential, Tracking) {
  for (const char* const workers : {"1", "4"}) {
    SCOPED_TRACE(std::string(workers) + " workers");
    for (const std::vector<Line>& scenario : kScenarios) compare(scenario, workers);
  }
}

}  // namespace
}  // namespace memento::testing
