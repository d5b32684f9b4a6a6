// See pipe.h. The first byte that is no line end tells the input's form: '*' begins RESP.
#include "cli/modes/pipe.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <deque>

#include "cli/modes/session.h"
#include "cli/net/interrupt.h"
#include "cli/net/pipeline.h"
#include "cli/show/progress.h"
#include "shm/os/clock.h"
#include "worker/command/command_table.h"
#include "worker/wire/resp_codec.h"

namespace memento::cli {
namespace {

constexpr std::size_t kReadBytes = 256 * 1024;
constexpr std::uint64_t kErrorsShown = 100;
constexpr RespLimits kRespLimits{.arguments = 1 << 20,
                                 .bulk_bytes = std::int64_t{1} << 30,
                                 .request_bytes = std::size_t{2} << 30,
                                 .is_authenticated = true};

std::uint64_t size_of_stdin() {
  struct stat status {};
  return ::fstat(STDIN_FILENO, &status) == 0 && S_ISREG(status.st_mode)
             ? static_cast<std::uint64_t>(status.st_size)
             : 0;
}

class Pipe {
 public:
  Pipe(Connection connection, const Options& options)
      : options_(options),
        pipeline_(std::move(connection), options.depth,
                  [this](std::uint64_t line, Reply& reply) { note(line, reply); }),
        progress_(size_of_stdin()) {}

  CliStatus run() {
    begin_ns_ = monotonic_time_ns();
    Outcome done = send_input();
    if (done) done = pipeline_.finish();
    progress_.clear();
    if (!done) {
      const CliStatus status = complain_of(done.error(), options_.endpoint);
      summarize();
      complain(std::to_string(pipeline_.outstanding_count()) +
               " commands were not answered: they may or may not have been carried out");
      return status;
    }
    summarize();
    if (input_is_broken_) return CliStatus::kUsage;
    return error_count_ > 0 && !options_.ignores_errors ? status_of_errors_ : CliStatus::kOk;
  }

 private:
  /// Bytes of stdin are added to input_; false at its end.
  Result<bool> read_input() {
    const std::size_t filled = input_.size();
    input_.resize(filled + kReadBytes);
    ssize_t got = 0;
    do {
      got = ::read(STDIN_FILENO, input_.data() + filled, kReadBytes);
    } while (got < 0 && errno == EINTR && !is_interrupted());
    const int failure = errno;
    input_.resize(filled + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    errno = failure;
    if (got < 0) return Error{ExitStatus::kSystem, errno, system_error("read(stdin)").message};
    read_bytes_ += static_cast<std::uint64_t>(got);
    return got > 0;
  }

  Outcome send_input() {
    for (bool is_open = true; is_open && !input_is_broken_;) {
      const Result<bool> more = read_input();
      if (!more) return more.error();
      is_open = *more;
      if (!is_open && !input_.empty() && !is_resp_) input_.push_back('\n');  // a last line without its end
      if (line_ == 0 && !input_.empty()) is_resp_ = input_[0] == '*';
      Outcome done = is_resp_ ? send_requests() : send_lines();
      if (!done) return done;
      if (Outcome flushed = pipeline_.flush(); !flushed) return flushed;
      show_progress();
    }
    if (is_resp_ && !input_.empty() && !input_is_broken_) complain_of_input("the last request is not whole");
    return Done{};
  }

  Outcome send_lines() {
    std::size_t begin = 0;
    for (std::size_t end = 0; (end = input_.find('\n', begin)) != std::string::npos; begin = end + 1) {
      ++line_;
      std::string_view line = std::string_view(input_).substr(begin, end - begin);
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (Outcome sent = send_line(line); !sent) return sent;
    }
    input_.erase(0, begin);
    return Done{};
  }

  Outcome send_line(std::string_view text) {
    words_.clear();
    Line line(text);
    const std::string_view name = line.take_word();
    if (name.empty()) return Done{};
    words_.push_back(name);
    if (pipeline_.protocol() == WireProtocol::kText) {
      pipeline_.output()->append(text).push_back('\n');
      return pipeline_.sent(line_);
    }
    const Command* command = find_command(name);
    split_words(line, command != nullptr ? static_cast<std::size_t>(command->text_rest) : 0, &words_);
    append_request(words_, pipeline_.output());
    return pipeline_.sent(line_);
  }

  Outcome send_requests() {
    std::string_view left(input_);
    while (!left.empty()) {
      words_.clear();
      std::size_t taken = 0;
      std::deque<std::string> unquoted;
      const RespParser::Outcome outcome = parser_.parse(left, kRespLimits, &words_, &taken, &unquoted);
      if (outcome == RespParser::Outcome::kIncomplete) break;
      if (outcome == RespParser::Outcome::kBroken) {
        complain_of_input(parser_.error());
        return Done{};
      }
      ++line_;
      if (!words_.empty()) {
        pipeline_.output()->append(left.substr(0, taken));
        if (Outcome sent = pipeline_.sent(line_); !sent) return sent;
      }
      left.remove_prefix(taken);
    }
    input_.erase(0, input_.size() - left.size());
    return Done{};
  }

  void complain_of_input(const std::string& what) {
    input_is_broken_ = true;
    progress_.clear();
    complain("stdin, after request " + std::to_string(line_) + ": " + what +
             "; nothing from there on was sent");
  }

  void note(std::uint64_t line, const Reply& reply) {
    ++reply_count_;
    if (!reply.is_error()) return;
    if (is_authentication_error(reply)) status_of_errors_ = CliStatus::kAuthentication;
    if (++error_count_ > kErrorsShown) return;
    progress_.clear();
    complain((is_resp_ ? "request " : "line ") + std::to_string(line) + ": " + without_controls(reply.text));
    if (error_count_ == kErrorsShown) complain("more errors are counted, but not shown");
  }

  double seconds() const { return static_cast<double>(monotonic_time_ns() - begin_ns_) / 1e9; }

  void show_progress() {
    if (!progress_.is_due()) return;
    const double took_s = std::max(seconds(), 1e-9);
    char text[160];
    std::snprintf(text, sizeof text, "%" PRIu64 " commands, %s/s, %.1f MB/s, %" PRIu64 " errors",
                  reply_count_, short_number(static_cast<double>(reply_count_) / took_s).c_str(),
                  static_cast<double>(pipeline_.sent_bytes()) / 1e6 / took_s, error_count_);
    progress_.show(read_bytes_, text);
  }

  void summarize() const {
    const double took_s = std::max(seconds(), 1e-9);
    std::fprintf(stderr, "%" PRIu64 " commands in %.2f s: %.0f/s, %.1f MB/s; %" PRIu64 " errors\n",
                 reply_count_, took_s, static_cast<double>(reply_count_) / took_s,
                 static_cast<double>(pipeline_.sent_bytes()) / 1e6 / took_s, error_count_);
  }

  const Options& options_;
  BulkPipeline pipeline_;
  Progress progress_;
  RespParser parser_;
  std::string input_;
  Arguments words_;
  bool is_resp_ = false;
  bool input_is_broken_ = false;
  std::uint64_t line_ = 0;  ///< of the input; in RESP: the request's number
  std::uint64_t read_bytes_ = 0;
  std::uint64_t reply_count_ = 0;
  std::uint64_t error_count_ = 0;
  CliStatus status_of_errors_ = CliStatus::kErrorReply;
  std::int64_t begin_ns_ = 0;
};

}  // namespace

CliStatus run_pipe(const Options& options) {
  Result<Connection> connection = connect_or_complain(options.endpoint);
  if (!connection) return status_of(connection.error());
  return Pipe(std::move(*connection), options).run();
}

}  // namespace memento::cli
