// Password: the server's password in memory that all its processes share. The master sets it at start and on HUP,
// CONFIG SET in a worker; each worker compares. A password is at most kLimitBytes long, empty means that there is none.
//
// Setting writes a place that nobody reads and then turns the index, so that a reader sees an old or a new password whole
// and a writer that dies has changed nothing.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace memento {

class Password {
 public:
  static constexpr std::size_t kLimitBytes = 511;

  bool is_set() const { return current().size_bytes != 0; }
  std::string text() const { return std::string(current().bytes.data(), current().size_bytes); }

  /// REQUIRES: text.size() <= kLimitBytes.
  void set(std::string_view text) {
    const std::uint32_t next = index_.load(std::memory_order_acquire) + 1;
    Place& place = places_[next % kPlaces];
    place.bytes.fill(0);
    std::memcpy(place.bytes.data(), text.data(), text.size());
    place.size_bytes = static_cast<std::uint32_t>(text.size());
    index_.store(next, std::memory_order_release);
  }

  /// Takes the same time whatever is right about the candidate: all bytes a password can have are compared.
  bool matches(std::string_view candidate) const {
    const Place& place = current();
    std::array<char, kLimitBytes + 1> padded{};
    std::memcpy(padded.data(), candidate.data(), candidate.size() < kLimitBytes ? candidate.size() : kLimitBytes);
    std::uint32_t difference = place.size_bytes ^ static_cast<std::uint32_t>(candidate.size() & 0xffffffff);
    for (std::size_t i = 0; i < padded.size(); ++i) {
      difference |= static_cast<std::uint32_t>(static_cast<unsigned char>(padded[i] ^ place.bytes[i]));
    }
    return difference == 0 && candidate.size() <= kLimitBytes;
  }

 private:
  static constexpr std::uint32_t kPlaces = 4;
  struct Place {
    std::uint32_t size_bytes = 0;
    std::array<char, kLimitBytes + 1> bytes{};
  };

  const Place& current() const { return places_[index_.load(std::memory_order_acquire) % kPlaces]; }

  std::atomic<std::uint32_t> index_{0};
  std::array<Place, kPlaces> places_;
};

}  // namespace memento
