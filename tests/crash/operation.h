// What a scenario is made of: operations on a keyspace, each with what it does to a plain map that stands for
// what a client was promised. A new operation of the keyspace is one function here and a line in the table of
// scenarios (scenarios.h).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "shm/keyspace/keyspace.h"

namespace memento::crash {

inline constexpr TimeMs kStartMs = 1'800'000'000'000;

struct Expected {
  std::string value;
  TimeMs expiry_ms = kNoExpiry;
  bool operator==(const Expected&) const = default;
};
/// By name: of database 0 the key, of another its number, kDatabaseMark and the key.
using Model = std::map<std::string, Expected>;
inline constexpr char kDatabaseMark = '|';
/// The bytes are the name's, which must stay.
HashedKey key_named(const Keyspace& keyspace, const std::string& name);

struct Operation {
  std::string name;
  std::function<WriteStatus(Keyspace&)> run;
  std::function<void(Model&)> apply;  ///< not called when run() was out of memory; expired keys are gone
  TimeMs now_ms = kStartMs;
  std::string key = {};  ///< that it changes, if it changes one
};

/// A journal without room is like a lack of memory: nothing was changed.
WriteStatus execute(const Operation& operation, Keyspace& keyspace);

/// The same at another time.
Operation at(TimeMs now_ms, Operation operation);

Operation put(const std::string& key, const std::string& value, const SetOptions& options = {});
/// The same where the key was seen just before.
Operation put_seen(const std::string& key, const std::string& value);
/// Sees the key, for put_where_seen() of the same Sight.
using Sight = std::shared_ptr<Sighting>;
Operation see(const std::string& key, const Sight& sight);
Operation put_where_seen(const std::string& key, const std::string& value, const Sight& sight);
Operation erase(const std::string& key);
/// What the journal is told of a text: that it is put, erased, or all are whose keys begin so.
Operation note_text(RecordKind kind, const std::string& key, const std::string& text);
Operation append(const std::string& key, const std::string& tail);
Operation prepend(const std::string& key, const std::string& head);
/// Zeros and a piece behind the old value: what SETRANGE-like updates do.
Operation pad(const std::string& key, std::size_t zeros, const std::string& tail);
Operation increment(const std::string& key);
/// A part of the value, which is at least so long, as SETRANGE has it.
Operation overwrite(const std::string& key, std::size_t begin, const std::string& part);
/// Watches the key.
Operation watch(const std::string& key);
Operation expire(const std::string& key, TimeMs expiry_ms);  ///< kNoExpiry: PERSIST
Operation flush();
Operation open_database(std::uint32_t database);
Operation flush_database(std::uint32_t database);
Operation swap_databases(std::uint32_t one, std::uint32_t other);
/// Finds a value, which warms it for eviction.
Operation look_up(const std::string& key);
Operation set_eviction(bool evicts);
Operation give_back();  ///< of all that its process holds
Operation maintain();   ///< one lap of the background work over all slots

/// Changes to several keys as one; with kWholeKeyspace nobody else writes meanwhile and flush() may be among
/// them.
enum class Reach { kTheirKeys, kWholeKeyspace };
Operation together(std::vector<Operation> parts, Reach reach = Reach::kTheirKeys);

void drop_expired(Model* model, TimeMs now_ms);

}  // namespace memento::crash
