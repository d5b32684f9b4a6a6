// See backup.h. The server makes a snapshot; its files are copied and checked.
#include "cli/modes/backup.h"

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "cli/modes/save.h"
#include "cli/modes/session.h"
#include "cli/net/info.h"
#include "cli/show/progress.h"
#include "shm/archive/backup.h"

namespace memento::cli {
namespace {

constexpr int kAttempts = 5;

/// The server's data folder; empty: it was said why there is none.
std::string folder_of(Connection& connection, const Endpoint& endpoint, CliStatus* status) {
  *status = CliStatus::kErrorReply;
  const Result<Info> info = Info::fetch(connection, {"persistence"});
  if (!info) return *status = complain_of(info.error(), endpoint), "";
  const std::string state = info->text("journal_state");
  if (state.empty() || state == "off") {
    complain("the server at " + endpoint.to_string() + " keeps no data on disk; start it with --data DIR");
    return "";
  }
  const Result<Reply> reply = connection.request({"CONFIG", "GET", "dir"});
  if (!reply) return *status = complain_of(reply.error(), endpoint), "";
  const bool is_pair = !reply->is_error() && reply->elements.size() == 2;
  if (!is_pair) return complain("CONFIG GET dir: " + reply->to_text()), "";
  std::error_code failure;
  if (!std::filesystem::is_directory(reply->elements[1].text, failure)) {
    complain("the server's folder " + reply->elements[1].text +
             " cannot be read here; make the backup on its machine, as its user");
    return "";
  }
  return reply->elements[1].text;
}

}  // namespace

CliStatus run_backup(const Options& options) {
  Result<Connection> connection = connect_or_complain(options.endpoint);
  if (!connection) return status_of(connection.error());
  CliStatus status = CliStatus::kOk;
  const std::string folder = folder_of(*connection, options.endpoint, &status);
  if (folder.empty()) return status;
  Result<BackupReport> made = Error{};
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const Result<Reply> saved = request_snapshot(*connection, {"SAVE"}, options.endpoint);
    if (!saved) return complain_of(saved.error(), options.endpoint);
    if (saved->is_error()) return complain(saved->text), CliStatus::kErrorReply;
    Progress progress(100);
    made = back_up(folder, options.data_path, [&](std::uint64_t done, std::uint64_t all) {
      if (progress.is_due()) progress.show(all == 0 ? 0 : 100 * done / all, "copied and checked");
    });
    if (made || made.error().error_number != EAGAIN) break;
  }
  if (!made) return complain(made.error().message), CliStatus::kUsage;
  std::fprintf(stderr, "%llu keys, %s in %s; `memento --data %s` starts on it\n",
               static_cast<unsigned long long>(made->keys),
               size_text(static_cast<double>(made->bytes)).c_str(), options.data_path.c_str(),
               options.data_path.c_str());
  return CliStatus::kOk;
}

}  // namespace memento::cli
