// See passwords.h.
#include "cli/net/passwords.h"

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include <cstring>
#include <string_view>

#include "shm/os/fd.h"

namespace memento::cli {
namespace {

void overwrite(char* text) {
  if (text != nullptr) std::memset(text, 'x', std::strlen(text));
}

}  // namespace

void hide_passwords(int argc, char** argv, const std::function<bool(std::string_view)>& is_command) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word(argv[i]);
    const bool has_value = word == "-a" || word == "--password";
    if (has_value) overwrite(i + 1 < argc ? argv[i + 1] : nullptr);
    if (word.starts_with("-a") && word.size() > 2) overwrite(argv[i] + 2);
    if (word.starts_with("--password=")) overwrite(argv[i] + std::strlen("--password="));
    const std::size_t scheme = word.find("://");
    const std::size_t at = word.rfind('@');
    if (scheme != word.npos && at != word.npos && at > scheme) {
      std::memset(argv[i] + scheme + 3, 'x', at - scheme - 3);
    }
    if (!has_value && is_command(word)) return;
  }
}

std::optional<std::string> ask_password() {
  const Fd terminal(::open("/dev/tty", O_RDWR | O_CLOEXEC));
  termios shown{};
  if (!terminal || tcgetattr(terminal.get(), &shown) != 0) return std::nullopt;
  termios hidden = shown;
  hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  tcsetattr(terminal.get(), TCSAFLUSH, &hidden);
  static_cast<void>(!::write(terminal.get(), "Password: ", 10));
  std::string password;
  char c = 0;
  while (::read(terminal.get(), &c, 1) == 1 && c != '\n') password += c;
  tcsetattr(terminal.get(), TCSAFLUSH, &shown);
  static_cast<void>(!::write(terminal.get(), "\n", 1));
  return password;
}

}  // namespace memento::cli
