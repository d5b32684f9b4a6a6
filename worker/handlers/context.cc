// See context.h.
#include "worker/handlers/context.h"

namespace memento {

void CommandContext::tell(const HashedKey& key, const KeyEvent& event) {
  if (!in_exec && !in_change) return services.hub.tell(key, event);
  PlannedStep step{PlannedStep::Action::kTell};
  step.name = key.bytes;
  step.event = &event;
  step.slot = key.slot;
  step.hash = key.hash;
  plan.steps.push_back(std::move(step));
}

void CommandContext::tell_change(const HashedKey& key, const KeyEvent& event) {
  if (keyspace.take_made_key()) tell(key, key_events::kNew);
  tell(key, event);
}

void CommandContext::tell_made(const HashedKey& key) {
  (void)keyspace.take_made_key();
  tell(key, key_events::kNew);
}

void CommandContext::tell_of_all(std::optional<DatabaseId> database) {
  if (!in_exec && !in_change) return services.hub.tell_of_all(database);
  PlannedStep step{PlannedStep::Action::kTellOfAll};
  step.database = database;
  plan.steps.push_back(std::move(step));
}

}  // namespace memento
