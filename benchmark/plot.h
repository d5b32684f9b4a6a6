// Plot: draws results as SVG with gnuplot.
#pragma once

#include <string>
#include <vector>

#include "benchmark/report.h"

namespace memento {

/// gnuplot's script: percentiles of each run, and above them latency against throughput when there are
/// open-loop runs of a sweep. The data is in it.
std::string plot_script(const std::string& file, const std::string& title,
                        const std::vector<MeasuredRun>& runs, bool is_sweep);

/// Runs gnuplot on it.
Outcome draw(const std::string& script);

}  // namespace memento
