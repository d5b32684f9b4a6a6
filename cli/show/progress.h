// A line on stderr that says how far something is, redrawn in place: a bar when the total is known. At a
// terminal only, and at most ten times a second; elsewhere nothing is written but the summary its user
// prints.
#pragma once

#include <cstdint>
#include <string>

namespace memento::cli {

class Progress {
 public:
  /// `total`: of what `done` counts; 0: not known.
  explicit Progress(std::uint64_t total);
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  bool is_due() const;
  /// Redraws: the bar, then `text`.
  void show(std::uint64_t done, const std::string& text);
  /// Takes the line away, for what is to be printed.
  void clear();

 private:
  std::uint64_t total_;
  bool is_terminal_;
  bool is_shown_ = false;
  std::int64_t next_ns_ = 0;
};

/// "1.2M", "430".
std::string short_number(double number);

}  // namespace memento::cli
