// WorkerMessages: messages from this worker to others and back. A message goes into this worker's ring
// (shm/messages/mailbox.h) once for all its readers, who are woken by their FIFOs. Runs in workers.
//
// What is too long for any receiver, or for which there was no memory when it was promised already, is sent
// as a header that says that it is lost: the receivers close those who wait for it. When not even that can be
// sent, readers are told that the ring lost messages.
#pragma once

#include <bitset>
#include <cassert>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

#include "shm/format/layout.h"
#include "shm/messages/mailbox.h"
#include "shm/segment.h"

namespace memento {

/// What is sent from worker to worker.
enum class MessageType : std::uint8_t {
  kPublished,
  kValue,   ///< of a watched key
  kShown,   ///< lines for monitors
  kAnswer,  ///< to a ClientDirectory's question
  kOrder,   ///< clients to close
  kShardPublished,
  kAllChanged,  ///< all keys of database 0
  kChanged,     ///< names of keys; `exists` 0: any key
  kRedirects,   ///< invalidations for the client of this number will come (kRedirected)
  kRedirected,  ///< invalidations for it: names of keys; `exists` 0: any key
  kTargetGone,  ///< it is gone; 0: invalidations for any client of the sender may be lost
};

/// In front of a message in the ring: the name, and then the payload, follow.
struct MessageHeader {
  MessageType type;
  std::uint8_t exists = 0;   ///< of a key: it has a value
  std::uint8_t is_lost = 0;  ///< the payload could not be sent: who waits for it is to be closed
  std::uint8_t process = 0;  ///< the sender, where that matters
  std::uint32_t name_bytes = 0;
  std::uint64_t number = 0;  ///< version of a key's slot, or of a question
};
static_assert(sizeof(MessageHeader) == 16);
static_assert(kProcessLimit <= 256);

class WorkerMessages {
 public:
  using Processes = std::bitset<kProcessLimit>;

  WorkerMessages(Segment& segment, std::uint32_t process)
      : segment_(segment), process_(process), ring_(segment, process) {}

  /// Begins to read what others send.
  void listen() { ring_.listen(); }
  void stop_listening() { ring_.stop_listening(); }
  bool is_listening() const { return ring_.is_listening(); }

  /// False: out of memory.
  bool send(MessageHeader header, std::string_view name, std::string_view payload, const Processes& readers);
  /// For what was promised: when it cannot be sent, those who wait for it are closed.
  void send_or_close(MessageHeader header, std::string_view name, std::string_view payload,
                     const Processes& readers);

  /// Calls take(header, name, payload) for what others sent; when there is much of it, a part: then this
  /// worker is woken again. False: messages were lost, because others sent a whole ring before this worker
  /// read them, or because there was no memory to take one, until forget_loss().
  template <class Take>
  bool receive(Take&& take) {
    return ring_.receive([&](std::string_view bytes) {
      MessageHeader header{};
      if (bytes.size() < sizeof header) return;
      std::memcpy(&header, bytes.data(), sizeof header);
      bytes.remove_prefix(sizeof header);
      if (header.name_bytes > bytes.size()) return;
      take(header, bytes.substr(0, header.name_bytes), bytes.substr(header.name_bytes));
    });
  }

  void forget_loss() { ring_.forget_loss(); }

  /// Readers of a message for one process.
  static Processes only(std::uint32_t process) {
    Processes readers;
    readers.set(process);
    return readers;
  }

  /// Something could not be sent: all who listen are told that they have lost messages. Needs no memory.
  void lose() {
    ++unsent_count_;
    ring_.lose();
  }
  /// The last receive() took a part.
  bool has_rest() const { return ring_.has_rest(); }

  void wake(const Processes& readers);
  /// Readable when there is something to receive; -1: there is no such thing.
  int wakeup_descriptor() { return ring_.wakeup().descriptor(); }
  void drain_wakeups() { ring_.wakeup().drain(); }
  WakeupFifo& wakeup() { return ring_.wakeup(); }

  /// How many promised messages could not be sent since the last call.
  std::uint64_t take_unsent_count() { return std::exchange(unsent_count_, 0); }

 private:
  Segment& segment_;
  const std::uint32_t process_;
  MessageRing ring_;
  std::uint64_t unsent_count_ = 0;
};

}  // namespace memento
