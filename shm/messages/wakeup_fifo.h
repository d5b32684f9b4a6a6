// WakeupFifo: how a process that sleeps in epoll_wait is told to look into the mailboxes. Each process has a
// FIFO beside the segment, under its record's number: whoever is started later, or by another binary, finds
// it. A wake-up may be lost (its sender may die before it writes), so who listens looks from time to time
// anyway.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "shm/format/layout.h"
#include "shm/os/fd.h"

namespace memento {

class WakeupFifo {
 public:
  /// `segment_path` empty: there are no wake-up FIFOs.
  WakeupFifo(const std::string& segment_path, std::uint32_t process);

  /// Readable when it was woken; -1 when there is none.
  int descriptor() const { return own_.get(); }
  void drain();
  void wake(std::uint32_t process);

 private:
  std::string path_of(std::uint32_t process) const;

  std::string directory_;
  Fd own_;
  std::array<Fd, kProcessLimit> others_;
};

}  // namespace memento
