// Several keys as one, for handlers. Inside EXEC all of its requests are one change already, and they just
// run. Runs in workers.
#pragma once

#include <span>

#include "worker/handlers/context.h"

namespace memento::handlers {

/// As Keyspace::transact().
template <class Body>
WriteStatus atomically(CommandContext& context, std::span<const HashedKey> keys, Body&& body) {
  if (context.in_exec) return body() ? WriteStatus::kDone : WriteStatus::kUnchanged;
  return context.keyspace.transact(keys, body);
}

/// As Keyspace::read_many().
template <class Reset, class Copy>
void read_together(CommandContext& context, std::span<const HashedKey> keys, Reset&& reset, Copy&& copy) {
  if (!context.in_exec) return context.keyspace.read_many(keys, reset, copy);
  reset();
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!context.keyspace.read(keys[i], [&](const EntryView& view) { copy(i, &view); })) copy(i, nullptr);
  }
}

}  // namespace memento::handlers
