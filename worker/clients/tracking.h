// Tracking: tells this worker's clients that keys they have read were changed (CLIENT TRACKING), whoever
// changed them, and tells the other workers which keys this one has changed. Runs in workers.
//
// A key is put into the table and into the filter that other workers look at before it is read for a client
// that tracks. A change is noted by the keyspace before it is committed (shm/keyspace/changed_keys.h), and
// tell() sends it before the command that made it is answered. A worker takes what the others sent before it
// executes anything for a client that tracks. So of a change that was acknowledged before the client sent a
// request, the client hears before that request is answered.
//
// As in Redis, others hear that a key was changed in front of its events and of what the same command
// publishes (tell_in_front()), and the client that changed it behind them. BCAST's clients of the same worker
// hear behind them too; those of other workers in front, since their worker is told only once.
//
// Nothing is lost without being told: where a message may be missing, all that the clients have cached may
// be. They are told to drop it (a null instead of keys) when a process has died, which may have changed keys
// and not told; when this worker has lost messages, because others sent a whole ring before it read them, or
// had no memory to send or to take one; and when a database was flushed or two were swapped. Telling that
// needs no memory.
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
  /// The client is about to read the key. More keys than `key_limit` (0: any number) are not remembered for
  /// long: tell() forgets others, and their clients are told so. REQUIRES: it tracks keys, and so it wants.
  void remember(ClientState& client, std::string_view name, std::uint64_t key_limit);

  /// Tells all who track them of the keys that this worker has changed since the last call. `by`: the client
  /// that had them changed, by EXEC or a script when `is_one_of_several`; nullptr: none. REQUIRES: not inside
  /// a body of the keyspace.
  void tell(ClientState* by, bool is_one_of_several = false) {
    if (!keyspace_.changed_keys().empty() || has_too_many()) [[unlikely]]
      tell_changes(by, is_one_of_several);
  }
  /// Tells all but `by`, to whom tell() is to tell the rest: what has happened to these keys is about to be
  /// told to others too.
  void tell_in_front(ClientState* by, bool is_one_of_several = false) {
    if (keyspace_.changed_keys().has_new()) [[unlikely]]
      tell_changes_in_front(by, is_one_of_several);
  }

  /// This worker's clients have to hear what others send.
  bool needs_messages() const { return is_active_ || sender_.has_targets(); }
  void on_message(const MessageHeader& header, std::string_view payload);
  /// Messages of others were lost.
  void on_loss();
  /// Some were not read yet, and clients are to be served all the same.
  void on_backlog();
  /// Looks whether a process has died, or something else is to be told that could not be told yet.
  void look_for_deaths();
  /// Ends what nobody needs any more. Not within a handler.
  void tidy();

  TrackingFigures figures() const;

 private:
  void start();
  void stop();
  template <class Act>
  void survive(Act&& act);
  void tell_changes(ClientState* by, bool is_one_of_several);
  void tell_changes_in_front(ClientState* by, bool is_one_of_several);
  void tell_readers(ClientState* by, bool is_one_of_several);
  void tell_rest(const ClientState* by);
  void tell_others(const ChangedKeys& changed);
  void take_changed(std::string_view names);
  void invalidate(std::string_view name, ClientState* by, bool is_one_of_several);
  void send_to_readers(std::string_view name, const TrackingTable::Clients& clients, const ClientState* by);
  void broadcast(const std::vector<ChangedKey>& changed, const ClientState* by);
  bool has_too_many() const { return over_limit_count_ != 0; }
  bool is_over_limit() const;
  void forget_some();
  void empty_table();
  void drop_all() noexcept;
  void forget_target(std::uint32_t process, std::uint64_t id);
  void renew_redirects();
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
  std::uint64_t key_limit_ = 0;         ///< as it was given last
  std::uint64_t over_limit_count_ = 0;  ///< keys that were remembered beyond the limit since the last tell()
  bool owes_all_ = false;               ///< the table was emptied, and the clients were not told yet
  bool owes_renewal_ = false;           ///< renew_redirects() has yet to be done
  /// Of the client of this number: what tell_in_front() has left for tell(); bytes of the changed keys.
  std::vector<std::string_view> own_changes_;
  std::uint64_t own_changes_of_ = 0;
  std::array<std::uint32_t, kProcessLimit> incarnations_{};  ///< of the records, as last seen
};

}  // namespace memento
