// IdleClients: closes clients that have neither sent nor taken anything for as long as the setting `timeout`
// allows. Those that listen (subscribers, monitors) or whose request waits are not idle, as in Redis. Runs in
// workers.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "worker/net/connection_table.h"

namespace memento {

class IdleClients {
 public:
  IdleClients(ConnectionTable& connections, std::function<void(Connection&)> close)
      : connections_(connections), close_(std::move(close)) {}

  /// To be called from time to time: closes each that is due, and looks for them once a second. `timeout_s`
  /// 0: none is.
  void close_due(std::int64_t timeout_s, TimeMs now_ms) {
    if (timeout_s == 0 || (now_ms >= looked_ms_ && now_ms < looked_ms_ + kPeriodMs)) return;
    looked_ms_ = now_ms;
    connections_.for_each([&](Connection& connection) {
      if (may_be_idle(connection) && now_ms - connection.session().client().active_ms > timeout_s * 1000)
        close_(connection);
    });
  }

 private:
  static constexpr std::int64_t kPeriodMs = 1000;

  static bool may_be_idle(Connection& connection) {
    const bool waits_for_client = connection.registered == Connection::Wait::kInput ||
                                  connection.registered == Connection::Wait::kOutput;
    return waits_for_client && !connection.is_refused && !connection.drops_input() &&
           connection.session().client().subscriptions == nullptr;
  }

  ConnectionTable& connections_;
  const std::function<void(Connection&)> close_;
  TimeMs looked_ms_ = 0;
};

}  // namespace memento
