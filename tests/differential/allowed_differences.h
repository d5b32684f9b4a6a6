// Where memento's replies may differ from those of Debian's redis-server, and why. What is not on this list
// has to be the same to the byte.
#pragma once

#include <string>
#include <vector>

namespace memento::testing {

/// The reason why these replies to the request may differ; nullptr: they may not.
const char* reason_to_differ(const std::vector<std::string>& request, const std::string& redis,
                             const std::string& memento);

}  // namespace memento::testing
