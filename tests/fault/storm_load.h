// The load of the kill tests: threads that change and check keys over connections which break at any time.
// See storm_model.h for what is checked.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "shm/os/clock.h"
#include "tests/fault/storm_model.h"
#include "tests/fault/wire.h"

namespace memento::testing {

using Connect = std::function<std::unique_ptr<Wire>()>;  ///< nullptr: nobody listens

/// What all threads share.
struct StormState {
  std::deque<Series> series;  ///< thread i owns those at i, i + threads, ...
  std::deque<SharedCounter> counters;
  Verdict verdict;
  std::atomic<std::uint64_t> operations{0};  ///< answered requests
  std::atomic<std::uint64_t> broken{0};      ///< connections that ended under a request
  std::atomic<bool> over{false};
  std::atomic<bool> abandoned{false};  ///< there is no server any more: nobody waits for one
};

/// One thread's requests. Not thread-safe.
class StormClient {
 public:
  StormClient(StormState& state, Connect connect) : state_(state), connect_(std::move(connect)) {}

  /// Repeated on new connections until it is answered: for what may be done twice.
  std::string answered(std::initializer_list<std::string_view> words);
  /// Once; nothing when the connection broke, and the outcome is not known.
  std::optional<std::string> once(std::initializer_list<std::string_view> words);

  /// Makes the series' next changes, sent at once. REQUIRES: called by its owner.
  void advance(Series& series, std::uint64_t count);
  void check(Series& series);
  void add(SharedCounter& counter, std::uint64_t amount, std::uint64_t count);
  void check(SharedCounter& counter);

 private:
  friend class ExpiringKey;
  bool send(std::initializer_list<std::string_view> words);
  std::optional<std::string> read();
  void fault(std::atomic<int>& tally, const std::string& message);
  /// What the marks allow, or what is wrong: lost (or stale) or torn.
  enum class Judgement { kGood, kOld, kTorn };
  Judgement judge(Series& series, const std::string& reply, std::uint64_t least, std::uint64_t most);

  StormState& state_;
  Connect connect_;
  std::unique_ptr<Wire> wire_;
};

/// A key of one thread that expires, or is persisted, again and again.
class ExpiringKey {
 public:
  explicit ExpiringKey(std::string key) : key_(std::move(key)) {}
  /// Starts a life, or checks the present one.
  void visit(StormClient& client, std::mt19937_64& random);
  void forget() { phase_ = Phase::kNone; }
  const std::string& name() const { return key_; }

 private:
  enum class Phase { kNone, kExpires, kPersisted };
  std::string key_;
  std::string value_;
  Phase phase_ = Phase::kNone;
  TimeMs earliest_ms_ = 0;  ///< it expires between these
  TimeMs latest_ms_ = 0;
  int lives_ = 0;
};

/// The threads. They can be held, to change the whole keyspace, and go on.
class StormLoad {
 public:
  static constexpr std::size_t kThreads = 6;

  StormLoad(Connect connect, std::uint64_t seed);
  ~StormLoad() { stop(); }

  StormState& state() { return state_; }
  void stop();
  /// Runs `action` with a connection of its own while no thread has a request under way.
  void hold(const std::function<void(StormClient&)>& action);
  /// FLUSH, as the model sees it. REQUIRES: held, or stopped.
  void flush(StormClient& client);
  /// Reads every series and counter, and removes the keys that expire; how many keys there are now, as far as
  /// is known. REQUIRES: held, or stopped.
  std::size_t check_all(StormClient& client);

 private:
  void run(std::size_t number, std::uint64_t seed);
  void pause_point();

  StormState state_;
  Connect connect_;
  std::vector<std::vector<ExpiringKey>> expiring_;  ///< by thread
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false;
  std::size_t waiting_ = 0;
};

}  // namespace memento::testing
