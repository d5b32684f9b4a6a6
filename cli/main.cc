// memento-cli: the command line client. options.h says what the arguments ask for; here each of that has its
// function.
#include <clocale>
#include <cstring>

#include "cli/modes/backup.h"
#include "cli/modes/cluster.h"
#include "cli/modes/key_survey.h"
#include "cli/modes/pipe.h"
#include "cli/modes/session.h"
#include "cli/modes/top.h"
#include "cli/modes/transfer.h"
#include "cli/modes/watch.h"
#include "cli/net/interrupt.h"
#include "cli/options.h"
#include "cli/prompt/prompt.h"

namespace memento::cli {
namespace {

CliStatus run(const Options& options) {
  switch (options.mode) {
    case Mode::kPrompt:
      return run_prompt(options);
    case Mode::kCommand:
      return run_command(options);
    case Mode::kScript:
      return run_script(options);
    case Mode::kPipe:
      return run_pipe(options);
    case Mode::kImport:
      return run_import(options);
    case Mode::kExport:
      return run_export(options);
    case Mode::kBackup:
      return run_backup(options);
    case Mode::kStat:
      return run_stat(options);
    case Mode::kLatency:
    case Mode::kLatencyHistory:
    case Mode::kLatencyDistribution:
      return run_latency(options);
    case Mode::kBigKeys:
    case Mode::kMemoryKeys:
      return run_key_survey(options);
    case Mode::kHotKeys:
      return run_hot_keys(options);
    case Mode::kScan:
      return run_scan(options);
    case Mode::kMonitor:
      return run_monitor(options);
    case Mode::kSubscribe:
      return run_subscribe(options);
    case Mode::kTop:
      return run_top(options);
    case Mode::kCluster:
      return run_cluster(options);
  }
  return CliStatus::kUsage;
}

int main_of_cli(int argc, char** argv) {
  // UTF-8 is shown as such even where no locale is set.
  const char* locale = std::setlocale(LC_CTYPE, "");
  if (locale == nullptr || std::strcmp(locale, "C") == 0) std::setlocale(LC_CTYPE, "C.UTF-8");
  Options options;
  if (const auto status = parse_options(argc, argv, &options)) return static_cast<int>(*status);
  if (options.mode != Mode::kScript) note_interrupts();
  return static_cast<int>(run(options));
}

}  // namespace
}  // namespace memento::cli

int main(int argc, char** argv) { return memento::cli::main_of_cli(argc, argv); }
