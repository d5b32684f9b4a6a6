// libedit behind LineEditor: see line_editor.h. libedit's C interface is variadic; each call here passes
// exactly the arguments its manual page (editline(3)) names for the operation.
#include "cli/line_editor.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>

#include "shm/os/fd.h"

namespace memento {
namespace {

constexpr int kHistoryLineCount = 1000;

/// Creates the file for its owner alone, and narrows one that others could read.
void make_private_file(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR));
  // Without it the history lasts only for this prompt; nothing else depends on it.
  if (file) static_cast<void>(::fchmod(file.get(), S_IRUSR | S_IWUSR));
}

}  // namespace

LineEditor::LineEditor(const std::string& program, std::string prompt, std::string history_path)
    : prompt_(std::move(prompt)), history_path_(std::move(history_path)) {
  HistEvent event{};
  history_ = history_init();
  if (history_ != nullptr) {
    history(history_, &event, H_SETSIZE, kHistoryLineCount);
    history(history_, &event, H_SETUNIQUE, 1);
    if (!history_path_.empty()) {
      make_private_file(history_path_);
      history(history_, &event, H_LOAD, history_path_.c_str());
    }
  }
  editor_ = el_init(program.c_str(), stdin, stdout, stderr);
  if (editor_ == nullptr) return;
  el_set(editor_, EL_CLIENTDATA, this);
  el_set(editor_, EL_PROMPT, &LineEditor::prompt_of);
  el_set(editor_, EL_EDITOR, "emacs");
  el_set(editor_, EL_SIGNAL, 1);  // a signal finds the terminal in its usual mode
  if (history_ != nullptr) el_set(editor_, EL_HIST, history, history_);
  el_source(editor_, nullptr);  // the user's ~/.editrc
}

LineEditor::~LineEditor() {
  if (editor_ != nullptr) el_end(editor_);
  if (history_ != nullptr) history_end(history_);
}

char* LineEditor::prompt_of(EditLine* editor) {
  void* self = nullptr;
  el_get(editor, EL_CLIENTDATA, &self);
  return static_cast<LineEditor*>(self)->prompt_.data();
}

std::optional<std::string> LineEditor::read_line() {
  if (editor_ == nullptr) return std::nullopt;
  int byte_count = 0;
  const char* line = el_gets(editor_, &byte_count);
  if (line == nullptr || byte_count <= 0) return std::nullopt;
  std::string text(line, static_cast<std::size_t>(byte_count));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  if (text.find_first_not_of(" \t") != std::string::npos) remember(text.c_str());
  return text;
}

void LineEditor::remember(const char* line) {
  if (history_ == nullptr) return;
  HistEvent event{};
  history(history_, &event, H_ENTER, line);
  if (!history_path_.empty()) history(history_, &event, H_SAVE, history_path_.c_str());
}

std::string default_history_path() {
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') {
    const passwd* user = getpwuid(getuid());
    home = user != nullptr ? user->pw_dir : nullptr;
  }
  return home != nullptr && *home != '\0' ? std::string(home) + "/.memento_history" : std::string();
}

}  // namespace memento
