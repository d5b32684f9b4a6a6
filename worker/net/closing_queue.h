// ClosingQueue: connections that are closed when their time is over, if their clients have not left by
// themselves: those that are refused, and those whose input made no sense. Oldest first; some have gone. Runs
// in workers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>

#include "worker/net/connection_table.h"

namespace memento {

class ClosingQueue {
 public:
  struct Entry {
    int descriptor;
    std::uint64_t client_id;  ///< the descriptor may be another's by now
    std::int64_t since_ms;    ///< monotonic
    const Refusal* refusal = nullptr;
    bool is_told = false;  ///< the client was told of the refusal
  };

  /// Each has `patience_ms`; when there are more than `limit`, the oldest are closed at once.
  explicit ClosingQueue(std::int64_t patience_ms, std::size_t limit = std::numeric_limits<std::size_t>::max())
      : patience_ms_(patience_ms), limit_(limit) {}

  bool empty() const { return entries_.empty(); }
  void add(Connection& connection, std::int64_t now_ms, const Refusal* refusal = nullptr) {
    entries_.push_back({connection.descriptor(), connection.session().client().id, now_ms, refusal});
  }

  /// Calls visit(entry) for those that have been here for that long.
  template <class Visit>
  void for_each_older(std::int64_t age_ms, std::int64_t now_ms, Visit&& visit) {
    for (Entry& entry : entries_) {
      if (now_ms - entry.since_ms < age_ms) break;
      visit(entry);
    }
  }
  /// Calls close(entry) for each whose time is over, and forgets it.
  template <class Close>
  void close_due(std::int64_t now_ms, Close&& close) {
    while (!entries_.empty() &&
           (entries_.size() > limit_ || now_ms - entries_.front().since_ms >= patience_ms_)) {
      close(entries_.front());
      entries_.pop_front();
    }
  }
  /// Calls close(connection) for each whose time is over and whose client has not left, and forgets it.
  template <class Close>
  void close_due(ConnectionTable& connections, Close&& close) {
    close_due(monotonic_time_ms(), [&](const Entry& entry) {
      if (Connection* const connection = connections.find(entry.descriptor, entry.client_id))
        close(*connection);
    });
  }

 private:
  const std::int64_t patience_ms_;
  const std::size_t limit_;
  std::deque<Entry> entries_;
};

}  // namespace memento
