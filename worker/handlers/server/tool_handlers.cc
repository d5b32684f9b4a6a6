// What Redis's tools ask every server: about replicas, of which there are none here; about modules; about
// memory, in numbers and in words. SLOWLOG and LATENCY's figures are in slow_handlers.cc, what has to do with
// the disk in disk_handlers.cc.
#include <malloc.h>

#include <string>

#include "worker/handlers/handler_support.h"
#include "worker/handlers/handlers.h"
#include "worker/handlers/server/info_lines.h"
#include "worker/handlers/server/info_text.h"
#include "worker/handlers/server/server_memory.h"
#include "worker/text/number_text.h"
#include "worker/text/words.h"

namespace memento::handlers {
namespace {

// False: an error was written.
bool check_count(CommandContext& context, std::string_view text) {
  return take_integer(context, text).has_value();
}
bool check_timeout(CommandContext& context, std::string_view text) {
  const auto timeout_ms = take_integer(context, text, "ERR timeout is not an integer or out of range");
  if (!timeout_ms) return false;
  if (*timeout_ms < 0) return context.reply.error("ERR timeout is negative"), false;
  return true;
}

void answer_field(ReplyWriter& reply, std::string_view name, std::uint64_t value) {
  reply.field(name);
  reply.integer(static_cast<std::int64_t>(value));
}
void answer_field(ReplyWriter& reply, std::string_view name, double value) {
  reply.field(name);
  reply.number(value);
}

}  // namespace

void role(CommandContext& context, const Call&) {
  context.reply.begin_array(3);
  context.reply.bulk("master");
  context.reply.integer(0);  // bytes of a replication log
  context.reply.begin_array(0);
  context.reply.end();
  context.reply.end();
}

// No replica will ever answer, so nobody waits for one.
void wait(CommandContext& context, const Call& call) {
  if (check_count(context, call[1]) && check_timeout(context, call[2])) context.reply.integer(0);
}

void waitaof(CommandContext& context, const Call& call) {
  const std::int64_t local = parse_integer(call[1]).value_or(-1);
  if (local < 0 || local > 1)
    return context.reply.error("ERR value is out of range, value must between 0 and 1");
  if (!check_count(context, call[2]) || !check_timeout(context, call[3])) return;
  ClientState& client = context.client;
  DiskWaits& disk = context.services.hub.disk();
  if (local > 0 && !disk.is_journalled())
    return context.reply.error("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.");
  const bool is_synced = disk.is_journalled() && disk.is_synced(client);
  const std::int64_t now_ms = monotonic_time_ms();
  const bool may_wait = local > 0 && !is_synced && !context.in_exec && client.descriptor >= 0;
  if (may_wait && client.sync_deadline_ms == 0) {
    const std::int64_t timeout_ms = *parse_integer(call[3]);
    const bool is_endless = timeout_ms == 0 || timeout_ms > INT64_MAX - now_ms;
    client.sync_deadline_ms = is_endless ? INT64_MAX : now_ms + timeout_ms;
  }
  if (may_wait && now_ms < client.sync_deadline_ms) {
    disk.wait_for_sync(client);
    context.parks = true;
    return;
  }
  client.sync_deadline_ms = 0;
  context.reply.begin_array(2);
  context.reply.integer(is_synced ? 1 : 0);
  context.reply.integer(0);
  context.reply.end();
}

void replicaof(CommandContext& context, const Call& call) {
  if (is_word(call[1], "NO") && is_word(call[2], "ONE")) return context.reply.ok();
  context.reply.error("ERR this server cannot be a replica: memento has no replication");
}

// What replicas, and redis-cli --rdb, ask for.
void no_replication(CommandContext& context, const Call&) {
  context.reply.error(
      "ERR memento has no replication and no file of all keys; DUMP and MIGRATE give single ones");
}

void module_list(CommandContext& context, const Call&) {
  context.reply.begin_array(0);
  context.reply.end();
}

void memory_stats(CommandContext& context, const Call&) {
  const ServerMemory memory = server_memory(context);
  ReplyWriter& reply = context.reply;
  reply.begin_map(14);
  answer_field(reply, "peak.allocated", memory.peak_bytes);
  answer_field(reply, "total.allocated", memory.used_bytes);
  answer_field(reply, "startup.allocated", std::uint64_t{0});
  answer_field(reply, "replication.backlog", std::uint64_t{0});
  answer_field(reply, "clients.normal", memory.workers_bytes);
  answer_field(reply, "overhead.total", memory.overhead_bytes());
  answer_field(reply, "keys.count", memory.key_count);
  answer_field(reply, "keys.bytes-per-key", memory.key_count == 0 ? 0 : memory.used_bytes / memory.key_count);
  answer_field(reply, "dataset.bytes", memory.payload_bytes);
  answer_field(reply, "dataset.percentage",
               100 * ServerMemory::part(memory.payload_bytes, memory.used_bytes));
  answer_field(reply, "peak.percentage", 100 * ServerMemory::part(memory.used_bytes, memory.peak_bytes));
  answer_field(reply, "allocator.resident", memory.resident_bytes);
  answer_field(reply, "fragmentation", memory.fragmentation());
  reply.field("fragmentation.bytes");
  reply.integer(static_cast<std::int64_t>(memory.resident_bytes) -
                static_cast<std::int64_t>(memory.used_bytes));
  reply.end();
}

void memory_doctor(CommandContext& context, const Call&) {
  const ServerMemory memory = server_memory(context);
  const double full = ServerMemory::part(memory.used_bytes, memory.limit_bytes);
  constexpr double kNearlyFull = 0.8;
  constexpr double kSparse = 2;
  constexpr std::uint64_t kTooLittleBytes = 64 << 20;
  std::string text;
  if (full >= kNearlyFull) {
    text += "* " + format_number("%.0f", 100 * full) + " % of the memory is in use (" +
            human_bytes(memory.used_bytes) + " of " + human_bytes(memory.limit_bytes) + "). " +
            (context.keyspace.evicts() ? "Keys that were not used lately make room for others.\n"
                                       : "When it is full, writes are refused. Start the server with more "
                                         "memory (--memory) or let keys make room (--eviction allkeys).\n");
  }
  if (memory.used_bytes > kTooLittleBytes && memory.overhead_bytes() > memory.payload_bytes) {
    text += "* More than half of the memory in use is not keys and values (" +
            human_bytes(memory.overhead_bytes()) + " of " + human_bytes(memory.used_bytes) +
            "): the keys are short, or many were removed and their memory is still being freed.\n";
  }
  if (memory.used_bytes > kTooLittleBytes && memory.fragmentation() > kSparse) {
    text += "* The server takes " + format_number("%.1f", memory.fragmentation()) +
            " times as much of the machine's memory as its data: " + human_bytes(memory.workers_bytes) +
            " are the workers' own, for clients, and the rest was used before and is kept for new keys.\n";
  }
  context.reply.verbatim(text.empty() ? "Nothing is wrong with the memory that these figures could tell.\n"
                                      : "What the figures about memory say:\n\n" + text);
}

// The keyspace frees memory by itself; what this worker's heap kept for clients goes back to the system.
void memory_purge(CommandContext& context, const Call&) {
  malloc_trim(0);
  context.reply.ok();
}

void memory_malloc_stats(CommandContext& context, const Call&) {
  const struct mallinfo2 heap = mallinfo2();
  std::string text = "The heap of the worker that answers, in bytes:\n";
  const auto line = [&](const char* name, std::size_t bytes) {
    text.append(name).append(": ").append(std::to_string(bytes)).append("\n");
  };
  line("taken from the system", heap.arena + heap.hblkhd);
  line("in use", heap.uordblks + heap.hblkhd);
  line("free", heap.fordblks);
  context.reply.verbatim(text);
}

}  // namespace memento::handlers
