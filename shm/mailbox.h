// MessageRing: one process's messages to all others, and what it has read of theirs. Each process writes its
// own ring only; each reader keeps its own place in every ring (Mailbox::cursors).
//
// A message goes into the ring as fragments of at most kFragmentBytes, each made visible by one release store
// of the tail: a writer that dies shows no half fragment, and what follows an unfinished message begins with
// a first fragment, at which readers drop the unfinished one. What they have not seen begin they skip. A
// writer does not overwrite what a listening reader has not read, for at most kPatienceMs: a reader that has
// not moved by then (stopped, or busy) is left behind. It finds that out by itself, from `reserved`, which
// never goes back, and then has lost messages: receive() says so.
//
// Thread safety: none; one object per process.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "shm/bell.h"
#include "shm/layout.h"
#include "shm/segment.h"

namespace memento {

class MessageRing {
 public:
  static constexpr std::uint64_t kFragmentBytes = 32 * 1024;
  static constexpr int kPatienceMs = 1000;

  /// Nothing of what is in the others' rings is for this process.
  MessageRing(Segment& segment, std::uint32_t process);

  /// From now on what others send is kept for receive().
  void listen();
  void stop_listening() { mailbox_.listens.store(0); }
  bool is_listening() const { return mailbox_.listens.load(std::memory_order_relaxed) != 0; }

  /// Sends pieces as one message; those of `readers` that listen are woken. While a reader's room is waited
  /// for, meanwhile() is called again and again: it must receive(), or two that wait for each other would
  /// wait in vain. False: the tmpfs is full, nothing was sent.
  bool send(std::initializer_list<std::string_view> pieces, const std::bitset<kProcessLimit>& readers,
            const std::function<void()>& meanwhile);

  /// Calls on_message(bytes) for each whole message that came. False: some were lost.
  bool receive(const std::function<void(std::string_view)>& on_message);

  /// Rings its bell, so that it looks.
  void wake(std::uint32_t reader);
  Bell& bell() { return bell_; }

 private:
  bool receive_from(std::uint32_t writer, const std::function<void(std::string_view)>& on_message);
  void wait_for_room(std::uint64_t bytes, const std::function<void()>& meanwhile);
  /// The first reader that has yet to read what `bytes` more would overwrite; kProcessLimit: none.
  std::uint32_t slow_reader(std::uint64_t bytes);
  void put(std::uint64_t position, const void* bytes, std::uint64_t count);

  Segment& segment_;
  Mailbox& mailbox_;
  const std::uint32_t process_;
  Bell bell_;
  bool is_committed_ = false;
  std::bitset<kProcessLimit> left_behind_;             ///< readers that are not waited for
  std::array<std::string, kProcessLimit> unfinished_;  ///< by writer: the fragments that came of a message
};

}  // namespace memento
