// See password_source.h.
#include "conf/password_source.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "conf/password.h"

namespace memento {
namespace {

Error wrong(const std::string& message) { return Error{ExitStatus::kConfig, 0, message}; }

Result<std::string> first_line(const std::string& path, const std::string& key, const std::string& what) {
  std::ifstream file(path);
  std::string line;
  if (!file || std::filesystem::is_directory(path)) return wrong(path + " (" + key + "): cannot be read");
  std::getline(file, line);
  if (line.ends_with('\r')) line.pop_back();
  if (line.empty())
    return wrong(path + " (" + key + "): the first line, which is the " + what + ", is empty");
  return line;
}

bool is_loopback(const std::string& address) { return address.starts_with("127.") || address == "::1"; }

}  // namespace

Result<std::string> find_password(const Options& options) {
  std::string password = options.password;
  if (password.empty() && !options.password_file.empty()) {
    Result<std::string> line = first_line(options.password_file, "requirepass-file", "password");
    if (!line) return line.error();
    password = std::move(*line);
  } else if (password.empty()) {
    const char* const variable = std::getenv("MEMENTO_REQUIREPASS");
    if (variable != nullptr) password = variable;
  }
  if (password.size() > Password::kLimitBytes) {
    return wrong("requirepass: the password is longer than " + std::to_string(Password::kLimitBytes) +
                 " bytes");
  }
  return password;
}

Outcome check_bus_is_guarded(const std::string& password, bool has_secret) {
  if (password.empty() || has_secret) return Done{};
  return wrong(
      "clients need a password, but the cluster's bus has no secret and would execute anybody's commands "
      "without one: give "
      "all nodes the same secret in a file (--cluster-secret-file)");
}

Result<std::string> find_cluster_secret(const Options& options) {
  if (!options.cluster_secret_file.empty()) {
    return first_line(options.cluster_secret_file, "cluster-secret-file", "secret");
  }
  const Result<std::string> password = find_password(options);
  if (!password) return password.error();
  if (const Outcome guarded = check_bus_is_guarded(*password, false); !guarded) return guarded.error();
  const std::string& address = options.nodes.nodes[options.nodes.self].address;
  if (is_loopback(address)) return std::string();
  return wrong("the cluster's bus would listen beyond this machine, on " + address +
               ", and let anybody in: give all nodes the same secret in a file (--cluster-secret-file)");
}

}  // namespace memento
