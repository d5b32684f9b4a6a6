// See wakeup_fifo.h.
#include "shm/messages/wakeup_fifo.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace memento {

WakeupFifo::WakeupFifo(const std::string& segment_path, std::uint32_t process) {
  if (segment_path.empty()) return;
  directory_ = segment_path.substr(0, segment_path.rfind('/'));
  const std::string path = path_of(process);
  if (mkfifo(path.c_str(), 0600) != 0 && errno != EEXIST) return;
  // For writing too: otherwise it would stay readable while nobody has it open for writing.
  own_ = Fd(open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
}

std::string WakeupFifo::path_of(std::uint32_t process) const {
  return directory_ + "/bell-" + std::to_string(process);
}

void WakeupFifo::drain() {
  char rings[64];
  while (::read(own_.get(), rings, sizeof rings) == sizeof rings) {
  }
}

void WakeupFifo::wake(std::uint32_t process) {
  if (directory_.empty()) return;
  Fd& other = others_[process];
  if (!other) other = Fd(open(path_of(process).c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
  const char one = 1;
  if (other && ::write(other.get(), &one, 1) < 0 && errno != EAGAIN) other.reset();
}

}  // namespace memento
