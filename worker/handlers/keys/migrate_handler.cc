// MIGRATE: keys go to another server, which may be Redis. The handler runs several times (migration.h): it
// reads the keys and says what the other server is to be asked, and runs again when that has answered.
#include <algorithm>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "worker/clients/migration.h"
#include "worker/handlers/handler_support.h"
#include "worker/handlers/handlers.h"
#include "worker/handlers/keys/dump_format.h"
#include "worker/text/number_text.h"
#include "worker/text/words.h"

namespace memento::handlers {
namespace {

constexpr std::int64_t kUsualTimeoutMs = 1000;
constexpr int kRepeatLimit = 100;
constexpr std::int64_t kLongestTimeoutMs = 1'000'000'000;

struct MigrateWords {
  std::uint16_t port = 0;
  std::int64_t database = 0;
  std::int64_t timeout_ms = 0;
  bool copies = false;
  bool replaces = false;
  std::string_view user;
  std::string_view password;
  std::vector<std::string_view> keys;
};

// A request in RESP.
void put_request(ByteBuffer& output, const std::vector<std::string_view>& words) {
  const auto put = [&](std::string_view bytes) { output.append(bytes); };
  put("*" + std::to_string(words.size()) + "\r\n");
  for (const std::string_view word : words) {
    put("$" + std::to_string(word.size()) + "\r\n");
    put(word);
    put("\r\n");
  }
}

// Nothing: an error was written.
std::optional<MigrateWords> take_words(CommandContext& context, const Call& call) {
  const auto refuse = [&](std::string_view text) { return context.reply.error(text), std::nullopt; };
  MigrateWords words;
  if (!call[3].empty()) words.keys.push_back(call[3]);
  std::set<std::string_view> named;
  bool has_auth = false;
  for (std::size_t i = 6; i < call.count(); ++i) {
    const std::size_t left = call.count() - i - 1;
    if (is_word(call[i], "COPY")) {
      words.copies = true;
    } else if (is_word(call[i], "REPLACE")) {
      words.replaces = true;
    } else if (is_word(call[i], "AUTH") && left >= 1 && !has_auth) {
      has_auth = true;
      words.password = call[++i];
    } else if (is_word(call[i], "AUTH2") && left >= 2 && !has_auth) {
      has_auth = true;
      words.user = call[++i];
      words.password = call[++i];
    } else if (is_word(call[i], "KEYS")) {
      if (!call[3].empty())
        return refuse("ERR When using MIGRATE KEYS option, the key argument must be set to the empty string");
      for (const std::string_view name : call.args.subspan(i + 1)) {
        if (named.insert(name).second) words.keys.push_back(name);
      }
      break;
    } else {
      return refuse(kSyntaxError);
    }
  }
  const std::optional<std::int64_t> timeout_ms = parse_integer(call[5]);
  const std::optional<std::int64_t> database = parse_integer(call[4]);
  const std::optional<std::int64_t> port = parse_integer(call[2]);
  if (!timeout_ms || !database || !port) return refuse(kNotAnInteger);
  if (*port < 1 || *port > 65535) return refuse("ERR Invalid TCP port specified, must be 1 to 65535");
  words.port = static_cast<std::uint16_t>(*port);
  words.database = *database;
  words.timeout_ms = *timeout_ms > 0 ? std::min(*timeout_ms, kLongestTimeoutMs) : kUsualTimeoutMs;
  return words;
}

/// One run of the handler, in which a round ends or begins.
class MigrateRun {
 public:
  MigrateRun(CommandContext& context, const MigrateWords& words)
      : context_(context), words_(words), migration_(*context.client.migration) {}

  // False: there is nothing to be sent.
  bool send_all() {
    for (const std::string_view name : words_.keys) {
      MigratedKey key{std::string(name)};
      if (send(key, words_.replaces)) migration_.keys.push_back(std::move(key));
    }
    return !migration_.keys.empty() && !migration_.is_out_of_memory;
  }

  // The answers to a round. True: what was changed meanwhile goes once more.
  bool settle() {
    note_refusals();
    std::vector<MigratedKey>& again = migration_.again;
    const std::size_t preface_count = migration_.preface_count;
    for (std::size_t& i = migration_.settled_count; preface_count + i < migration_.answers.size(); ++i) {
      if (is_preface_refused_) break;
      MigratedKey& key = migration_.keys[i];
      const bool is_taken = !migration_.answers[preface_count + i].starts_with('-');
      if (is_taken && !words_.copies && !is_done_with(key)) again.push_back(std::move(key));
    }
    migration_.keys.clear();
    migration_.preface_count = migration_.settled_count = 0;
    if (migration_.failure != nullptr || !refusal_.empty()) return false;
    if (!again.empty() && ++migration_.repeated_count > kRepeatLimit) {
      changes_fast_ = true;
      return false;
    }
    for (MigratedKey& key : std::exchange(again, {})) {
      if (send(key, true)) {
        migration_.keys.push_back(std::move(key));
      } else {
        migration_.has_lost_keys |= !migration_.is_out_of_memory;
      }
    }
    return !migration_.keys.empty() && !migration_.is_out_of_memory;
  }

  void begin_round() {
    migration_.expected_count = migration_.preface_count + migration_.keys.size();
    context_.services.migrate(context_.client);
    context_.parks = true;
  }

  void put_preface() {
    if (!words_.password.empty()) {
      words_.user.empty() ? put({"AUTH", words_.password}) : put({"AUTH", words_.user, words_.password});
      ++migration_.preface_count;
    }
    put({"SELECT", std::to_string(words_.database)});
    ++migration_.preface_count;
  }

  void answer(bool had_keys) {
    if (migration_.is_out_of_memory) return context_.reply.out_of_memory();
    if (!had_keys) return context_.reply.status("NOKEY");
    if (changes_fast_)
      return context_.reply.error(
          "ERR a key changes faster than it is moved; it stays, and a copy of it is there");
    if (!refusal_.empty()) return context_.reply.error("ERR Target instance replied with error: " + refusal_);
    if (migration_.failure != nullptr)
      return context_.reply.error("IOERR " + std::string(migration_.failure));
    if (migration_.has_lost_keys)
      return context_.reply.error(
          "ERR a key was removed or expired, or somebody else moved it; what was sent of it is there");
    context_.reply.ok();
  }

 private:
  void put(const std::vector<std::string_view>& request) { put_request(migration_.requests, request); }

  HashedKey hashed(const MigratedKey& key) const { return context_.keyspace.hash(key.name); }

  // The mark is taken first: a change between the two is seen as one behind them. False: the key is not
  // there.
  bool send(MigratedKey& key, bool replaces) {
    const std::optional<ChangeMark> mark = context_.keyspace.mark(hashed(key));
    if (!mark) return migration_.is_out_of_memory = true, false;
    key.mark = *mark;
    std::string value;
    TimeMs expiry_ms = kNoExpiry;
    const bool is_there = context_.keyspace.read(hashed(key), [&](const EntryView& entry) {
      value.assign(entry.value);
      expiry_ms = entry.expiry_ms;
    });
    if (!is_there) return false;
    const std::int64_t ttl_ms =
        expiry_ms == kNoExpiry ? 0 : std::max<std::int64_t>(1, expiry_ms - context_.keyspace.now_ms());
    const std::string ttl = std::to_string(ttl_ms);
    const std::string payload = dump_value(value);
    std::vector<std::string_view> request{"RESTORE", key.name, ttl, payload};
    if (replaces) request.emplace_back("REPLACE");
    put(request);
    return true;
  }

  // The other server has it as it was sent. True: it was still so here, and is gone now. False also for a key
  // that somebody else took away. Whether a client removed it or another MIGRATE moved it cannot be known, so
  // the other server keeps what it has: it may be the only copy.
  bool is_done_with(const MigratedKey& key) {
    const HashedKey hash = hashed(key);
    bool is_unchanged = false;
    const WriteStatus status = context_.keyspace.transact(std::span(&hash, 1), [&] {
      is_unchanged = key.mark.exists != 0 && context_.keyspace.is_unchanged(hash, key.mark);
      if (is_unchanged) context_.keyspace.erase(hash);
      return is_unchanged;
    });
    if (status == WriteStatus::kDone && is_unchanged) context_.changed(hash, key_events::kDel);
    migration_.is_out_of_memory |= status == WriteStatus::kOutOfMemory;
    return is_unchanged && status != WriteStatus::kBusy;
  }

  // As Redis, the first one of AUTH, SELECT and the keys.
  void note_refusals() {
    for (std::size_t i = 0; i < migration_.answers.size(); ++i) {
      if (!migration_.answers[i].starts_with('-')) continue;
      is_preface_refused_ |= i < migration_.preface_count;
      if (refusal_.empty()) refusal_ = migration_.answers[i].substr(1);
    }
  }

  CommandContext& context_;
  const MigrateWords& words_;
  Migration& migration_;
  std::string refusal_;              ///< what the other server said against it
  bool is_preface_refused_ = false;  ///< nothing of what follows can be relied on
  bool changes_fast_ = false;
};

}  // namespace

void migrate(CommandContext& context, const Call& call) {
  const std::optional<MigrateWords> words = take_words(context, call);
  if (!words) return;
  if (!context.services.migrate || context.client.descriptor < 0) {
    return context.reply.error(
        "ERR MIGRATE has to be sent to the node that has its keys; CLUSTER KEYSLOT and CLUSTER SHARDS tell "
        "which");
  }
  ClientState& client = context.client;
  const bool begins = client.migration == nullptr;
  if (begins) {
    client.migration = std::make_unique<Migration>();
    client.migration->host = call[1];
    client.migration->port = words->port;
    client.migration->timeout_ms = words->timeout_ms;
  }
  MigrateRun run(context, *words);
  if (begins) run.put_preface();
  if (begins ? run.send_all() : run.settle()) return run.begin_round();
  run.answer(!begins);
  client.migration.reset();
}

}  // namespace memento::handlers
