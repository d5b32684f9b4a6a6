// memento-cli's command line: what to do, with which server, and how to show it.
//
//   memento-cli [HOST PORT] [options] [COMMAND ARGS...]
//
// Options end where the command begins; from there on all belongs to the server, dashes and all. Without -p,
// -u and the like the first two words are HOST and PORT if the second is a port and the first is no command.
// `top` and `cluster create`, `info`, `check`, `call` in small letters are the tool's own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/net/connection.h"
#include "cli/net/endpoint.h"
#include "cli/show/format.h"

namespace memento::cli {

enum class Mode : std::uint8_t {
  kPrompt,
  kCommand,
  kScript,
  kPipe,
  kImport,
  kExport,
  kBackup,
  kStat,
  kTop,
  kLatency,
  kLatencyHistory,
  kLatencyDistribution,
  kBigKeys,
  kMemoryKeys,
  kHotKeys,
  kScan,
  kMonitor,
  kSubscribe,
  kCluster,
};

struct Options {
  Mode mode = Mode::kPrompt;
  Endpoint endpoint;
  FormatOptions format;
  Words command;               ///< kCommand, kCluster: words; kSubscribe: channels
  bool shows_plainly = false;  ///< as the text protocol writes replies, errors among them, whatever is spoken
  bool last_from_stdin = false;    ///< -x
  std::string script_path;         ///< -f; empty: stdin
  std::uint64_t repeat_count = 1;  ///< 0: until interrupted
  bool has_repeat = false;
  double interval_s = 0;
  bool has_interval = false;
  bool ignores_errors = false;
  std::string data_path;         ///< --import, --export, --backup; "-": stdin or stdout
  std::string data_format;       ///< csv or jsonl; empty: by the file's name
  std::uint64_t from_line = 1;   ///< --import
  std::size_t depth = 1000;      ///< requests sent ahead of their replies
  std::string pattern = "*";     ///< glob: --pattern, --prefix, --fuzzy
  std::uint64_t top_count = 10;  ///< lines of --bigkeys and its like
};

/// Reads argv and the environment (MEMENTO_URI, _HOST, _PORT, _AUTH). Returns an exit status when the tool is
/// to end at once: after --help, or after an error was printed. Passwords in argv are overwritten, so that
/// `ps` does not show them.
std::optional<CliStatus> parse_options(int argc, char** argv, Options* options);

/// A glob that matches the text alone.
std::string glob_of_text(std::string_view text);

}  // namespace memento::cli
