// When a link to another node is tried, kept, given up. Pure: events and the time in, what to do out.
//
// Each side sends a ping when it has sent nothing for a ping's pause, so a healthy link is never silent,
// whatever the nodes execute meanwhile; a link that nothing was heard on for timeout_ms is closed. A closed
// link is tried again after a pause that doubles from kFirstPauseMs to kLongestPauseMs. Requests wait for a
// link that is down until it has been so for timeout_ms; from then on they are refused at once.
#pragma once

#include <algorithm>
#include <cstdint>

namespace memento::bus {

class LinkRules {
 public:
  static constexpr std::int64_t kFirstPauseMs = 20;
  static constexpr std::int64_t kLongestPauseMs = 500;
  static constexpr std::int64_t kConnectMs = 1000;  ///< for the connection and the handshake together
  static constexpr std::int64_t kPingMs = 250;

  enum class Action { kNothing, kConnect, kClose, kPing };

  LinkRules(std::int64_t timeout_ms, std::int64_t now_ms)
      : timeout_ms_(timeout_ms), next_ms_(now_ms), down_since_ms_(now_ms) {}

  /// Call it every few tens of milliseconds, and do what it says; kConnect and kClose are said once.
  Action on_tick(std::int64_t now_ms) {
    switch (state_) {
      case State::kWaiting:
        if (now_ms < next_ms_) return Action::kNothing;
        state_ = State::kConnecting;
        next_ms_ = now_ms + std::min(kConnectMs, timeout_ms_);
        return Action::kConnect;
      case State::kConnecting:
        return now_ms < next_ms_ ? Action::kNothing : close();
      case State::kUp:
        if (now_ms - heard_ms_ >= timeout_ms_) return close();
        if (now_ms - sent_ms_ < kPingMs) return Action::kNothing;
        sent_ms_ = now_ms;
        return Action::kPing;
      case State::kClosing:
        return Action::kNothing;
    }
    return Action::kNothing;
  }

  void on_ready(std::int64_t now_ms) {
    state_ = State::kUp;
    heard_ms_ = sent_ms_ = now_ms;
    pause_ms_ = kFirstPauseMs;
  }
  /// Also when nothing is read, for then nothing can be heard.
  void on_heard(std::int64_t now_ms) { heard_ms_ = now_ms; }
  void on_sent(std::int64_t now_ms) { sent_ms_ = now_ms; }
  /// Connecting failed, or the connection ended.
  void on_closed(std::int64_t now_ms) {
    if (state_ == State::kUp || was_up_) down_since_ms_ = now_ms;
    was_up_ = false;
    state_ = State::kWaiting;
    next_ms_ = now_ms + pause_ms_;
    pause_ms_ = std::min(pause_ms_ * 2, kLongestPauseMs);
  }
  /// A greeting came from that node: it is there, so waiting longer makes no sense.
  void on_peer_seen(std::int64_t now_ms) {
    if (state_ == State::kWaiting) next_ms_ = std::min(next_ms_, now_ms);
    pause_ms_ = kFirstPauseMs;
  }

  bool is_up() const { return state_ == State::kUp; }
  bool refuses_requests(std::int64_t now_ms) const {
    return state_ != State::kUp && !was_up_ && now_ms - down_since_ms_ >= timeout_ms_;
  }

 private:
  enum class State { kWaiting, kConnecting, kUp, kClosing };

  Action close() {
    was_up_ = state_ == State::kUp;
    state_ = State::kClosing;
    return Action::kClose;
  }

  std::int64_t timeout_ms_;
  State state_ = State::kWaiting;
  bool was_up_ = false;  ///< when it began to close
  std::int64_t next_ms_;
  std::int64_t pause_ms_ = kFirstPauseMs;
  std::int64_t heard_ms_ = 0;
  std::int64_t sent_ms_ = 0;
  std::int64_t down_since_ms_;
};

}  // namespace memento::bus
