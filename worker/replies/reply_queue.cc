// See reply_queue.h.
#include "worker/replies/reply_queue.h"

#include <algorithm>
#include <utility>

namespace memento {

ReplyQueue::Place* ReplyQueue::find(std::uint64_t number) {
  const std::uint64_t index = number - first_number_;
  return index < places_.size() ? &places_[index] : nullptr;
}

void ReplyQueue::take_behind(ByteBuffer& output, std::size_t begin) {
  assert(!empty() && begin <= output.size());
  const std::string_view bytes = output.view().substr(begin);
  if (bytes.empty()) return;
  kept_of(places_.back()).behind.append(bytes);
  kept_bytes_ += bytes.size();
  output.truncate(begin);
}

// How many replies a client may have under way goes by how long they are, which shows only when they come:
// many when they are short, few when they are long.
void ReplyQueue::adapt_window(std::size_t reply_bytes) {
  if (reply_bytes * window_ > 4 * kKeptLimitBytes) {
    window_ = std::max<std::size_t>(1, 4 * kKeptLimitBytes / reply_bytes);
  } else if (window_ < kWindowLimit && places_.size() * 2 >= window_) {
    ++window_;
  }
}

void ReplyQueue::add(std::uint64_t number, Place& place, std::string_view bytes, bool is_last) {
  assert(find(number) == &place);
  const std::size_t came_bytes = place.kept == nullptr ? 0 : place.kept->reply.size();
  if (is_last) adapt_window(came_bytes + bytes.size());
  if (place.is_dropped) {
    place.is_whole = is_last;
  } else if (is_last && number == first_number_ && came_bytes == 0) {
    ready_.append(bytes);
    place.is_whole = true;
  } else {
    kept_of(place).reply.append(bytes);
    kept_bytes_ += bytes.size();
    place.is_whole = is_last;
  }
  if (number == first_number_) pop_whole();
}

void ReplyQueue::replace(std::uint64_t number, Place& place, std::string_view bytes) {
  if (place.kept != nullptr) {
    assert(kept_bytes_ >= place.kept->reply.size());
    kept_bytes_ -= place.kept->reply.size();
    place.kept->reply = {};
  }
  add(number, place, bytes, true);
}

void ReplyQueue::pop_whole() {
  while (!places_.empty() && places_.front().is_whole) {
    if (const Place::Kept* const kept = places_.front().kept.get()) {
      ready_.append(kept->reply);
      ready_.append(kept->behind);
      kept_bytes_ -= kept->reply.size() + kept->behind.size();
    }
    places_.pop_front();
    ++first_number_;
  }
  if (!places_.empty()) return;
  assert(kept_bytes_ == 0);
  has_barrier_ = false;
}

}  // namespace memento
