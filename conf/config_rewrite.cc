// See config_rewrite.h. The new text is written beside the file and then renamed onto it.
#include "conf/config_rewrite.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "conf/config_line.h"
#include "conf/options.h"
#include "shm/os/fd.h"
#include "shm/os/file.h"

namespace memento {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::string_view kAddedNote = "# Set by CONFIG REWRITE";

bool is_bare(char byte) {
  return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
         byte == '-' || byte == '_' || byte == '.' || byte == '/';
}

// As parse_config_line() reads it.
std::string config_line(const ConfigChange& change) {
  std::string line = change.key + " ";
  if (std::ranges::all_of(change.value, is_bare)) return line + change.value;
  line += '"';
  for (const char byte : change.value) {
    const auto code = static_cast<unsigned char>(byte);
    if (byte == '"' || byte == '\\') {
      line.append(1, '\\').append(1, byte);
    } else if (code < 0x20 || code >= 0x7f) {
      line.append("\\x").append(1, kHexDigits[code >> 4]).append(1, kHexDigits[code & 15]);
    } else {
      line += byte;
    }
  }
  return line + '"';
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t bytes = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, bytes));
    text.remove_prefix(std::min(bytes + 1, text.size()));
  }
  return lines;
}

void apply_change(const ConfigChange& change, std::vector<std::string>* lines) {
  const auto is_of_key = [&](const std::string& line) { return parse_config_line(line).name == change.key; };
  if (change.value.empty()) {
    std::erase_if(*lines, is_of_key);
    return;
  }
  const auto last = std::find_if(lines->rbegin(), lines->rend(), is_of_key);
  if (last != lines->rend()) {
    *last = config_line(change);
    return;
  }
  if (std::ranges::find(*lines, kAddedNote) == lines->end()) lines->emplace_back(kAddedNote);
  lines->push_back(config_line(change));
}

/// A file beside the one that it is to replace; removed unless renamed.
class Replacement {
 public:
  static Result<Replacement> beside(const std::string& path) {
    std::string name = path + ".rewrite-XXXXXX";
    Fd file(mkostemp(name.data(), O_CLOEXEC));
    if (!file) return system_error("making a file beside " + path);
    return Replacement(std::move(file), std::move(name));
  }
  Replacement(Replacement&& other) noexcept
      : file_(std::move(other.file_)), name_(std::exchange(other.name_, {})) {}
  Replacement& operator=(Replacement&&) = delete;
  ~Replacement() {
    if (!name_.empty()) ::unlink(name_.c_str());
  }

  Outcome fill(const std::string& text, const struct stat& original) {
    [[maybe_unused]] const int given =
        fchown(file_.get(), original.st_uid, original.st_gid);  // where it may be
    const bool is_written = write_at(file_.get(), 0, text.data(), text.size()) &&
                            fchmod(file_.get(), original.st_mode & 07777) == 0 && fsync(file_.get()) == 0;
    return is_written ? Outcome(Done{}) : system_error("write of " + name_);
  }
  // A server that reads it must start: what does not parse is not put in the place of what does.
  Outcome check(const std::string& path) const {
    const ParsedCommandLine parsed = parse_command_line({"-C", name_}, "/");
    if (!parsed.ends) return Done{};
    std::string why = parsed.text;
    if (why.starts_with(name_)) why.replace(0, name_.size(), path);
    return Error{ExitStatus::kConfig, 0, "the file would not be one that can be read; " + why};
  }
  Outcome rename_onto(const std::string& path) {
    if (std::rename(name_.c_str(), path.c_str()) != 0) return system_error("rename onto " + path);
    name_.clear();
    return Done{};
  }

 private:
  Replacement(Fd file, std::string name) : file_(std::move(file)), name_(std::move(name)) {}
  Fd file_;
  std::string name_;
};

}  // namespace

std::string changed_config(std::string_view text, const std::vector<ConfigChange>& changes) {
  std::vector<std::string> lines = lines_of(text);
  for (const ConfigChange& change : changes) apply_change(change, &lines);
  std::string changed;
  for (const std::string& line : lines) changed.append(line).append("\n");
  return changed;
}

Outcome rewrite_config_file(const std::string& path, const std::vector<ConfigChange>& changes) {
  const std::unique_ptr<char, decltype(&std::free)> target(realpath(path.c_str(), nullptr), std::free);
  if (target == nullptr) return system_error("open of " + path);
  const Fd file(::open(target.get(), O_RDONLY | O_CLOEXEC));
  struct stat original {};
  if (!file || fstat(file.get(), &original) != 0) return system_error("open of " + path);
  std::string text(static_cast<std::size_t>(original.st_size), '\0');
  if (!read_at(file.get(), 0, text.data(), text.size())) return system_error("read of " + path);
  Result<Replacement> replacement = Replacement::beside(target.get());
  if (!replacement) return replacement.error();
  if (const Outcome filled = replacement->fill(changed_config(text, changes), original); !filled)
    return filled.error();
  if (const Outcome checked = replacement->check(path); !checked) return checked.error();
  return replacement->rename_onto(target.get());
}

}  // namespace memento
