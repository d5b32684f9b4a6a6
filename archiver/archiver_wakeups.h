// ArchiverWakeups: what the archiver sleeps for, and what it was told by signals. Archiver; not thread safe.
#pragma once

#include "conf/log.h"
#include "shm/format/layout.h"
#include "shm/messages/wakeup_fifo.h"
#include "shm/os/fd.h"
#include "shm/segment.h"

namespace memento {

class ArchiverWakeups {
 public:
  /// Takes the signals that the master sends its children. `process`: the archiver's record.
  ArchiverWakeups(Segment& segment, std::uint32_t process, Log& log);

  /// errno said why it cannot work.
  bool works() const { return static_cast<bool>(signals_); }
  /// For others to wake.
  WakeupFifo& fifo() { return fifo_; }

  /// Until it is woken, a signal comes, or this descriptor is readable (-1: none); then takes the signals.
  void sleep(int timeout_ms, int descriptor);
  /// Takes signals that have come.
  void take_signals();

  /// SIGTERM: soon another archiver goes on. SIGQUIT: also, nobody writes any more.
  bool ends() const { return ends_; }
  bool nobody_writes() const { return nobody_writes_; }

 private:
  DiskState& disk_;
  Log& log_;
  Fd signals_;
  WakeupFifo fifo_;
  bool ends_ = false;
  bool nobody_writes_ = false;
};

}  // namespace memento
