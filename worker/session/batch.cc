// See batch.h.
#include "worker/session/batch.h"

#include <cassert>
#include <new>
#include <utility>

#include "worker/dispatch/dispatch.h"
#include "worker/handlers/invoke.h"
#include "worker/text/words.h"

namespace memento {
namespace {

constexpr std::size_t kKeptArguments = 4096;  // of a batch's capacity
static_assert(CommandMeter::kRunLimit == Batch::kLimit);

void settle(Request& request, const Arguments& arguments, const Keyspace& keyspace) {
  request.words = arguments.data() + request.first_argument;
  request.has_key = request.is_plain = false;
  if (request.command == nullptr) return;
  const std::span<const std::string_view> words = Batch::words_of(request);
  const std::size_t index = request.command->first_key(words);
  if (index == 0 || words[index].size() > kKeyLimitBytes) return;
  request.key = keyspace.hash(words[index]);
  request.has_key = true;
  request.is_plain = request.command->has(kPlain) && request.command->accepts(request.argument_count);
  keyspace.prefetch_slot(request.key);
}

// What a browser sends that was sent here by a page: nobody wants it executed.
bool is_http(std::string_view word) { return is_word(word, "POST") || is_word(word, "HOST:"); }

void dispatch_request(const Request& request, const Batch& batch, CommandContext& context) {
  if (request.greets) return context.reply.status("+PONG");
  const Call call{batch.words_of(request), request.key};
  if (request.command == nullptr && is_http(call[0])) {
    context.close_after_reply = true;
    return;
  }
  dispatch(context, request.command, call);
}

}  // namespace

void Batch::clear() {
  count = 0;
  if (arguments.capacity() > kKeptArguments) {
    arguments = {};
  } else {
    arguments.clear();
  }
  if (!unquoted.empty()) unquoted.clear();
  input_bytes = 0;
}

void Batch::add_brief(const BriefRequest& brief, std::size_t input_end, const Keyspace& keyspace) {
  Request& request = requests[count];
  request.command = brief.command;
  request.words = next_brief_words();
  request.argument_count = brief.word_count;
  request.input_end = input_end;
  request.greets = false;
  request.has_key = request.is_plain = true;
  request.key = keyspace.hash(request.words[brief.command->keys.first]);
  keyspace.prefetch_slot(request.key);
  ++count;
}

void settle_words(Batch& batch, const Keyspace& keyspace) {
  for (std::size_t i = 0; i < batch.count; ++i) {
    if (batch.requests[i].words == nullptr) settle(batch.requests[i], batch.arguments, keyspace);
  }
}

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

BatchRun::Outcome BatchRun::execute(std::size_t place) {
  assert(place < batch_.count);
  const Request& request = batch_.requests[place];
  CommandMeter& meter = context_.meter;
  const bool is_alone = meter.begin(request.command, request.argument_count,
                                    [&] { return batch_.words_of(batch_.requests[place - 1]); });
  const std::uint64_t slow_path_count = context_.keyspace.slow_path_count();
  const std::uint64_t errors = context_.reply.error_count();
  const std::size_t reply_begin = output_.size();
  try {
    dispatch_request(request, batch_, context_);
  } catch (const std::bad_alloc&) {
    answer_out_of_memory(request.command, reply_begin);
  }
  was_rejected_ = false;
  if (context_.reply.error_count() != errors) [[unlikely]] {
    was_rejected_ = std::exchange(context_.was_rejected, false);
    if (!std::exchange(context_.counted_errors, false))
      meter.note_error(context_.reply.since(reply_begin), was_rejected_);
  }
  const bool was_long =
      request.input_end - input_begin(place) + output_.size() - reply_begin > CommandMeter::kMuchBytes ||
      context_.keyspace.slow_path_count() != slow_path_count;
  if (!is_alone && !was_long) [[likely]]
    return Outcome::kDone;
  if (std::exchange(context_.parks, false)) {
    meter.drop_run();
    return Outcome::kParks;
  }
  meter.end_run(batch_.words_of(request), was_long);
  return Outcome::kRunEnded;
}

// REQUIRES: called where std::bad_alloc was caught. Only what has certainly changed nothing is answered so;
// else the exception goes on, and the connection ends.
void BatchRun::answer_out_of_memory(const Command* command, std::size_t reply_begin) {
  if (command == nullptr || !command->has(kReadonly) || context_.client.transaction != nullptr) throw;
  context_.reply.roll_back({reply_begin, TextEncoder(), context_.reply.error_count()});
  context_.reply.out_of_memory();
}

// Nearly all requests: straight to the handler, with one look behind it at whether it was one to tell of.
std::size_t BatchRun::execute_plain(std::size_t place, std::size_t pause_bytes) {
  assert(place < batch_.count && batch_.requests[place].is_plain);
  std::size_t input_end = input_begin(place);
  std::size_t output_end = output_.size();
  std::uint64_t slow_path_count = context_.keyspace.slow_path_count();
  std::uint64_t errors = context_.reply.error_count();
  while (place < batch_.count && batch_.requests[place].is_plain && output_end < pause_bytes) {
    const Request& request = batch_.requests[place++];
    const std::size_t reply_begin = output_end;
    const std::size_t request_begin = std::exchange(input_end, request.input_end);
    context_.meter.begin_brief(request.command);
    try {
      run_command(context_, *request.command, {batch_.words_of(request), request.key});
    } catch (const std::bad_alloc&) {
      answer_out_of_memory(request.command, reply_begin);
    }
    output_end = output_.size();
    if (context_.reply.error_count() != errors) [[unlikely]] {
      errors = context_.reply.error_count();
      context_.meter.note_error(context_.reply.since(reply_begin),
                                std::exchange(context_.was_rejected, false));
    }
    const bool was_long = input_end - request_begin + output_end - reply_begin > CommandMeter::kMuchBytes;
    if (was_long || context_.keyspace.slow_path_count() != slow_path_count) [[unlikely]] {
      slow_path_count = context_.keyspace.slow_path_count();
      context_.meter.end_run(batch_.words_of(request), true);
      if (is_over()) break;
    }
  }
  return place;
}

}  // namespace memento
