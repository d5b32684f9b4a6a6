// SyncThread: syncs one file at a time, in a thread of its own, so that its owner goes on meanwhile, and sees
// when the disk does not answer. Only the owner's thread calls it.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "shm/archive/journal_folder.h"
#include "shm/os/fd.h"
#include "shm/os/result.h"

namespace memento {

class SyncThread {
 public:
  SyncThread();
  ~SyncThread();  ///< waits for what is under way
  SyncThread(const SyncThread&) = delete;
  SyncThread& operator=(const SyncThread&) = delete;

  /// Readable when there is an answer; -1: errno said why it cannot work.
  int descriptor() const { return answered_.get(); }
  bool is_running() const { return is_running_; }

  /// REQUIRES: !is_running(); the file stays, and nothing else of it is called but write(), until the answer.
  void begin(JournalFile& file);
  /// The answer, once. Nothing: there is none yet.
  std::optional<Outcome> take_answer();

 private:
  void run();

  Fd answered_;  ///< eventfd
  std::mutex mutex_;
  std::condition_variable wanted_;
  JournalFile* file_ = nullptr;     ///< to be synced; under the mutex, as all that follow
  std::optional<Outcome> outcome_;  ///< of the one that was
  bool ends_ = false;
  bool is_running_ = false;  ///< the owner's
  std::thread thread_;       ///< last: it uses the others
};

}  // namespace memento
