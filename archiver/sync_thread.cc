// See sync_thread.h.
#include "archiver/sync_thread.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cassert>
#include <utility>

namespace memento {

SyncThread::SyncThread() : answered_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), thread_([this] { run(); }) {}

SyncThread::~SyncThread() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ends_ = true;
  }
  wanted_.notify_one();
  thread_.join();
}

void SyncThread::begin(JournalFile& file) {
  assert(!is_running_);
  is_running_ = true;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    file_ = &file;
  }
  wanted_.notify_one();
}

std::optional<Outcome> SyncThread::take_answer() {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t none = ::read(answered_.get(), &count, sizeof count);
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!outcome_) return std::nullopt;
  is_running_ = false;
  return std::exchange(outcome_, std::nullopt);
}

void SyncThread::run() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    wanted_.wait(lock, [this] { return file_ != nullptr || ends_; });
    if (file_ == nullptr) return;
    JournalFile* const file = file_;
    lock.unlock();
    Outcome outcome = file->sync();
    lock.lock();
    file_ = nullptr;
    outcome_ = std::move(outcome);
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(answered_.get(), &one, sizeof one);
  }
}

}  // namespace memento
