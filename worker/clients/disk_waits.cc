// See disk_waits.h.
#include "worker/clients/disk_waits.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "shm/messages/journal_wakeup.h"
#include "worker/clients/client_state.h"

namespace memento {
namespace {

// So full a ring is to be read, though nobody waits for that yet.
constexpr std::uint64_t kFullPart = 8;

}  // namespace

DiskWaits::DiskWaits(Segment& segment, std::uint32_t process)
    : segment_(segment), header_(segment.header()), ring_(segment.process(process).journal) {}

void DiskWaits::queue(ClientState& client) {
  assert(client.waits == ClientWait::kNothing);
  client.waits = ClientWait::kJournal;
  if (&client == retried_) {
    queue_.push_front(&client);
  } else {
    queue_.push_back(&client);
  }
}

ClientState* DiskWaits::begin_retry() {
  assert(retried_ == nullptr);
  if (queue_.empty()) return nullptr;
  retried_ = queue_.front();
  queue_.pop_front();
  assert(retried_->waits == ClientWait::kJournal);
  retried_->waits = ClientWait::kNothing;
  return retried_;
}

bool DiskWaits::end_retry() {
  const ClientState* const client = std::exchange(retried_, nullptr);
  return client == nullptr || queue_.empty() || queue_.front() != client;
}

void DiskWaits::remove(ClientState& client) {
  if (client.waits == ClientWait::kJournal) std::erase(queue_, &client);
  if (retried_ == &client) retried_ = nullptr;
}

DiskWaits::Progress DiskWaits::progress() const {
  Progress progress;
  progress.consumers = header_.journal.load(std::memory_order_acquire);
  for (std::uint32_t consumer = 0; consumer < kJournalConsumerLimit; ++consumer)
    progress.heads[consumer] = ring_.heads[consumer].load(std::memory_order_acquire);
  return progress;
}

bool DiskWaits::take_progress() {
  const Progress before = std::exchange(seen_, progress());
  return before != seen_;
}

bool DiskWaits::may_sleep() {
  if (!is_waiting()) return true;
  announce_sleep(ring_.waits);
  return progress() == seen_;
}

bool DiskWaits::wants_archiver() const {
  if ((header_.journal.load(std::memory_order_relaxed) & kJournalForDisk) == 0) return false;
  const std::uint64_t unread =
      ring_.tail.load(std::memory_order_relaxed) - ring_.heads[0].load(std::memory_order_relaxed);
  return is_waiting() || unread > header_.journal_ring_bytes.load(std::memory_order_relaxed) / kFullPart;
}

}  // namespace memento
