// CallQueue: the requests between MULTI and EXEC, with bytes of their own. What is in it does not move, so
// words are views into it, as handlers want them; a queue of a few brief requests takes no memory beside the
// object's. One per client inside MULTI, in its worker.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <span>
#include <string_view>
#include <vector>

#include "shm/keyspace/keyspace.h"

namespace memento {

struct Command;

class CallQueue {
 public:
  CallQueue() {
    calls_.reserve(16);
    words_.reserve(48);
  }
  CallQueue(const CallQueue&) = delete;
  CallQueue& operator=(const CallQueue&) = delete;

  std::size_t size() const { return calls_.size(); }
  const Command& command(std::size_t index) const { return *calls_[index].command; }
  /// Valid until the next add().
  std::span<const std::string_view> words(std::size_t index) const {
    return std::span(words_).subspan(calls_[index].first_word, calls_[index].word_count);
  }
  const HashedKey& key(std::size_t index) const { return calls_[index].key; }

  /// One of them has one of the flags.
  bool has_any(std::uint32_t flags) const { return (flags_ & flags) != 0; }

  /// Throws std::bad_alloc; then the queue is as before.
  /// `key`: its first key, hashed, when it has one.
  void add(const Command& command, std::span<const std::string_view> words, const HashedKey& key);

  void clear();

  /// What it takes of the worker's memory.
  std::size_t bytes() const {
    return text_bytes_ + calls_.capacity() * sizeof(Queued) + words_.capacity() * sizeof(std::string_view);
  }

 private:
  struct Queued {
    const Command* command;
    std::size_t first_word;
    std::size_t word_count;
    HashedKey key;  ///< the first, with bytes of the queue
  };

  std::array<std::byte, 1024> front_;
  std::pmr::monotonic_buffer_resource memory_{front_.data(), front_.size()};
  std::vector<Queued> calls_;
  std::vector<std::string_view> words_;
  std::size_t text_bytes_ = 0;
  std::uint32_t flags_ = 0;  ///< of all commands
};

}  // namespace memento
