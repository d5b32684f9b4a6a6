// Executes one text request on the keyspace and appends its reply. Runs in workers.
#pragma once

#include <string>
#include <string_view>

#include "shm/keyspace.h"

namespace memento {

enum class AfterCommand { kGoOn, kClose };

struct CommandContext {
  Keyspace& keyspace;
  std::string& output;
  TimeMs start_ms;
  std::uint32_t worker_count;
};

AfterCommand execute_line(CommandContext& context, std::string_view line);

}  // namespace memento
