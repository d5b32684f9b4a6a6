// See batch.h.
#include "worker/session/batch.h"

#include <cassert>
#include <new>
#include <utility>

#include "worker/dispatch/dispatch.h"
#include "worker/handlers/handler_table.h"
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
  if (request.greets && !context.services.hub.disk().is_loading()) return context.reply.status("+PONG");
  const Call call{batch.words_of(request), request.key};
  if (request.command == nullptr && is_http(call[0])) {
    context.close_after_reply = true;
    return;
  }
  dispatch(context, request.command, call);
}

}  // namespace

void Batch::clear_words() {
  if (arguments.capacity() > kKeptArguments) {
    arguments = {};
  } else {
    arguments.clear();
  }
  unquoted.clear();
}

// `take_one(bytes, words)` gives a BriefRequest with its bytes. What is counted is written back once: the
// loop has no room for more than its own places in registers.
template <class TakeOne>
[[gnu::always_inline]] inline std::size_t Batch::take_brief(std::string_view input, std::size_t begin,
                                                            const Keyspace& keyspace, TakeOne&& take_one) {
  const char* at = input.data() + begin;
  const char* const end = input.data() + input.size();
  Request* request = requests.data() + count;
  std::string_view* words = brief_words.data() + count * kBriefWords;
  for (; request != requests.data() + kLimit && at != end; ++request, words += kBriefWords) {
    const BriefRequest brief = take_one(std::string_view(at, static_cast<std::size_t>(end - at)), words);
    if (brief.command == nullptr) [[unlikely]]
      break;
    at += brief.bytes;
    request->command = brief.command;
    request->words = words;
    request->argument_count = brief.word_count;
    request->input_end = static_cast<std::size_t>(at - input.data());
    request->has_key = request->is_plain = true;
    request->greets = false;
    request->key.seen.cell = nullptr;
    keyspace.hash(words[brief.command->keys.first], &request->key);
    keyspace.prefetch_slot(request->key);
  }
  count = static_cast<std::size_t>(request - requests.data());
  return static_cast<std::size_t>(at - input.data());
}

std::size_t Batch::take_brief_lines(std::string_view input, std::size_t begin, const Keyspace& keyspace) {
  return take_brief(input, begin, keyspace, [](std::string_view left, std::string_view* words) {
    const ShortLine line(left);
    return line.is_whole() ? take_brief_line(line, words) : BriefRequest{};
  });
}

std::size_t Batch::take_brief_frames(std::string_view input, std::size_t begin, const Keyspace& keyspace) {
  return take_brief(input, begin, keyspace, take_brief_frame);
}

void settle_words(Batch& batch, const Keyspace& keyspace) {
  if (batch.is_brief()) return;
  for (std::size_t i = 0; i < batch.count; ++i) {
    if (batch.requests[i].words == nullptr) settle(batch.requests[i], batch.arguments, keyspace);
  }
}

void prefetch_tables(const Batch& batch, const Keyspace& keyspace) {
  for (std::size_t i = 0; i < batch.count; ++i) {
    if (batch.requests[i].has_key) keyspace.prefetch_table(batch.requests[i].key);
  }
}

void prefetch_entries(Batch& batch, const Keyspace& keyspace) {
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
  } catch (const JournalFull&) {
    take_back(reply_begin, errors);
    return Outcome::kNoRoom;
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

// It has changed nothing, and will be executed again.
void BatchRun::take_back(std::size_t reply_begin, std::uint64_t errors) {
  context_.reply.roll_back({reply_begin, TextEncoder(), errors});
  context_.was_rejected = context_.counted_errors = false;
  context_.meter.drop_last();
}

// Nearly all requests: straight to the handler, with one look behind it at whether it was one to tell of. The
// client is an ordinary one, whose keys nobody remembers (run_command()).
std::size_t BatchRun::execute_plain(std::size_t place, std::size_t pause_bytes) {
  assert(place < batch_.count && batch_.requests[place].is_plain);
  const Request* request = &batch_.requests[place];
  const Request* const end = batch_.requests.data() + batch_.count;
  std::size_t input_end = input_begin(place);
  std::size_t output_end = output_.size();
  std::uint64_t slow_path_count = context_.keyspace.slow_path_count();
  std::uint64_t errors = context_.reply.error_count();
  do {
    const std::size_t reply_begin = output_end;
    const std::size_t request_begin = input_end;
    input_end = request->input_end;
    context_.meter.begin_brief(request->command);
    try {
      handler_of (*request->command)(context_, {batch_.words_of(*request), request->key});
    } catch (const std::bad_alloc&) {
      answer_out_of_memory(request->command, reply_begin);
    } catch (const JournalFull&) {
      take_back(reply_begin, errors);
      lacks_room_ = true;
      break;
    }
    output_end = output_.size();
    if (context_.reply.error_count() != errors) [[unlikely]] {
      errors = context_.reply.error_count();
      context_.meter.note_error(context_.reply.since(reply_begin),
                                std::exchange(context_.was_rejected, false));
    }
    const bool was_long = input_end - request_begin + output_end - reply_begin > CommandMeter::kMuchBytes;
    const Request& done = *request++;
    if (was_long || context_.keyspace.slow_path_count() != slow_path_count) [[unlikely]] {
      slow_path_count = context_.keyspace.slow_path_count();
      context_.meter.end_run(batch_.words_of(done), true);
      if (is_over()) break;
    }
  } while (request != end && request->is_plain && output_end < pause_bytes);
  return static_cast<std::size_t>(request - batch_.requests.data());
}

}  // namespace memento
