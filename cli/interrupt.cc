// See interrupt.h. The flag is the one thing a handler may touch.
#include "cli/interrupt.h"

namespace memento::cli {
namespace {

volatile std::sig_atomic_t g_interrupted = 0;

}  // namespace

void note_interrupts() {
  struct sigaction action {};
  action.sa_handler = [](int) { g_interrupted = 1; };
  sigaction(SIGINT, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

bool is_interrupted() { return g_interrupted != 0; }

bool take_interrupt() {
  const bool was_set = g_interrupted != 0;
  g_interrupted = 0;
  return was_set;
}

}  // namespace memento::cli
