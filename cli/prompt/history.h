// The prompt's history: the lines typed, in a file that only its owner can read (0600) and that is never
// opened through a symbolic link. Each line is added as it is typed, so a prompt ended by a signal loses
// nothing and two prompts don't overwrite each other. Lines with passwords are kept nowhere. REQUIRES: no
// line end in a line.
#pragma once

#include <string>
#include <vector>

namespace memento::cli {

class History {
 public:
  /// `path` may be empty: no file. Reads its newest lines; why it is not used is in problem().
  explicit History(std::string path);

  const std::vector<std::string>& lines() const { return lines_; }
  /// Adds a line, unless it repeats the one before or holds a password; true when it was added.
  bool add(const std::string& line);
  const std::string& problem() const { return problem_; }

 private:
  void read();
  /// Rewrites the file when it has become much longer than what is kept.
  void shorten();

  std::string path_;
  std::vector<std::string> lines_;
  std::string problem_;
};

/// MEMENTO_HISTORY (empty: none), else ~/.memento_history; empty without a home directory.
std::string default_history_path();

/// True when a typed line gives a password: AUTH, HELLO ... AUTH, CONFIG SET requirepass, MIGRATE, ACL
/// SETUSER, a URI.
bool holds_password(const std::string& line);

}  // namespace memento::cli
