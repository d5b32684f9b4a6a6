// The screen of `memento-cli top` as lines of text. Pure: figures in, lines out; top.h puts them on the
// terminal.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "cli/modes/top_figures.h"

namespace memento::cli {

enum class LineStyle : std::uint8_t { kPlain, kTitle, kHeader, kAlarm };

struct ViewLine {
  std::string text;
  LineStyle style = LineStyle::kPlain;
};

/// What the rows of workers and commands are sorted by.
enum class TopOrder : char {
  kRate = 'o',
  kCpu = 'c',
  kMemory = 'm',
  kClients = 'n',
  kLatency = 'l',
  kName = 'a'
};

struct View {
  std::string server;
  TopOrder order = TopOrder::kRate;
  std::deque<double> ops_history;  ///< the newest last
  std::string problem;             ///< shown instead of figures that are old
};

/// At most `rows` lines of at most `columns` characters; what is least important is left out.
std::vector<ViewLine> view_lines(const View& view, const Sample& sample, Rates rates, std::size_t rows,
                                 std::size_t columns);

}  // namespace memento::cli
