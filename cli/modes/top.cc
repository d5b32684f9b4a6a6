// See top.h. ncurses draws; the one file that includes it, whose macros have common names.
#include "cli/modes/top.h"

#include <poll.h>
#include <unistd.h>

#include <cstdlib>

#include "cli/modes/session.h"
#include "cli/modes/top_view.h"
#include "cli/net/interrupt.h"
#include "shm/os/clock.h"

// Last: its macros would change other headers.
#include <ncurses.h>

namespace memento::cli {
namespace {

constexpr std::size_t kHistoryLimit = 512;
constexpr int kReconnectTimeoutMs = 1000;

/// The screen while it lives; the terminal is as before when it ends.
class Screen {
 public:
  Screen() : screen_(newterm(nullptr, stdout, stdin)) {
    if (screen_ == nullptr) return;
    cbreak();
    noecho();
    curs_set(0);
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
  }
  ~Screen() {
    if (screen_ == nullptr) return;
    endwin();
    delscreen(screen_);
  }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  bool is_open() const { return screen_ != nullptr; }

  void use_colours() {
    if (!has_colors()) return;
    start_color();
    use_default_colors();
    init_pair(1, COLOR_CYAN, -1);
    init_pair(2, COLOR_RED, -1);
    has_colours_ = true;
  }

  void draw(const std::vector<ViewLine>& lines) {
    erase();
    for (std::size_t row = 0; row < lines.size(); ++row) {
      const attr_t style = style_of(lines[row].style);
      attron(style);
      mvaddstr(static_cast<int>(row), 0, lines[row].text.c_str());
      attroff(style);
    }
    refresh();
  }

 private:
  attr_t style_of(LineStyle style) const {
    switch (style) {
      case LineStyle::kTitle:
        return A_BOLD;
      case LineStyle::kHeader:
        return has_colours_ ? static_cast<attr_t>(COLOR_PAIR(1)) | A_BOLD : A_REVERSE;
      case LineStyle::kAlarm:
        return has_colours_ ? static_cast<attr_t>(COLOR_PAIR(2)) | A_BOLD : A_STANDOUT;
      default:
        return A_NORMAL;
    }
  }

  SCREEN* screen_;
  bool has_colours_ = false;
};

class Top {
 public:
  Top(Connection connection, Sample sample, const Options& options)
      : options_(options), connection_(std::move(connection)), before_(sample), now_(std::move(sample)) {
    view_.server = options.endpoint.to_string();
    rates_ = rates_between(before_, now_);
  }

  CliStatus run() {
    Screen screen;
    if (!screen.is_open())
      return complain("top knows no terminal of this type; set TERM, or use --stat"), CliStatus::kUsage;
    if (options_.format.colour) screen.use_colours();
    const auto interval_ns =
        static_cast<std::int64_t>((options_.has_interval ? options_.interval_s : 1) * 1e9);
    for (std::int64_t next_ns = monotonic_time_ns() + interval_ns / 4; !is_interrupted();) {
      screen.draw(
          view_lines(view_, now_, rates_, static_cast<std::size_t>(LINES), static_cast<std::size_t>(COLS)));
      const std::int64_t left_ns = next_ns - monotonic_time_ns();
      if (left_ns > 0) {
        pollfd keys{STDIN_FILENO, POLLIN, 0};
        ::poll(&keys, 1, static_cast<int>(left_ns / 1'000'000 + 1));
      }
      if (!handle_keys()) break;
      if (monotonic_time_ns() < next_ns) continue;
      update();
      next_ns = monotonic_time_ns() + std::max<std::int64_t>(interval_ns, 100'000'000);
    }
    return CliStatus::kOk;
  }

 private:
  /// False: leave.
  bool handle_keys() {
    for (int key = getch(); key != ERR; key = getch()) {
      if (key == 'q' || key == 'Q') return false;
      if (std::string_view("ocmnla").find(static_cast<char>(key)) != std::string_view::npos && key < 128) {
        view_.order = static_cast<TopOrder>(key);
      }
    }
    return true;
  }

  void update() {
    if (!connection_) {
      Endpoint endpoint = options_.endpoint;
      endpoint.timeout_ms = kReconnectTimeoutMs;
      Result<Connection> opened = Connection::open(endpoint);
      if (!opened) return fail(opened.error());
      connection_.emplace(std::move(*opened));
    }
    Result<Sample> sample = take_sample(*connection_);
    if (!sample) return fail(sample.error());
    view_.problem.clear();
    before_ = std::exchange(now_, std::move(*sample));
    rates_ = rates_between(before_, now_);
    view_.ops_history.push_back(rates_.ops_per_s);
    if (view_.ops_history.size() > kHistoryLimit) view_.ops_history.pop_front();
  }

  void fail(const Error& error) {
    connection_.reset();
    view_.problem = "not connected: " + error.message + "; trying again";
  }

  const Options& options_;
  std::optional<Connection> connection_;
  Sample before_;
  Sample now_;
  Rates rates_;
  View view_;
};

}  // namespace

CliStatus run_top(const Options& options) {
  if (::isatty(STDIN_FILENO) == 0 || ::isatty(STDOUT_FILENO) == 0) {
    return complain("top needs a terminal; --stat prints lines"), CliStatus::kUsage;
  }
  Result<Connection> connection = connect_or_complain(options.endpoint);
  if (!connection) return status_of(connection.error());
  Result<Sample> first = take_sample(*connection);
  if (!first) return complain_of(first.error(), options.endpoint);
  return Top(std::move(*connection), std::move(*first), options).run();
}

}  // namespace memento::cli
