// One command, or a script from stdin: see session.h. A script's connection and its requests in flight are
// one Pipeline object; the loop in run_script only cuts the input into lines.
#include "cli/session.h"

#include <strings.h>
#include <unistd.h>

#include <cstdio>

namespace memento {
namespace {

constexpr std::size_t kOutstandingMax = 256;  ///< requests a script sends ahead; bounds the replies held here
constexpr std::size_t kInputSizeBytes = 64 * 1024;

bool equals_ignoring_case(std::string_view text, std::string_view word) {
  return text.size() == word.size() && strncasecmp(text.data(), word.data(), word.size()) == 0;
}

/// A script's requests in flight: keeps their count bounded and their replies in order.
class Pipeline {
 public:
  explicit Pipeline(Client client) : client_(std::move(client)) {}

  Outcome send(std::string_view request) {
    if (outstanding_count_ == kOutstandingMax) {
      Outcome one = print_one();
      if (!one) return one;
    }
    Outcome sent = client_.send_line(request);
    if (sent) ++outstanding_count_;
    return sent;
  }

  Outcome print_all() {
    while (outstanding_count_ > 0) {
      Outcome one = print_one();
      if (!one) return one;
    }
    std::fflush(stdout);
    return Done{};
  }

  bool has_error_reply() const { return has_error_reply_; }

 private:
  Outcome print_one() {
    const Result<std::string> reply = client_.read_reply();
    if (!reply) return reply.error();
    --outstanding_count_;
    has_error_reply_ = has_error_reply_ || is_error_reply(*reply);
    print_reply(*reply);
    return Done{};
  }

  Client client_;
  std::size_t outstanding_count_ = 0;
  bool has_error_reply_ = false;
};

/// Sends the whole lines of `input` and takes them out of it; true when one of them was QUIT.
Result<bool> send_whole_lines(Pipeline& pipeline, std::string& input) {
  std::size_t begin = 0;
  bool quits = false;
  for (std::size_t end = 0; (end = input.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const std::string request = request_of(std::string_view(input).substr(begin, end - begin));
    if (request.empty()) continue;
    quits = is_quit(request);
    if (quits) break;
    Outcome sent = pipeline.send(request);
    if (!sent) return sent.error();
  }
  input.erase(0, begin);
  return quits;
}

}  // namespace

void complain(const std::string& message) { std::fprintf(stderr, "memento-cli: %s\n", message.c_str()); }

Result<Client> connect_or_complain(const Address& address) {
  Result<Client> client = Client::connect(address);
  if (!client) {
    complain(client.error().message);
    complain("is the server running? Start it with `memento`, or name its address: memento-cli HOST PORT");
  }
  return client;
}

void print_reply(const std::string& reply) {
  std::fwrite(reply.data(), 1, reply.size(), stdout);
  std::fputc('\n', stdout);
}

std::string request_of(std::string_view line) {
  // Blanks before the command go. Those after it stay: they may belong to a value.
  const std::size_t first = line.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  line.remove_prefix(first);
  if (line.ends_with('\r')) line.remove_suffix(1);
  const std::string_view word = line.substr(0, line.find_last_not_of(" \t") + 1);
  return equals_ignoring_case(word, "help") ? "HELP" : std::string(line);
}

bool is_quit(std::string_view request) {
  const std::string_view word = request.substr(0, request.find_last_not_of(" \t") + 1);
  return equals_ignoring_case(word, "quit") || equals_ignoring_case(word, "exit");
}

CliStatus run_command(const Address& address, const std::string& command) {
  const std::string request = request_of(command);
  if (request.empty() || request.find('\n') != std::string::npos) {
    complain("a command is one line of text; send several with: printf 'PING\\nCOUNT\\n' | memento-cli");
    return CliStatus::kUsage;
  }
  Result<Client> client = connect_or_complain(address);
  if (!client) return CliStatus::kNoConnection;
  if (is_quit(request)) return CliStatus::kOk;
  const Result<std::string> reply = client->request(request);
  if (!reply) {
    complain(reply.error().message);
    complain("the command may have been carried out; look before you repeat it");
    return CliStatus::kNoConnection;
  }
  print_reply(*reply);
  return is_error_reply(*reply) ? CliStatus::kErrorReply : CliStatus::kOk;
}

CliStatus run_script(const Address& address, int input) {
  Result<Client> client = connect_or_complain(address);
  if (!client) return CliStatus::kNoConnection;
  Pipeline pipeline(std::move(*client));

  const auto lost = [](const Error& error) {
    std::fflush(stdout);
    complain(error.message);
    complain("commands after the last reply above may or may not have been carried out");
    return CliStatus::kNoConnection;
  };

  std::string pending;  // input not yet sent: the beginning of a line
  bool at_end = false;
  while (!at_end) {
    const std::size_t filled = pending.size();
    pending.resize(filled + kInputSizeBytes);
    const ssize_t got = ::read(input, pending.data() + filled, kInputSizeBytes);
    const int failure = errno;
    pending.resize(filled + static_cast<std::size_t>(got > 0 ? got : 0));
    if (got < 0 && failure == EINTR) continue;
    if (got < 0) {
      errno = failure;
      complain(system_error("read(stdin)").message);
      return CliStatus::kUsage;
    }
    at_end = got == 0;
    if (at_end && !pending.empty()) pending.push_back('\n');  // a last line without its end

    const Result<bool> quits = send_whole_lines(pipeline, pending);
    // A server that closes may have answered before: print what came, then say what happened.
    const Outcome printed = pipeline.print_all();
    if (!quits) return lost(quits.error());
    if (!printed) return lost(printed.error());
    at_end = at_end || *quits;
  }
  return pipeline.has_error_reply() ? CliStatus::kErrorReply : CliStatus::kOk;
}

}  // namespace memento
