// TrackingFilter: which keys one process's clients track, as a Bloom filter of one hash in the segment, so
// that a writer in another process tells it of few keys but those. Written by its owner, read by anybody
// without a lock.
//
// A key is added before it is read for the client. The bit is set by a locked instruction, and a writer looks
// at it behind the unlocking of the slot, another one: so either the writer sees the bit, or the client's
// read sees what the writer has written.
//
// A dead owner's filter is made invalid (Mailbox::tracks) when its record is repaired.
#pragma once

#include <cstdint>
#include <vector>

#include "shm/format/layout.h"
#include "shm/segment.h"

namespace memento {

class TrackingFilter {
 public:
  /// Begins invalid. REQUIRES: the record is this process's own.
  TrackingFilter(Segment& segment, std::uint32_t process);

  /// Makes it valid and empty. Where there is no memory for it, this process hears of all keys instead.
  void begin();
  void end();
  /// While it is set this process hears of all keys. REQUIRES: between begin() and end().
  void set_hears_all(bool hears_all);

  /// `hash`: HashedKey::hash. As often as it is added it has to be removed.
  void add(std::uint64_t hash);
  void remove(std::uint64_t hash);
  void clear();

 private:
  void publish();

  Segment& segment_;
  Mailbox& mailbox_;
  const std::uint32_t process_;
  Word* words_ = nullptr;                  ///< nullptr: no memory for them
  std::vector<std::uint32_t> key_counts_;  ///< by bit
  bool hears_all_ = false;
  bool is_valid_ = false;
};

/// That process's clients may track the key of this hash.
bool may_track(Segment& segment, std::uint32_t process, std::uint64_t hash);

}  // namespace memento
