// See session.h. Parsing; the execution of what was parsed is in consumption.cc.
#include "worker/session/session.h"

#include <algorithm>

#include "worker/command/command_table.h"
#include "worker/text/words.h"
#include "worker/wire/short_line.h"

namespace memento {
namespace {

// A command word and its separators beside the longest key and value.
constexpr std::size_t kLineSlackBytes = 64;
// Of a line that is no command's, as in Redis.
constexpr std::size_t kInlineLimitBytes = 64 * 1024;
// Before the password was given nobody may make the server keep much.
constexpr std::size_t kStrangerArguments = 10;
constexpr std::size_t kStrangerBulkBytes = 16 * 1024;
constexpr std::size_t kStrangerRequestBytes =
    kStrangerArguments * kStrangerBulkBytes + 1024;  // with the lengths
// Beside one value of the longest kind.
constexpr std::size_t kRequestSlackBytes = 64 << 20;
constexpr std::int64_t kArgumentLimit = 1 << 30;

RespLimits limits_of(const ClientState& client, const Keyspace& keyspace) {
  if (!client.authenticated)
    return {static_cast<std::int64_t>(kStrangerArguments), static_cast<std::int64_t>(kStrangerBulkBytes),
            kStrangerRequestBytes, false};
  const std::uint64_t bulk_bytes = std::max<std::uint64_t>(keyspace.value_limit_bytes(), 2 * kKeyLimitBytes);
  return {kArgumentLimit, static_cast<std::int64_t>(bulk_bytes), bulk_bytes + kRequestSlackBytes, true};
}

// What somebody who has not given the password may not send.
bool is_too_much(std::span<const std::string_view> words) {
  const auto is_long = [](std::string_view word) { return word.size() > kStrangerBulkBytes; };
  return words.size() > kStrangerArguments || std::ranges::any_of(words, is_long);
}

// As the checks of load balancers, and other tools of Redis's, begin.
bool begins_as_tools_do(std::string_view bytes) { return bytes.starts_with("PING\r\n"); }

bool begins_with_command(std::string_view line) { return find_command(take_word(&line)) != nullptr; }

}  // namespace

void Session::add_request(const Command* command, std::size_t first_argument, std::size_t input_end,
                          Batch& batch) {
  const std::span<const std::string_view> words = std::span(batch.arguments).subspan(first_argument);
  Request& request = batch.requests[batch.count++];
  ++batch.general_count;
  request.command = resolve_subcommand(command, words);
  request.words = nullptr;
  request.first_argument = first_argument;
  request.argument_count = words.size();
  request.input_end = input_end;
  request.greets = fresh_;
}

template <class AnyLine>
void Session::parse_line(AnyLine& line, std::size_t input_end, Batch& batch) {
  const bool greets = fresh_ && line.text() == "PING";
  const std::size_t first = batch.arguments.size();
  const std::string_view name = line.take_word();
  if (name.empty()) return;
  fresh_ = greets;
  const Command* command = find_command(name);
  batch.arguments.push_back(name);
  split_words(line, command != nullptr ? static_cast<std::size_t>(command->text_rest) : 0, &batch.arguments);
  add_request(command, first, input_end, batch);
}

// Takes the brief requests from `taken` on; how many bytes are taken then. None, where one goes on that came
// in part, or limits are others.
inline std::size_t Session::take_brief(std::string_view bytes, std::size_t taken, const Keyspace& keyspace,
                                       Batch& batch) {
  if (!client_.authenticated || refusal_ != nullptr || scanned_bytes_ > 0 || !parser_.is_between_requests())
      [[unlikely]] {
    return taken;
  }
  const std::size_t end = is_text() ? batch.take_brief_lines(bytes, taken, keyspace)
                                    : batch.take_brief_frames(bytes, taken, keyspace);
  if (end > taken) fresh_ = false;
  return end;
}

// From `taken` bytes on; how many are taken then. Stops in front of a request in RESP.
std::size_t Session::prepare_lines(std::string_view bytes, std::size_t taken, const Keyspace& keyspace,
                                   Batch& batch) {
  while (batch.count < Batch::kLimit && taken < bytes.size() && bytes[taken] != '*' &&
         take_line(bytes.substr(taken), keyspace, batch, &taken)) {
    taken = take_brief(bytes, taken, keyspace, batch);
  }
  return taken;
}

// A line that may be anything. False: it is not whole, or not to be taken now.
bool Session::take_line(std::string_view left, const Keyspace& keyspace, Batch& batch, std::size_t* taken) {
  if (fresh_ && begins_as_tools_do(left)) return false;
  const bool is_stranger = !client_.authenticated;
  if (scanned_bytes_ == 0 && !is_stranger) {
    if (ShortLine line(left); line.is_whole()) {
      *taken += line.bytes_with_end();
      parse_line(line, *taken, batch);
      return true;
    }
  }
  const std::size_t line_limit =
      is_stranger ? kInlineLimitBytes : kKeyLimitBytes + keyspace.value_limit_bytes() + kLineSlackBytes;
  std::string_view text;
  std::size_t line_bytes = 0;
  const bool whole = next_line(left, &scanned_bytes_, &text, &line_bytes);
  const std::size_t seen_bytes = whole ? text.size() : scanned_bytes_;
  if (seen_bytes > line_limit || (seen_bytes > kInlineLimitBytes && !begins_with_command(left))) {
    broken_ = batch.count == 0;
    if (!broken_) forget_incomplete();
    return false;
  }
  if (!whole) return false;
  Line line(text);
  const std::size_t count = batch.count;
  parse_line(line, *taken + line_bytes, batch);
  if (is_stranger && batch.count > count && is_too_much(batch.arguments_of(batch.requests[count])))
      [[unlikely]] {
    batch.arguments.resize(batch.requests[--batch.count].first_argument);
    --batch.general_count;
    broken_ = batch.count == 0;  // else the requests before it may change the limits
    return false;
  }
  *taken += line_bytes;
  return true;
}

std::size_t Session::prepare_frames(std::string_view bytes, std::size_t taken, const Keyspace& keyspace,
                                    Batch& batch) {
  while (batch.count < Batch::kLimit && taken < bytes.size() &&
         take_frame(bytes.substr(taken), keyspace, batch, &taken)) {
    taken = take_brief(bytes, taken, keyspace, batch);
  }
  return taken;
}

// A request in RESP, or inline, that may be anything. False: it is not whole, or none.
bool Session::take_frame(std::string_view left, const Keyspace& keyspace, Batch& batch, std::size_t* taken) {
  const std::size_t first = batch.arguments.size();
  std::size_t request_bytes = 0;
  const RespParser::Outcome outcome =
      parser_.parse(left, limits_of(client_, keyspace), &batch.arguments, &request_bytes, &batch.unquoted);
  if (outcome == RespParser::Outcome::kBroken) {
    broken_ = batch.count == 0;
    if (!broken_) forget_incomplete();  // the requests before it may change the limits
    batch.arguments.resize(first);
  }
  if (outcome != RespParser::Outcome::kRequest) return false;
  *taken += request_bytes;
  if (batch.arguments.size() > first) add_request(find_command(batch.arguments[first]), first, *taken, batch);
  return true;
}

void Session::forget_incomplete() {
  parser_.reset();
  scanned_bytes_ = 0;
}

void Session::prepare(std::string_view bytes, Keyspace& keyspace, Batch& batch) {
  batch.clear();
  broken_ = false;
  if (closing_) [[unlikely]]
    return;
  keyspace.select(client_.database);
  std::size_t taken = take_brief(bytes, 0, keyspace, batch);
  if (taken < bytes.size() && batch.count < Batch::kLimit) [[unlikely]] {
    taken = prepare_others(bytes, taken, keyspace, batch);
    settle_words(batch, keyspace);
  }
  batch.input_bytes = taken;
  batch.is_prepared = true;
}

std::size_t Session::prepare_others(std::string_view bytes, std::size_t taken, const Keyspace& keyspace,
                                    Batch& batch) {
  if (taken == 0 && is_text() && (bytes.starts_with('*') || (fresh_ && begins_as_tools_do(bytes)))) {
    client_.protocol = Protocol::kResp2;
    fresh_ = false;
    forget_incomplete();
    taken = take_brief(bytes, 0, keyspace, batch);
  }
  if (refusal_ != nullptr) {
    broken_ = !bytes.empty();
    return 0;
  }
  return is_text() ? prepare_lines(bytes, taken, keyspace, batch)
                   : prepare_frames(bytes, taken, keyspace, batch);
}

void Session::report_broken(CommandContext& command) {
  if (refusal_ != nullptr)
    return command.reply.error(is_text() ? refusal_->text_error : refusal_->resp_error);
  if (!is_text()) return command.reply.error(parser_.error());
  command.reply.error(client_.authenticated ? "ERR Protocol error: line is longer than the limits of a key "
                                              "and a value together, or than 65536 bytes "
                                              "without a command; the connection is closed"
                                            : "ERR Protocol error: before the password is given a request "
                                              "may have 10 words of 16384 bytes each, and a line "
                                              "65536 bytes; the connection is closed");
}

}  // namespace memento
