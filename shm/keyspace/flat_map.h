// FlatMap: 64-bit keys to 64-bit values in one array, for work under a lock: it allocates in prepare() only,
// and is emptied in constant time. Keys may repeat; the caller tells them apart.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace memento {

class FlatMap {
 public:
  /// Empties it and makes room for `count` insertions.
  void prepare(std::size_t count) {
    std::size_t wanted = 16;
    while (wanted < count * 2) wanted *= 2;
    if (places_.size() < wanted) {
      places_.assign(wanted, Place{});
      round_ = 0;
    }
    clear();
  }
  void clear() {
    ++round_;
    count_ = 0;
  }

  /// The first value of `key` that `is_it(value)` accepts, or nullptr.
  template <class IsIt>
  std::uint64_t* find(std::uint64_t key, IsIt&& is_it) {
    for (std::size_t at = home(key);; at = (at + 1) & (places_.size() - 1)) {
      Place& place = places_[at];
      if (place.round != round_) return nullptr;
      if (place.key == key && is_it(place.value)) return &place.value;
    }
  }
  std::uint64_t* find(std::uint64_t key) {
    return find(key, [](std::uint64_t) { return true; });
  }

  bool is_full() const { return count_ * 2 >= places_.size(); }
  /// REQUIRES: not full.
  void insert(std::uint64_t key, std::uint64_t value) {
    assert(!is_full());
    std::size_t at = home(key);
    while (places_[at].round == round_) at = (at + 1) & (places_.size() - 1);
    places_[at] = Place{key, value, round_};
    ++count_;
  }

 private:
  struct Place {
    std::uint64_t key = 0;
    std::uint64_t value = 0;
    std::uint64_t round = 0;  ///< taken when it is the map's
  };

  std::size_t home(std::uint64_t key) const {
    return (key * 0x9e3779b97f4a7c15ull >> 20) & (places_.size() - 1);
  }

  std::vector<Place> places_;
  std::uint64_t round_ = 0;
  std::size_t count_ = 0;
};

}  // namespace memento
