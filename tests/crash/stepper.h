// Stepper: runs a function instruction by instruction in this thread, by the processor's trap flag. After
// each instruction an observer sees the registers; it may end the function there, as a kill would, by
// answering false. What the function left on its stack and in its objects is then simply abandoned.
//
// The observer runs in the signal handler: it must not allocate. A function may be ended only where it holds
// nothing of the C library (not inside malloc).
#pragma once

#include <ucontext.h>

#include <cstdint>
#include <memory>
#include <type_traits>

namespace memento::crash {

class Stepper {
 public:
  /// Gives the calling thread a signal stack; the thread must be the one that calls run().
  Stepper();
  ~Stepper();
  Stepper(const Stepper&) = delete;
  Stepper& operator=(const Stepper&) = delete;

  /// For an observer: the function goes on at full speed.
  static void stop_stepping(greg_t* registers) { registers[REG_EFL] &= ~greg_t{0x100}; }

  /// True: body returned. False: the observer ended it.
  template <class Body, class Observer>
  bool run(Body&& body, Observer&& observer) {
    return run_erased([](void* context) { (*static_cast<std::remove_reference_t<Body>*>(context))(); }, &body,
                      [](void* context, greg_t* registers) {
                        return (*static_cast<std::remove_reference_t<Observer>*>(context))(registers);
                      },
                      &observer);
  }

 private:
  using BodyFunction = void (*)(void*);
  using ObserverFunction = bool (*)(void*, greg_t*);
  bool run_erased(BodyFunction body, void* body_context, ObserverFunction observer, void* observer_context);

  std::unique_ptr<char[]> stack_;
};

}  // namespace memento::crash
