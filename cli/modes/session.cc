// One command, or a script: see session.h. A script's connection and its requests in flight are one Pipeline
// object; the loop in run_script only cuts the input into lines.
#include "cli/modes/session.h"

#include <fcntl.h>
#include <poll.h>
#include <strings.h>
#include <unistd.h>

#include <cstdio>
#include <deque>

#include "cli/modes/save.h"
#include "cli/net/interrupt.h"
#include "worker/text/words.h"
#include "worker/wire/resp_codec.h"

namespace memento::cli {
namespace {

constexpr std::size_t kOutstandingMax = 256;  ///< requests a script sends ahead; bounds the replies held here
constexpr std::size_t kInputSizeBytes = 64 * 1024;
constexpr const char* kStdin = "stdin";

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

/// The worse of two statuses: an error reply does not hide that the password was wrong.
CliStatus worse(CliStatus a, CliStatus b) { return static_cast<int>(a) > static_cast<int>(b) ? a : b; }

/// A script's requests in flight: keeps their count bounded and their replies in order.
class Pipeline {
 public:
  Pipeline(Connection connection, const Options& options)
      : connection_(std::move(connection)), options_(options) {}

  bool is_text() const { return connection_.protocol() == WireProtocol::kText; }

  Outcome send(const Words& words, std::uint64_t line) {
    if (lines_.size() == kOutstandingMax) {
      if (Outcome one = print_one(); !one) return one;
    }
    Outcome sent = connection_.send(words);
    if (!sent) return sent;
    if (is_answered_by_push(words[0]) && !is_text()) {
      // It is answered by pushes, of which there may be several, so it takes no place in the order of
      // replies.
      if (Outcome all = print_all(); !all) return all;
      const Result<Reply> push = connection_.read();
      if (!push) return push.error();
      note(print_reply(*push, options_, where(line)));
      return Done{};
    }
    lines_.push_back(line);
    return Done{};
  }

  Outcome print_all() {
    while (!lines_.empty()) {
      if (Outcome one = print_one(); !one) return one;
    }
    std::fflush(stdout);
    return Done{};
  }

  void note(CliStatus status) { status_ = worse(status_, status); }
  CliStatus status() const { return status_; }

 private:
  Outcome print_one() {
    const Result<Reply> reply = connection_.read_reply();
    if (!reply) return reply.error();
    note(print_reply(*reply, options_, where(lines_.front())));
    lines_.pop_front();
    return Done{};
  }

  std::string where(std::uint64_t line) const {
    return (options_.script_path.empty() ? kStdin : options_.script_path) + ":" + std::to_string(line) + ": ";
  }

  Connection connection_;
  const Options& options_;
  std::deque<std::uint64_t> lines_;  ///< of the requests whose replies are to come
  CliStatus status_ = CliStatus::kOk;
};

/// The words to send for a script's line; in the text protocol the line itself.
Result<Words> request_words(std::string_view line, bool is_text) {
  const std::string request = request_of(line);
  if (request.empty()) return Words{};
  return is_text ? Result<Words>(Words{request}) : words_of(request);
}

/// Sends the whole lines of `input` and takes them out of it; true when one of them was QUIT.
Result<bool> send_whole_lines(Pipeline& pipeline, std::string& input, std::uint64_t* line_number) {
  std::size_t begin = 0;
  bool quits = false;
  for (std::size_t end = 0; (end = input.find('\n', begin)) != std::string::npos; begin = end + 1) {
    ++*line_number;
    const Result<Words> words =
        request_words(std::string_view(input).substr(begin, end - begin), pipeline.is_text());
    if (!words) {
      if (Outcome printed = pipeline.print_all(); !printed) return printed.error();
      complain("line " + std::to_string(*line_number) + " was not sent: " + words.error().message);
      pipeline.note(CliStatus::kUsage);
      continue;
    }
    if (words->empty()) continue;
    quits = words->size() == 1 && is_quit((*words)[0]);
    if (quits) break;
    if (Outcome sent = pipeline.send(*words, *line_number); !sent) return sent.error();
  }
  input.erase(0, begin);
  return quits;
}

Result<std::string> read_all(int input) {
  std::string bytes;
  for (;;) {
    const std::size_t filled = bytes.size();
    bytes.resize(filled + kInputSizeBytes);
    const ssize_t got = ::read(input, bytes.data() + filled, kInputSizeBytes);
    bytes.resize(filled + static_cast<std::size_t>(got > 0 ? got : 0));
    if (got == 0) return bytes;
    if (got < 0 && errno != EINTR) return system_error("read(stdin)");
  }
}

/// One round of run_command's repetitions.
CliStatus request_and_print(Connection& connection, const Words& words, const Options& options) {
  if (is_endless(words[0])) {
    if (const Outcome sent = connection.send(words); !sent)
      return complain_of(sent.error(), options.endpoint);
    return print_stream(connection, options);
  }
  Result<Reply> reply = Error{};
  if (is_answered_by_push(words[0])) {
    const Outcome sent = connection.send(words);
    reply = sent ? connection.read() : Result<Reply>(sent.error());
  } else if (waits_for_snapshot(words)) {
    reply = request_snapshot(connection, words, options.endpoint);
  } else {
    reply = connection.request(words);
  }
  if (!reply && is_answered_by_end(words, reply.error())) return CliStatus::kOk;
  if (!reply) {
    const CliStatus status = complain_of(reply.error(), options.endpoint);
    complain("the command may have been carried out; look before you repeat it");
    return status;
  }
  return print_reply(*reply, options);
}

/// Waits; false when Ctrl-C ended the wait.
bool wait_s(double seconds) {
  if (seconds > 0) poll_or_interrupt(nullptr, 0, static_cast<int>(seconds * 1000));
  return !is_interrupted();
}

}  // namespace

void complain(const std::string& message) { std::fprintf(stderr, "memento-cli: %s\n", message.c_str()); }

CliStatus complain_of(const Error& error, const Endpoint& endpoint) {
  complain(error.message);
  const CliStatus status = status_of(error);
  if (status == CliStatus::kAuthentication) {
    complain("give the password with --askpass, MEMENTO_AUTH or -a");
  } else if (status == CliStatus::kTimeout) {
    complain("the server at " + endpoint.to_string() +
             " did not answer in time; --timeout changes how long to wait");
  } else if (error.error_number == EPROTO) {
    complain("is " + endpoint.to_string() +
             " a memento or Redis server? If it is, --protocol resp2 may help");
  } else if (error.error_number != EINTR && error.error_number != ECONNRESET) {
    complain("is the server running? Start it with `memento`, or name its address: memento-cli HOST PORT");
  }
  return status;
}

Result<Connection> connect_or_complain(const Endpoint& endpoint) {
  Result<Connection> connection = Connection::open(endpoint);
  if (!connection) static_cast<void>(complain_of(connection.error(), endpoint));
  return connection;
}

bool write_output(std::string_view bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size()) return true;
  if (errno != EPIPE) complain(system_error("write(stdout)").message);
  return false;
}

CliStatus print_reply(const Reply& reply, const Options& options, std::string_view where) {
  const bool is_text = options.endpoint.protocol == WireProtocol::kText;
  const bool is_plain = is_text || options.shows_plainly;
  if (reply.is_error() && !is_plain && options.format.format != OutputFormat::kByType &&
      options.format.format != OutputFormat::kJson) {
    std::fflush(stdout);
    complain(std::string(where) + without_controls(reply.text));
  } else {
    std::string text = format_reply(reply, options.format);
    if (is_plain && reply.is_error() && !is_text) text.insert(0, "(error) ");
    if (is_plain && reply.type == ReplyType::kNil && options.format.format == OutputFormat::kRaw)
      text = "(null)\n";
    static_cast<void>(write_output(text));
  }
  if (!reply.is_error()) return CliStatus::kOk;
  if (is_authentication_error(reply)) return CliStatus::kAuthentication;
  return options.ignores_errors ? CliStatus::kOk : CliStatus::kErrorReply;
}

CliStatus print_stream(Connection& connection, const Options& options) {
  std::fflush(stdout);
  for (;;) {
    // The next message may come at any time, so there is no time-out.
    Result<std::optional<Reply>> reply = connection.read_within(-1);
    if (!reply) {
      std::fflush(stdout);
      if (reply.error().error_number == EINTR) return CliStatus::kOk;
      return complain_of(reply.error(), options.endpoint);
    }
    const CliStatus status = print_reply(**reply, options);
    if (std::fflush(stdout) != 0) return CliStatus::kOk;  // the reader of stdout is gone
    if (status != CliStatus::kOk) return status;
  }
}

std::string request_of(std::string_view line) {
  // Blanks before the command go. Those after it stay: they may belong to a value.
  const std::size_t first = line.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  line.remove_prefix(first);
  if (line.ends_with('\r')) line.remove_suffix(1);
  const std::string_view word = line.substr(0, line.find_last_not_of(" \t") + 1);
  return is_word(word, "HELP") ? "HELP" : std::string(line);
}

Result<Words> words_of(std::string_view line) {
  while (!line.empty() && is_blank(line.back())) line.remove_suffix(1);
  Arguments arguments;
  std::deque<std::string> unquoted;
  if (!split_quoted_words(line, &arguments, &unquoted)) {
    return Error{ExitStatus::kUsage, 0, "a quote does not end, or something follows it without a space"};
  }
  return Words(arguments.begin(), arguments.end());
}

bool is_quit(std::string_view request) {
  const std::string_view word = request.substr(0, request.find_last_not_of(" \t") + 1);
  return is_word(word, "QUIT") || is_word(word, "EXIT");
}

bool is_endless(std::string_view command) {
  for (const char* name : {"SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "SUB", "MONITOR"}) {
    if (is_word(command, name)) return true;
  }
  return false;
}

bool is_answered_by_push(std::string_view command) {
  for (const char* name : {"UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE", "UNSUB"}) {
    if (is_word(command, name)) return true;
  }
  return is_endless(command) && !is_word(command, "MONITOR");
}

CliStatus run_command(const Options& options) {
  Words words = options.command;
  if (options.last_from_stdin) {
    Result<std::string> last = read_all(STDIN_FILENO);
    if (!last) return complain(last.error().message), CliStatus::kUsage;
    words.push_back(std::move(*last));
  }
  if (options.endpoint.protocol == WireProtocol::kText) {
    std::string line;
    for (const std::string& word : words) line.append(line.empty() ? "" : " ").append(word);
    line = request_of(line);
    if (line.empty() || line.find('\n') != std::string::npos) {
      complain("in the text protocol a command is one line; --protocol resp3 sends arguments of any bytes");
      return CliStatus::kUsage;
    }
    // The first word alone, for the commands that are told by it.
    words = {line.substr(0, line.find(' '))};
    if (line.size() > words[0].size()) words.push_back(line.substr(words[0].size() + 1));
  }
  Result<Connection> connection = connect_or_complain(options.endpoint);
  if (!connection) return status_of(connection.error());
  if (words.size() == 1 && is_quit(words[0])) return CliStatus::kOk;
  CliStatus status = CliStatus::kOk;
  for (std::uint64_t round = 0; options.repeat_count == 0 || round < options.repeat_count; ++round) {
    if (round > 0 && !wait_s(options.interval_s)) break;
    status = worse(status, request_and_print(*connection, words, options));
    std::fflush(stdout);
    if (static_cast<int>(status) > static_cast<int>(CliStatus::kErrorReply)) break;
  }
  if (status == CliStatus::kAuthentication) complain("give the password with --askpass, MEMENTO_AUTH or -a");
  return status;
}

CliStatus run_script(const Options& options) {
  const Fd file(options.script_path.empty() ? -1 : ::open(options.script_path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!options.script_path.empty() && !file) {
    return complain(system_error("open(" + options.script_path + ")").message), CliStatus::kUsage;
  }
  const int input = file ? file.get() : STDIN_FILENO;
  Result<Connection> connection = connect_or_complain(options.endpoint);
  if (!connection) return status_of(connection.error());
  Pipeline pipeline(std::move(*connection), options);

  const auto lost = [&](const Error& error) {
    std::fflush(stdout);
    const CliStatus status = complain_of(error, options.endpoint);
    complain("commands after the last reply above may or may not have been carried out");
    return status;
  };

  std::string pending;  // input not yet sent: the beginning of a line
  std::uint64_t line_number = 0;
  bool at_end = false;
  while (!at_end) {
    const std::size_t filled = pending.size();
    pending.resize(filled + kInputSizeBytes);
    const ssize_t got = ::read(input, pending.data() + filled, kInputSizeBytes);
    const int failure = errno;
    pending.resize(filled + static_cast<std::size_t>(got > 0 ? got : 0));
    if (got < 0 && failure == EINTR && !is_interrupted()) continue;
    if (got < 0) {
      errno = failure;
      complain(system_error("read(" + (file ? options.script_path : std::string(kStdin)) + ")").message);
      return CliStatus::kUsage;
    }
    at_end = got == 0;
    if (at_end && !pending.empty()) pending.push_back('\n');  // a last line without its end

    const Result<bool> quits = send_whole_lines(pipeline, pending, &line_number);
    // A server that closes may have answered before: print what came, then say what happened.
    const Outcome printed = pipeline.print_all();
    if (!quits) return lost(quits.error());
    if (!printed) return lost(printed.error());
    at_end = at_end || *quits;
  }
  return pipeline.status();
}

}  // namespace memento::cli
