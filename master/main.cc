// memento: the server's entry. Parses, detaches if asked to, and runs the master.
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "conf/options.h"
#include "master/daemonize.h"
#include "master/master.h"

int main(int argc, char** argv) {
  using namespace memento;
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  std::error_code unreadable;  // a folder that was removed: paths then stay relative, and fail where they are used
  const std::string start_folder = std::filesystem::current_path(unreadable);
  ParsedCommandLine parsed = parse_command_line(arguments, start_folder);
  if (parsed.ends) {
    std::fputs(parsed.text.c_str(), parsed.status == ExitStatus::kOk ? stdout : stderr);
    return static_cast<int>(parsed.status);
  }
  Readiness readiness;
  if (parsed.options.daemon) {
    Result<Readiness> detached = daemonize();
    if (!detached) return readiness.failed(detached.error());
    readiness = std::move(*detached);
  }
  return Master(std::move(parsed.options), arguments, start_folder, std::move(readiness)).run();
}
