// See password_source.h.
#include "conf/password_source.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "conf/password.h"

namespace memento {
namespace {

Error wrong(const std::string& message) { return Error{ExitStatus::kConfig, 0, message}; }

Result<std::string> first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!file || std::filesystem::is_directory(path)) return wrong(path + " (requirepass-file): cannot be read");
  std::getline(file, line);
  if (line.ends_with('\r')) line.pop_back();
  if (line.empty()) return wrong(path + " (requirepass-file): the first line, which is the password, is empty");
  return line;
}

}  // namespace

Result<std::string> find_password(const Options& options) {
  std::string password = options.password;
  if (password.empty() && !options.password_file.empty()) {
    Result<std::string> line = first_line(options.password_file);
    if (!line) return line.error();
    password = std::move(*line);
  } else if (password.empty()) {
    const char* const variable = std::getenv("MEMENTO_REQUIREPASS");
    if (variable != nullptr) password = variable;
  }
  if (password.size() > Password::kLimitBytes) {
    return wrong("requirepass: the password is longer than " + std::to_string(Password::kLimitBytes) + " bytes");
  }
  return password;
}

}  // namespace memento
