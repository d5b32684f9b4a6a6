// A node's state folder on a virtual disk: two files that are written in turn, as bytes. A write takes its
// time, and if the machine dies meanwhile the file has the former bytes, the new ones, or some of each.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>

#include "bus/core/random.h"
#include "bus/core/stored_state.h"
#include "tests/simulator/event_queue.h"

namespace memento::simulator {

class SimDisk {
 public:
  struct Manner {
    double slow = 0;   ///< how often a write takes 50 to 1500 ms
    double hangs = 0;  ///< ... 4 to 10 s
    double fails = 0;  ///< ... ends with an error
  };
  /// What became of a write: nothing: it failed.
  using Answer = std::function<void(std::optional<bus::SaveTicket>)>;

  SimDisk(EventQueue& queue, bus::Random random) : queue_(&queue), random_(random) {}

  /// At once, as a start does before the node says anything.
  void write_now(const bus::StoredState& state);
  /// Answered later, unless the process dies before. One that waits is replaced by the next, which contains
  /// it.
  void write(bus::Persist persist, const Manner& manner, Answer answer);
  /// The process, or the machine, is no more: what is under way is on disk, or is not, or is torn.
  void lose_unwritten();
  void erase();

  /// None: the folder is empty.
  std::optional<bus::StoredState> read() const;

 private:
  void begin(bus::Persist persist, const Manner& manner, Answer answer);
  void put(const bus::StoredState& state);
  void tear();

  EventQueue* queue_;
  bus::Random random_;
  std::array<std::string, 2> files_;
  std::uint64_t next_number_ = 1;
  std::uint64_t life_ = 0;  ///< answers of an earlier one are dropped
  std::optional<bus::Persist> under_way_;
  struct Next {
    bus::Persist persist;
    Manner manner;
    Answer answer;
  };
  std::optional<Next> next_;
};

}  // namespace memento::simulator
