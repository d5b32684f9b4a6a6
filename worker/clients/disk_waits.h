// DiskWaits: which of this worker's clients wait for the journal, and when they need not wait any more. Runs
// in workers.
//
// A request that changes data and finds no room in this process's ring (JournalFull) has changed nothing. It
// waits (ClientWait::kJournal) and is executed again as a whole when the archiver has read on. Requests that
// change data queue behind it meanwhile, so that short ones do not take the room that a long one waits for;
// reads and other clients go on.
//
// While the rule is that replies wait for the disk (DiskState::release_rule, `fsync always`), what a client's
// requests have written, and of what they have read the last change, is noted while they are executed
// (ClientState::held). Its replies leave when all of that is on disk; until then nothing more of it is read.
//
// Invariants: a client is in the queue exactly while its `waits` is kJournal; it is held, and listed so,
// exactly while `held` has a time.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shm/format/layout.h"
#include "shm/keyspace/keyspace.h"
#include "shm/segment.h"
#include "worker/clients/client_state.h"

namespace memento {

struct Command;

class DiskWaits {
 public:
  DiskWaits(Segment& segment, std::uint32_t process);

  // What may be executed.

  /// Once a batch. `timeout_ms`: what the disk does not answer for so long, it does not answer;
  /// `stops_writes`: then, and while it answers with errors, no data is changed.
  void look(const std::atomic<std::int64_t>& timeout_ms, const std::atomic<bool>& stops_writes) {
    const DiskState& disk = header_.disk;
    constexpr auto kRelaxed = std::memory_order_relaxed;
    const std::uint64_t unusual = disk.status.load(kRelaxed) | disk.load.load(kRelaxed) |
                                  disk.asked_ns[0].load(kRelaxed) | disk.asked_ns[1].load(kRelaxed);
    is_loading_ = refuses_writes_ = false;
    if (unusual != 0 || waits_for_room()) [[unlikely]]
      look_closely(timeout_ms.load(kRelaxed), stops_writes.load(kRelaxed));
  }
  bool is_restricted() const { return is_loading_ || refuses_writes_; }
  bool is_loading() const { return is_loading_; }
  /// What changes data is refused.
  bool refuses_writes() const { return refuses_writes_; }
  /// Why, as an error's text. REQUIRES: refuses_writes().
  std::string write_refusal() const;
  const DiskState& state() const { return header_.disk; }

  // Room.

  /// False, cheaply: nobody waits for room.
  bool has_queue() const { return !queue_.empty(); }
  /// A request of the client's that may change data has to queue behind others.
  bool must_queue(const ClientState& client) const {
    return !queue_.empty() && &client != retried_ && !refuses_writes_;
  }
  /// The client's request is to be executed again when there may be room. In front of all others, when it
  /// was its turn.
  void queue(ClientState& client);
  /// Whose request is to be executed again now: it waits no more. nullptr: nobody's.
  ClientState* begin_retry();
  /// Behind that. False: it waits again, and so do those behind it.
  bool end_retry();
  /// The client is gone.
  void remove(ClientState& client);

  // Replies.

  /// Replies leave when what they tell of is on disk. One look a batch.
  bool holds_replies() const {
    return (header_.disk.release_rule.load(std::memory_order_relaxed) & DiskState::kWaitForDisk) != 0;
  }
  /// How far this process has written its ring.
  std::uint64_t tail() const { return ring_.tail.load(std::memory_order_relaxed); }
  /// The client's requests were executed since then.
  void note_writes(ClientState& client, std::uint64_t tail_before) {
    if (tail() != tail_before) [[unlikely]]
      note_write(client);
  }
  /// They have seen keys of this slot.
  void note_slot(ClientState& client, SlotId slot) {
    note_place(client, slots_[slot.value].last_at.load(std::memory_order_acquire));
  }
  /// They have seen any key.
  void note_all(ClientState& client);
  /// One that has been executed. REQUIRES: the keyspace has the database selected that it was about.
  void note_request(ClientState& client, const Command& command, std::span<const std::string_view> words,
                    const Keyspace& keyspace);
  /// The replies are held back from now on. REQUIRES: something is noted.
  void hold(ClientState& client);
  /// Whose replies may leave now, and are not held any more.
  std::vector<ClientState*> take_durable();
  /// The disk has not answered for so long, and neither did it for these clients' replies: nobody can say
  /// whether what they asked for will be there. They are not held any more.
  std::vector<ClientState*> take_lost(std::int64_t now_ms, std::int64_t timeout_ms);
  bool has_held() const { return !held_.empty(); }

  // SAVE, WAITAOF, CONFIG SET appendonly.

  /// The archiver turns the journal on, or off, soon.
  void set_journalling(bool is_wanted) { header_.disk.is_off.store(is_wanted ? 0 : 1); }
  bool is_journalling_wanted() const { return header_.disk.is_off.load(std::memory_order_relaxed) == 0; }
  bool is_journalled() const {
    return (header_.journal.load(std::memory_order_relaxed) & kJournalForDisk) != 0;
  }
  bool is_synced(const ClientState& client) const {
    return ring_.durable.load(std::memory_order_acquire) >= client.written_to;
  }
  /// Whether a snapshot is made, or to be made.
  bool is_saving() const {
    return header_.disk.saves_wanted.load() != header_.disk.saves_done.load() ||
           header_.disk.save_began_ms.load() != 0;
  }
  enum class Speed { kLimited, kAsTheDiskCan };
  /// The archiver is to make one, with all that was changed so far. Returns by which number it is answered
  /// (ClientState::awaited_save).
  std::uint64_t wish_save(Speed speed);
  bool is_saved(const ClientState& client) const {
    return header_.disk.saves_done.load(std::memory_order_acquire) >= client.awaited_save;
  }
  /// The client's request is to be executed again when that is so, or the disk fails.
  void wait_for_save(ClientState& client);
  /// The client's WAITAOF is to be executed again when what it wrote last is on disk, or its time is over.
  void wait_for_sync(ClientState& client);
  /// Who need not wait for either any more.
  std::vector<ClientState*> take_synced(std::int64_t now_ms);

  // For all of them.

  std::size_t waiting_count() const { return queue_.size() + syncing_.size(); }
  std::size_t held_count() const { return held_.size(); }
  /// Requests that found no room, since the last call.
  std::uint64_t take_room_waits() { return std::exchange(room_waits_, 0); }

  /// Somebody waits: take_progress() and may_sleep() are to be called.
  bool is_waiting() const { return !queue_.empty() || !held_.empty() || !syncing_.empty(); }
  /// What they wait for may have come since the last call.
  bool take_progress();
  /// In front of a sleep: false when it has come already; else the archiver wakes this worker.
  bool may_sleep() { return !is_waiting() || announce(); }
  /// The archiver is not to sleep: somebody waits for it, or this process's ring fills.
  bool wants_archiver() const { return is_journalled() && (is_waiting() || is_filling()); }

  /// What INFO shows of the journal, over all processes.
  struct Figures {
    std::uint64_t ring_bytes = 0;      ///< of all rings
    std::uint64_t waiting_bytes = 0;   ///< in them, not yet written to disk
    std::uint64_t unsynced_bytes = 0;  ///< not yet on disk
  };
  Figures figures() const;
  const Header& header() const { return header_; }
  /// Changes that the newest snapshot does not have. Looks at all slots.
  std::uint64_t changes_since_save() const;
  /// Of the snapshot under way, 0 to 1.
  double saved_part() const;
  /// The disk was asked for something and has not answered for so long.
  bool hangs(std::int64_t now_ms, std::int64_t timeout_ms) const;

 private:
  /// All that moves when somebody may go on.
  struct Progress {
    std::uint64_t consumers = 0;
    std::array<std::uint64_t, kJournalConsumerLimit> heads{};
    std::uint64_t durable = 0;  ///< the sum of all rings'
    std::uint64_t status = 0;
    std::uint64_t release_rule = 0;
    std::uint64_t saves = 0;
    bool operator==(const Progress&) const = default;
  };
  Progress progress() const;
  void note_place(ClientState& client, std::uint64_t place);
  void note_write(ClientState& client);
  void begin_waiting();
  bool waits_for_room() const { return !queue_.empty() || retried_ != nullptr; }
  void look_closely(std::int64_t timeout_ms, bool stops_writes);
  bool announce();
  bool is_filling() const;
  bool is_silent(std::int64_t now_ms, std::int64_t timeout_ms) const;
  bool still_waits(const ClientState& client, std::int64_t now_ms) const;

  Segment& segment_;
  const std::uint32_t process_;
  Header& header_;
  JournalState& ring_;
  const SlotJournal* const slots_;
  std::deque<ClientState*> queue_;
  ClientState* retried_ = nullptr;
  std::vector<ClientState*> held_;
  std::vector<ClientState*> syncing_;
  std::uint64_t room_waits_ = 0;
  bool is_loading_ = false;
  bool refuses_writes_ = false;
  std::int64_t refused_timeout_ms_ = 0;  ///< what look() was told when it found that writes are refused
  bool refuses_all_writes_ = false;      ///< not only since there is no room
  Progress seen_;
  std::int64_t progress_ms_ = 0;  ///< monotonic: when somebody was seen to move, or to begin to wait
};

}  // namespace memento
