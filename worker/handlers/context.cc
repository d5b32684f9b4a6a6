// See context.h.
#include "worker/handlers/context.h"

namespace memento {

void CommandContext::plan_step(PlannedStep step) {
  exec.plan.step_bytes += sizeof step + step.name.size() + step.message.size();
  if (in_exec && exec.plan.step_bytes > ExecPlan::kStepLimitBytes) {
    exec.refusal = "OOM what is told to others takes more than 67108864 bytes";
    return;
  }
  exec.plan.steps.push_back(std::move(step));
}
static_assert(ExecPlan::kStepLimitBytes == 67108864);

void CommandContext::tell(const HashedKey& key, const KeyEvent& event) {
  if (!in_exec && !in_change) {
    services.hub.tracking().tell_in_front(&client);
    return services.hub.tell(key, event);
  }
  PlannedStep step{PlannedStep::Action::kTell};
  step.name = key.bytes;
  step.event = &event;
  step.slot = key.slot;
  step.hash = key.hash;
  plan_step(std::move(step));
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
  if (!in_exec && !in_change) {
    services.hub.tracking().tell_in_front(&client);
    return services.hub.tell_of_all(database);
  }
  PlannedStep step{PlannedStep::Action::kTellOfAll};
  step.database = database;
  plan_step(std::move(step));
}

}  // namespace memento
