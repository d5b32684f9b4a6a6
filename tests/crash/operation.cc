// The operations of the keyspace, each beside its meaning. See operation.h.
#include "tests/crash/operation.h"

namespace memento::crash {
namespace {

constexpr std::int64_t kWholeLapUs = 1'000'000'000;

// Replaces or creates `key` by pieces made of the old value.
Operation rewrite(const std::string& name, const std::string& key, std::string head, std::size_t zeros,
                  std::string tail) {
  const auto run = [key, head, zeros, tail](Keyspace& keyspace) {
    return keyspace.update(key_named(keyspace, key), [&](const EntryView* old) {
      Change change{Change::Action::kReplace, {}, old != nullptr ? old->expiry_ms : kNoExpiry};
      change.pieces = {head, old != nullptr ? old->value : std::string_view(),
                       std::string_view(nullptr, zeros), tail};
      return change;
    });
  };
  const auto apply = [key, head, zeros, tail](Model& model) {
    std::string& value = model[key].value;
    value = head + value + std::string(zeros, '\0') + tail;
  };
  return {name + " " + key, run, apply, kStartMs, key};
}

// The model's names of a database's keys begin so.
std::string prefix_of(std::uint32_t database) {
  return database == 0 ? "" : std::to_string(database) + kDatabaseMark;
}

bool is_in(std::uint32_t database, const std::string& name) {
  return database == 0 ? name.find(kDatabaseMark) == std::string::npos
                       : name.starts_with(prefix_of(database));
}

}  // namespace

HashedKey key_named(const Keyspace& keyspace, const std::string& name) {
  const std::size_t mark = name.find(kDatabaseMark);
  if (mark == std::string::npos) return keyspace.hash(name);
  const DatabaseId database(static_cast<std::uint32_t>(std::stoul(name.substr(0, mark))));
  return Keyspace::in_database(database, keyspace.hash(std::string_view(name).substr(mark + 1)));
}

WriteStatus execute(const Operation& operation, Keyspace& keyspace) {
  try {
    return operation.run(keyspace);
  } catch (const JournalFull&) {
    return WriteStatus::kOutOfMemory;
  }
}

Operation open_database(std::uint32_t database) {
  return {"open " + std::to_string(database),
          [database](Keyspace& keyspace) {
            return keyspace.open_database(DatabaseId(database)) ? WriteStatus::kDone
                                                                : WriteStatus::kOutOfMemory;
          },
          [](Model&) {}};
}

Operation flush_database(std::uint32_t database) {
  const auto run = [database](Keyspace& keyspace) {
    keyspace.select(DatabaseId(database));
    keyspace.flush_database();
    keyspace.select(DatabaseId(0));
    return WriteStatus::kDone;
  };
  const auto apply = [database](Model& model) {
    std::erase_if(model, [&](const auto& entry) { return is_in(database, entry.first); });
  };
  return {"FLUSHDB " + std::to_string(database), run, apply};
}

Operation swap_databases(std::uint32_t one, std::uint32_t other) {
  const auto run = [one, other](Keyspace& keyspace) {
    keyspace.swap_databases(DatabaseId(one), DatabaseId(other));
    return WriteStatus::kDone;
  };
  const auto apply = [one, other](Model& model) {
    Model swapped;
    for (const auto& [name, value] : model) {
      const std::string key = name.substr(name.find(kDatabaseMark) + 1);
      const bool is_one = is_in(one, name);
      swapped[is_one || is_in(other, name) ? prefix_of(is_one ? other : one) + key : name] = value;
    }
    model = swapped;
  };
  return {"SWAPDB " + std::to_string(one) + " " + std::to_string(other), run, apply};
}

Operation at(TimeMs now_ms, Operation operation) {
  operation.now_ms = now_ms;
  return operation;
}

Operation note_text(RecordKind kind, const std::string& key, const std::string& text) {
  const auto run = [=](Keyspace& keyspace) {
    if (!keyspace.has_text_room(1, key.size() + text.size())) return WriteStatus::kOutOfMemory;
    keyspace.record_text(kind, key, text);
    return WriteStatus::kDone;
  };
  return {"text " + key, run, [](Model&) {}};
}

Operation put(const std::string& key, const std::string& value, const SetOptions& options) {
  const auto run = [=](Keyspace& keyspace) { return keyspace.set(key_named(keyspace, key), value, options); };
  const auto apply = [=](Model& model) {
    const auto old = model.find(key);
    const bool there = old != model.end();
    if ((options.condition == SetCondition::kIfAbsent && there) ||
        (options.condition == SetCondition::kIfPresent && !there)) {
      return;
    }
    model[key] = {value, options.keep_expiry && there ? old->second.expiry_ms : options.expiry_ms};
  };
  return {"SET " + key + " (" + std::to_string(value.size()) + " bytes)", run, apply, kStartMs, key};
}

Operation put_seen(const std::string& key, const std::string& value) {
  const auto run = [=](Keyspace& keyspace) {
    HashedKey hashed = key_named(keyspace, key);
    keyspace.prefetch_entry(hashed);
    return keyspace.put_where_seen(hashed, value) ? WriteStatus::kDone : keyspace.put(hashed, value);
  };
  return {"seen SET " + key, run, put(key, value).apply, kStartMs, key};
}

Operation see(const std::string& key, const Sight& sight) {
  const auto run = [=](Keyspace& keyspace) {
    HashedKey hashed = key_named(keyspace, key);
    keyspace.prefetch_entry(hashed);
    *sight = hashed.seen;
    return WriteStatus::kDone;
  };
  return {"see " + key, run, [](Model&) {}, kStartMs, key};
}

Operation put_where_seen(const std::string& key, const std::string& value, const Sight& sight) {
  const auto run = [=](Keyspace& keyspace) {
    HashedKey hashed = key_named(keyspace, key);
    hashed.seen = *sight;
    return keyspace.put_where_seen(hashed, value) ? WriteStatus::kDone : keyspace.put(hashed, value);
  };
  return {"SET of long ago seen " + key, run, put(key, value).apply, kStartMs, key};
}

Operation erase(const std::string& key) {
  return {"DEL " + key, [key](Keyspace& keyspace) { return keyspace.erase(key_named(keyspace, key)); },
          [key](Model& model) { model.erase(key); }, kStartMs, key};
}

Operation append(const std::string& key, const std::string& tail) {
  return rewrite("APPEND", key, "", 0, tail);
}
Operation prepend(const std::string& key, const std::string& head) {
  return rewrite("PREPEND", key, head, 0, "");
}
Operation pad(const std::string& key, std::size_t zeros, const std::string& tail) {
  return rewrite("PAD", key, "", zeros, tail);
}

Operation increment(const std::string& key) {
  const auto next = [](std::string_view old) {  // three digits, without allocating
    std::array<char, 3> digits{'0', '0', '0'};
    for (std::size_t i = 0; i < old.size() && i < 3; ++i) digits[i] = old[i];
    for (std::size_t i = 3; i-- > 0 && ++digits[i] > '9';) digits[i] = '0';
    return digits;
  };
  const auto run = [key, next](Keyspace& keyspace) {
    std::array<char, 3> digits{};
    return keyspace.update(key_named(keyspace, key), [&](const EntryView* old) {
      digits = next(old != nullptr ? old->value : std::string_view());
      Change change{Change::Action::kReplace, {}, old != nullptr ? old->expiry_ms : kNoExpiry};
      change.pieces[0] = {digits.data(), digits.size()};
      return change;
    });
  };
  const auto apply = [key, next](Model& model) {
    const auto digits = next(model[key].value);
    model[key].value.assign(digits.data(), digits.size());
  };
  return {"INC " + key, run, apply, kStartMs, key};
}

Operation overwrite(const std::string& key, std::size_t begin, const std::string& part) {
  const auto run = [=](Keyspace& keyspace) {
    return keyspace.update(key_named(keyspace, key), [&](const EntryView* old) {
      if (old == nullptr) return Change{};
      const std::string_view value = old->value;
      return Change{Change::Action::kReplace,
                    {value.substr(0, begin), part, value.substr(begin + part.size())},
                    old->expiry_ms};
    });
  };
  const auto apply = [=](Model& model) {
    if (model.contains(key)) model[key].value.replace(begin, part.size(), part);
  };
  return {"SETRANGE " + key + " (" + std::to_string(part.size()) + " bytes)", run, apply, kStartMs, key};
}

Operation watch(const std::string& key) {
  return {"WATCH " + key,
          [key](Keyspace& keyspace) {
            return keyspace.mark(key_named(keyspace, key)) ? WriteStatus::kDone : WriteStatus::kOutOfMemory;
          },
          [](Model&) {}, kStartMs, key};
}

Operation expire(const std::string& key, TimeMs expiry_ms) {
  const auto run = [=](Keyspace& keyspace) {
    return keyspace.update(key_named(keyspace, key), [&](const EntryView* old) {
      Change change;
      if (old != nullptr) change.action = Change::Action::kSetExpiry;
      change.expiry_ms = expiry_ms;
      return change;
    });
  };
  const auto apply = [=](Model& model) {
    if (model.contains(key)) model[key].expiry_ms = expiry_ms;
  };
  return {(expiry_ms == kNoExpiry ? "PERSIST " : "EXPIRE ") + key, run, apply, kStartMs, key};
}

Operation flush() {
  return {"FLUSH",
          [](Keyspace& keyspace) {
            keyspace.flush();
            return WriteStatus::kDone;
          },
          [](Model& model) { model.clear(); }};
}

Operation look_up(const std::string& key) {
  return {"GET " + key,
          [key](Keyspace& keyspace) {
            keyspace.read(key_named(keyspace, key), [](const EntryView&) {});
            return WriteStatus::kDone;
          },
          [](Model&) {}};
}

Operation set_eviction(bool evicts) {
  return {evicts ? "eviction on" : "eviction off",
          [evicts](Keyspace& keyspace) {
            return keyspace.set_eviction(evicts) ? WriteStatus::kDone : WriteStatus::kOutOfMemory;
          },
          [](Model&) {}};
}

Operation give_back() {
  return {"give-back",
          [](Keyspace& keyspace) {
            keyspace.give_back();
            return WriteStatus::kDone;
          },
          [](Model&) {}};
}

Operation maintain() {
  return {"sweep",
          [](Keyspace& keyspace) {
            keyspace.maintain(kWholeLapUs);
            return WriteStatus::kDone;
          },
          [](Model&) {}};
}

Operation together(std::vector<Operation> parts, Reach reach) {
  std::string name = reach == Reach::kWholeKeyspace ? "all of" : "together";
  for (const Operation& part : parts) name += " / " + part.name;
  const std::string first = parts.front().key;
  const auto run = [parts, reach](Keyspace& keyspace) {
    const auto body = [&] {
      for (const Operation& part : parts) part.run(keyspace);
      return true;
    };
    if (reach == Reach::kWholeKeyspace) return keyspace.transact_all(body);
    std::vector<HashedKey> keys;
    for (const Operation& part : parts) keys.push_back(key_named(keyspace, part.key));
    return keyspace.transact(keys, body);
  };
  const auto apply = [parts](Model& model) {
    for (const Operation& part : parts) part.apply(model);
  };
  return {name, run, apply, kStartMs, first};
}

void drop_expired(Model* model, TimeMs now_ms) {
  std::erase_if(*model, [&](const auto& entry) {
    return entry.second.expiry_ms != kNoExpiry && entry.second.expiry_ms <= now_ms;
  });
}

}  // namespace memento::crash
