// Terminal: one of our programs in a pseudo-terminal, as a user has it: types keys, waits for text on the
// screen.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <string>
#include <vector>

namespace memento::testing {

class Terminal {
 public:
  /// `environment` ("NAME=value") comes on top of TERM=xterm and HOME=`home`; nothing else of ours is passed
  /// on.
  Terminal(const std::string& name, std::vector<std::string> arguments, const std::string& home,
           const std::vector<std::string>& environment = {});
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  void type(const std::string& keys);
  /// Waits until the text was written since the last match (escape sequences left out); a failure when
  /// nothing came for 20 s.
  void expect(const std::string& text);
  /// What was written since the last match, as far as it was read.
  const std::string& unmatched() const { return output_; }
  void resize(unsigned short rows, unsigned short columns);
  void signal(int number) const { kill(child_, number); }
  /// Waits for the program's end: its exit status, or 128 + signal; -1: it does not end.
  int wait();

 private:
  /// Takes in what was written; false at its end, or after 20 s of silence.
  bool read_more();

  pid_t child_ = -1;
  int terminal_ = -1;
  bool has_failed_ = false;  ///< what follows would only wait for nothing
  std::string raw_;          ///< an escape sequence that is not whole yet
  std::string output_;       ///< read and not yet matched
};

}  // namespace memento::testing
