// See history.h.
#include "cli/prompt/history.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "cli/modes/session.h"
#include "shm/os/fd.h"
#include "shm/os/result.h"
#include "worker/command/command_table.h"
#include "worker/command/shown_words.h"
#include "worker/text/words.h"

namespace memento::cli {
namespace {

constexpr std::size_t kLineCount = 2000;
constexpr std::size_t kReadLimitBytes = 16 << 20;

/// The file, ours alone; a symbolic link or what is no plain file is an error.
Result<Fd> open_private(const std::string& path, int flags) {
  Fd file(::open(path.c_str(), flags | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, S_IRUSR | S_IWUSR));
  if (!file) return system_error("open(" + path + ")");
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return system_error("fstat(" + path + ")");
  if (!S_ISREG(status.st_mode)) return Error{ExitStatus::kSystem, 0, path + " is no plain file"};
  if (status.st_uid != ::geteuid()) return Error{ExitStatus::kSystem, 0, path + " belongs to another user"};
  if ((status.st_mode & 077) != 0 && ::fchmod(file.get(), S_IRUSR | S_IWUSR) != 0) {
    return system_error("fchmod(" + path + ")");
  }
  return file;
}

bool write_all(int file, const std::string& bytes) {
  return ::write(file, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
}

}  // namespace

History::History(std::string path) : path_(std::move(path)) {
  if (!path_.empty()) read();
}

void History::read() {
  const Result<Fd> file = open_private(path_, O_RDONLY);
  if (!file) {
    problem_ = file.error().message;
    path_.clear();
    return;
  }
  const off_t size_bytes = ::lseek(file->get(), 0, SEEK_END);
  const off_t begin = std::max<off_t>(size_bytes - static_cast<off_t>(kReadLimitBytes), 0);
  std::string bytes(static_cast<std::size_t>(size_bytes - begin), '\0');
  const ssize_t got = ::pread(file->get(), bytes.data(), bytes.size(), begin);
  bytes.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  std::size_t line_count = 0;
  for (std::size_t at = 0, end = 0; (end = bytes.find('\n', at)) != std::string::npos;
       at = end + 1, ++line_count) {
    lines_.push_back(bytes.substr(at, end - at));
  }
  if (lines_.size() > kLineCount)
    lines_.erase(lines_.begin(), lines_.end() - static_cast<std::ptrdiff_t>(kLineCount));
  if (line_count > 2 * kLineCount) shorten();
}

void History::shorten() {
  const std::string aside = path_ + ".new";
  ::unlink(aside.c_str());
  {
    const Result<Fd> file = open_private(aside, O_WRONLY | O_EXCL);
    std::string bytes;
    for (const std::string& line : lines_) bytes += line + "\n";
    if (!file || !write_all(file->get(), bytes)) {
      ::unlink(aside.c_str());
      return;  // it stays long
    }
  }
  ::rename(aside.c_str(), path_.c_str());
}

bool History::add(const std::string& line) {
  if (line.find_first_not_of(" \t") == std::string::npos || holds_password(line)) return false;
  if (!lines_.empty() && lines_.back() == line) return false;
  lines_.push_back(line);
  if (path_.empty()) return true;
  const Result<Fd> file = open_private(path_, O_WRONLY | O_APPEND);
  if (!file || !write_all(file->get(), line + "\n")) path_.clear();
  return true;
}

std::string default_history_path() {
  if (const char* path = std::getenv("MEMENTO_HISTORY"); path != nullptr) return path;
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') {
    const passwd* user = getpwuid(getuid());
    home = user != nullptr ? user->pw_dir : nullptr;
  }
  return home != nullptr && *home != '\0' ? std::string(home) + "/.memento_history" : std::string();
}

bool holds_password(const std::string& line) {
  // The line is split at blanks alone: a line whose quotes are wrong may hold a password too.
  Words words;
  std::string word;
  for (const char c : line + " ") {
    if (c != ' ' && c != '\t' && c != '\n') {
      if (c != '"' && c != '\'') word += c;
    } else if (!word.empty()) {
      words.push_back(std::exchange(word, {}));
    }
  }
  if (words.empty()) return false;
  const std::vector<std::string_view> views(words.begin(), words.end());
  if (const Command* command = resolve_subcommand(find_command(views[0]), views); command != nullptr) {
    for (std::size_t i = 1; i < views.size(); ++i) {
      if (is_secret(*command, views, i)) return true;
    }
    return false;
  }
  // Commands that only Redis has, and the prompt's own :connect.
  if (is_word(views[0], "MIGRATE")) return true;
  if (is_word(views[0], "ACL") && views.size() > 1 && is_word(views[1], "SETUSER")) return true;
  if (words[0].starts_with(':')) {
    return std::ranges::any_of(words, [](const std::string& one) {
      return one.find("://") != std::string::npos && one.find('@') != std::string::npos;
    });
  }
  return false;
}

}  // namespace memento::cli
