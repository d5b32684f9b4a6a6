// Modes that look at all keys: --scan, --bigkeys, --memkeys; and --hotkeys, which watches the commands of all
// clients. When Ctrl-C ends a survey, what was found so far is shown.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "cli/options.h"

namespace memento::cli {

CliStatus run_scan(const Options& options);
/// --bigkeys, --memkeys by options.mode.
CliStatus run_key_survey(const Options& options);
CliStatus run_hot_keys(const Options& options);

/// The largest of many, kept in order.
class Largest {
 public:
  struct One {
    std::uint64_t size;
    std::string key;
  };
  explicit Largest(std::size_t count) : count_(count) {}
  void add(std::uint64_t size, const std::string& key);
  const std::vector<One>& found() const { return found_; }

 private:
  std::size_t count_;
  std::vector<One> found_;  ///< the largest first
};

/// Counts what occurs most in bounded memory, in the manner of Space-Saving (Metwally, Agrawal, El Abbadi),
/// but for dropping half of the keys at once: a key that is not known begins with the largest count that was
/// dropped. A count is never too low, and too high by that at most.
class FrequentKeys {
 public:
  explicit FrequentKeys(std::size_t capacity) : capacity_(capacity) {}
  void add(const std::string& key);
  std::vector<Largest::One> most(std::size_t count) const;
  std::uint64_t total() const { return total_; }

 private:
  std::size_t capacity_;
  std::unordered_map<std::string, std::uint64_t> counts_;
  std::uint64_t total_ = 0;
  std::uint64_t dropped_ = 0;  ///< the largest count that was dropped
};

/// The keys of a request, by the command table; without a row the word behind the command.
std::vector<std::string> keys_of(const Words& words);

/// The words of a line of MONITOR; none when it is no such line.
Words monitored_words(const std::string& line);

}  // namespace memento::cli
