// See info_persistence.h.
#include "worker/handlers/server/info_persistence.h"

#include <algorithm>
#include <string>

#include "conf/sync_policy.h"
#include "worker/clients/message_hub.h"
#include "worker/handlers/server/info_text.h"

namespace memento {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// What Redis's tools ask for and this server does not have or do: child processes that save.
constexpr InfoLines::Constant kConstants[] = {
    {"async_loading", "0"},        {"current_cow_peak", "0"},        {"current_cow_size", "0"},
    {"current_cow_size_age", "0"}, {"current_fork_perc", "0.00"},    {"rdb_last_cow_size", "0"},
    {"aof_last_cow_size", "0"},    {"module_fork_in_progress", "0"}, {"module_fork_last_cow_size", "0"},
};

void add_loading(const DiskState& disk, TimeMs now_ms, InfoLines& lines) {
  lines.add("loading", disk.is_loading() ? 1 : 0);
  if (!disk.is_loading()) return;
  const std::uint64_t all = disk.load_bytes.load(kRelaxed);
  const std::uint64_t loaded = std::min(disk.loaded_bytes.load(kRelaxed), all);
  const std::uint64_t began_ms = disk.load_began_ms.load(kRelaxed);
  const auto elapsed_ms = static_cast<double>(std::max<TimeMs>(now_ms - static_cast<TimeMs>(began_ms), 0));
  const double part = all == 0 ? 0 : static_cast<double>(loaded) / static_cast<double>(all);
  lines.add("loading_start_time", began_ms / 1000);
  lines.add("loading_total_bytes", all);
  lines.add("loading_rdb_used_mem", 0);
  lines.add("loading_loaded_bytes", loaded);
  lines.add("loading_loaded_perc", format_number("%.2f", 100 * part));
  lines.add("loading_eta_seconds",
            static_cast<std::uint64_t>(part > 0 ? elapsed_ms / 1000 * (1 - part) / part : 0));
  lines.add("loaded_keys", disk.loaded_keys.load(kRelaxed));
}

// Snapshots, by Redis's names both for saving and for rewriting the journal.
void add_snapshots(CommandContext& context, DiskWaits& disk, InfoLines& lines) {
  const DiskState& state = disk.state();
  const TimeMs now_ms = context.keyspace.now_ms();
  const std::uint64_t began_ms = state.save_began_ms.load(kRelaxed);
  const bool is_saving = disk.is_journalled() && disk.is_saving();
  const std::uint64_t saves = state.saves.load(kRelaxed);
  const char* const status = state.last_save_errno.load(kRelaxed) == 0 ? "ok" : "err";
  const auto seconds = [&](bool is_known, std::uint64_t ms) {
    return is_known ? std::to_string(ms / 1000) : "-1";
  };
  const std::string last_s = seconds(saves != 0, state.last_save_took_ms.load(kRelaxed));
  const std::uint64_t elapsed_ms =
      static_cast<std::uint64_t>(std::max<TimeMs>(now_ms - static_cast<TimeMs>(began_ms), 0));
  const std::string current_s = seconds(is_saving && began_ms != 0, elapsed_ms);
  const double part = disk.saved_part();
  const std::uint64_t keys = is_saving ? context.keyspace.key_count() : 0;
  lines.add("current_save_keys_processed", static_cast<std::uint64_t>(part * static_cast<double>(keys)));
  lines.add("current_save_keys_total", keys);
  lines.add("rdb_changes_since_last_save", disk.changes_since_save());
  lines.add("rdb_bgsave_in_progress", is_saving ? 1 : 0);
  lines.add("rdb_last_save_time", last_save_s(context));
  lines.add("rdb_last_bgsave_status", status);
  lines.add("rdb_last_bgsave_time_sec", last_s);
  lines.add("rdb_current_bgsave_time_sec", current_s);
  lines.add("rdb_saves", saves);
  lines.add("aof_rewrite_in_progress", is_saving ? 1 : 0);
  lines.add("aof_rewrite_scheduled", is_saving && began_ms == 0 ? 1 : 0);
  lines.add("aof_last_rewrite_time_sec", last_s);
  lines.add("aof_current_rewrite_time_sec", current_s);
  lines.add("aof_last_bgrewrite_status", status);
  lines.add("aof_rewrites", saves);
  lines.add("snapshot_progress_perc", format_number("%.2f", 100 * part));
}

const char* state_text(CommandContext& context, const DiskWaits& disk) {
  if (!disk.is_journalled()) return "off";
  if (disk.state().disk_status() == DiskStatus::kFull) return "full";
  if (disk.state().disk_status() == DiskStatus::kFailed) return "failed";
  const std::int64_t timeout_ms = context.services.settings.disk_timeout_ms.load(kRelaxed);
  return disk.hangs(monotonic_time_ms(), timeout_ms) ? "hung" : "ok";
}

// Within a power of two: below this, 99 of 100 syncs are.
std::uint64_t sync_us_p99(const DiskState& disk) {
  std::uint64_t count = 0;
  for (const Word& times : disk.sync_times) count += times.load(kRelaxed);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < disk.sync_times.size() && count > 0; ++i) {
    seen += disk.sync_times[i].load(kRelaxed);
    if (seen * 100 >= count * 99) return std::uint64_t{2} << i;
  }
  return 0;
}

std::string hex(const std::array<std::uint64_t, 2>& id) {
  char digits[33];
  std::snprintf(digits, sizeof digits, "%016llx%016llx", static_cast<unsigned long long>(id[0]),
                static_cast<unsigned long long>(id[1]));
  return digits;
}

}  // namespace

void add_persistence(CommandContext& context, const PersistenceFigures& figures, InfoLines& lines) {
  DiskWaits& disk = context.services.hub.disk();
  const DiskState& state = disk.state();
  const DiskWaits::Figures journal = disk.figures();
  const bool is_on = disk.is_journalled();
  add_loading(state, context.keyspace.now_ms(), lines);
  lines.add_all(kConstants);
  add_snapshots(context, disk, lines);
  lines.add("aof_enabled", is_on ? 1 : 0);
  lines.add("aof_last_write_status", state.disk_status() == DiskStatus::kWorks ? "ok" : "err");
  if (is_on) {
    const std::uint64_t base_bytes = state.snapshot_bytes.load(kRelaxed);
    lines.add("aof_current_size", base_bytes + state.folder_bytes.load(kRelaxed));
    lines.add("aof_base_size", base_bytes);
    lines.add("aof_pending_rewrite", 0);
    lines.add("aof_buffer_length", journal.waiting_bytes);
    lines.add("aof_pending_bio_fsync", journal.unsynced_bytes > 0 ? 1 : 0);
    lines.add("aof_delayed_fsync", state.delayed_syncs.load(kRelaxed));
  }
  lines.add("journal_state", state_text(context, disk));
  if (!is_on) return;
  const auto policy = static_cast<SyncPolicy>(context.services.settings.sync_policy.load(kRelaxed));
  lines.add("journal_policy", sync_policy_text(policy));
  lines.add("journal_ring_bytes", journal.ring_bytes);
  lines.add("journal_waiting_bytes", journal.waiting_bytes);
  lines.add("journal_unsynced_bytes", journal.unsynced_bytes);
  lines.add("journal_fsyncs", state.syncs.load(kRelaxed));
  lines.add("journal_fsync_us_p99", sync_us_p99(state));
  lines.add("journal_parked_replies", figures.held_clients);
  lines.add("journal_room_waits", figures.room_waits);
  lines.add("journal_last_sync_time", state.last_sync_ms.load(kRelaxed) / 1000);
  const std::array<std::uint64_t, 2>& id = disk.header().data_id;
  if (id[0] != 0 || id[1] != 0) lines.add("data_id", hex(id));
}

}  // namespace memento
