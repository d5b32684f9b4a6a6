// What requests of many words, and many requests of one client, cost: in proportion to their number, for
// every command.
#include <malloc.h>

#include <string>
#include <vector>

#include "tests/cpu_growth.h"
#include "tests/worker/session/session_fixture.h"
#include "worker/command/command_table.h"

namespace memento {
namespace {

using testing::Conversation;
using testing::cpu_growth;
using testing::frame;
using testing::kClearlyBelowQuadratic;
using testing::Words;

constexpr std::size_t kWords = 1500;  // and kGrowth times as many

// The words of a pattern, with the number in the place of #.
Words words_of(std::string_view pattern, std::size_t number = 0) {
  Words words;
  for (std::string_view word; !(word = take_word(&pattern)).empty();) {
    words.emplace_back(word);
    if (const std::size_t at = words.back().find('#'); at != std::string::npos)
      words.back().replace(at, 1, std::to_string(number));
  }
  return words;
}

Words filled(std::string_view begin, std::string_view repeated, std::size_t count) {
  Words words = words_of(begin);
  while (words.size() < count) {
    const Words more = words_of(repeated, words.size());
    words.insert(words.end(), more.begin(), more.end());
  }
  return words;
}

class WordCosts : public testing::SessionTest {
 protected:
  WordCosts() : SessionTest(1 << 20, 128 << 20) {
    // What is freed is kept: pages that are given back and come again would be most of what long replies
    // cost.
    mallopt(M_MMAP_THRESHOLD, 512 << 20);
    mallopt(M_TRIM_THRESHOLD, 512 << 20);
  }

  /// Of one request that begins and goes on so.
  double growth_of_request(std::string_view begin, std::string_view repeated) {
    return cpu_growth(kWords, [&](std::size_t size) {
      Conversation client(*context_);
      client.ask("FLUSHALL");
      client.ask("SET a 1");
      client.ask(filled(begin, repeated, size));
    });
  }
  /// Of many requests of one client.
  double growth_of_requests(const std::vector<std::string>& begin, const std::vector<std::string>& repeated,
                            const std::vector<std::string>& end, std::size_t count = kWords) {
    return cpu_growth(count, [&](std::size_t size) {
      Conversation client(*context_);
      std::string bytes = frame({"FLUSHALL"});
      for (const std::string& request : begin) bytes += frame(words_of(request));
      for (std::size_t i = 0; i < size; ++i)
        bytes += frame(words_of(repeated[i % repeated.size()], i / repeated.size()));
      for (const std::string& request : end) bytes += frame(words_of(request));
      client.say(bytes);
    });
  }
};

// Shows it of every command that takes any number of words: of different ones, of different ones of one slot,
// of one again and again. Many of them are refused; that costs no more.
TEST_F(WordCosts, EveryCommand) {
  const auto check = [&](const Command& command) {
    if (command.arity > 0 || command.has(kContainer)) return;
    std::string begin(command.name);
    if (const std::size_t bar = begin.find('|'); bar != begin.npos) begin[bar] = ' ';
    for (const char* repeated : {"k#", "{t}#", "same"}) {
      EXPECT_LT(growth_of_request(begin, repeated), kClearlyBelowQuadratic) << begin << " " << repeated;
    }
  };
  for (const Command& command : all_commands()) check(command);
  for (const Command& command : all_subcommands()) check(command);
}

// Shows it of options that may be given again.
TEST_F(WordCosts, RepeatedOptions) {
  struct Case {
    const char* begin;
    const char* repeated;
  };
  constexpr Case kCases[] = {
      {"SET a 1", "EX 10"},
      {"SET a 1", "KEEPTTL"},
      {"SET a 1", "GET"},
      {"GETEX a", "PX 1000"},
      {"EXPIRE a 10", "GT"},
      {"SCAN 0", "MATCH k*#"},
      {"SCAN 0", "COUNT 100"},
      {"BITFIELD a", "SET u8 # 1"},
      {"SHUTDOWN", "NOW"},
      {"LCS a b", "IDX"},
      {"LCS a b", "MINMATCHLEN 2"},
      {"COPY a b", "REPLACE"},
      {"COPY a b", "DB 0"},
      {"RESTORE b 0 x", "IDLETIME 1"},
      {"RESTORE b 0 x", "REPLACE"},
      {"MEMORY USAGE a", "SAMPLES 5"},
      {"CONFIG GET", "*#"},
      {"CONFIG GET", "maxclients"},
      {"CONFIG SET", "maxclients 9"},
      {"CONFIG SET", "none# 1"},
      {"INFO", "server"},
      {"INFO", "none#"},
      {"CLIENT LIST ID", "#"},
      {"CLIENT KILL", "ID #"},
      {"CLIENT KILL", "TYPE pubsub"},
      {"CLIENT KILL", "SKIPME yes"},
      {"HELLO 3", "SETNAME a"},
      {"COMMAND DOCS", "get"},
      {"COMMAND INFO", "client|id"},
      {"COMMAND GETKEYS MGET", "k#"},
      {"COMMAND GETKEYS MSET", "k# v"},
      {"LATENCY HISTOGRAM", "get"},
      {"LATENCY RESET", "command"},
      {"PUBSUB NUMSUB", "c#"},
      {"MSET", "k# v"},
      {"MSET", "same v"},
      {"MSETNX", "{t}# v"},
      {"MSET", "{t}# v"},
  };
  for (const Case& one : kCases) {
    EXPECT_LT(growth_of_request(one.begin, one.repeated), kClearlyBelowQuadratic)
        << one.begin << " " << one.repeated;
  }
}

// Shows it of what a client adds up, request by request, and takes back.
TEST_F(WordCosts, ManyRequests) {
  struct Case {
    std::vector<std::string> begin;
    std::vector<std::string> repeated;
    std::vector<std::string> end;
    std::size_t count = kWords;
  };
  const std::vector<Case> cases = {
      {{}, {"WATCH k#"}, {"MULTI", "EXEC"}},
      {{}, {"SUBSCRIBE c#"}, {}},
      {{}, {"SUBSCRIBE c#", "UNSUBSCRIBE c#"}, {}},
      {{}, {"SUBSCRIBE c#"}, {"UNSUBSCRIBE"}},
      {{}, {"SSUBSCRIBE c#"}, {"SUNSUBSCRIBE"}},
      {{}, {"SUB k#"}, {"UNSUB"}},
      {{}, {"PSUBSCRIBE c#"}, {"PUNSUBSCRIBE"}, 500},
      {{"MULTI"}, {"SET k# v"}, {"EXEC"}},
      {{"MULTI"}, {"SET {t}# v"}, {"EXEC"}},
      {{"MULTI"}, {"SET {t}# v", "DEL {t}#"}, {"EXEC"}},
      {{"MULTI"}, {"INCR same"}, {"EXEC"}},
      {{"MULTI"}, {"SET {t}# v", "RENAME {t}# {t}r#"}, {"EXEC"}},
      {{"MULTI"}, {"GET {t}#"}, {"EXEC"}},
      {{"MULTI"}, {"SET k# v", "SCAN 0"}, {"EXEC"}},
      {{"MULTI"}, {"SET k# v", "RANDOMKEY"}, {"EXEC"}},
      {{"MULTI"}, {"PUBLISH c m"}, {"EXEC"}},
      {{"HELLO 3", "MULTI"}, {"SUBSCRIBE c#", "UNSUBSCRIBE c#"}, {"EXEC"}},
  };
  for (const Case& one : cases) {
    EXPECT_LT(growth_of_requests(one.begin, one.repeated, one.end, one.count), kClearlyBelowQuadratic)
        << one.repeated.front() << " " << (one.end.empty() ? "" : one.end.back());
  }
}

// Shows that a request of many words costs no more when it comes in many pieces.
TEST_F(WordCosts, RequestsInPieces) {
  EXPECT_LT(cpu_growth(kWords,
                       [&](std::size_t size) {
                         Conversation client(*context_);
                         const std::string bytes = frame(filled("MGET", "k#", size));
                         for (std::size_t at = 0; at < bytes.size(); at += 20)
                           client.say(bytes.substr(at, 20));
                       }),
            kClearlyBelowQuadratic);
}

}  // namespace
}  // namespace memento
