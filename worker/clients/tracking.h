// Tracking: tells this worker's clients that keys they have read were changed (CLIENT TRACKING), whoever
// changed them, and tells the other workers which keys this one has changed. Runs in workers.
//
// A key is put into the table and into the filter that other workers look at before it is read for a client
// that tracks. A change is noted by the keyspace before it is committed (shm/keyspace/changed_keys.h), and
// tell() sends it before the command that made it is answered. A worker takes what the others sent before it
// executes anything for a client that tracks. So of a change that was acknowledged before the client sent a
// request, the client hears before that request is answered.
//
// Nothing is lost without being told: where a message may be missing, all that the clients have cached may
// be. They are told to drop it (a null instead of keys) when a process has died, which may have changed keys
// and not told; when this worker has lost messages, because others sent a whole ring before it read them, or
// had no memory to send one; and when a database was flushed or two were swapped.
//
// Invariants: this process's bit in Header::trackers is set, and its filter valid, while `is_active_`; a key
// of the table is in the filter; a client is in `clients_` exactly when its `tracking` is set.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "shm/keyspace/keyspace.h"
#include "shm/messages/tracking_filter.h"
#include "shm/segment.h"
#include "worker/clients/client_state.h"
#include "worker/clients/invalidation_sender.h"
#include "worker/clients/tracking_prefixes.h"
#include "worker/clients/tracking_table.h"

namespace memento {

/// Over all workers.
struct TrackingFigures {
  std::uint64_t clients = 0;
  std::uint64_t keys = 0;
  std::uint64_t items = 0;
  std::uint64_t prefixes = 0;
};

class Tracking {
 public:
  /// Of the names in one worker's table; more, and keys are forgotten as beyond the limit of their number.
  static constexpr std::size_t kNameLimitBytes = 256 << 20;

  Tracking(Segment& segment, Keyspace& keyspace, std::uint32_t process, ClientDirectory& directory,
           WorkerMessages& messages, Pushes& pushes);

  /// The client tracks keys in this way from now on, and keeps its prefixes. False: out of memory. REQUIRES:
  /// not inside EXEC.
  bool begin(ClientState& client, const ClientTracking& wanted);
  void end(ClientState& client);
  /// The client is gone.
  void remove(ClientState& client);
  /// The client is about to read the key. More keys than `key_limit` (0: any number) are not remembered:
  /// others are forgotten, and their clients told so. REQUIRES: it tracks keys, and so it wants.
  void remember(ClientState& client, std::string_view name, std::uint64_t key_limit);

  /// Tells all who track them of the keys that this worker has changed since the last call. `by`: the client
  /// that had them changed, by EXEC or a script when `is_one_of_several`; nullptr: none.
  void tell(ClientState* by, bool is_one_of_several = false) {
    if (!keyspace_.changed_keys().empty()) [[unlikely]]
      tell_changes(by, is_one_of_several);
  }

  /// This worker's clients have to hear what others send.
  bool needs_messages() const { return is_active_ || sender_.has_targets(); }
  void on_message(const MessageHeader& header, std::string_view payload);
  /// Messages of others were lost.
  void on_loss();
  /// Some were not read yet, and clients are to be served all the same.
  void on_backlog();
  /// Looks whether a process has died.
  void look_for_deaths();
  /// Ends what nobody needs any more. Not within a handler.
  void tidy();

  TrackingFigures figures() const;

 private:
  void start();
  void stop();
  void tell_changes(ClientState* by, bool is_one_of_several);
  void tell_others(const ChangedKeys& changed);
  void tell_own(const ChangedKeys& changed, ClientState* by, bool is_one_of_several);
  void invalidate(std::string_view name, ClientState* by, bool is_one_of_several);
  void send_to_readers(const TrackingTable::Entry& entry, const ClientState* by);
  void broadcast(const std::vector<ChangedKey>& changed, const ClientState* by);
  void drop_all();
  void forget_target(std::uint32_t process, std::uint64_t id);
  void publish_figures();
  std::uint64_t hash_of(std::string_view name) const { return table_.hash_of(name); }

  Segment& segment_;
  Keyspace& keyspace_;
  const std::uint32_t process_;
  WorkerMessages& messages_;
  TrackingFilter filter_;
  TrackingTable table_;
  TrackingPrefixes prefixes_;
  InvalidationSender sender_;
  std::map<std::uint64_t, ClientState*> clients_;
  bool is_active_ = false;
  std::array<std::uint32_t, kProcessLimit> incarnations_{};  ///< of the records, as last seen
};

}  // namespace memento
