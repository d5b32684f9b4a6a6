// See call_queue.h.
#include "worker/clients/call_queue.h"

#include <algorithm>
#include <cstring>

#include "worker/command/command.h"

namespace memento {
namespace {

template <class Element>
void make_room(std::vector<Element>& list, std::size_t count) {
  if (list.capacity() - list.size() < count) list.reserve(std::max(2 * list.capacity(), list.size() + count));
}

}  // namespace

void CallQueue::add(const Command& command, std::span<const std::string_view> words, const HashedKey& key) {
  make_room(calls_, 1);
  make_room(words_, words.size());
  std::size_t bytes = 0;
  for (const std::string_view word : words) bytes += word.size();
  char* to = static_cast<char*>(memory_.allocate(bytes, 1));
  calls_.push_back({&command, words_.size(), words.size(), key});
  for (const std::string_view word : words) {
    if (!word.empty()) std::memcpy(to, word.data(), word.size());
    words_.emplace_back(to, word.size());
    to += word.size();
  }
  if (const std::size_t first = command.first_key(words); first != 0)
    calls_.back().key.bytes = this->words(size() - 1)[first];
  text_bytes_ += bytes;
  flags_ |= command.flags;
}

void CallQueue::clear() {
  calls_ = {};
  words_ = {};
  memory_.release();
  text_bytes_ = 0;
  flags_ = 0;
}

}  // namespace memento
