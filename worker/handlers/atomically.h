// Several keys as one, for handlers. Inside EXEC all of its requests are one change already, and they just
// run. Runs in workers.
#pragma once

#include <span>
#include <vector>

#include "worker/handlers/context.h"
#include "worker/handlers/handler_support.h"

namespace memento::handlers {

/// As Keyspace::transact(). What the body says of changed keys is told when the change has come to be.
template <class Body>
WriteStatus atomically(CommandContext& context, std::span<const HashedKey> keys, Body&& body) {
  if (context.in_exec) return body() ? WriteStatus::kDone : WriteStatus::kUnchanged;
  const auto forget_plan = [&] {
    context.exec.plan.steps.clear();
    context.exec.plan.step_bytes = 0;
  };
  context.in_change = true;
  WriteStatus status{};
  try {
    status = context.keyspace.transact(keys, [&] { return forget_plan(), body(); });
  } catch (const JournalFull&) {  // all begins again
    forget_plan();
    context.in_change = false;
    throw;
  }
  context.in_change = false;
  if (!context.exec.plan.steps.empty()) [[unlikely]]
    tell_planned(context, status);
  return status;
}

/// As Keyspace::read_many(). What is missing is told.
template <class Reset, class Copy>
void read_together(CommandContext& context, std::span<const HashedKey> keys, Reset&& reset, Copy&& copy) {
  std::vector<bool> missing(context.services.hub.watches_keys() ? keys.size() : 0);
  const auto copy_and_note = [&](std::size_t index, const EntryView* entry) {
    if (!missing.empty()) [[unlikely]]
      missing[index] = entry == nullptr;
    copy(index, entry);
  };
  if (!context.in_exec) {
    context.keyspace.read_many(keys, reset, copy_and_note);
  } else {
    reset();
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (!context.keyspace.read(keys[i], [&](const EntryView& view) { copy_and_note(i, &view); }))
        copy_and_note(i, nullptr);
    }
  }
  for (std::size_t i = 0; i < missing.size(); ++i) {
    if (missing[i]) context.missed(keys[i]);
  }
}

}  // namespace memento::handlers
