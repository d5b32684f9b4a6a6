// Draws: see plot.h.
#include "benchmark/plot.h"

#include <sys/wait.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdio>

namespace memento {
namespace {

/// In gnuplot's single quotes only the quote itself is special.
std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char byte : text) {
    result.push_back(byte);
    if (byte == '\'') result.push_back('\'');
  }
  return result + "'";
}

std::string number(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

double us(std::uint64_t ns) { return std::max(0.001, static_cast<double>(ns) / 1e3); }

/// Lines "1/(1-p) latency", closer together towards 100 %, as far as the count of values carries.
std::string percentile_data(const Histogram& latency) {
  constexpr double kStepsPerDoubling = 8;
  std::string data;
  for (double step = 0;; ++step) {
    const double distance = std::exp2(step / kStepsPerDoubling);
    if (distance > static_cast<double>(latency.count())) break;
    data += number(distance) + " " + number(us(latency.percentile(100 - 100 / distance))) + "\n";
  }
  return data;
}

std::string label_of(const MeasuredRun& run) {
  return run.rate_per_s > 0 ? "open loop, " + number(run.rate_per_s) + " op/s" : "closed loop";
}

}  // namespace

std::string plot_script(const std::string& file, const std::string& title,
                        const std::vector<MeasuredRun>& runs, bool is_sweep) {
  std::string script;
  for (std::size_t index = 0; index < runs.size(); ++index) {
    script +=
        "$run" + std::to_string(index) + " << END\n" + percentile_data(runs[index].result.latency) + "END\n";
  }
  script += "set terminal svg size 960," + std::string(is_sweep ? "1080" : "540") +
            " background 'white' noenhanced\n";
  script += "set output " + quoted(file) + "\n";
  script += "set grid\nset logscale y\nset key outside right\nset ylabel 'latency, us'\n";
  if (is_sweep) {
    script += "$sweep << END\n";
    for (const MeasuredRun& run : runs) {
      if (run.rate_per_s == 0) continue;
      script += number(run.result.replies_per_s());
      for (const double percent : {50.0, 99.0, 99.9})
        script += " " + number(us(run.result.latency.percentile(percent)));
      script += "\n";
    }
    script += "END\nset multiplot layout 2,1 title " + quoted(title) + "\n";
    script += "set xlabel 'operations a second'\nset xrange [0:*]\n";
    script +=
        "plot $sweep using 1:2 with linespoints title 'p50', $sweep using 1:3 with linespoints title 'p99', "
        "$sweep using 1:4 with linespoints title 'p99.9'\n";
    script += "set xrange [*:*]\n";
  } else {
    script += "set title " + quoted(title) + "\n";
  }
  script += "set logscale x\nset xlabel 'percentile'\n";
  script +=
      "set xtics ('0' 1, '50' 2, '90' 10, '99' 100, '99.9' 1e3, '99.99' 1e4, '99.999' 1e5, '99.9999' 1e6)\n";
  script += "plot ";
  for (std::size_t index = 0; index < runs.size(); ++index) {
    const MeasuredRun& run = runs[index];
    script += (index == 0 ? "$run" : ", $run") + std::to_string(index) + " with lines title " +
              quoted(label_of(run));
  }
  return script + (is_sweep ? "\nunset multiplot\n" : "\n");
}

Outcome draw(const std::string& script) {
  std::signal(SIGPIPE, SIG_IGN);  // a gnuplot that is missing, or ends early, must not end this process
  std::FILE* gnuplot = ::popen("gnuplot", "w");
  if (gnuplot == nullptr) return system_error("popen(gnuplot)");
  const bool is_written = std::fwrite(script.data(), 1, script.size(), gnuplot) == script.size();
  const int status = ::pclose(gnuplot);
  if (is_written && status == 0) return Done{};
  const bool is_missing = WIFEXITED(status) && WEXITSTATUS(status) == 127;
  return Error{ExitStatus::kRuntime, 0,
               is_missing ? "gnuplot is not installed; the package is gnuplot-nox" : "gnuplot failed"};
}

}  // namespace memento
