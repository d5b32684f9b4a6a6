// See disk_waits.h.
#include "worker/clients/disk_waits.h"

#include <algorithm>
#include <cassert>
#include <memory>
#include <utility>

#include "shm/messages/journal_wakeup.h"
#include "shm/os/clock.h"
#include "worker/clients/client_state.h"
#include "worker/command/command.h"

namespace memento {
namespace {

// So full a ring is to be read, though nobody waits for that yet.
constexpr std::uint64_t kFullPart = 8;

}  // namespace

DiskWaits::DiskWaits(Segment& segment, std::uint32_t process)
    : segment_(segment),
      process_(process),
      header_(segment.header()),
      ring_(segment.process(process).journal),
      slots_(reinterpret_cast<SlotJournal*>(segment.base() + segment.header().slot_journals_offset)) {}

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
  if (client.held != nullptr) std::erase(held_, &client);
}

void DiskWaits::note_place(ClientState& client, std::uint64_t place) {
  if (place == 0 || AwaitedPlaces::is_durable(segment_, place)) return;
  if (client.held == nullptr) client.held = std::make_unique<HeldReplies>();
  client.held->places.add(place);
}

void DiskWaits::note_all(ClientState& client) {
  for (std::uint32_t process = 0; process < segment_.process_count(); ++process) {
    const JournalState& ring = segment_.process(process).journal;
    note_place(client, ring_place(process, ring.tail.load(std::memory_order_acquire)));
  }
}

void DiskWaits::note_request(ClientState& client, const Command& command,
                             std::span<const std::string_view> words, const Keyspace& keyspace) {
  if (client.transaction != nullptr && !command.has(kUnqueued)) return;  // it was queued
  if (command.sees_unnamed_keys()) return note_all(client);
  command.each_key(words, [&](std::string_view key) {
    if (key.size() <= kKeyLimitBytes) note_slot(client, keyspace.hash(key).slot);
  });
}

void DiskWaits::hold(ClientState& client) {
  assert(client.held != nullptr && client.held->begin_ms == 0);
  client.held->begin_ms = monotonic_time_ms();
  if (held_.empty()) progress_ms_ = client.held->begin_ms;
  held_.push_back(&client);
}

std::vector<ClientState*> DiskWaits::take_durable() {
  std::vector<ClientState*> durable;
  const bool holds = holds_replies();
  std::erase_if(held_, [&](ClientState* client) {
    if (holds && !client->held->places.are_durable(segment_)) return false;
    client->held.reset();
    durable.push_back(client);
    return true;
  });
  return durable;
}

std::vector<ClientState*> DiskWaits::take_lost(std::int64_t now_ms, std::int64_t timeout_ms) {
  std::vector<ClientState*> lost;
  if (held_.empty() || !is_silent(now_ms, timeout_ms)) return lost;
  std::erase_if(held_, [&](ClientState* client) {
    if (now_ms - client->held->begin_ms < timeout_ms) return false;
    client->held.reset();
    lost.push_back(client);
    return true;
  });
  return lost;
}

// It answers with errors, or does not answer, or the archiver does not.
bool DiskWaits::is_silent(std::int64_t now_ms, std::int64_t timeout_ms) const {
  const DiskState& disk = header_.disk;
  if (disk.disk_status() != DiskStatus::kWorks) return true;
  const bool is_asked = std::ranges::any_of(disk.asked_ns, [&](const Word& asked) {
    const std::uint64_t asked_ns = asked.load(std::memory_order_relaxed);
    return asked_ns != 0 && now_ms - static_cast<std::int64_t>(asked_ns / 1'000'000) >= timeout_ms;
  });
  return is_asked || now_ms - progress_ms_ >= timeout_ms;
}

DiskWaits::Progress DiskWaits::progress() const {
  Progress progress;
  progress.consumers = header_.journal.load(std::memory_order_acquire);
  for (std::uint32_t consumer = 0; consumer < kJournalConsumerLimit; ++consumer)
    progress.heads[consumer] = ring_.heads[consumer].load(std::memory_order_acquire);
  for (std::uint32_t process = 0; process < segment_.process_count(); ++process)
    progress.durable += segment_.process(process).journal.durable.load(std::memory_order_acquire);
  progress.status = header_.disk.status.load(std::memory_order_acquire);
  progress.release_rule = header_.disk.release_rule.load(std::memory_order_acquire);
  return progress;
}

bool DiskWaits::take_progress() {
  const Progress before = std::exchange(seen_, progress());
  if (before == seen_) return false;
  progress_ms_ = monotonic_time_ms();
  return true;
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
