// See storm_load.h.
#include "tests/fault/storm_load.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

namespace memento::testing {
namespace {

constexpr std::size_t kSeriesPerThread = 60;
constexpr std::size_t kCounters = 4;
constexpr std::size_t kExpiringPerThread = 6;
constexpr int kFaultsTold = 20;
constexpr std::uint64_t kBurst = 32;  // requests sent at once; fewer than changes between two removals

std::string shortened(const std::string& text) {
  return text.size() <= 80 ? text : text.substr(0, 80) + "...";
}

std::optional<std::uint64_t> number_in(const std::string& text) {
  std::uint64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

void StormClient::fault(std::atomic<int>& tally, const std::string& message) {
  if (++tally <= kFaultsTold) ADD_FAILURE() << message;
}

bool StormClient::send(std::initializer_list<std::string_view> words) {
  while (wire_ == nullptr && !state_.abandoned) {
    wire_ = connect_();
    if (wire_ == nullptr) usleep(1000);  // nobody listens: nothing tells when that changes
  }
  return wire_ != nullptr && wire_->send(words);
}

std::optional<std::string> StormClient::read() {
  std::optional<std::string> reply;
  if (wire_ != nullptr) reply = wire_->read();
  if (reply) {
    ++state_.operations;
  } else {
    ++state_.broken;
    wire_.reset();
  }
  return reply;
}

std::optional<std::string> StormClient::once(std::initializer_list<std::string_view> words) {
  send(words);
  return read();
}

std::string StormClient::answered(std::initializer_list<std::string_view> words) {
  for (;;) {
    if (const std::optional<std::string> reply = once(words)) return *reply;
    if (state_.abandoned) return kNil;
  }
}

void StormClient::advance(Series& series, std::uint64_t count) {
  const std::uint64_t first = series.known.get() + 1;
  series.sent.raise(first + count - 1);
  for (std::uint64_t number = first; number < first + count; ++number) {
    const char* const command = series.command(number);
    const std::string operand = series.operand(number);
    if (series.removes(number) ? !send({command, series.key()}) : !send({command, series.key(), operand}))
      break;
  }
  for (std::uint64_t number = first; number < first + count; ++number) {
    const std::optional<std::string> reply = read();
    // The rest was done, or it was not, or in part: the owner's look settles it.
    if (!reply) return check(series);
    const std::string expected = series.reply(number);
    if (*reply != expected) {
      fault(state_.verdict.lost, series.key() + ", change " + std::to_string(number) + ": answered " +
                                     shortened(*reply) + " instead of " + expected);
    }
    series.known.raise(number);
  }
}

StormClient::Judgement StormClient::judge(Series& series, const std::string& reply, std::uint64_t least,
                                          std::uint64_t most) {
  if (reply == kNil) {
    const std::uint64_t removal = least == 0 ? 0 : series.next_removal(least);
    if (removal > most) return Judgement::kOld;
    series.known.raise(removal);
    return Judgement::kGood;
  }
  const std::optional<std::uint64_t> number = series.number_of(reply);
  if (!number || *number > most || series.value(*number) != reply) return Judgement::kTorn;
  if (*number < least) return Judgement::kOld;
  series.known.raise(*number);
  return Judgement::kGood;
}

void StormClient::check(Series& series) {
  Judgement first = Judgement::kGood;
  for (int look = 0;; ++look) {
    std::optional<std::string> reply;
    std::uint64_t least = 0;
    while (!reply) {
      if (state_.abandoned) return;
      least = series.known.get();
      reply = once({"GET", series.key()});
    }
    const std::uint64_t most = series.sent.get();
    const Judgement judgement = judge(series, *reply, least, most);
    if (judgement == Judgement::kGood && look == 0) return;
    const std::string message = series.key() + ": known " + std::to_string(least) + ", sent " +
                                std::to_string(most) + ", found " + shortened(*reply);
    if (judgement == Judgement::kTorn) return fault(state_.verdict.torn, "torn: " + message);
    if (look == 0) {
      first = judgement;
      continue;
    }
    if (first == Judgement::kOld && judgement == Judgement::kGood)
      return fault(state_.verdict.stale, "stale: " + message);
    return fault(state_.verdict.lost, "lost: " + message);
  }
}

void StormClient::add(SharedCounter& counter, std::uint64_t amount, std::uint64_t count) {
  const std::uint64_t least = counter.least();
  counter.sent += amount * count;
  for (std::uint64_t i = 0; i < count && send({"INC", counter.key, std::to_string(amount)}); ++i) {
  }
  for (std::uint64_t i = 1; i <= count; ++i) {
    const std::optional<std::string> reply = read();
    if (!reply) return;  // done or not: both are allowed for
    const std::optional<std::uint64_t> sum = number_in(*reply);
    if (!sum || *sum < least + amount * i || *sum > counter.sent) {
      fault(state_.verdict.lost, "INC " + counter.key + " answered " + shortened(*reply) + ", at least " +
                                     std::to_string(least + amount * i) + " was due");
    } else {
      counter.known.raise(*sum);
    }
    counter.acknowledged += amount;
  }
}

void StormClient::check(SharedCounter& counter) {
  std::optional<std::string> reply;
  std::uint64_t least = 0;
  while (!reply) {
    if (state_.abandoned) return;
    least = counter.least();
    reply = once({"GET", counter.key});
  }
  const std::optional<std::uint64_t> sum = *reply == kNil ? 0 : number_in(*reply);
  if (!sum || *sum > counter.sent) {
    fault(state_.verdict.torn, "torn: " + counter.key + " is " + shortened(*reply));
  } else if (*sum < least) {
    fault(state_.verdict.lost,
          "lost: " + counter.key + " is " + *reply + ", at least " + std::to_string(least) + " was due");
  } else {
    counter.known.raise(*sum);
  }
}

void ExpiringKey::visit(StormClient& client, std::mt19937_64& random) {
  Verdict& verdict = client.state_.verdict;
  if (phase_ == Phase::kNone) {
    value_ = key_ + "/" + std::to_string(++lives_) + std::string(random() % 300, 'e');
    const bool persists = random() % 4 == 0;
    const auto life_ms = static_cast<TimeMs>(persists ? 100'000 : 1 + random() % 200);
    client.answered({"SET", key_, value_});
    earliest_ms_ = wall_time_ms() + life_ms;
    const std::optional<std::string> set = client.once({"PEXPIRE", key_, std::to_string(life_ms)});
    latest_ms_ = wall_time_ms() + life_ms;
    if (!set) return;  // it may expire or not: the next visit begins anew
    if (*set != "1") client.fault(verdict.lost, "PEXPIRE " + key_ + " answered " + *set);
    phase_ = Phase::kExpires;
    if (!persists) return;
    const std::string persisted = client.answered({"PERSIST", key_});
    if (persisted != "1" && persisted != "0")
      client.fault(verdict.torn, "PERSIST " + key_ + " answered " + persisted);
    phase_ = Phase::kPersisted;
    return;
  }
  const TimeMs asked_ms = wall_time_ms();
  const std::string reply = client.answered({"GET", key_});
  const TimeMs told_ms = wall_time_ms();
  if (phase_ == Phase::kPersisted) {
    if (reply != value_) client.fault(verdict.lost, "lost: persisted " + key_ + " is " + shortened(reply));
    const std::string left = client.answered({"TTL", key_});
    if (left != "-1") client.fault(verdict.lost, "lost: PERSIST of " + key_ + ", its TTL is " + left);
    phase_ = Phase::kNone;
  } else if (reply == kNil) {
    if (told_ms < earliest_ms_) client.fault(verdict.lost, "lost: " + key_ + " was gone before its time");
    phase_ = Phase::kNone;
  } else if (reply != value_) {
    client.fault(verdict.torn, "torn: " + key_ + " is " + shortened(reply));
    phase_ = Phase::kNone;
  } else if (asked_ms > latest_ms_) {
    client.fault(verdict.stale, "stale: " + key_ + " was there after its time");
    phase_ = Phase::kNone;
  }
}

StormLoad::StormLoad(Connect connect, std::uint64_t seed)
    : connect_(std::move(connect)), expiring_(kThreads) {
  for (std::size_t i = 0; i < kSeriesPerThread * kThreads; ++i) {
    const std::size_t kind = i / kThreads % 6;
    state_.series.emplace_back(kind == 0   ? Series::Kind::kAppended
                               : kind == 1 ? Series::Kind::kPrepended
                                           : Series::Kind::kStored,
                               "key" + std::to_string(i));
  }
  for (std::size_t i = 0; i < kCounters; ++i)
    state_.counters.emplace_back().key = "counter" + std::to_string(i);
  for (std::size_t t = 0; t < kThreads; ++t) {
    for (std::size_t i = 0; i < kExpiringPerThread; ++i) {
      expiring_[t].emplace_back("expiring" + std::to_string(t) + "." + std::to_string(i));
    }
    threads_.emplace_back([this, t, seed] { run(t, seed + t); });
  }
}

void StormLoad::run(std::size_t number, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  StormClient client(state_, connect_);
  while (!state_.over) {
    pause_point();
    const std::uint64_t choice = random() % 100;
    Series& own = state_.series[random() % kSeriesPerThread * kThreads + number];
    if (choice < 35) {
      client.advance(own, 1);
    } else if (choice < 45) {
      client.advance(own, 1 + random() % kBurst);
    } else if (choice < 70) {
      client.check(state_.series[random() % state_.series.size()]);
    } else if (choice < 85) {
      client.add(state_.counters[random() % kCounters], 1 + random() % 5, choice < 80 ? 1 : kBurst);
    } else if (choice < 90) {
      client.check(state_.counters[random() % kCounters]);
    } else {
      expiring_[number][random() % kExpiringPerThread].visit(client, random);
    }
  }
}

void StormLoad::pause_point() {
  std::unique_lock lock(mutex_);
  if (!held_) return;
  ++waiting_;
  changed_.notify_all();
  changed_.wait(lock, [this] { return !held_; });
  --waiting_;
}

void StormLoad::hold(const std::function<void(StormClient&)>& action) {
  {
    std::unique_lock lock(mutex_);
    held_ = true;
    changed_.wait(lock, [this] { return waiting_ == threads_.size(); });
  }
  StormClient client(state_, connect_);
  action(client);
  const std::lock_guard guard(mutex_);
  held_ = false;
  changed_.notify_all();
}

void StormLoad::flush(StormClient& client) {
  client.answered({"FLUSH"});
  for (Series& series : state_.series) {
    series.sent.raise(series.next_removal(series.sent.get()));
    series.known.raise(series.sent.get());
  }
  for (SharedCounter& counter : state_.counters) {
    counter.key += "+";  // its sums would go down
    counter.known.reset();
    counter.acknowledged = 0;
    counter.sent = 0;
  }
  for (std::vector<ExpiringKey>& keys : expiring_) {
    for (ExpiringKey& key : keys) key.forget();
  }
}

std::size_t StormLoad::check_all(StormClient& client) {
  std::size_t there = 0;
  for (std::vector<ExpiringKey>& keys : expiring_) {
    for (ExpiringKey& key : keys) {
      client.answered({"DEL", key.name()});
      key.forget();
    }
  }
  for (Series& series : state_.series) {
    client.check(series);
    there += series.value(series.known.get()).has_value();
  }
  for (SharedCounter& counter : state_.counters) {
    client.check(counter);
    there += counter.known.get() > 0;
  }
  return there;
}

void StormLoad::stop() {
  state_.over = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

}  // namespace memento::testing
