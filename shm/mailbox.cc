// See mailbox.h.
#include "shm/mailbox.h"

#include <time.h>

#include <algorithm>
#include <cstring>

namespace memento {
namespace {

constexpr long kWaitSliceNs = 50'000;

struct Fragment {
  std::uint32_t size_bytes;  ///< behind this header
  std::uint8_t is_first;
  std::uint8_t is_last;
  std::uint16_t reserved;
};
static_assert(sizeof(Fragment) == 8);

constexpr std::uint64_t padded(std::uint64_t bytes) { return (bytes + 7) / 8 * 8; }

void copy_out(const char* ring, std::uint64_t position, char* to, std::uint64_t count) {
  const std::uint64_t begin = position % kRingBytes;
  const std::uint64_t head = std::min(count, kRingBytes - begin);
  std::memcpy(to, ring + begin, head);
  std::memcpy(to + head, ring, count - head);
}

}  // namespace

MessageRing::MessageRing(Segment& segment, std::uint32_t process)
    : segment_(segment),
      mailbox_(segment.process(process).mailbox),
      process_(process),
      bell_(segment.path(), process) {
  mailbox_.listens.store(0);
  mailbox_.rung.store(0);
}

// The cursors are set twice: before, so that a writer that sees us listen does not see a place from long ago;
// and after, for what was sent in between by writers that did not see it.
void MessageRing::listen() {
  if (is_listening()) return;
  const auto set_cursors = [&] {
    for (std::uint32_t writer = 0; writer < kProcessLimit; ++writer) {
      if (writer >= segment_.header().process_count.load()) {
        mailbox_.cursors[writer].store(0);  // its record is not in memory yet
        continue;
      }
      mailbox_.cursors[writer].store(segment_.process(writer).mailbox.tail.load());
    }
  };
  for (std::string& message : unfinished_) message.clear();
  set_cursors();
  mailbox_.listens.store(1);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  set_cursors();
}

void MessageRing::put(std::uint64_t position, const void* bytes, std::uint64_t count) {
  char* const ring = segment_.mailbox_memory(process_);
  const std::uint64_t begin = position % kRingBytes;
  const std::uint64_t head = std::min(count, kRingBytes - begin);
  std::memcpy(ring + begin, bytes, head);
  std::memcpy(ring, static_cast<const char*>(bytes) + head, count - head);
}

void MessageRing::wake(std::uint32_t reader) {
  if (segment_.process(reader).mailbox.rung.exchange(1) == 0) bell_.ring(reader);
}

std::uint32_t MessageRing::slow_reader(std::uint64_t bytes) {
  const std::uint64_t end = mailbox_.tail.load(std::memory_order_relaxed) + bytes;
  const auto count = static_cast<std::uint32_t>(segment_.header().process_count.load());
  for (std::uint32_t reader = 0; reader < count; ++reader) {
    const Mailbox& other = segment_.process(reader).mailbox;
    if (reader == process_ || other.listens.load() == 0) {
      left_behind_.reset(reader);
      continue;
    }
    const bool has_room = end - other.cursors[process_].load(std::memory_order_acquire) <= kRingBytes;
    if (has_room) left_behind_.reset(reader);
    if (!has_room && !left_behind_.test(reader)) return reader;
  }
  return kProcessLimit;
}

void MessageRing::wait_for_room(std::uint64_t bytes, const std::function<void()>& meanwhile) {
  std::uint32_t waited_for = kProcessLimit;
  std::int64_t give_up_ns = 0;
  for (;;) {
    const std::uint32_t reader = slow_reader(bytes);
    if (reader == kProcessLimit) return;
    const std::int64_t now_ns = monotonic_time_ns();
    if (reader != waited_for) {
      waited_for = reader;
      give_up_ns = now_ns + kPatienceMs * 1'000'000ll;
      wake(reader);
    } else if (now_ns > give_up_ns) {
      left_behind_.set(reader);
      continue;
    }
    meanwhile();
    const timespec slice{0, kWaitSliceNs};
    nanosleep(&slice, nullptr);
  }
}

bool MessageRing::send(std::initializer_list<std::string_view> pieces,
                       const std::bitset<kProcessLimit>& readers, const std::function<void()>& meanwhile) {
  if (!is_committed_ && !segment_.commit_mailbox(process_, 0, kRingBytes)) return false;
  is_committed_ = true;
  std::uint64_t left = 0;
  for (const std::string_view piece : pieces) left += piece.size();
  const auto* piece = pieces.begin();
  std::size_t taken = 0;  // of the piece
  bool is_first = true;
  do {
    const std::uint64_t size = std::min(left, kFragmentBytes);
    const std::uint64_t bytes = padded(sizeof(Fragment) + size);
    wait_for_room(bytes, meanwhile);
    const std::uint64_t begin = mailbox_.tail.load(std::memory_order_relaxed);
    // An owner before may have died with more of it overwritten than this fragment needs.
    mailbox_.reserved.store(std::max(begin + bytes, mailbox_.reserved.load(std::memory_order_relaxed)));
    std::atomic_thread_fence(std::memory_order_seq_cst);  // before the first byte is overwritten
    left -= size;
    const Fragment header{static_cast<std::uint32_t>(size), is_first, left == 0, 0};
    put(begin, &header, sizeof header);
    for (std::uint64_t done = 0; done < size;) {
      const std::string_view rest = piece->substr(taken);
      const std::uint64_t count = std::min<std::uint64_t>(rest.size(), size - done);
      put(begin + sizeof header + done, rest.data(), count);
      done += count;
      taken += count;
      if (taken == piece->size()) {
        ++piece;
        taken = 0;
      }
    }
    mailbox_.tail.store(begin + bytes, std::memory_order_release);
    is_first = false;
  } while (left > 0);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  for (std::uint32_t reader = 0; reader < kProcessLimit; ++reader) {
    if (readers.test(reader) && reader != process_) wake(reader);
  }
  return true;
}

bool MessageRing::receive(const std::function<void(std::string_view)>& on_message) {
  mailbox_.rung.exchange(0);  // before the tails are read: what is sent after that rings again
  if (!is_listening()) return true;
  bool has_all = true;
  const auto count = static_cast<std::uint32_t>(segment_.header().process_count.load());
  for (std::uint32_t writer = 0; writer < count; ++writer) {
    if (writer != process_ && !receive_from(writer, on_message)) has_all = false;
  }
  return has_all;
}

bool MessageRing::receive_from(std::uint32_t writer,
                               const std::function<void(std::string_view)>& on_message) {
  const Mailbox& from = segment_.process(writer).mailbox;
  const std::uint64_t tail = from.tail.load(std::memory_order_acquire);
  Word& cursor = mailbox_.cursors[writer];
  const char* const ring = segment_.mailbox_memory(writer);
  std::string& message = unfinished_[writer];
  std::uint64_t at = cursor.load(std::memory_order_relaxed);
  while (at != tail) {
    // What was copied is right if the writer had not begun to overwrite it.
    const auto is_overwritten = [&] {
      std::atomic_thread_fence(std::memory_order_seq_cst);
      return from.reserved.load() - at > kRingBytes;
    };
    Fragment header{};
    const std::size_t before = message.size();
    bool is_lost = tail - at > kRingBytes;
    if (!is_lost) {
      copy_out(ring, at, reinterpret_cast<char*>(&header), sizeof header);
      is_lost = is_overwritten() || header.size_bytes > kFragmentBytes;
    }
    const bool is_rest = !is_lost && header.is_first == 0 && before == 0;  // its beginning came too early, or was lost
    if (!is_lost && !is_rest) {
      const std::size_t kept = header.is_first != 0 ? 0 : before;
      message.resize(kept + header.size_bytes);
      copy_out(ring, at + sizeof header, message.data() + kept, header.size_bytes);
      is_lost = is_overwritten();
    }
    if (is_lost) {
      message = std::string();
      cursor.store(from.tail.load(), std::memory_order_release);
      return false;
    }
    at += padded(sizeof header + header.size_bytes);
    cursor.store(at, std::memory_order_release);
    if (is_rest || header.is_last == 0) continue;
    on_message(message);
    message.clear();
    if (message.capacity() > 4 * kFragmentBytes) message = std::string();
  }
  return true;
}

}  // namespace memento
