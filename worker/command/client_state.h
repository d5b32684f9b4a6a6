// ClientState: what a worker knows of one connection beside its socket: protocol, name, password, transaction. Handlers
// read and change it; the session owns it. One per connection, in its worker.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "shm/os/clock.h"
#include "worker/wire/reply_writer.h"

namespace memento {

struct Command;

/// A request kept between MULTI and EXEC, with bytes of its own.
struct QueuedCall {
  const Command* command;
  std::vector<std::string> words;
};

/// What a watched key held. Any write to the key changes it; a write to another key of its slot does not.
struct WatchedKey {
  std::string key;
  std::uint64_t version = 0;  ///< of the slot: while it stays, nothing of the key has changed
  bool exists = false;
  const char* place = nullptr;  ///< of the value in the segment
  std::uint64_t value_hash = 0;
  TimeMs created_ms = 0;
  TimeMs expiry_ms = 0;
};

struct Transaction {
  std::vector<QueuedCall> queue;
  bool is_broken = false;  ///< a request could not be queued: EXEC will refuse
};

enum class ReplyMode : std::uint8_t {
  kOn,
  kOff,       ///< until CLIENT REPLY ON
  kSkipNext,  ///< the next request's reply is dropped
};

struct ClientState {
  Protocol protocol = Protocol::kText;
  ReplyMode reply_mode = ReplyMode::kOn;
  bool authenticated = true;
  bool no_evict = false;
  bool no_touch = false;
  std::uint64_t id = 0;  ///< unique over all workers of a run
  TimeMs connected_ms = 0;
  TimeMs active_ms = 0;  ///< last request
  const Command* last_command = nullptr;
  std::string name;
  std::string library_name;
  std::string library_version;
  int descriptor = -1;  ///< the socket, for its addresses
  std::unique_ptr<Transaction> transaction;  ///< between MULTI and EXEC
  std::vector<WatchedKey> watched;

  /// Requests are executed as they come and answered.
  bool is_ordinary() const { return authenticated && transaction == nullptr && reply_mode == ReplyMode::kOn; }
  int resp_version() const { return protocol == Protocol::kResp3 ? 3 : 2; }
};

}  // namespace memento
