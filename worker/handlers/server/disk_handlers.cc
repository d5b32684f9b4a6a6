// Commands about data on disk: to make a snapshot, to end. A snapshot is the archiver's
// work; a command counts up what is wanted of it (DiskState::saves_wanted) and, if it waits, is executed
// again when that is answered (DiskWaits).
#include <cerrno>
#include <cstring>
#include <string>

#include "worker/handlers/handler_support.h"
#include "worker/handlers/handlers.h"
#include "worker/handlers/server/info_text.h"
#include "worker/text/words.h"

namespace memento::handlers {
namespace {

constexpr const char* kNoFolder =
    "ERR there is no data folder to save to; start the server with --data, or turn the journal on with "
    "CONFIG "
    "SET appendonly yes";

// False: an error was written.
bool check_disk(CommandContext& context) {
  const DiskWaits& disk = context.services.hub.disk();
  if (!disk.is_journalled()) return context.reply.error(kNoFolder), false;
  if (disk.state().disk_status() == DiskStatus::kWorks) return true;
  context.reply.error("ERR the disk fails: " + std::string(std::strerror(disk.state().error_number())) +
                      "; no snapshot can be made before it works again");
  return false;
}

enum class Saved { kYes, kNotYet, kFailed };

// kNotYet: the client waits, and the request is executed again. kFailed: an error was written.
Saved save_now(CommandContext& context) {
  ClientState& client = context.client;
  DiskWaits& disk = context.services.hub.disk();
  if (client.awaited_save == 0) {
    if (!check_disk(context)) return Saved::kFailed;
    client.awaited_save = disk.wish_save(DiskWaits::Speed::kAsTheDiskCan);
  }
  if (!disk.is_saved(client)) {
    if (check_disk(context)) {
      disk.wait_for_save(client);
      context.parks = true;
      return Saved::kNotYet;
    }
    client.awaited_save = 0;
    return Saved::kFailed;
  }
  client.awaited_save = 0;
  const auto error_number = static_cast<int>(disk.state().last_save_errno.load());
  if (error_number == 0) return Saved::kYes;
  context.reply.error("ERR the snapshot failed: " + std::string(std::strerror(error_number)) +
                      "; the server's log says more");
  return Saved::kFailed;
}

}  // namespace

void save(CommandContext& context, const Call&) {
  if (save_now(context) == Saved::kYes) context.reply.ok();
}

void bgsave(CommandContext& context, const Call& call) {
  const bool schedules = call.args.size() == 2 && is_word(call[1], "SCHEDULE");
  if (call.args.size() > 2 || (call.args.size() == 2 && !schedules)) return context.reply.error(kSyntaxError);
  if (!check_disk(context)) return;
  DiskWaits& disk = context.services.hub.disk();
  const bool is_busy = disk.is_saving();
  if (is_busy && !schedules) return context.reply.error("ERR Background save already in progress");
  disk.wish_save(DiskWaits::Speed::kLimited);
  context.reply.status(is_busy ? "Background saving scheduled" : "Background saving started");
}

// What Redis makes of a journal that has grown long, a snapshot is here.
void bgrewriteaof(CommandContext& context, const Call&) {
  if (!check_disk(context)) return;
  DiskWaits& disk = context.services.hub.disk();
  const bool is_busy = disk.is_saving();
  disk.wish_save(DiskWaits::Speed::kLimited);
  context.reply.status(is_busy ? "Background append only file rewriting scheduled"
                               : "Background append only file rewriting started");
}

void lastsave(CommandContext& context, const Call&) {
  context.reply.integer(static_cast<std::int64_t>(last_save_s(context)));
}

// REQUIRES: nothing of the client's is under way. The master ends all workers, this one too, so that nobody
// is left to answer. What is in the journal's rings is written and synced at the end in any case.
void shutdown(CommandContext& context, const Call& call) {
  bool aborts = false;
  bool saves = false;
  bool saves_not = false;
  bool is_forced = false;
  bool is_now = false;
  for (const std::string_view word : call.args.subspan(1)) {
    aborts |= is_word(word, "ABORT");
    saves |= is_word(word, "SAVE");
    saves_not |= is_word(word, "NOSAVE");
    is_forced |= is_word(word, "FORCE");
    is_now |= is_word(word, "NOW");
    if (!is_word(word, "ABORT") && !is_word(word, "SAVE") && !is_word(word, "NOSAVE") &&
        !is_word(word, "FORCE") && !is_word(word, "NOW"))
      return context.reply.error(kSyntaxError);
  }
  if ((saves && saves_not) || (aborts && (saves || saves_not || is_forced || is_now)))
    return context.reply.error(kSyntaxError);
  if (aborts) return context.reply.error("ERR No shutdown in progress.");
  if (!context.services.end_server)
    return context.reply.error("ERR there is no master process that could end the server");
  const ReplyWriter::Mark mark = context.reply.mark();
  if (saves) {
    const Saved saved = save_now(context);
    if (saved == Saved::kNotYet || (saved == Saved::kFailed && !is_forced)) return;
    context.reply.roll_back(mark);
  }
  if (!context.services.end_server()) {
    return context.reply.error("ERR the server's master cannot be told to end: " +
                               std::string(std::strerror(errno)));
  }
  context.client.reply_mode = ReplyMode::kOff;
  context.close_after_reply = true;
}

}  // namespace memento::handlers
