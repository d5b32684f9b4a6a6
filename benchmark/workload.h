// Workload: the requests of one benchmark, written out ahead, so that the measured loop only copies bytes to
// sockets. A ring: the connections begin at places spread over it and go round.
//
// Immutable once built; shared by all threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace memento {

class Workload {
 public:
  /// The same request over and over.
  static Workload repeat(std::string_view request);

  /// SET of `count` different keys, each once round the ring: key:000000000000, key:000000000001, ... (16
  /// bytes).
  static Workload fill(std::size_t count, std::size_t value_size_bytes);

  /// SET keyN valueN for N below count: keys that grow in number and length.
  static Workload grow(std::size_t count);

  /// GET (get_percent of 100) and SET of random keys among `key_count`, named as in fill(). The same seed
  /// gives the same requests.
  static Workload mix(std::size_t key_count, unsigned get_percent, std::size_t value_size_bytes);

  std::size_t request_count() const { return ends_.size(); }

  /// The bytes of up to `count` requests from `begin` on, fewer where the ring ends; sets `count` to how
  /// many.
  std::string_view requests(std::size_t begin, std::size_t& count) const;

 private:
  void append(std::string_view first, std::string_view key, std::string_view value);

  std::string bytes_;
  std::vector<std::size_t> ends_;  ///< end of each request in bytes_
};

}  // namespace memento
