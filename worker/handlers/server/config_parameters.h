// The parameters of CONFIG: those that Redis's clients and tools ask for, by Redis's names. Two tables: those
// that have a value of this server's, some with a setter, and those of Redis that have one value here. Runs
// in workers.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "worker/handlers/context.h"

namespace memento::handlers {

struct Parameter {
  std::string_view name;
  std::string (*get)(CommandContext&);
  /// What is wrong with the value, or empty; then it is set when `applies`. nullptr: it cannot be changed.
  std::string (*set)(CommandContext&, std::string_view value, bool applies) = nullptr;
};

struct FixedParameter {
  std::string_view name;
  std::string_view value;
};

std::span<const Parameter> parameters();
std::span<const FixedParameter> fixed_parameters();

}  // namespace memento::handlers
