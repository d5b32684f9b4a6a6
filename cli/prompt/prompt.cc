// The prompt's loop: see prompt.h. Before each command it looks whether the server has closed the connection
// meanwhile (a restart), since a command sent into a closed connection would be lost without need.
#include "cli/prompt/prompt.h"

#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "cli/modes/save.h"
#include "cli/modes/session.h"
#include "cli/net/info.h"
#include "cli/net/interrupt.h"
#include "cli/prompt/catalog.h"
#include "cli/prompt/help.h"
#include "cli/prompt/history.h"
#include "cli/prompt/line_editor.h"
#include "cli/prompt/prompt_line.h"
#include "shm/os/clock.h"
#include "worker/text/words.h"

namespace memento::cli {
namespace {

constexpr int kRetryMs = 1000;         ///< between attempts to connect again, while the prompt waits
constexpr int kRetryTimeoutMs = 200;   ///< of each: the prompt does not answer meanwhile
constexpr std::int64_t kSlowMs = 500;  ///< from here on the time a command took is shown

class Prompt {
 public:
  explicit Prompt(const Options& options)
      : options_(options),
        history_(default_history_path()),
        editor_("memento-cli", callbacks(), options.format.colour) {
    for (const std::string& line : history_.lines()) editor_.remember(line);
  }

  CliStatus run() {
    Result<Connection> opened = connect_or_complain(options_.endpoint);
    if (!opened) return status_of(opened.error());
    adopt(std::move(*opened));
    if (!history_.problem().empty()) complain("the history is not kept: " + history_.problem());
    if (connection_->needs_password()) complain("the server wants a password: AUTH password");
    std::puts(
        "Connected. `help` lists the commands, Tab completes, Ctrl-R searches the history, Ctrl-D leaves.");
    std::string line;
    while (read_request(&line)) {
      if (history_.add(line)) editor_.remember(line);
      if (!execute(line)) return CliStatus::kOk;
      std::fflush(stdout);
    }
    std::fputc('\n', stdout);
    return CliStatus::kOk;
  }

 private:
  EditorCallbacks callbacks() {
    return EditorCallbacks{
        .hint = [this](const std::string& line) { return hint(line); },
        .complete = [this](const std::string& line,
                           std::size_t* begun_bytes) { return complete(line, begun_bytes); },
        .watch =
            [this](int* wait_ms) {
              *wait_ms = connection_ ? -1 : kRetryMs;
              return connection_ ? connection_->socket() : -1;
            },
        .on_event = [this](std::string* output) { return on_event(output); },
    };
  }

  std::string hint(const std::string& line) {
    bool ends_in_blank = false;
    Words words = typed_words(line, &ends_in_blank);
    if (is_own(line)) return own_hint(line);
    return catalog_.hint(words, ends_in_blank);
  }

  std::vector<std::string> complete(const std::string& line, std::size_t* begun_bytes) {
    if (is_own(line)) return own_completions(line, begun_bytes);
    bool ends_in_blank = false;
    Words words = typed_words(line, &ends_in_blank);
    if (ends_in_blank) words.emplace_back();
    *begun_bytes = words.empty() ? 0 : words.back().size();
    std::vector<std::string> found = catalog_.completions(words);
    if (words.size() == 1) {
      for (const char* own : {"HELP", "QUIT", "EXIT"}) {
        const bool begins = is_word(std::string_view(own).substr(0, words[0].size()), upper(words[0]));
        if (begins && std::ranges::find(found, own) == found.end()) found.emplace_back(own);
      }
    }
    return found;
  }

  static std::string upper(std::string text) {
    for (char& c : text) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    return text;
  }

  /// What came by itself while the prompt waited: pushes, the connection's end, its return.
  bool on_event(std::string* output) {
    if (!connection_) return reconnect_in_background();
    for (;;) {
      const Result<std::optional<Reply>> reply = connection_->read_within(0);
      if (!reply) {
        *output += "memento-cli: " + reply.error().message + "\n";
        drop();
        return true;
      }
      if (!*reply) return !output->empty();
      *output += format_reply(**reply, options_.format);
    }
  }

  bool reconnect_in_background() {
    Endpoint endpoint = options_.endpoint;
    endpoint.timeout_ms =
        endpoint.timeout_ms < 0 ? kRetryTimeoutMs : std::min(endpoint.timeout_ms, kRetryTimeoutMs);
    Result<Connection> opened = Connection::open(endpoint);
    if (!opened) return false;
    opened->set_timeout_ms(options_.endpoint.timeout_ms);
    adopt(std::move(*opened));
    return true;
  }

  void adopt(Connection connection) {
    connection_.emplace(std::move(connection));
    in_transaction_ = false;
    learn_about_server();
    show_prompt();
  }

  void drop() {
    connection_.reset();
    in_transaction_ = false;
    show_prompt();
  }

  /// The commands of a server that is not memento; the node's name in a cluster.
  void learn_about_server() {
    node_name_.clear();
    if (connection_->protocol() == WireProtocol::kText || connection_->needs_password()) return;
    const Result<Info> info = Info::fetch(*connection_, {"server", "cluster"});
    if (!info) return;
    if (info->number("cluster_enabled") == 1) {
      node_name_ = info->text("cluster_node");
      const Result<Reply> id =
          node_name_.empty() ? connection_->request({"CLUSTER", "MYID"}) : Result<Reply>(Error{});
      if (id && !id->is_error()) node_name_ = without_controls(id->to_text().substr(0, 8));
    }
    if (info->has("memento_version") || knows_server_) return;
    const Result<Reply> docs = connection_->request({"COMMAND", "DOCS"});
    if (docs && !docs->is_error()) catalog_.replace_by(*docs);
    knows_server_ = true;
  }

  void show_prompt() {
    if (!connection_) return editor_.set_prompt("not connected> ");
    std::string prompt = options_.endpoint.to_string();
    if (!node_name_.empty()) prompt = node_name_ + "@" + prompt;
    if (options_.endpoint.database != 0) prompt += "[" + std::to_string(options_.endpoint.database) + "]";
    editor_.set_prompt(prompt + (in_transaction_ ? "(TX)> " : "> "));
  }

  /// A request, which an open quote may spread over several lines; false at the end.
  bool read_request(std::string* request) {
    for (;;) {
      request->clear();
      show_prompt();
      LineEditor::Outcome outcome = editor_.read_line(request);
      while (outcome == LineEditor::Outcome::kLine && !is_text() && !is_own(*request) &&
             is_unfinished(*request)) {
        editor_.set_prompt("\"... ");
        std::string more;
        outcome = editor_.read_line(&more);
        if (outcome == LineEditor::Outcome::kEnd) outcome = LineEditor::Outcome::kCancelled;
        // As the escape that double quotes know, so that the history has it on one line.
        if (outcome == LineEditor::Outcome::kLine) *request += "\\n" + more;
      }
      if (outcome == LineEditor::Outcome::kEnd) return false;
      if (outcome == LineEditor::Outcome::kLine && !request_of(*request).empty()) return true;
    }
  }

  bool is_text() const { return options_.endpoint.protocol == WireProtocol::kText; }

  /// False: leave.
  bool execute(const std::string& line) {
    if (is_own(line)) {
      execute_own(line);
      return true;
    }
    const std::string request = request_of(line);
    if (is_quit(request)) return false;
    if (show_help(request)) return true;
    const Result<Words> words = is_text() ? Result<Words>(text_words(request)) : words_of(request);
    if (!words) {
      complain(words.error().message);
      return true;
    }
    if (!ensure_connected() || !is_confirmed(*words)) return true;
    send(*words);
    return true;
  }

  static Words text_words(const std::string& request) {
    const std::size_t space = request.find(' ');
    if (space == request.npos) return {request};
    return {request.substr(0, space), request.substr(space + 1)};
  }

  bool show_help(const std::string& request) {
    bool ends_in_blank = false;
    Words words = typed_words(request, &ends_in_blank);
    if (words[0].starts_with('?') && words[0].size() > 1) {
      words[0].erase(0, 1);
      words.insert(words.begin(), "?");
    }
    if (words[0] != "?" && !is_word(words[0], "HELP")) return false;
    words.erase(words.begin());
    std::fputs(help_text(catalog_, words, options_.format.colour).c_str(), stdout);
    return true;
  }

  bool ensure_connected() {
    if (connection_ && !connection_->is_closed_by_server()) return true;
    const bool was_open = connection_.has_value();
    drop();
    Result<Connection> opened = connect_or_complain(options_.endpoint);
    if (!opened) return false;
    adopt(std::move(*opened));
    if (was_open) complain("the server had closed the connection; connected again");
    return true;
  }

  /// Asks before all keys are removed. What was typed or pasted ahead is no answer.
  bool is_confirmed(const Words& words) {
    if (!is_word(words[0], "FLUSH") && !is_word(words[0], "FLUSHALL") && !is_word(words[0], "FLUSHDB"))
      return true;
    const Result<Reply> count = connection_->request({"DBSIZE"});
    const std::string keys = count && !count->is_error() ? "all " + count->to_text() + " keys" : "all keys";
    ::tcflush(STDIN_FILENO, TCIFLUSH);
    std::printf("Remove %s of %s? [y/N] ", keys.c_str(), options_.endpoint.to_string().c_str());
    std::fflush(stdout);
    std::string answer;
    char c = 0;
    while (::read(STDIN_FILENO, &c, 1) == 1 && c != '\n') answer += c;
    if (take_interrupt()) std::fputc('\n', stdout);
    const bool is_yes = answer == "y" || answer == "Y" || is_word(answer, "YES");
    if (!is_yes) std::puts("Nothing was changed.");
    return is_yes;
  }

  void send(const Words& words) {
    const std::int64_t begin_ns = monotonic_time_ns();
    Result<Reply> reply = Error{};
    if (is_endless(words[0]) || is_answered_by_push(words[0])) {
      const Outcome sent = connection_->send(words);
      reply = sent ? connection_->read() : Result<Reply>(sent.error());
    } else if (waits_for_snapshot(words)) {
      reply = request_snapshot(*connection_, words, options_.endpoint);
    } else {
      reply = connection_->request(words);
    }
    if (!reply && is_answered_by_end(words, reply.error())) return drop();
    if (!reply) return lost(reply.error());
    const std::int64_t took_ms = (monotonic_time_ns() - begin_ns) / 1'000'000;
    print_reply(*reply, options_);
    if (took_ms > kSlowMs) std::printf("(%.2f s)\n", static_cast<double>(took_ms) / 1000);
    while (const std::optional<Reply> push = connection_->take_push()) print_reply(*push, options_);
    if (!reply->is_error()) follow(words, *reply);
    if (is_endless(words[0]) && !reply->is_error()) stream();
  }

  /// What a command that was carried out changes for the prompt.
  void follow(const Words& words, const Reply& reply) {
    if (is_word(words[0], "MULTI")) in_transaction_ = true;
    if (is_word(words[0], "EXEC") || is_word(words[0], "DISCARD") || is_word(words[0], "RESET")) {
      if (is_word(words[0], "EXEC") && queued_database_ && reply.type != ReplyType::kNil)
        options_.endpoint.database = *queued_database_;
      if (is_word(words[0], "RESET")) options_.endpoint.database = 0;
      queued_database_.reset();
      in_transaction_ = false;
    }
    if (is_word(words[0], "AUTH") && words.size() > 1) {
      // The prompt gives it again when it has to connect again.
      options_.endpoint.password = words.back();
      options_.endpoint.user = words.size() > 2 ? words[1] : "";
      if (connection_->needs_password()) adopt_password();
    }
    if (is_word(words[0], "SELECT") && words.size() > 1) {
      const int database = std::atoi(words[1].c_str());
      if (in_transaction_) {
        queued_database_ = database;
      } else {
        options_.endpoint.database = database;
      }
    }
  }

  void adopt_password() {
    Result<Connection> opened = Connection::open(options_.endpoint);
    if (opened) adopt(std::move(*opened));
  }

  void stream() {
    std::puts("Ctrl-C ends this.");
    const CliStatus status = print_stream(*connection_, options_);
    static_cast<void>(take_interrupt());
    drop();
    if (status == CliStatus::kOk) static_cast<void>(ensure_connected());
  }

  void lost(const Error& error) {
    std::fflush(stdout);
    const bool was_interrupted = take_interrupt();
    complain(was_interrupted ? "interrupted" : error.message);
    complain("the command may have been carried out; look before you repeat it");
    drop();
    static_cast<void>(ensure_connected());
  }

  // The tool's own commands begin with a colon.

  void execute_own(const std::string& line) {
    const Result<Words> split = words_of(line);
    const Words words = split ? *split : Words{":help"};
    if (words[0] == ":pretty") {
      options_.format.pretty = words.size() > 1 ? words[1] == "on" : !options_.format.pretty;
      std::printf("Values that are JSON are shown %s.\n",
                  options_.format.pretty ? "over several lines" : "as they are");
    } else if (words[0] == ":output" && words.size() == 2 && output_format_of(words[1])) {
      options_.format.format = *output_format_of(words[1]);
    } else if (words[0] == ":connect" && (words.size() == 2 || words.size() == 3)) {
      connect_elsewhere(words);
    } else {
      std::fputs(own_help_text().c_str(), stdout);
    }
  }

  void connect_elsewhere(const Words& words) {
    Endpoint endpoint = options_.endpoint;
    endpoint.password.clear();
    endpoint.user.clear();
    endpoint.socket_path.clear();
    if (words[1].find("://") != std::string::npos) {
      const Outcome parsed = parse_uri(words[1], &endpoint);
      if (!parsed) return complain(parsed.error().message);
    } else {
      const auto port = words.size() == 3 ? parse_port(words[2]) : std::optional<std::uint16_t>(kDefaultPort);
      if (!port) return complain("the port must be a number from 1 to 65535");
      endpoint.address = Address{words[1], *port};
    }
    Result<Connection> opened = connect_or_complain(endpoint);
    if (!opened) return;  // the old connection stays
    options_.endpoint = endpoint;
    knows_server_ = false;
    catalog_ = Catalog();
    adopt(std::move(*opened));
  }

  Options options_;
  Catalog catalog_;
  History history_;
  std::optional<Connection> connection_;
  std::string node_name_;
  bool in_transaction_ = false;
  std::optional<int> queued_database_;  ///< of a SELECT in that transaction
  bool knows_server_ = false;
  LineEditor editor_;
};

}  // namespace

CliStatus run_prompt(const Options& options) { return Prompt(options).run(); }

}  // namespace memento::cli
