// ReservedPort: a port of 127.0.0.1 that a test gives to a server of its own. The kernel chooses it, and as
// long as the object lives it gives it to nobody else: a socket of the test is bound to it. That socket does
// not listen, so nobody is connected, and a server can bind the port beside it (both with SO_REUSEADDR),
// stop, and start on it again.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <vector>

#include "shm/os/fd.h"

namespace memento::testing {

class ReservedPort {
 public:
  /// `distances`: the ports so far above it are reserved too, as a cluster's node needs.
  explicit ReservedPort(std::initializer_list<int> distances = {});

  std::uint16_t number() const { return number_; }

 private:
  bool try_reserve(std::initializer_list<int> distances);

  std::vector<Fd> sockets_;
  std::uint16_t number_ = 0;
};

}  // namespace memento::testing
