// The prompt of memento-cli: line editing through libedit, with completion, search in the history, and a hint
// behind the cursor as one types.
//
// libedit redraws by what it thinks is on the screen, so the hint is drawn where it does not look: when it
// asks for the next key the line is complete on the screen; the hint is written behind the cursor, the cursor
// put back, and the hint erased before the key is handed on. There the editor also waits for the server's
// socket, so that a lost connection shows at once. One LineEditor at a time; it owns the terminal's mode
// while it reads.
#pragma once

#include <histedit.h>

#include <functional>
#include <string>
#include <vector>

namespace memento::cli {

/// What the prompt tells the editor.
struct EditorCallbacks {
  /// The hint behind this line; empty: none.
  std::function<std::string(const std::string& line)> hint;
  /// What may replace the last word of `line`, which ends at the cursor; sets how many bytes that word has.
  std::function<std::vector<std::string>(const std::string& line, std::size_t* begun_bytes)> complete;
  /// The descriptor to watch while a key is waited for (-1: none), and for how long at most (-1: no end).
  std::function<int(int* wait_ms)> watch;
  /// It is readable, or time is up. What is printed goes to `output`; true: prompt or screen changed.
  std::function<bool(std::string* output)> on_event;
};

class LineEditor {
 public:
  enum class Outcome { kLine, kCancelled, kEnd };

  LineEditor(const std::string& program, EditorCallbacks callbacks, bool colour);
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  void set_prompt(const std::string& prompt) { prompt_ = prompt; }
  /// A line for the arrow keys and Ctrl-R.
  void remember(const std::string& line);

  /// kCancelled after Ctrl-C, kEnd after Ctrl-D on an empty line or when the terminal is gone.
  Outcome read_line(std::string* line);

 private:
  static LineEditor& of(EditLine* editor);
  static char* prompt_of(EditLine* editor) { return of(editor).prompt_.data(); }
  static int read_key(EditLine* editor, wchar_t* key);
  static unsigned char on_complete(EditLine* editor, int key);
  static unsigned char on_cancel(EditLine* editor, int key);

  /// Waits for the first byte of a key; 0 at the end of input, -1 on an error, -2: a signal or event was
  /// dealt with.
  int wait_for_byte(char* byte);
  void draw_hint();
  void erase_hint();
  void handle_signals();
  unsigned char complete();
  void list(const std::vector<std::string>& candidates);

  EditorCallbacks callbacks_;
  bool colour_;
  bool has_cursor_motion_;  ///< the terminal understands ANSI sequences
  std::string prompt_;
  bool hint_is_shown_ = false;
  bool was_cancelled_ = false;
  ::History* history_ = nullptr;
  EditLine* editor_ = nullptr;
};

}  // namespace memento::cli
