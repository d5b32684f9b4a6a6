// See executor.h.
#include "bus/executor.h"

#include "worker/command/command_meter.h"
#include "worker/command/command_table.h"
#include "worker/command/dispatch.h"
#include "worker/command/watched_key.h"
#include "worker/wire/word_list.h"

namespace memento::bus {
namespace {

constexpr std::size_t kKeptOutputBytes = 1 << 20;
constexpr std::size_t kKeptWords = 4096;
constexpr const char* kNoRequest = "ERR what another node sent is not a request";

// About the server, not about a key.
bool is_admin(const Command& command) { return command.has(kAdmin) && command.keys.first == 0; }

static_assert(Executor::kBatchLimit <= CommandMeter::kRunLimit);

Protocol protocol_of(const PieceHeader& header) {
  return header.protocol > static_cast<std::uint8_t>(Protocol::kResp3)
             ? Protocol::kResp2
             : static_cast<Protocol>(header.protocol);
}

}  // namespace

void Executor::add(const PieceHeader& header, std::string_view message) {
  Request& request = requests_[count_++];
  request = Request{header, message, nullptr, words_.size(), 0, {}, false};
  if (header.kind == PieceKind::kExec || !take_word_list(&request.message, &words_)) return;
  request.word_count = words_.size() - request.first_word;
  const auto words = words_of(request);
  if (header.kind != PieceKind::kCommand || words.empty()) return;
  request.command = resolve_subcommand(find_command(words[0]), words);
  if (request.command == nullptr || request.command->keys.first == 0) return;
  const auto place = static_cast<std::size_t>(request.command->keys.first);
  if (place >= words.size() || words[place].size() > kKeyLimitBytes) return;
  request.key = keyspace_.hash(words[place]);
  request.has_key = true;
  keyspace_.prefetch_slot(request.key);
}

void Executor::run(const OnReply& on_reply) {
  for (std::size_t i = 0; i < count_; ++i) {
    if (requests_[i].has_key) keyspace_.prefetch_table(requests_[i].key);
  }
  for (std::size_t i = 0; i < count_; ++i) {
    if (requests_[i].has_key) keyspace_.prefetch_entry(requests_[i].key);
  }
  bool has_long_reply = false;
  CommandMeter meter(services_, client_);
  CommandContext context{keyspace_, ReplyWriter(output_), services_, client_, meter};
  for (std::size_t i = 0; i < count_; ++i) {
    const Request& request = requests_[i];
    const bool is_alone =
        meter.begin(request.command, request.word_count, [&] { return words_of(requests_[i - 1]); });
    const std::uint64_t detours = keyspace_.detours();
    const std::uint64_t errors = context.reply.error_count();
    execute(request, context);
    if (context.reply.error_count() != errors) [[unlikely]] {
      const bool was_rejected = std::exchange(context.was_rejected, false);
      if (!std::exchange(context.counted_errors, false)) meter.note_error(output_.view(), was_rejected);
    }
    const bool was_long = request.header.payload_bytes + output_.size() > CommandMeter::kMuchBytes || keyspace_.detours() != detours;
    if (is_alone || was_long) meter.end_run(words_of(request), was_long);
    has_long_reply |= output_.size() > kLongReplyBytes;
    on_reply(request.header, output_.view());
    output_.consume(output_.size());
  }
  if (count_ > 0) meter.end_run(words_of(requests_[count_ - 1]), false);
  count_ = 0;
  batch_limit_ = has_long_reply ? 1 : std::min(2 * batch_limit_, kBatchLimit);
  output_.shrink(kKeptOutputBytes);
  if (words_.capacity() > kKeptWords) words_ = {};
  words_.clear();
}

void Executor::execute(const Request& request, CommandContext& context) {
  client_.protocol = protocol_of(request.header);
  context.reply.set_protocol(client_.protocol);
  const auto words = words_of(request);
  if (request.header.kind == PieceKind::kExec) return exec(request, context);
  if (words.empty()) return context.reply.error(kNoRequest);
  if (request.header.kind == PieceKind::kWatch) return watch(request, output_);
  if (request.command == nullptr || request.command->is_for_connection() || is_admin(*request.command)) return context.reply.error(kNoRequest);
  dispatch(context, request.command, Call{words, request.key});
}

void Executor::watch(const Request& request, ByteBuffer& output) {
  for (const std::string_view key : words_of(request)) {
    if (key.size() > kKeyLimitBytes) continue;
    const std::optional<ChangeMark> mark = keyspace_.mark(keyspace_.hash(key));
    if (mark) output.append(bytes_of_mark(*mark));
  }
}

void Executor::exec(const Request& request, CommandContext& context) {
  std::string_view rest = request.message;
  std::vector<std::string_view> watched;
  bool is_good = take_word_list(&rest, &watched) && watched.size() % 2 == 0;
  client_.transaction = std::make_unique<Transaction>();
  for (std::size_t i = 0; is_good && i < watched.size(); i += 2) {
    const std::optional<ChangeMark> mark = mark_of_bytes(watched[i + 1]);
    is_good = watched[i].size() <= kKeyLimitBytes && mark;
    if (is_good) client_.watched.emplace(watched[i], *mark);
  }
  while (is_good && !rest.empty()) {
    std::vector<std::string_view> words;
    is_good = take_word_list(&rest, &words) && !words.empty();
    if (!is_good) break;
    const Command* const command = resolve_subcommand(find_command(words[0]), words);
    is_good = command != nullptr && command->accepts(words.size()) && !command->is_for_connection() &&
              !is_admin(*command) && !command->has(kContainer);
    if (!is_good || !check_keys(context, *command, Call{words, {}})) break;
    const auto first = static_cast<std::size_t>(command->keys.first);
    client_.transaction->queue.add(*command, words, first != 0 && first < words.size() ? keyspace_.hash(words[first]) : HashedKey{});
  }
  static const Command* const exec_command = find_command("EXEC");
  static constexpr std::string_view kName[] = {"EXEC"};
  if (is_good) run_command(context, *exec_command, Call{kName, {}});
  if (!is_good) context.reply.error(kNoRequest);
  client_.transaction.reset();
  client_.watched.clear();
}

}  // namespace memento::bus
