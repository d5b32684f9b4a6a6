// See session.h.
#include "worker/session.h"

#include <span>
#include <string>

#include "worker/command/command_table.h"
#include "worker/command/handler_support.h"

namespace memento {
namespace {

// A command word and its separators beside the longest key and value.
constexpr std::size_t kLineSlackBytes = 64;

bool keys_fit(const Command& command, std::span<const std::string_view> args) {
  if (command.first_key == 0) return true;
  const std::size_t last = command.last_key < 0 ? args.size() - 1 : static_cast<std::size_t>(command.last_key);
  for (auto i = static_cast<std::size_t>(command.first_key); i <= last; ++i) {
    if (args[i].size() > kKeyLimitBytes) return false;
  }
  return true;
}

void execute(const Request& request, const Batch& batch, CommandContext& context) {
  if (request.greets) return context.reply.status("+PONG");
  const Call call{std::span(batch.arguments).subspan(request.first_argument, request.argument_count), request.key};
  if (request.command == nullptr) return context.reply.unknown_command(call[0]);
  const Command& command = *request.command;
  if (!command.accepts(call.count())) return handlers::wrong_argument_count(context, command.name);
  if (!keys_fit(command, call.args)) {
    return context.reply.error("ERR key is longer than the limit of " + std::to_string(kKeyLimitBytes) + " bytes");
  }
  command.handler(context, call);
}

// Hashes the first key and begins to fetch its slot.
void hash_key(Request& request, const Arguments& arguments, const Keyspace& keyspace) {
  request.has_key = false;
  if (request.command == nullptr || request.command->first_key == 0) return;
  const auto index = static_cast<std::size_t>(request.command->first_key);
  if (index >= request.argument_count) return;
  const std::string_view key = arguments[request.first_argument + index];
  if (key.size() > kKeyLimitBytes) return;
  request.key = keyspace.hash(key);
  request.has_key = true;
  keyspace.prefetch_slot(request.key);
}

}  // namespace

void prefetch_tables(const Batch& batch, const Keyspace& keyspace) {
  for (std::size_t i = 0; i < batch.count; ++i) {
    if (batch.requests[i].has_key) keyspace.prefetch_table(batch.requests[i].key);
  }
}

void prefetch_entries(const Batch& batch, const Keyspace& keyspace) {
  for (std::size_t i = 0; i < batch.count; ++i) {
    if (batch.requests[i].has_key) keyspace.prefetch_entry(batch.requests[i].key);
  }
}

void Session::parse_line(std::string_view line, std::size_t input_end, Batch& batch) {
  const bool greets = fresh_ && line == "PING";
  const std::size_t first = batch.arguments.size();
  const std::string_view name = take_word(&line);
  if (name.empty()) return;
  fresh_ = false;
  const Command* command = find_command(name);
  batch.arguments.push_back(name);
  split_words(line, command != nullptr ? static_cast<std::size_t>(command->text_rest) : 0, 1, &batch.arguments);
  batch.requests[batch.count++] = Request{command, first, batch.arguments.size() - first, input_end, {}, false, greets};
}

void Session::prepare(std::string_view bytes, const Keyspace& keyspace, Batch& batch) {
  const std::size_t line_limit = kKeyLimitBytes + keyspace.value_limit_bytes() + kLineSlackBytes;
  batch.count = 0;
  batch.arguments.clear();
  batch.input_bytes = 0;
  if (closing_) return;
  line_too_long_ = false;
  std::size_t taken = 0;
  while (batch.count < Batch::kLimit && taken < bytes.size()) {
    std::string_view line;
    std::size_t line_bytes = 0;
    const bool whole = next_line(bytes.substr(taken), &scanned_bytes_, &line, &line_bytes);
    if ((whole ? line.size() : scanned_bytes_) > line_limit) {
      line_too_long_ = true;
      break;
    }
    if (!whole) break;
    taken += line_bytes;
    parse_line(line, taken, batch);
  }
  for (std::size_t i = 0; i < batch.count; ++i) hash_key(batch.requests[i], batch.arguments, keyspace);
  batch.input_bytes = taken;
  batch.is_prepared = true;
}

std::size_t Session::consume(std::string_view bytes, SessionContext& context, Batch& batch, ByteBuffer& output) {
  CommandContext command{context.keyspace, ReplyWriter(output), context.facts};
  std::size_t taken = 0;
  std::uint64_t executed = 0;
  paused_ = false;
  while (!closing_ && taken < bytes.size()) {
    if (output.size() >= kOutputPauseBytes) {
      paused_ = true;
      break;
    }
    if (!batch.is_prepared) {
      prepare(bytes.substr(taken), context.keyspace, batch);
      prefetch_tables(batch, context.keyspace);
      prefetch_entries(batch, context.keyspace);
    }
    batch.is_prepared = false;
    std::size_t done = 0;
    while (done < batch.count && !closing_ && output.size() < kOutputPauseBytes) {
      execute(batch.requests[done++], batch, command);
      closing_ = command.close_after_reply;
    }
    executed += done;
    if (done < batch.count && !closing_) {  // the rest is parsed again when the output is sent
      taken += batch.requests[done - 1].input_end;
      scanned_bytes_ = 0;
      continue;
    }
    taken += batch.input_bytes;
    if (line_too_long_ && !closing_) {
      command.reply.error("ERR line is longer than the limits of a key and a value together; the connection is closed");
      closing_ = true;
    }
    if (batch.input_bytes == 0) break;  // what is left is not a whole line
  }
  context.keyspace.count(Counter::kCommands, executed);
  context.keyspace.count(Counter::kErrors, command.reply.error_count());
  return taken;
}

}  // namespace memento
