// memento: the server's entry. Parses, detaches if asked to, and runs the master; or goes on where the binary
// before it left off, when that has handed over to this one.
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "conf/options.h"
#include "master/daemonize.h"
#include "master/handover.h"
#include "master/master.h"
#include "master/show_journal.h"
#include "master/upgrade.h"

int main(int argc, char** argv) {
  using namespace memento;
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (asks_for_upgrade_check(arguments)) return check_upgrade(arguments);
  Readiness readiness;
  Result<std::optional<Handover>> handover = Handover::received();
  if (!handover) return readiness.failed(handover.error());
  std::error_code
      unreadable;  // a folder that was removed: paths then stay relative, and fail where they are used
  const std::string start_folder =
      *handover ? (*handover)->start_folder : std::filesystem::current_path(unreadable).string();
  ParsedCommandLine parsed = parse_command_line(arguments, start_folder);
  if (parsed.ends) {
    std::fputs(parsed.text.c_str(), parsed.status == ExitStatus::kOk ? stdout : stderr);
    return static_cast<int>(parsed.status);
  }
  if (!parsed.options.show_journal.empty()) return show_journal(parsed.options, stdout, stderr);
  Program program{own_path(start_folder), arguments};
  if (parsed.options.daemon && !*handover) {
    Result<Readiness> detached = daemonize();
    if (!detached) return readiness.failed(detached.error());
    readiness = std::move(*detached);
  }
  return Master(std::move(parsed.options), std::move(program), start_folder, std::move(readiness),
                std::move(*handover))
      .run();
}
