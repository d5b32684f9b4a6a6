// The trap flag, its signal, and the way out. See stepper.h.
#include "tests/crash/stepper.h"

#include <setjmp.h>
#include <signal.h>

namespace memento::crash {
namespace {

constexpr std::size_t kStackBytes = 256 * 1024;

struct Current {
  bool (*observer)(void*, greg_t*) = nullptr;
  void* context = nullptr;
  sigjmp_buf way_out;
};
thread_local Current current;

void on_trap(int, siginfo_t*, void* context) {
  if (current.observer == nullptr) return;
  if (!current.observer(current.context, static_cast<ucontext_t*>(context)->uc_mcontext.gregs)) {
    siglongjmp(current.way_out, 1);
  }
}

// Past the red zone, in which the compiler may keep something.
inline void set_trap_flag() {
  asm volatile("lea -128(%%rsp), %%rsp\n pushfq\n orq $0x100, (%%rsp)\n popfq\n lea 128(%%rsp), %%rsp" ::
                   : "memory", "cc");
}
inline void clear_trap_flag() {
  asm volatile("lea -128(%%rsp), %%rsp\n pushfq\n andq $~0x100, (%%rsp)\n popfq\n lea 128(%%rsp), %%rsp" ::
                   : "memory", "cc");
}

}  // namespace

Stepper::Stepper() : stack_(new char[kStackBytes]) {
  stack_t stack{};
  stack.ss_sp = stack_.get();
  stack.ss_size = kStackBytes;
  sigaltstack(&stack, nullptr);
  struct sigaction action {};
  action.sa_sigaction = on_trap;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGTRAP, &action, nullptr);
}

Stepper::~Stepper() {
  stack_t none{};
  none.ss_flags = SS_DISABLE;
  sigaltstack(&none, nullptr);
}

bool Stepper::run_erased(BodyFunction body, void* body_context, ObserverFunction observer,
                         void* observer_context) {
  current.context = observer_context;
  current.observer = observer;
  if (sigsetjmp(current.way_out, 1) != 0) {
    current.observer = nullptr;
    return false;
  }
  set_trap_flag();
  body(body_context);
  clear_trap_flag();
  current.observer = nullptr;
  return true;
}

}  // namespace memento::crash
