// ClientTracking: how a client wants to hear of changed keys, as CLIENT TRACKING has it. Part of the client's
// state in its worker; changed by Tracking (tracking.h) and CLIENT CACHING.
#pragma once

#include <cstdint>
#include <set>
#include <string>

namespace memento {

struct ClientTracking {
  bool broadcasts = false;     ///< BCAST: it hears of all keys with its prefixes, whatever it has read
  bool opts_in = false;        ///< OPTIN: keys are tracked that it reads behind CLIENT CACHING YES
  bool opts_out = false;       ///< OPTOUT: all but those that it reads behind CLIENT CACHING NO
  bool no_loop = false;        ///< NOLOOP: it does not hear of its own changes
  bool caching_given = false;  ///< CLIENT CACHING came for the command that follows
  std::uint64_t redirect = 0;  ///< the client that gets its messages; 0: itself
  std::uint32_t redirect_process = 0;      ///< the worker of that client
  std::uint32_t redirect_incarnation = 0;  ///< of that worker's record, when it was chosen
  bool is_redirect_gone = false;           ///< that worker says that the client is gone
  bool is_redirect_broken = false;         ///< a message could not be redirected
  std::set<std::string> prefixes;          ///< of BCAST; "" is all keys

  /// What the client reads now is to be tracked.
  bool remembers() const { return !broadcasts && (opts_in ? caching_given : !(opts_out && caching_given)); }
};

}  // namespace memento
