// Result<T>: a value, or an Error that says which call failed on what and why. Used for operating errors
// (system calls, files, configuration); programmers' errors are asserts. Any process.
#pragma once

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>
#include <variant>

namespace memento {

/// Exit statuses of the daemon, after sysexits.h.
enum class ExitStatus : int { kOk = 0, kRuntime = 1, kUsage = 64, kSystem = 71, kConfig = 78 };

struct Error {
  ExitStatus status = ExitStatus::kRuntime;
  int error_number = 0;  ///< errno, or 0 when the message says it all
  std::string message;   ///< call, object, purpose; ends without a full stop
};

/// An Error from errno: "open(/x/y): No such file or directory".
inline Error system_error(const std::string& call, ExitStatus status = ExitStatus::kSystem) {
  const int number = errno;
  return Error{status, number, call + ": " + std::strerror(number)};
}

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}
  Result(Error error) : state_(std::move(error)) {}
  explicit operator bool() const { return std::holds_alternative<T>(state_); }
  T& operator*() { return std::get<T>(state_); }
  const T& operator*() const { return std::get<T>(state_); }
  T* operator->() { return &std::get<T>(state_); }
  const T* operator->() const { return &std::get<T>(state_); }
  const Error& error() const { return std::get<Error>(state_); }

 private:
  std::variant<T, Error> state_;
};

/// Success without a value.
struct Done {};
using Outcome = Result<Done>;

}  // namespace memento
