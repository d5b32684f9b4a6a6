// Keyspace events of memento against redis-server's: after each request both have told the same events, in
// the same order, to the byte. Where they differ, and why, stands in kOwnWays. Requests are given in words
// parted by blanks; \x20 stands for a blank.
#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "tests/differential/peer.h"
#include "tests/differential/printable.h"

namespace memento::testing {
namespace {

// PXAT 1 and the like store a key that has expired already: nobody sweeps it here, so the next request that
// names it is who finds it.
constexpr const char* kRequests[] = {
    // Whole values.
    "SET a 1", "SET a 2", "SET b 1 EX 100", "SET b 1 PX 100000 GET", "SET c 1 GET", "SET c 1 XX",
    "SET c 1 NX", "SET d 1 XX", "SET d 1 NX", "SET d 5 KEEPTTL", "SET d 5 EX 100 NX", "SETNX d 1",
    "SETNX e 1", "SETEX e 10 1", "PSETEX f 10000 1", "GETSET f 1", "GETSET g 1", "GETDEL g", "GETDEL g",
    "GETEX f", "GETEX gone", "GETEX f EX 100", "GETEX f PERSIST", "GETEX f PERSIST",
    "GETEX f PXAT 99999999999999", "GETEX f PXAT 99999999999999", "GETEX f EXAT 1", "GETEX f EXAT 1", "GET f",
    "GET a", "MGET a f b g", "MSET m1 1 m2 2 m1 3", "MSET m1 1 n1 2", "MSETNX m1 1 z1 2", "MSETNX z1 1 z2 2",
    // Parts of them, numbers, bits.
    "APPEND a x", "APPEND aa x", "STRLEN a", "STRLEN none", "GETRANGE none 0 1", "SUBSTR none 0 1",
    "SETRANGE a 1 zz", "SETRANGE newr 2 zz", "SETRANGE newq 0 ab", "LCS a none", "LCS none none2", "INCR i",
    "INCR i", "INCRBY i 0", "DECR i", "DECRBY i 5", "DECR j", "INCRBYFLOAT i 0.5", "INCRBYFLOAT k 0.5",
    "INCR k", "GETBIT none 1", "GETBIT i 1", "SETBIT bit 7 1", "SETBIT bit 7 1", "SETBIT bit 7 0",
    "SETBIT bit 100 0", "SETBIT bit2 7 0", "BITCOUNT none", "BITPOS none 1", "BITOP AND bo none none2",
    "BITOP OR bo bit none", "BITOP OR bo bit none", "BITOP AND bo none none", "BITOP AND bo none none",
    "BITOP NOT bo bit", "BITFIELD bf SET u8 0 255", "BITFIELD bf SET u8 0 255", "BITFIELD bf GET u8 0",
    "BITFIELD none GET u8 0", "BITFIELD_RO none GET u8 0", "BITFIELD bf INCRBY u8 0 1",
    "BITFIELD bf INCRBY u8 0 0", "BITFIELD bf SET u8 800 0", "BITFIELD bf2 OVERFLOW FAIL INCRBY u2 0 100",
    "PFADD pf", "PFADD pf a b", "PFADD pf a b", "PFADD pf2", "PFCOUNT pf", "PFCOUNT pf none", "PFCOUNT none",
    "PFMERGE pf3 pf none", "PFMERGE pf3 pf", "PFMERGE pf4",
    // Keys.
    "DEL a none newr", "UNLINK newq nope", "EXISTS none c none", "TOUCH none c", "TYPE none",
    "SET src v EX 1000", "RENAME src dst", "RENAME none dst", "SET src v", "RENAME src dst",
    "RENAMENX dst src2", "SET dst x", "RENAMENX dst src2", "RENAME dst dst", "RENAMENX dst dst",
    "COPY dst cp", "COPY dst cp", "COPY dst cp REPLACE", "COPY none cp", "COPY dst cp DB 3",
    "COPY dst cp DB 3 REPLACE", "COPY dst cp2 DB 3", "MOVE dst 3", "MOVE none 3", "SET dst y", "MOVE dst 3",
    "DUMP none", "SET d1 v", "RESTORE r1 0 @d1", "RESTORE r1 0 @d1", "RESTORE r1 0 @d1 REPLACE",
    "RESTORE r2 100000 @d1", "RESTORE r2 1000 @d1 REPLACE ABSTTL", "RESTORE r3 1000 @d1 ABSTTL",
    "OBJECT ENCODING none", "OBJECT REFCOUNT none", "OBJECT IDLETIME none", "MEMORY USAGE none",
    // Expiry.
    "EXPIRE none 100", "EXPIRE pf 100", "EXPIRE pf 100 NX", "EXPIRE pf 1 GT", "PEXPIRE pf 100000",
    "EXPIREAT pf 9999999999", "PEXPIREAT pf 9999999999000", "PEXPIREAT pf 9999999999000", "EXPIRETIME none",
    "PEXPIRETIME none", "TTL none", "PTTL none", "TTL pf", "PERSIST pf", "PERSIST pf", "PERSIST none",
    "EXPIRE pf -1", "EXPIRE pf -1", "EXPIREAT pf2 1", "SET ex 1 PXAT 1", "GET ex", "SET ex 1 PXAT 1",
    "SET ex 2", "SET ex 1 PXAT 1", "APPEND ex 2", "SET ex 1 PXAT 1", "DEL ex", "SET ex 1 PXAT 1",
    "SETNX ex 5", "SET ex 1 PXAT 1", "SET ex 5 XX", "SET ex 1 PXAT 1", "SET ex 5 NX", "SET ex 1 PXAT 1",
    "SET ex 5 GET", "SET ex 1 PXAT 1", "SET ex 5 KEEPTTL", "SET ex 1 PXAT 1", "EXISTS ex", "SET ex 1 PXAT 1",
    "RENAME ex ey", "SET ex 1 PXAT 1", "SET ez 1", "RENAME ez ex", "SET ex 1 PXAT 1", "GETEX ex",
    "SET ex 1 PXAT 1", "EXPIRE ex 5", "SET ex 1 PXAT 1", "PERSIST ex", "SET ex 1 PXAT 1", "MSET ex 1 ey 2",
    "SET ex 1 PXAT 1", "MGET ex ey", "SET ex 1 PXAT 1", "INCR ex", "SET ex 1 PXAT 1", "SETBIT ex 1 1",
    "SET ex 1 PXAT 1", "GETDEL ex", "SET ex 1 PXAT 1", "TTL ex", "SET ex 1 PXAT 1", "DUMP ex",
    "SET ex 1 PXAT 1", "COPY ey ex", "DEL ey", "SET ex 1 PXAT 1", "COPY ey ex", "PFADD ex 1",
    "SET ex 1 PXAT 1", "MSETNX ex 1 newly 2", "SET ex 1 PXAT 1", "STRLEN ex", "SET ex 1 PXAT 1", "PFADD ex a",
    // All keys, transactions, scripts, databases.
    "SWAPDB 0 3", "FLUSHDB", "FLUSHALL", "MULTI", "SET a 1", "SET a 2", "INCR a", "DEL a", "SET a 9", "EXEC",
    "MULTI", "SET t 1", "PUBLISH __key_mine hello", "SELECT 4", "SET t 2", "SELECT 0", "GET gone", "EXEC",
    "MULTI", "SET t 1", "DISCARD", "EVAL return\x20redis.call('set','ev','1') 0",
    "EVAL redis.call('set','ev','1');redis.call('get','gone');redis.call('incr','ev') 0",
    "EVAL redis.call('set','ev2','1');redis.call('nothing') 0", "SELECT 2", "SET in2 1", "MOVE in2 0",
    "SELECT 0",
    // Which classes are told.
    "CONFIG SET notify-keyspace-events KEx", "SET a 1 PXAT 1", "GET a", "GET a", "DEL a",
    "CONFIG SET notify-keyspace-events Kg", "SET a 1", "DEL a", "CONFIG SET notify-keyspace-events E$",
    "SET a 1", "DEL a", "CONFIG SET notify-keyspace-events A", "SET a 1",
    "CONFIG SET notify-keyspace-events KE", "SET a 1", "CONFIG SET notify-keyspace-events KEn", "SET a 1",
    "SET new 1", "INCR newer", "CONFIG SET notify-keyspace-events KEq", "SET a 1",
    "CONFIG SET notify-keyspace-events ", "SET a 1", "DEL a"};

struct OwnWay {
  const char* reason;
  std::vector<std::string> events;  ///< memento's, as channel and message
};
const std::map<std::string, OwnWay> kOwnWays = {
    {"EVAL redis.call('set','ev2','1');redis.call('nothing') 0",
     {"a script that fails has done nothing", {}}},
    {"BITFIELD bf2 OVERFLOW FAIL INCRBY u2 0 100",
     {"the key has become longer, which is a change that readers see",
      {"__keyspace@0__:bf2 new", "__keyevent@0__:new bf2", "__keyspace@0__:bf2 setbit",
       "__keyevent@0__:setbit bf2"}}},
};

Words words_of(const std::string& line) {
  Words words;
  std::istringstream stream(line);
  for (std::string word; std::getline(stream, word, ' ');) {
    if (const std::size_t at = word.find("\\x20"); at != std::string::npos) word.replace(at, 4, " ");
    words.push_back(word);
  }
  if (line.ends_with(' ')) words.push_back("");
  return words;
}

// A server with a client that sends requests and one that is told what happens to keys.
class Side {
 public:
  Side(const std::string& name, std::uint16_t port) : client_(name, port), listener_(name, port) {
    client_.ask({{"DEBUG", "SET-ACTIVE-EXPIRE", "0"}, {"CONFIG", "SET", "notify-keyspace-events", "KEAmn"}});
    listener_.ask({{"PSUBSCRIBE", "__key*"}});
  }

  /// The reply, and behind it the events of the request, which are as the wire has them.
  std::vector<std::string> told(const Words& request, const std::string& marker) {
    Words words = request;
    for (std::string& word : words) {
      if (word.starts_with('@')) word = dumped(word.substr(1));
    }
    std::vector<std::string> all = client_.ask({words});
    const auto events = listener_.ask_until({}, marker);
    EXPECT_TRUE(events) << "the listener's connection ended";
    if (events) all.insert(all.end(), events->begin(), events->end());
    return all;
  }

 private:
  std::string dumped(const std::string& key) {
    const std::string reply = client_.ask({{"DUMP", key}})[0];
    return reply.substr(reply.find("\r\n") + 2, reply.size() - reply.find("\r\n") - 4);
  }

  Peer client_;
  Peer listener_;
};

std::string wire_event(const std::string& channel_and_message) {
  const Words words = words_of("pmessage __key* " + channel_and_message);
  std::string bytes = "*4\r\n";
  for (const std::string& word : words) bytes += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  return bytes;
}

TEST(Differential, KeyEvents) {
  RedisServer redis_server;
  TestServer memento_server({"--workers", "1", "--enable-debug-command", "yes"});
  Side redis("redis", redis_server.port());
  Side memento("memento", memento_server.port());
  std::size_t events = 0;
  std::size_t own_ways = 0;
  std::size_t requests = 0;
  for (const std::string line : kRequests) {
    const std::string marker = "marker-" + std::to_string(++requests);
    std::vector<std::string> expected = redis.told(words_of(line), marker);
    const std::vector<std::string> told = memento.told(words_of(line), marker);
    if (const auto own = kOwnWays.find(line); own != kOwnWays.end()) {
      expected.resize(1);
      for (const std::string& event : own->second.events) expected.push_back(wire_event(event));
      expected[0] = told[0];
      ++own_ways;
    }
    EXPECT_EQ(printable(expected), printable(told)) << line;
    events += told.size() - 1;
  }
  EXPECT_EQ(own_ways, kOwnWays.size());
  EXPECT_GT(events, 300u);
}

}  // namespace
}  // namespace memento::testing
