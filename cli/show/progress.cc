// See progress.h.
#include "cli/show/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "shm/os/clock.h"

namespace memento::cli {
namespace {

constexpr std::int64_t kIntervalNs = 100'000'000;
constexpr std::size_t kBarColumns = 24;

std::size_t columns_of_stderr() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

Progress::Progress(std::uint64_t total) : total_(total), is_terminal_(::isatty(STDERR_FILENO) != 0) {}

bool Progress::is_due() const { return is_terminal_ && monotonic_time_ns() >= next_ns_; }

void Progress::show(std::uint64_t done, const std::string& text) {
  if (!is_terminal_) return;
  next_ns_ = monotonic_time_ns() + kIntervalNs;
  std::string line;
  if (total_ > 0) {
    const double part = std::min(static_cast<double>(done) / static_cast<double>(total_), 1.0);
    const auto filled = static_cast<std::size_t>(part * static_cast<double>(kBarColumns));
    line = "[" + std::string(filled, '#') + std::string(kBarColumns - filled, ' ') + "] " +
           std::to_string(static_cast<int>(part * 100)) + "% ";
  }
  line += text;
  const std::size_t columns = columns_of_stderr();
  if (line.size() >= columns) line.resize(columns - 1);
  std::fprintf(stderr, "\r%s\x1b[K", line.c_str());
  std::fflush(stderr);
  is_shown_ = true;
}

void Progress::clear() {
  if (!is_shown_) return;
  std::fputs("\r\x1b[K", stderr);
  is_shown_ = false;
}

std::string short_number(double number) {
  constexpr const char* kUnits[] = {"", "k", "M", "G", "T"};
  std::size_t unit = 0;
  while (number >= 999.5 && unit + 1 < std::size(kUnits)) {
    number /= 1000;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 || number >= 99.5 ? "%.0f%s" : "%.1f%s", number, kUnits[unit]);
  return text;
}

}  // namespace memento::cli
