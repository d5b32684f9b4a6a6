// See request_source.h.
#include "tests/differential/request_source.h"

#include <algorithm>
#include <cstdlib>

#include "worker/text/words.h"
#include "worker/wire/text_codec.h"

namespace memento::testing {
namespace {

// Lower-case words are placeholders. A * behind one: any number of it, a ? : maybe.
// clang-format off
constexpr const char* kPatterns[] = {
    "GET key", "GET key", "SET key value", "SET key value", "SET key value", "SET key value", "SET key value", "SET key integer", "SET key value set-option*", "SET key value set-option* EX expiry",
    "SET key value PX expiry set-option*", "SET key value EXAT time", "SET key value PXAT time-ms", "SET key value KEEPTTL",
    "SET key value GET NX", "GETEX key", "GETEX key EX expiry", "GETEX key PERSIST", "GETEX key PXAT time-ms", "GETEX key set-option*",
    "GETDEL key", "GETSET key value", "SETNX key value", "SETEX key expiry value", "PSETEX key expiry value", "MGET key key*",
    "MSET pair pair*", "MSETNX pair pair*", "INCR key", "DECR key", "INCRBY key integer", "DECRBY key integer",
    "INCRBYFLOAT key decimal", "APPEND key value", "STRLEN key", "GETRANGE key integer integer", "SUBSTR key integer integer",
    "SETRANGE key offset value", "LCS key key lcs-option*", "GETBIT key offset", "SETBIT key offset bit", "BITCOUNT key",
    "BITCOUNT key integer integer", "BITCOUNT key integer integer unit", "BITPOS key bit", "BITPOS key bit integer",
    "BITPOS key bit integer integer", "BITPOS key bit integer integer unit", "BITOP bit-operation key key key*", "BITOP NOT key key",
    "BITFIELD key field-step*", "BITFIELD key OVERFLOW overflow field-step*", "BITFIELD_RO key GET field-type field-place",
    "BITFIELD_RO key field-step*", "PFADD hll value*", "PFADD hll elements", "PFADD hll elements", "PFCOUNT hll", "PFCOUNT hll hll hll*",
    "PFMERGE hll hll*", "PFCOUNT key", "PFADD key value", "GET hll", "GET hll", "SET hll value", "DEL hll", "COPY hll hll", "DEL key key*", "UNLINK key key*", "EXISTS key key*",
    "TOUCH key key*", "TYPE key", "EXPIRE key expiry expire-option*", "PEXPIRE key expiry expire-option*",
    "EXPIREAT key time expire-option*", "PEXPIREAT key time-ms expire-option*", "EXPIRETIME key", "PEXPIRETIME key", "TTL key",
    "PTTL key", "PERSIST key", "RENAME key key", "RENAMENX key key", "COPY key key copy-option*", "RANDOMKEY",
    "SCAN 0 COUNT 1000000 scan-option*", "SCAN integer scan-option*", "KEYS glob", "DBSIZE", "OBJECT ENCODING key",
    "OBJECT REFCOUNT key", "OBJECT IDLETIME key", "OBJECT FREQ key", "MEMORY USAGE key", "MEMORY USAGE key SAMPLES integer", "DUMP key",
    "RESTORE key integer value restore-option*", "PING", "PING value", "ECHO value", "SELECT database", "SELECT database", "SELECT value",
    "MOVE key database", "MOVE key database", "COPY key key DB database", "COPY key key DB database REPLACE", "SWAPDB database database",
    "FLUSHDB",
    "UNWATCH", "EXEC", "DISCARD", "CLIENT GETNAME", "CLIENT SETNAME value", "CLIENT ID value", "CLIENT NO-EVICT value", "CLIENT value",
    "OBJECT value", "OBJECT value key", "CONFIG GET save", "CONFIG GET value", "CONFIG SET value value", "COMMAND GETKEYS SET key value",
    "COMMAND GETKEYS MSET pair pair*", "COMMAND GETKEYS GET", "COMMAND GETKEYS PING", "COMMAND GETKEYS value", "AUTH value",
    "AUTH value value", "HELLO value", "value value*",
};

// Their replies are the same whenever they are executed.
constexpr const char* kQueueable[] = {
    "GET key", "SET key value", "SET key value GET", "SET key value NX GET", "INCR key", "INCRBYFLOAT key decimal", "APPEND key value",
    "MGET key key*", "MSET pair pair*", "MSETNX pair pair*", "DEL key key*", "RENAME key key", "RENAMENX key key", "COPY key key",
    "SETRANGE key offset value", "SETBIT key offset bit", "BITCOUNT key", "GETDEL key", "EXPIRE key expiry", "PERSIST key", "EXISTS key",
    "STRLEN key", "PING", "ECHO value", "LCS key key", "SELECT database", "MOVE key database",
    "COPY key key DB database", "MULTI", "WATCH key", "TYPE key", "NOPE", "GET",
};

constexpr const char* kIntegers[] = {"0", "1", "-1", "2", "3", "7", "10", "-3", "100", "9223372036854775807", "-9223372036854775808",
                                     "9223372036854775808", "-9223372036854775809", "4294967296", "2147483648", "01", "+1", "-0", "",
                                     " 1", "1 ", "1.0", "0x10", "abc", "18446744073709551616"};
constexpr const char* kDecimals[] = {"0", "1", "-1", "0.1", "1.5", "-2.25", "3.0e3", "1e-5", "1e4000", "1e5000", "nan", "inf", "-inf", "",
                                     "1.5x", " 1", "0x1p3", "5.0e-324", ".5", "1."};
// Far enough that none passes during a test, or past, or no expiry at all.
constexpr const char* kExpiries[] = {"1000000", "2000000", "3000000", "123456789", "0", "-1", "-1000000", "9223372036854775807",
                                     "-9223372036854775808", "9223372036854775", "99999999999999999999", "abc", "1.5", ""};
constexpr const char* kTimes[] = {"4102444800", "5000000000", "1", "0", "-1", "9223372036854775807", "9223372036854776", "x"};
constexpr const char* kTimesMs[] = {"4102444800123", "5000000000500", "1000", "0", "-5", "9223372036854775807", "x"};
constexpr const char* kOffsets[] = {"0", "1", "3", "7", "8", "15", "100", "1000", "8388607", "8388608", "1048575", "1048576", "-1",
                                    "4294967296", "9223372036854775807", "x", ""};
constexpr const char* kBits[] = {"0", "1", "0", "1", "2", "-1", "x", "01"};
constexpr const char* kUnits[] = {"BYTE", "BIT", "bit", "byte", "x"};
constexpr const char* kBitOperations[] = {"AND", "OR", "XOR", "NOT", "and", "Xor", "nand"};
constexpr const char* kFieldTypes[] = {"u8", "i8", "u1", "i1", "u63", "i64", "i16", "u13", "i33", "u32", "u64", "i65", "u0", "i", "x8", "U8"};
constexpr const char* kFieldPlaces[] = {"0", "1", "7", "8", "13", "100", "#0", "#1", "#7", "#100", "1000", "8388608", "-1", "#-1", "#", "x",
                                        "9223372036854775807", "#9223372036854775807"};
constexpr const char* kOverflows[] = {"WRAP", "SAT", "FAIL", "sat", "x"};
constexpr const char* kSetOptions[] = {"NX", "XX", "GET", "KEEPTTL", "PERSIST", "nx", "get", "EX", "px", "100", "x"};
constexpr const char* kExpireOptions[] = {"NX", "XX", "GT", "LT", "gt", "x"};
constexpr const char* kLcsOptions[] = {"LEN", "IDX", "WITHMATCHLEN", "MINMATCHLEN", "2", "idx", "x"};
constexpr const char* kCopyOptions[] = {"REPLACE", "DB", "0", "1", "16", "x", "replace"};
constexpr const char* kDatabases[] = {"0", "0", "0", "0", "1", "1", "2", "15", "16", "-1", "x", "4294967296", "9223372036854775808", ""};
constexpr const char* kScanOptions[] = {"MATCH *", "MATCH k*", "TYPE string", "TYPE list", "COUNT 1000000", "COUNT 0", "COUNT x", "MATCH"};
constexpr const char* kRestoreOptions[] = {"REPLACE", "ABSTTL", "IDLETIME 3", "FREQ 300", "IDLETIME -1", "x"};
constexpr const char* kGlobs[] = {"*", "k*", "k?", "k[1-3]", "k[^1]", "*1*", "\\k1", "[", "k[", "", "**a", "k[3-1]", "[\\", "k\\"};
// clang-format on

constexpr std::size_t kKeyCount = 12;

// A key that expires soon would be there for one server and not for the other.
void avoid_short_lives(std::vector<std::string>* words) {
  constexpr const char* kWithExpiry[] = {"SET", "SETEX", "PSETEX", "GETEX", "EXPIRE", "PEXPIRE"};
  if (std::ranges::none_of(kWithExpiry, [&](const char* name) { return is_word(words->front(), name); }))
    return;
  for (std::size_t i = 2; i < words->size(); ++i) {
    const long number = std::atol((*words)[i].c_str());
    if (number > 0 && number < 1'000'000) (*words)[i] = "1000000";
  }
}

}  // namespace

std::vector<std::vector<std::string>> RequestSource::next() {
  return one_in(40) ? transaction() : std::vector<Words>{single()};
}

RequestSource::Words RequestSource::single() {
  Words words;
  std::string_view pattern = kPatterns[below(std::size(kPatterns))];
  for (std::string_view word; !(word = take_word(&pattern)).empty();) append_argument(word, &words);
  if (one_in(15)) spoil(&words);
  avoid_short_lives(&words);
  return words;
}

// Sometimes watched keys are written to before MULTI, by this very client: EXEC then refuses.
std::vector<RequestSource::Words> RequestSource::transaction() {
  std::vector<Words> requests;
  if (one_in(2)) requests.push_back({"WATCH", key(), key()});
  if (one_in(3)) requests.push_back(one_in(2) ? Words{"SET", key(), value()} : Words{"DEL", key()});
  requests.push_back({"MULTI"});
  for (std::size_t left = below(8); left > 0; --left) {
    Words words;
    std::string_view pattern = kQueueable[below(std::size(kQueueable) - (one_in(4) ? 0 : 2))];
    for (std::string_view word; !(word = take_word(&pattern)).empty();) append_argument(word, &words);
    requests.push_back(std::move(words));
  }
  requests.push_back({one_in(6) ? "DISCARD" : "EXEC"});
  return requests;
}

void RequestSource::append_argument(std::string_view placeholder, Words* words) {
  std::size_t count = 1;
  if (placeholder.ends_with('*')) {
    count = below(4);
    placeholder.remove_suffix(1);
  }
  for (; count > 0; --count) {
    if (placeholder == "key") {
      words->push_back(key());
    } else if (placeholder == "value") {
      words->push_back(value());
    } else if (placeholder == "pair") {
      words->push_back(key());
      words->push_back(value());
    } else if (placeholder == "integer") {
      words->push_back(integer());
    } else if (placeholder == "decimal") {
      words->push_back(decimal());
    } else if (placeholder == "expiry") {
      words->push_back(pick(kExpiries));
    } else if (placeholder == "time") {
      words->push_back(pick(kTimes));
    } else if (placeholder == "time-ms") {
      words->push_back(pick(kTimesMs));
    } else if (placeholder == "offset") {
      words->push_back(pick(kOffsets));
    } else if (placeholder == "hll") {
      words->push_back("h" + std::to_string(below(6)));
    } else if (placeholder == "elements") {
      for (std::size_t left = below(200); left > 0; --left) words->push_back(std::to_string(below(100'000)));
    } else if (placeholder == "bit-operation") {
      words->push_back(pick(kBitOperations));
    } else if (placeholder == "field-type") {
      words->push_back(pick(kFieldTypes));
    } else if (placeholder == "field-place") {
      words->push_back(pick(kFieldPlaces));
    } else if (placeholder == "overflow") {
      words->push_back(pick(kOverflows));
    } else if (placeholder == "field-step") {
      append_field_step(words);
    } else if (placeholder == "bit") {
      words->push_back(pick(kBits));
    } else if (placeholder == "unit") {
      words->push_back(pick(kUnits));
    } else if (placeholder == "set-option") {
      words->push_back(pick(kSetOptions));
    } else if (placeholder == "expire-option") {
      words->push_back(pick(kExpireOptions));
    } else if (placeholder == "lcs-option") {
      words->push_back(pick(kLcsOptions));
    } else if (placeholder == "database") {
      words->push_back(pick(kDatabases));
    } else if (placeholder == "copy-option") {
      words->push_back(pick(kCopyOptions));
    } else if (placeholder == "scan-option" || placeholder == "restore-option") {
      const std::string options = placeholder == "scan-option" ? pick(kScanOptions) : pick(kRestoreOptions);
      for (std::string_view rest = options, word; !(word = take_word(&rest)).empty();)
        words->emplace_back(word);
    } else if (placeholder == "glob") {
      words->push_back(glob());
    } else {
      words->emplace_back(placeholder);
    }
  }
}

// One subcommand of BITFIELD. Not the least number of all: Redis saturates a field that cannot hold it at the
// field's largest number, because its own computation overflows.
void RequestSource::append_field_step(Words* words) {
  const std::size_t action = below(8);
  if (action == 0) {
    words->insert(words->end(), {"OVERFLOW", pick(kOverflows)});
  } else {
    words->insert(words->end(), {action < 4   ? "INCRBY"
                                 : action < 6 ? "SET"
                                              : "get",
                                 pick(kFieldTypes), pick(kFieldPlaces)});
    if (action < 6) words->push_back(integer());
    if (words->back() == "-9223372036854775808") words->back() = "-9223372036854";
  }
}

// A word too many, too few, or another one.
void RequestSource::spoil(Words* words) {
  const std::size_t place = below(words->size());
  switch (below(4)) {
    case 0:
      words->push_back(value());
      break;
    case 1:
      if (words->size() > 1) words->pop_back();
      break;
    case 2:
      if (place > 0) (*words)[place] = value();
      break;
    case 3:
      for (char& c : words->front()) c = static_cast<char>(c | 0x20);
      break;
  }
}

std::string RequestSource::key() { return one_in(30) ? bytes(20) : "k" + std::to_string(below(kKeyCount)); }

std::string RequestSource::value() {
  switch (below(8)) {
    case 0:
      return integer();
    case 1:
      return decimal();
    case 2:
      return bytes(300);
    case 3:
      return std::string(below(3), 'a');
    case 4:
      return std::to_string(static_cast<std::int64_t>(random_()));
    default:
      return bytes(12);
  }
}

std::string RequestSource::glob() {
  if (one_in(3)) return pick(kGlobs);
  constexpr std::string_view kPieces = "k*?[^]-\\0123456789abcd";
  std::string pattern(one_in(4) ? "k" : "");
  for (std::size_t left = below(12); left > 0; --left) pattern += kPieces[below(kPieces.size())];
  return pattern;
}

std::string RequestSource::integer() {
  return one_in(2) ? pick(kIntegers) : std::to_string(static_cast<long>(below(40)) - 20);
}
std::string RequestSource::decimal() {
  return one_in(2) ? pick(kDecimals) : std::to_string(static_cast<double>(below(2000)) / 64 - 15);
}

// Letters of a small alphabet, or anything.
std::string RequestSource::bytes(std::size_t limit) {
  std::string text(below(limit), '\0');
  const bool is_hostile = one_in(3);
  for (char& c : text) c = is_hostile ? static_cast<char>(below(256)) : static_cast<char>('a' + below(4));
  return text;
}

}  // namespace memento::testing
