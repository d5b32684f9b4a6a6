// See step_source.h.
#include "tests/differential/step_source.h"

#include <algorithm>

#include "worker/wire/text_codec.h"

namespace memento::testing {
namespace {

// Lower-case words are placeholders; a * behind one: up to three of it.
constexpr const char* kRequests[] = {
    "SUBSCRIBE channel channel*",
    "SUBSCRIBE channel",
    "UNSUBSCRIBE channel*",
    "UNSUBSCRIBE",
    "PSUBSCRIBE glob glob*",
    "PUNSUBSCRIBE glob*",
    "SSUBSCRIBE channel channel*",
    "SUNSUBSCRIBE channel*",
    "PUBLISH channel message",
    "PUBLISH channel message",
    "PUBLISH channel message",
    "SPUBLISH channel message",
    "SPUBLISH channel message",
    "PUBLISH channel",
    "SUBSCRIBE",
    "SSUBSCRIBE",
    "PUBSUB CHANNELS",
    "PUBSUB CHANNELS glob",
    "PUBSUB NUMSUB channel*",
    "PUBSUB NUMPAT",
    "PUBSUB SHARDCHANNELS",
    "PUBSUB SHARDCHANNELS glob",
    "PUBSUB SHARDNUMSUB channel*",
    "PUBSUB CHANNELS a b",
    "PUBSUB NUMPAT x",
    "PUBSUB word",
    "PUBSUB",
    "PING",
    "PING message",
    "ECHO message",
    "GET key",
    "SET key message",
    "INCR key",
    "DEL key",
    "NOPE message",
    "RESET",
    "HELLO",
    "HELLO 2",
    "HELLO 3",
    "HELLO 3",
    "HELLO number",
    "HELLO 3 SETNAME name",
    "HELLO 2 AUTH default message",
    "HELLO 3 AUTH message message SETNAME name",
    "HELLO 3 SETNAME",
    "HELLO 3 word",
    "HELLO 3 AUTH default x word",
    "CLIENT GETNAME",
    "CLIENT SETNAME name",
    "CLIENT ID x",
    "CLIENT INFO",
    "CLIENT LIST",
    "CLIENT LIST TYPE type",
    "CLIENT LIST TYPE",
    "CLIENT LIST ID id",
    "CLIENT LIST ID",
    "CLIENT LIST word",
    "CLIENT KILL 1.2.3.4:5",
    "CLIENT KILL ID id",
    "CLIENT KILL ADDR 1.2.3.4:5",
    "CLIENT KILL LADDR x SKIPME word",
    "CLIENT KILL SKIPME yes ID id",
    "CLIENT KILL TYPE type ID 1000000",
    "CLIENT KILL USER default ID 1000000",
    "CLIENT KILL USER x",
    "CLIENT KILL word word",
    "CLIENT KILL ID",
    "CLIENT KILL",
    "CLIENT KILL TYPE word",
    "CLIENT PAUSE number x",
    "CLIENT PAUSE -1",
    "CLIENT PAUSE x",
    "CLIENT PAUSE 0",
    "CLIENT PAUSE 1 ALL",
    "CLIENT PAUSE 1 WRITE",
    "CLIENT PAUSE",
    "CLIENT UNPAUSE",
    "CLIENT UNPAUSE x",
    "CLIENT REPLY word",
    "CLIENT REPLY ON",
    "CLIENT NO-EVICT word",
    "CLIENT NO-EVICT OFF",
    "CLIENT word",
    "CLIENT",
    "SLOWLOG GET",
    "SLOWLOG GET number",
    "SLOWLOG GET x",
    "SLOWLOG GET 1 2",
    "SLOWLOG LEN",
    "SLOWLOG LEN x",
    "SLOWLOG RESET",
    "SLOWLOG word",
    "SLOWLOG",
    "LATENCY LATEST",
    "LATENCY HISTORY command",
    "LATENCY HISTORY word",
    "LATENCY HISTORY",
    "LATENCY RESET",
    "LATENCY RESET word",
    "LATENCY RESET command fast-command",
    "LATENCY HISTOGRAM get set",
    "LATENCY HISTOGRAM word",
    "LATENCY word",
    "LATENCY",
    "CONFIG RESETSTAT",
    "CONFIG RESETSTAT x",
    "INFO commandstats",
    "INFO errorstats",
    "MONITOR x",
    "MULTI",
    "EXEC",
    "DISCARD",
    "WATCH key",
    "UNWATCH",
    "AUTH message",
    "AUTH word message",

};

// SUBSCRIBE and its relatives with one name: memento refuses others inside MULTI.
constexpr const char* kQueueable[] = {
    "SUBSCRIBE channel",
    "UNSUBSCRIBE channel",
    "PSUBSCRIBE glob",
    "PUNSUBSCRIBE glob",
    "SSUBSCRIBE channel",
    "SUNSUBSCRIBE channel",
    "PUBLISH channel message",
    "PUBLISH channel message",
    "SPUBLISH channel message",
    "PUBSUB NUMPAT x",
    "PING",
    "PING message",
    "ECHO message",
    "SET key message",
    "GET key",
    "INCR key",
    "HELLO 2",
    "HELLO 3",
    "HELLO 7",
    "CLIENT GETNAME",
    "CLIENT KILL ID 1000000",
    "NOPE",
};

constexpr const char* kChannels[] = {"a", "b", "ab", "news.1", ""};
constexpr const char* kGlobs[] = {"a", "a*", "*", "?", "[ab]", "news.*", "\\*"};
constexpr const char* kNames[] = {"me", "worker-1", "", "two words", "line\n"};
constexpr const char* kNumbers[] = {"0", "1", "-1", "-2", "3", "1000000", "99999999999999999999",
                                    "x", "",  "1.5"};
constexpr const char* kIds[] = {"1000000", "-1", "0", "x", "", "99999999999999999999"};
constexpr const char* kTypes[] = {"normal", "pubsub", "replica", "slave", "master", "PUBSUB", "x"};
constexpr const char* kMessages[] = {"hello", "", "two words", "\"quoted\"\\", "\r\n\t\a\b\x01\xff", "1"};
constexpr const char* kWords[] = {"x", "yes", "no", "default", "nosuch", "HELP\n", "all"};

}  // namespace

Step StepSource::next() {
  Step step{below(client_count_), {}};
  if (one_in(12)) {
    step.requests.push_back({"MULTI"});
    for (std::size_t left = below(6); left > 0; --left)
      step.requests.push_back(words_of(kQueueable[below(std::size(kQueueable))]));
    step.requests.push_back({one_in(8) ? "DISCARD" : "EXEC"});
    // A message before HELLO is in the protocol of then in Redis 7.0, and in that of EXEC's end in 7.2.
    const auto is_hello = [](const Words& words) { return words[0] == "HELLO"; };
    if (std::ranges::any_of(step.requests, is_hello)) {
      std::erase_if(step.requests, [](const Words& words) { return words[0].ends_with("PUBLISH"); });
    }
  } else if (one_in(30)) {
    step.requests = {{"CLIENT", "REPLY", one_in(2) ? "OFF" : "SKIP"},
                     {"SET", "k1", "silent"},
                     {"GET", "k1"},
                     {"CLIENT", "REPLY", "ON"}};
  } else {
    step.requests.push_back(words_of(kRequests[below(std::size(kRequests))]));
    // The state that only EXEC ends would hide what follows.
    if (step.requests.back() == Words{"MULTI"})
      step.requests.insert(step.requests.end(), {{"MULTI"}, {"WATCH", "k1"}, {"EXEC"}});
  }
  return step;
}

Words StepSource::words_of(const char* pattern) {
  Words words;
  for (std::string_view rest = pattern, word; !(word = take_word(&rest)).empty();) {
    std::size_t count = 1;
    if (word.ends_with('*')) {
      count = below(3);
      word.remove_suffix(1);
    }
    for (; count > 0; --count) words.push_back(argument(word));
  }
  return words;
}

std::string StepSource::argument(std::string_view placeholder) {
  const auto pick = [&](const auto& choices) { return std::string(choices[below(std::size(choices))]); };
  if (placeholder == "channel") return pick(kChannels);
  if (placeholder == "glob") return pick(kGlobs);
  if (placeholder == "name") return pick(kNames);
  if (placeholder == "number") return pick(kNumbers);
  if (placeholder == "id") return pick(kIds);
  if (placeholder == "type") return pick(kTypes);
  if (placeholder == "message") return pick(kMessages);
  if (placeholder == "word") return pick(kWords);
  if (placeholder == "key") return "k" + std::to_string(below(3));
  return std::string(placeholder);
}

}  // namespace memento::testing
