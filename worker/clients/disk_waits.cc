// See disk_waits.h.
#include "worker/clients/disk_waits.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <memory>
#include <utility>

#include "shm/messages/journal_wakeup.h"
#include "shm/os/clock.h"
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
      slots_(segment.slot_journals()) {}

void DiskWaits::queue(ClientState& client) {
  assert(client.waits == ClientWait::kNothing);
  begin_waiting();
  client.waits = ClientWait::kJournal;
  ++room_waits_;
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
  if (client.waits == ClientWait::kSync) std::erase(syncing_, &client);
}

// From here on it is looked at whether the archiver gets on.
void DiskWaits::begin_waiting() {
  if (!is_waiting() && retried_ == nullptr) progress_ms_ = monotonic_time_ms();
}

void DiskWaits::look_closely(std::int64_t timeout_ms, bool stops_writes) {
  const std::int64_t now_ms = monotonic_time_ms();
  is_loading_ = header_.disk.is_loading();
  const bool is_down = header_.disk.disk_status() != DiskStatus::kWorks || hangs(now_ms, timeout_ms);
  refuses_all_writes_ = is_down && stops_writes;
  refuses_writes_ = refuses_all_writes_ || (waits_for_room() && is_silent(now_ms, timeout_ms));
  refused_timeout_ms_ = timeout_ms;
}

std::string DiskWaits::write_refusal() const {
  const DiskStatus status = header_.disk.disk_status();
  std::string text = "MISCONF the disk ";
  if (status == DiskStatus::kWorks) {
    text += "has not answered for " + std::to_string(refused_timeout_ms_) + " ms";
  } else {
    text += std::string(status == DiskStatus::kFull ? "takes no more" : "answers with an error") + ": " +
            std::strerror(header_.disk.error_number());
  }
  text += "; what would change data is refused until it does, reads go on";
  if (refuses_all_writes_) text += "; CONFIG SET stop-writes-on-disk-error no lets changes be lost instead";
  return text;
}

// Whether it is on disk does not depend on why its replies wait.
void DiskWaits::note_write(ClientState& client) {
  client.written_to = tail();
  if (holds_replies()) note_place(client, ring_place(process_, tail()));
}

std::uint64_t DiskWaits::wish_save(Speed speed) {
  DiskState& disk = header_.disk;
  const std::uint64_t wish = disk.saves_wanted.fetch_add(1) + 1;
  std::uint64_t hurried = disk.hurried_save.load();
  while (speed == Speed::kAsTheDiskCan && hurried < wish &&
         !disk.hurried_save.compare_exchange_weak(hurried, wish)) {
  }
  return wish;
}

void DiskWaits::wait_for_save(ClientState& client) {
  assert(client.waits == ClientWait::kNothing && client.awaited_save != 0);
  begin_waiting();
  client.waits = ClientWait::kSync;
  syncing_.push_back(&client);
}

// Its request has more to wait for.
bool DiskWaits::still_waits(const ClientState& client, std::int64_t now_ms) const {
  if (client.awaited_save == 0) return !is_synced(client) && now_ms < client.sync_deadline_ms;
  return !is_saved(client) && is_journalled() && header_.disk.disk_status() == DiskStatus::kWorks;
}

void DiskWaits::wait_for_sync(ClientState& client) {
  assert(client.waits == ClientWait::kNothing && client.sync_deadline_ms != 0);
  begin_waiting();
  client.waits = ClientWait::kSync;
  syncing_.push_back(&client);
}

std::vector<ClientState*> DiskWaits::take_synced(std::int64_t now_ms) {
  std::vector<ClientState*> synced;
  std::erase_if(syncing_, [&](ClientState* client) {
    if (still_waits(*client, now_ms)) return false;
    client->waits = ClientWait::kNothing;
    synced.push_back(client);
    return true;
  });
  return synced;
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
  if (command.group == CommandGroup::kScripting) note_slot(client, kTextSlot);
  command.each_key(words, [&](std::string_view key) {
    if (key.size() <= kKeyLimitBytes) note_slot(client, keyspace.hash(key).slot);
  });
}

void DiskWaits::hold(ClientState& client) {
  assert(client.held != nullptr && client.held->begin_ms == 0);
  begin_waiting();
  client.held->begin_ms = monotonic_time_ms();
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

bool DiskWaits::hangs(std::int64_t now_ms, std::int64_t timeout_ms) const {
  return std::ranges::any_of(header_.disk.asked_ns, [&](const Word& asked) {
    const std::uint64_t asked_ns = asked.load(std::memory_order_relaxed);
    return asked_ns != 0 && now_ms - static_cast<std::int64_t>(asked_ns / 1'000'000) >= timeout_ms;
  });
}

// It answers with errors, or does not answer, or the archiver does not. REQUIRES: somebody waits.
bool DiskWaits::is_silent(std::int64_t now_ms, std::int64_t timeout_ms) const {
  return header_.disk.disk_status() != DiskStatus::kWorks || hangs(now_ms, timeout_ms) ||
         now_ms - progress_ms_ >= timeout_ms;
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
  progress.saves = header_.disk.saves_done.load(std::memory_order_acquire);
  return progress;
}

bool DiskWaits::take_progress() {
  const Progress before = std::exchange(seen_, progress());
  if (before == seen_) return false;
  progress_ms_ = monotonic_time_ms();
  return true;
}

bool DiskWaits::announce() {
  announce_sleep(ring_.waits);
  return progress() == seen_;
}

bool DiskWaits::is_filling() const {
  const std::uint64_t unread = tail() - ring_.heads[0].load(std::memory_order_relaxed);
  return unread > header_.journal_ring_bytes.load(std::memory_order_relaxed) / kFullPart;
}

std::uint64_t DiskWaits::changes_since_save() const {
  if (!is_journalled()) return 0;
  const std::uint64_t saved = header_.disk.save_changes.load();
  const std::uint64_t changes = segment_.change_count();
  return changes - std::min(saved, changes);
}

double DiskWaits::saved_part() const {
  if (header_.disk.save_began_ms.load() == 0) return 0;
  const int databases = 1 + std::popcount(header_.open_databases.load());
  return std::min(static_cast<double>(header_.disk.save_slots.load()) / (databases * kSlotCount), 1.0);
}

DiskWaits::Figures DiskWaits::figures() const {
  Figures figures;
  if (!is_journalled()) return figures;
  for (std::uint32_t process = 0; process < segment_.process_count(); ++process) {
    const JournalState& ring = segment_.process(process).journal;
    // What moves later is read first.
    const std::uint64_t durable = ring.durable.load(std::memory_order_acquire);
    const std::uint64_t head = ring.heads[0].load(std::memory_order_acquire);
    const std::uint64_t tail = ring.tail.load(std::memory_order_acquire);
    figures.ring_bytes += header_.journal_ring_bytes.load(std::memory_order_relaxed);
    figures.waiting_bytes += tail - head;
    figures.unsynced_bytes += tail - durable;
  }
  return figures;
}

}  // namespace memento
