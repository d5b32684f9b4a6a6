// libedit behind LineEditor: see line_editor.h. libedit's C interface is variadic; each call here passes
// exactly the arguments its manual page (editline(3)) names for the operation.
#include "cli/prompt/line_editor.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cwchar>
#include <utility>

#include "cli/net/interrupt.h"
#include "worker/text/words.h"

namespace memento::cli {
namespace {

constexpr int kHistoryLineCount = 2000;
constexpr wchar_t kCtrlC = 3;
constexpr std::size_t kHintRoomMin = 6;  // columns; a shorter piece says nothing
constexpr int kEventHandled = -2;

volatile std::sig_atomic_t g_resized = 0;
volatile std::sig_atomic_t g_continued = 0;
volatile std::sig_atomic_t g_terminated = 0;

/// Signals that end a wait for a key. They are let through in the wait alone: one that came just before it is
/// not missed.
sigset_t noted_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGINT, SIGWINCH, SIGCONT, SIGTERM, SIGHUP}) sigaddset(&set, number);
  return set;
}

bool take(volatile std::sig_atomic_t& flag) {
  const bool was_set = flag != 0;
  flag = 0;
  return was_set;
}

void catch_terminal_signals() {
  const auto note = [](int number, void (*handler)(int)) {
    struct sigaction action {};
    action.sa_handler = handler;
    sigaction(number, &action, nullptr);
  };
  note(SIGWINCH, [](int) { g_resized = 1; });
  note(SIGCONT, [](int) { g_continued = 1; });
  // The terminal is put back into its usual mode before the tool ends.
  note(SIGTERM, [](int) { g_terminated = 1; });
  note(SIGHUP, [](int) { g_terminated = 1; });
}

std::size_t terminal_columns() {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::size_t width_of(const wchar_t* text, std::size_t length) {
  std::size_t columns = 0;
  for (std::size_t i = 0; i < length; ++i)
    columns += static_cast<std::size_t>(std::max(::wcwidth(text[i]), 0));
  return columns;
}

/// Columns of the prompt, without the escape sequences between \1 marks.
std::size_t prompt_columns(const std::string& prompt) {
  std::size_t columns = 0;
  bool is_escape = false;
  for (const char c : prompt) {
    if (c == '\1') is_escape = !is_escape;
    const bool continues = (static_cast<unsigned char>(c) & 0xc0) == 0x80;
    if (c != '\1' && !is_escape && !continues) ++columns;
  }
  return columns;
}

std::string common_prefix(const std::vector<std::string>& words) {
  std::string prefix = words.front();
  for (const std::string& word : words) {
    std::size_t same = 0;
    while (same < std::min(prefix.size(), word.size()) && prefix[same] == word[same]) ++same;
    prefix.resize(same);
  }
  return prefix;
}

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

}  // namespace

LineEditor::LineEditor(const std::string& program, EditorCallbacks callbacks, bool colour)
    : callbacks_(std::move(callbacks)), colour_(colour) {
  const char* terminal = std::getenv("TERM");
  has_cursor_motion_ = terminal != nullptr && *terminal != '\0' && std::strcmp(terminal, "dumb") != 0;
  catch_terminal_signals();
  HistEvent event{};
  history_ = history_init();
  if (history_ != nullptr) {
    history(history_, &event, H_SETSIZE, kHistoryLineCount);
    history(history_, &event, H_SETUNIQUE, 1);
  }
  editor_ = el_init(program.c_str(), stdin, stdout, stderr);
  if (editor_ == nullptr) return;
  el_set(editor_, EL_CLIENTDATA, this);
  el_set(editor_, EL_PROMPT_ESC, &LineEditor::prompt_of, '\1');
  el_set(editor_, EL_EDITOR, "emacs");
  el_set(editor_, EL_SIGNAL, 0);
  if (history_ != nullptr) el_set(editor_, EL_HIST, history, history_);
  el_set(editor_, EL_ADDFN, "memento-complete", "Complete the word", &LineEditor::on_complete);
  el_set(editor_, EL_ADDFN, "memento-cancel", "Drop the line", &LineEditor::on_cancel);
  el_set(editor_, EL_BIND, "^I", "memento-complete", nullptr);
  el_set(editor_, EL_BIND, "^R", "em-inc-search-prev", nullptr);
  el_set(editor_, EL_BIND, "^S", "em-inc-search-next", nullptr);
  el_source(editor_, nullptr);  // the user's ~/.editrc
  el_set(editor_, EL_BIND, "^C", "memento-cancel", nullptr);
  el_set(editor_, EL_GETCFN, &LineEditor::read_key);
}

LineEditor::~LineEditor() {
  if (editor_ != nullptr) el_end(editor_);
  if (history_ != nullptr) history_end(history_);
}

LineEditor& LineEditor::of(EditLine* editor) {
  void* self = nullptr;
  el_get(editor, EL_CLIENTDATA, &self);
  return *static_cast<LineEditor*>(self);
}

void LineEditor::remember(const std::string& line) {
  if (history_ == nullptr) return;
  HistEvent event{};
  history(history_, &event, H_ENTER, line.c_str());
}

LineEditor::Outcome LineEditor::read_line(std::string* line) {
  if (editor_ == nullptr) return Outcome::kEnd;
  was_cancelled_ = false;
  // Before the prompt is on the screen: libedit would do it after that, and a key typed between the two would
  // go astray.
  el_set(editor_, EL_PREP_TERM, 1);
  int byte_count = 0;
  const char* text = el_gets(editor_, &byte_count);
  if (was_cancelled_) {
    print("^C\n");
    return Outcome::kCancelled;
  }
  if (text == nullptr || byte_count <= 0) return Outcome::kEnd;
  line->assign(text, static_cast<std::size_t>(byte_count));
  while (!line->empty() && (line->back() == '\n' || line->back() == '\r')) line->pop_back();
  return Outcome::kLine;
}

int LineEditor::read_key(EditLine* editor, wchar_t* key) {
  LineEditor& self = of(editor);
  std::mbstate_t state{};
  for (;;) {
    char byte = 0;
    const int got = self.wait_for_byte(&byte);
    if (got == kEventHandled) {
      if (g_terminated != 0) return 0;
      if (take_interrupt()) {
        *key = kCtrlC;
        return 1;
      }
      continue;
    }
    if (got <= 0) return got;
    const std::size_t length = std::mbrtowc(key, &byte, 1, &state);
    if (length == static_cast<std::size_t>(-2)) continue;  // more bytes belong to the character
    if (length == static_cast<std::size_t>(-1)) {
      state = {};
      *key = L'?';  // no character of the locale
    }
    return 1;
  }
}

int LineEditor::wait_for_byte(char* byte) {
  int wait_ms = -1;
  const int watched = callbacks_.watch ? callbacks_.watch(&wait_ms) : -1;
  pollfd waiting[2] = {{STDIN_FILENO, POLLIN, 0}, {watched, POLLIN, 0}};
  sigset_t unblocked;
  const sigset_t noted = noted_signals();
  sigprocmask(SIG_BLOCK, &noted, &unblocked);
  const timespec at_once{};
  const timespec later{wait_ms / 1000, wait_ms % 1000 * 1'000'000};
  int ready = ::ppoll(waiting, 2, &at_once, &unblocked);
  if (ready == 0) {
    draw_hint();
    ready = ::ppoll(waiting, 2, wait_ms < 0 ? nullptr : &later, &unblocked);
  }
  const int failure = errno;
  sigprocmask(SIG_SETMASK, &unblocked, nullptr);
  erase_hint();
  if ((ready < 0 && failure == EINTR) || is_interrupted()) {
    handle_signals();
    return kEventHandled;
  }
  if (ready < 0) return -1;
  if (waiting[0].revents == 0) {
    std::string output;
    if (callbacks_.on_event && callbacks_.on_event(&output)) {
      print("\r\x1b[J" + output);
      el_set(editor_, EL_REFRESH);
    }
    return kEventHandled;
  }
  const ssize_t got = ::read(STDIN_FILENO, byte, 1);
  if (got < 0 && errno == EINTR) return kEventHandled;
  return got < 0 ? -1 : static_cast<int>(got);
}

void LineEditor::handle_signals() {
  if (take(g_resized)) el_resize(editor_);
  if (take(g_continued)) {
    el_set(editor_, EL_PREP_TERM, 0);
    el_set(editor_, EL_PREP_TERM, 1);
    el_set(editor_, EL_REFRESH);
  }
}

void LineEditor::draw_hint() {
  if (!has_cursor_motion_ || !callbacks_.hint) return;
  const LineInfoW* line = el_wline(editor_);
  const auto length = static_cast<std::size_t>(line->lastchar - line->buffer);
  // In the middle of the line there is no room; a search of the history shows itself behind a line end.
  if (line->cursor != line->lastchar || length == 0 || std::wmemchr(line->buffer, L'\n', length) != nullptr)
    return;
  std::string text;
  const LineInfo* bytes = el_line(editor_);
  text.assign(bytes->buffer, static_cast<std::size_t>(bytes->lastchar - bytes->buffer));
  std::string hint = callbacks_.hint(text);
  const std::size_t columns = terminal_columns();
  const std::size_t column = (prompt_columns(prompt_) + width_of(line->buffer, length)) % columns;
  const std::size_t room = columns - column - 1;
  if (hint.empty() || room < kHintRoomMin) return;
  if (!colour_) hint = (hint[0] == ' ' ? " (" + hint.substr(1) : "(" + hint) + ")";
  if (hint.size() > room) hint = hint.substr(0, room - 3) + "...";
  const std::string back = "\x1b[" + std::to_string(hint.size()) + "D";
  print((colour_ ? "\x1b[2m" + hint + "\x1b[0m" : hint) + back);
  hint_is_shown_ = true;
}

void LineEditor::erase_hint() {
  if (std::exchange(hint_is_shown_, false)) print("\x1b[K");
}

unsigned char LineEditor::on_cancel(EditLine* editor, int) {
  of(editor).was_cancelled_ = true;
  return CC_NEWLINE;
}

unsigned char LineEditor::on_complete(EditLine* editor, int) { return of(editor).complete(); }

unsigned char LineEditor::complete() {
  if (!callbacks_.complete) return CC_ERROR;
  const LineInfo* info = el_line(editor_);
  const std::string line(info->buffer, static_cast<std::size_t>(info->cursor - info->buffer));
  std::size_t begun_bytes = 0;
  std::vector<std::string> candidates = callbacks_.complete(line, &begun_bytes);
  if (candidates.empty()) return CC_ERROR;
  const std::string begun = line.substr(line.size() - begun_bytes);
  // A word begun in small letters is completed in small letters.
  if (std::ranges::any_of(begun, [](char c) { return c >= 'a' && c <= 'z'; })) {
    for (std::string& candidate : candidates) candidate = lower_case(candidate);
  }
  std::string text = common_prefix(candidates);
  if (candidates.size() == 1) text += ' ';
  if (text.size() <= begun.size()) {
    list(candidates);
    return CC_REDISPLAY;
  }
  el_deletestr(editor_, static_cast<int>(begun.size()));
  el_insertstr(editor_, text.c_str());
  return CC_REFRESH;
}

void LineEditor::list(const std::vector<std::string>& candidates) {
  std::size_t width = 0;
  for (const std::string& candidate : candidates) width = std::max(width, candidate.size() + 2);
  const std::size_t per_line = std::max<std::size_t>(terminal_columns() / width, 1);
  std::string text;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    text += i % per_line == 0 ? "\n" : "";
    text += candidates[i] + std::string(width - candidates[i].size(), ' ');
  }
  print(text + "\n");
}

}  // namespace memento::cli
