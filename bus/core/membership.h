// Members that come and go, as a leader makes the next document of what was asked for. Pure.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "bus/core/document.h"
#include "bus/core/messages.h"

namespace memento::bus {

using MembershipRequest = std::variant<Join, Leave, ChangeSettings>;

/// Why the request cannot be, as a sentence; nothing: it can.
std::optional<std::string> objection_to(const Document& document, const MembershipRequest& request);

/// `document` after these requests, and without those members that leave, own nothing and vote no more, but
/// for `leader`. None: nothing changes. A request that waits for something (a name that is still taken, a
/// member that still owns slots) is to be asked for again.
std::optional<Document> with_requests(const Document& document,
                                      const std::vector<MembershipRequest>& requests, const Uuid& leader);

}  // namespace memento::bus
