// MessageRing: one process's messages to all others, and what it has read of theirs. Each process writes its
// own ring only; each reader keeps its own place in every ring (Mailbox::cursors).
//
// A message is made visible by one release store of the tail, so a writer that dies in the middle has sent
// nothing. A writer waits for nobody: it overwrites what is a whole ring old, read or not. A reader that is
// so far behind (it was stopped, or is too busy) finds that out by itself, from `reserved`, which is moved
// before the first byte is overwritten and never goes back: it has lost messages, and receive() says so.
//
// The memory of what all who listen have read is given back, by the writer's receive().
//
// Thread safety: none; one object per process.
#pragma once

#include <bitset>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>

#include "shm/format/layout.h"
#include "shm/messages/wakeup_fifo.h"
#include "shm/segment.h"

namespace memento {

class MessageRing {
 public:
  static constexpr std::uint64_t kMessageLimitBytes = kRingBytes / 2;
  /// Of one ring, about as much is received at once: who listens can pass it on before more comes.
  static constexpr std::uint64_t kTurnBytes = 4 << 20;

  /// Nothing of what is in the others' rings is for this process.
  MessageRing(Segment& segment, std::uint32_t process);

  /// From now on what others send is kept for receive().
  void listen();
  void stop_listening() { mailbox_.listens.store(0); }
  bool is_listening() const { return mailbox_.listens.load(std::memory_order_relaxed) != 0; }

  /// Sends pieces as one message and wakes `readers`. False: the tmpfs is full, nothing was sent. REQUIRES:
  /// together they are not longer than kMessageLimitBytes.
  bool send(std::initializer_list<std::string_view> pieces, const std::bitset<kProcessLimit>& readers);

  /// Something could not be sent: all who listen have lost messages. Needs no memory.
  void lose();

  /// Calls on_message(bytes) for each message that came; its own wake-up FIFO is written to when there are
  /// more. False: some were lost, or on_message() had no memory for one, now or before, until
  /// forget_loss().
  bool receive(const std::function<void(std::string_view)>& on_message);
  /// All who may have missed something know that.
  void forget_loss() { has_lost_ = false; }

  /// The last receive() has left some of what was there when it was called.
  bool has_rest() const { return has_rest_; }

  /// Rings its wake-up FIFO, so that it looks.
  void wake(std::uint32_t reader);
  WakeupFifo& wakeup() { return wakeup_; }

 private:
  /// True: it has left some.
  bool receive_from(std::uint32_t writer, const std::function<void(std::string_view)>& on_message);
  void pass_on(std::string_view message, const std::function<void(std::string_view)>& on_message);
  /// Up to where all who listen have read.
  std::uint64_t read_by_all(std::uint64_t tail) const;
  void give_back();

  Segment& segment_;
  Mailbox& mailbox_;
  const std::uint32_t process_;
  WakeupFifo wakeup_;
  std::uint64_t given_back_;  ///< up to this position
  bool has_rest_ = false;
  bool has_lost_ = false;
  std::uint64_t seen_tail_ = 0;  ///< when give_back() last looked
  std::string sent_;             ///< reused
  std::string received_;         ///< reused
};

}  // namespace memento
