// See allowed_differences.h: kAllowed is the list.
#include "tests/differential/allowed_differences.h"

#include <algorithm>
#include <cstdlib>

#include "worker/text/words.h"

namespace memento::testing {
namespace {

using Words = std::vector<std::string>;

bool is_error(const std::string& reply) { return reply.starts_with('-'); }
bool is_bulk(const std::string& reply) { return reply.starts_with('$') && !reply.starts_with("$-1"); }
long long number(const std::string& reply) { return std::strtoll(reply.c_str() + 1, nullptr, 10); }

bool both_integers(const Words&, const std::string& redis, const std::string& memento) {
  return redis.starts_with(':') && memento.starts_with(':') && number(redis) >= 0 && number(memento) >= 0;
}

bool expired(const Words&, const std::string& redis, const std::string& memento) {
  return redis.starts_with(':') && (memento == "$-1\r\n" || memento == "_\r\n");
}

bool both_bulks(const Words&, const std::string& redis, const std::string& memento) {
  return is_bulk(redis) && is_bulk(memento);
}

bool close_times(const Words& request, const std::string& redis, const std::string& memento) {
  const bool in_ms = is_word(request[0].substr(0, 1), "P");
  return redis.starts_with(':') && memento.starts_with(':') && number(redis) > 0 && number(memento) > 0 &&
         std::abs(number(redis) - number(memento)) <= (in_ms ? 60'000 : 60);
}

bool compares_times(const Words& request, const std::string& redis, const std::string& memento) {
  const auto compares = [](const std::string& word) { return is_word(word, "GT") || is_word(word, "LT"); };
  return both_integers(request, redis, memento) && std::ranges::any_of(request, compares);
}

std::vector<std::string> sorted_lines(const std::string& reply) {
  std::vector<std::string> elements;  // of an array of bulks
  for (std::size_t at = reply.find('$'); at < reply.size();) {
    const std::size_t begin = reply.find("\r\n", at) + 2;
    const auto size = static_cast<std::size_t>(std::strtol(reply.c_str() + at + 1, nullptr, 10));
    elements.push_back(reply.substr(begin, size));
    at = reply.find('$', begin + size + 2);
  }
  std::ranges::sort(elements);
  return elements;
}

bool same_elements(const Words&, const std::string& redis, const std::string& memento) {
  return redis.starts_with('*') && memento.starts_with('*') && sorted_lines(redis) == sorted_lines(memento);
}

// A walk that began at 0 with a large COUNT gives everything; where one goes on, each server knows only its
// own cursors.
bool scans(const Words& request, const std::string& redis, const std::string& memento) {
  if (!redis.starts_with("*2\r\n") || !memento.starts_with("*2\r\n")) return false;
  const bool is_whole =
      request.size() > 3 && request[1] == "0" && request[3] == "1000000" && is_word(request[2], "COUNT");
  return !is_whole || same_elements(request, redis, memento) || std::ranges::count(request, "COUNT") > 1;
}

bool lists_all_keys(const Words& request, const std::string& redis, const std::string& memento) {
  return request.size() == 1 && is_error(redis) && memento.starts_with('*');
}

bool refuses_arguments(const Words&, const std::string& redis, const std::string& memento) {
  return redis.starts_with(':') && is_error(memento);
}

bool both_errors(const Words&, const std::string& redis, const std::string& memento) {
  return is_error(redis) && is_error(memento);
}

bool redis_knows_it(const Words&, const std::string& redis, const std::string& memento) {
  return redis != memento && memento.starts_with("-ERR unknown");
}

bool has_parameters(const Words&, const std::string& redis, const std::string& memento) {
  const auto is_map = [](const std::string& reply) {
    return reply.starts_with('*') || reply.starts_with('%');
  };
  return (is_map(redis) && is_map(memento)) || (is_error(redis) && is_error(memento));
}

bool both_hello(const Words&, const std::string& redis, const std::string& memento) {
  return redis.size() > 60 && memento.size() > 60;
}

struct Allowed {
  const char* command;
  const char* subcommand;  ///< nullptr: any, or none
  bool (*applies)(const Words& request, const std::string& redis, const std::string& memento);
  const char* reason;
};

constexpr Allowed kAllowed[] = {
    {"TTL", nullptr, close_times, "the servers read their clocks at different moments"},
    {"PTTL", nullptr, close_times, "the servers read their clocks at different moments"},
    {"EXPIRETIME", nullptr, close_times, "the servers read their clocks at different moments"},
    {"PEXPIRETIME", nullptr, close_times, "the servers read their clocks at different moments"},
    {"EXPIRE", nullptr, compares_times,
     "GT and LT compare with a time that the servers read at different moments"},
    {"PEXPIRE", nullptr, compares_times,
     "GT and LT compare with a time that the servers read at different moments"},
    {"KEYS", nullptr, same_elements, "the order of keys is nobody's promise"},
    {"KEYS", nullptr, lists_all_keys, "without a pattern memento lists all keys"},
    {"SCAN", nullptr, scans, "the order of keys and the cursors are each server's own"},
    {"DBSIZE", nullptr, both_integers, "keys that have expired count until each server has found them"},
    {"RANDOMKEY", nullptr, both_bulks, "it is random"},
    {"OBJECT", "ENCODING", both_bulks,
     "memento has one encoding and tells what SET would choose in Redis; APPEND and SETRANGE make it raw "
     "there"},
    {"OBJECT", "REFCOUNT", both_integers,
     "memento goes by the value and tells what SET would share in Redis; APPEND and SETRANGE do not"},
    {"OBJECT", "IDLETIME", both_integers, "memento counts from when the value was stored"},
    {"MEMORY", "USAGE", both_integers, "other allocators"},
    {"MEMORY", "USAGE", expired, "Redis also measures a key that has expired and is not yet swept"},
    {"DUMP", nullptr, both_bulks,
     "Redis writes numbers and repetitive values shorter, and takes them as they are too"},
    {"BITCOUNT", nullptr, refuses_arguments,
     "Redis 7.2 refuses bad arguments of a missing key too; Debian's is 7.0"},
    {"BITPOS", nullptr, refuses_arguments,
     "Redis 7.2 refuses bad arguments of a missing key too; Debian's is 7.0"},
    {"COMMAND", "GETKEYS", both_errors, "Redis 7.2 takes a command without arguments here; Debian's is 7.0"},
    {"CONFIG", "GET", has_parameters, "other parameters"},
    {"CONFIG", "SET", has_parameters, "other parameters"},
    {"CLIENT", "ID", both_integers, "each server counts its own connections"},
    {"CLIENT", nullptr, redis_knows_it, "subcommands that memento does not have"},
    {"OBJECT", nullptr, redis_knows_it, "subcommands that memento does not have"},
    {"HELLO", nullptr, both_hello, "version and connection number"},
};

}  // namespace

const char* reason_to_differ(const Words& request, const std::string& redis, const std::string& memento) {
  for (const Allowed& allowed : kAllowed) {
    if (!is_word(request[0], allowed.command)) continue;
    if (allowed.subcommand != nullptr && (request.size() < 2 || !is_word(request[1], allowed.subcommand)))
      continue;
    if (allowed.applies(request, redis, memento)) return allowed.reason;
  }
  return nullptr;
}

}  // namespace memento::testing
