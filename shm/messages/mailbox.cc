// See mailbox.h.
#include "shm/messages/mailbox.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <new>

#include "shm/messages/mailbox_file.h"

namespace memento {
namespace {

constexpr std::uint64_t kReadBytes = 64 * 1024;
constexpr std::uint64_t kGiveBackBytes = 1 << 20;
constexpr std::uint64_t kFilePageBytes = 4096;
constexpr std::size_t kKeptBytes = 256 * 1024;  // of the buffers

/// In front of each message.
struct Envelope {
  std::uint64_t size_bytes;
};

constexpr std::uint64_t place_bytes(std::uint64_t size) { return (sizeof(Envelope) + size + 7) / 8 * 8; }
static_assert(place_bytes(MessageRing::kMessageLimitBytes) <= kRingBytes);

void shrink(std::string& buffer) {
  if (buffer.capacity() > kKeptBytes) buffer = std::string();
}

}  // namespace

MessageRing::MessageRing(Segment& segment, std::uint32_t process)
    : segment_(segment),
      mailbox_(segment.process(process).mailbox),
      process_(process),
      wakeup_(segment.path(), process) {
  mailbox_.listens.store(0);
  mailbox_.woken.store(0);
  const std::uint64_t tail = mailbox_.tail.load();
  given_back_ = (tail - std::min(tail, kRingBytes)) / kFilePageBytes * kFilePageBytes;
}

// The cursors are set twice: before, so that a writer that sees us listen does not see a place from long ago;
// and after, for what was sent in between by writers that did not see it.
void MessageRing::listen() {
  if (is_listening()) return;
  const auto set_cursors = [&] {
    for (std::uint32_t writer = 0; writer < kProcessLimit; ++writer) {
      if (writer >= segment_.process_count()) {
        mailbox_.cursors[writer].store(0);  // its record is not in memory yet
        continue;
      }
      mailbox_.cursors[writer].store(segment_.process(writer).mailbox.tail.load());
    }
  };
  set_cursors();
  mailbox_.listens.store(1);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  set_cursors();
}

void MessageRing::wake(std::uint32_t reader) {
  if (segment_.process(reader).mailbox.woken.exchange(1) == 0) wakeup_.wake(reader);
}

bool MessageRing::send(std::initializer_list<std::string_view> pieces,
                       const std::bitset<kProcessLimit>& readers) {
  Envelope envelope{0};
  for (const std::string_view piece : pieces) envelope.size_bytes += piece.size();
  assert(envelope.size_bytes <= kMessageLimitBytes);
  const std::uint64_t bytes = place_bytes(envelope.size_bytes);
  sent_.clear();
  sent_.reserve(bytes);
  sent_.append(reinterpret_cast<const char*>(&envelope), sizeof envelope);
  for (const std::string_view piece : pieces) sent_.append(piece);
  sent_.resize(bytes);
  const std::uint64_t begin = mailbox_.tail.load(std::memory_order_relaxed);
  // An owner before may have died with more of it overwritten than this message needs.
  mailbox_.reserved.store(std::max(begin + bytes, mailbox_.reserved.load(std::memory_order_relaxed)));
  std::atomic_thread_fence(std::memory_order_seq_cst);  // before the first byte is overwritten
  const bool is_written = segment_.mailboxes().write(process_, begin, sent_.data(), bytes);
  shrink(sent_);
  if (!is_written) return false;
  mailbox_.tail.store(begin + bytes, std::memory_order_release);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  for (std::uint32_t reader = 0; reader < kProcessLimit; ++reader) {
    if (readers.test(reader) && reader != process_) wake(reader);
  }
  return true;
}

// As if a whole ring had been overwritten.
void MessageRing::lose() {
  const std::uint64_t position = std::max(mailbox_.reserved.load(), mailbox_.tail.load()) + 2 * kRingBytes;
  mailbox_.reserved.store(position);
  mailbox_.tail.store(position);
  const std::uint32_t count = segment_.process_count();
  for (std::uint32_t reader = 0; reader < count; ++reader) {
    if (reader != process_ && segment_.process(reader).mailbox.listens.load() != 0) wake(reader);
  }
}

bool MessageRing::receive(const std::function<void(std::string_view)>& on_message) {
  mailbox_.woken.exchange(0);  // before the tails are read: what is sent after that rings again
  give_back();
  has_rest_ = false;
  if (!is_listening()) return !has_lost_;
  bool has_more = false;
  const std::uint32_t count = segment_.process_count();
  for (std::uint32_t writer = 0; writer < count; ++writer) {
    if (writer == process_) continue;
    has_more |= receive_from(writer, on_message);
  }
  shrink(received_);
  has_rest_ = has_more;
  if (has_more) wake(process_);
  return !has_lost_;
}

// It will not be read again.
void MessageRing::pass_on(std::string_view message, const std::function<void(std::string_view)>& on_message) {
  try {
    on_message(message);
  } catch (const std::bad_alloc&) {
    has_lost_ = true;
  }
}

bool MessageRing::receive_from(std::uint32_t writer,
                               const std::function<void(std::string_view)>& on_message) {
  const Mailbox& from = segment_.process(writer).mailbox;
  const std::uint64_t tail = from.tail.load(std::memory_order_acquire);
  Word& cursor = mailbox_.cursors[writer];
  std::uint64_t at = cursor.load(std::memory_order_relaxed);
  const std::uint64_t begin = at;
  std::uint64_t wanted = kReadBytes;
  while (at != tail) {
    if (at - begin >= kTurnBytes) return true;
    const std::uint64_t count = std::min(wanted, tail - at);
    bool is_lost = tail - at > kRingBytes;
    if (!is_lost) {
      received_.resize(count);
      is_lost = !segment_.mailboxes().read(writer, at, received_.data(), count);
      // What was copied is right if the writer had not begun to overwrite it.
      std::atomic_thread_fence(std::memory_order_seq_cst);
      is_lost = is_lost || from.reserved.load() - at > kRingBytes;
    }
    wanted = kReadBytes;
    for (std::uint64_t taken = 0; !is_lost && taken < count;) {
      Envelope envelope{};
      std::memcpy(&envelope, received_.data() + taken, sizeof envelope);
      const std::uint64_t bytes = place_bytes(envelope.size_bytes);
      is_lost = envelope.size_bytes > kMessageLimitBytes || bytes > tail - at;
      if (is_lost) break;
      if (bytes > count - taken) {  // not all of it was read
        wanted = std::max(bytes, kReadBytes);
        break;
      }
      at += bytes;
      cursor.store(at, std::memory_order_release);
      pass_on(std::string_view(received_).substr(taken + sizeof envelope, envelope.size_bytes), on_message);
      taken += bytes;
    }
    if (is_lost) {
      has_lost_ = true;
      cursor.store(from.tail.load(), std::memory_order_release);
      return false;
    }
  }
  return false;
}

// Who is a whole ring behind has lost what is there, and will not read it.
std::uint64_t MessageRing::read_by_all(std::uint64_t tail) const {
  std::uint64_t least = tail;
  const std::uint32_t count = segment_.process_count();
  for (std::uint32_t reader = 0; reader < count; ++reader) {
    const Mailbox& other = segment_.process(reader).mailbox;
    if (reader == process_ || other.listens.load() == 0) continue;
    const std::uint64_t at = other.cursors[process_].load(std::memory_order_acquire);
    if (tail - at <= kRingBytes) least = std::min(least, at);
  }
  return least;
}

// A large part at once, or what there is when nothing was sent since the last look.
void MessageRing::give_back() {
  const std::uint64_t tail = mailbox_.tail.load();  // before it is asked who listens
  const bool is_idle = std::exchange(seen_tail_, tail) == tail;
  if (tail - given_back_ < (is_idle ? kFilePageBytes : kGiveBackBytes)) return;
  const std::uint64_t end = read_by_all(tail) / kFilePageBytes * kFilePageBytes;
  // What lies a whole ring in front of the tail has been written over by what came last.
  const std::uint64_t kept = tail - std::min(tail, kRingBytes);
  const std::uint64_t begin =
      std::max(given_back_, (kept + kFilePageBytes - 1) / kFilePageBytes * kFilePageBytes);
  if (end <= begin || (!is_idle && end - begin < kGiveBackBytes)) return;
  assert(end <= tail && tail - begin <= kRingBytes);
  segment_.mailboxes().give_back(process_, begin, end);
  given_back_ = end;
}

}  // namespace memento
