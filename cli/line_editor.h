// The prompt of memento-cli: line editing and history through libedit.
//
// History lives in one file (~/.memento_history, mode 0600: values typed at the prompt may be private) and is
// saved after each line, so that a prompt ended by a signal loses nothing. Without a home directory the
// history lasts as long as the prompt. One LineEditor at a time; it owns the terminal's mode while it reads.
#pragma once

#include <histedit.h>

#include <optional>
#include <string>

namespace memento {

class LineEditor {
 public:
  /// history_path may be empty: no history file.
  LineEditor(const std::string& program, std::string prompt, std::string history_path);
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  /// The next line without its end; nothing at the end of input (Ctrl-D).
  std::optional<std::string> read_line();

 private:
  static char* prompt_of(EditLine* editor);
  void remember(const char* line);

  std::string prompt_;
  std::string history_path_;
  History* history_ = nullptr;
  EditLine* editor_ = nullptr;
};

/// ~/.memento_history, or an empty path without a home directory.
std::string default_history_path();

}  // namespace memento
