// Password: the server's password in memory that all its processes share. The master sets it at start and on
// HUP, CONFIG SET in a worker; each worker compares. A password is at most kLimitBytes long, empty means that
// there is none.
//
// Each process that sets has two places of its own. It writes the one that is not in use and then makes it
// the current one, so that no two processes write the same place, a reader sees an old or a new password
// whole, and a writer that dies has changed nothing. No process waits for another.
//
// Invariant: a place that is current is not written. turn_ counts the settings beside naming the place, so a
// reader that was overtaken sees that and reads again.
#pragma once

#include <array>
#include <atomic>
#include <cassert>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace memento {

class Password {
 public:
  static constexpr std::size_t kLimitBytes = 511;
  static constexpr std::uint32_t kSetterLimit = 136;  ///< process records, the master's among them
  static constexpr std::uint32_t kMaster = 0;         ///< the master's process record

  bool is_set() const { return copy().size_bytes != 0; }
  std::string text() const {
    const Copy now = copy();
    return std::string(now.bytes.data(), now.size_bytes);
  }

  /// `setter`: the process record of the caller. REQUIRES: text.size() <= kLimitBytes; no other process sets
  /// as `setter`.
  void set(std::string_view text, std::uint32_t setter) {
    assert(setter < kSetterLimit && text.size() <= kLimitBytes);
    Copy fresh;
    fresh.size_bytes = static_cast<std::uint32_t>(text.size());
    std::memcpy(fresh.bytes.data(), text.data(), text.size());
    std::uint64_t turn = turn_.load(std::memory_order_acquire);
    const std::uint32_t place = 2 * setter + (place_of(turn) == 2 * setter ? 1 : 0);
    places_[place].write(fresh);
    while (!turn_.compare_exchange_weak(turn, after(turn, place), std::memory_order_acq_rel)) {
    }
  }

  /// Takes the same time whichever bytes of the candidate are right: it compares as many as the longest
  /// password has.
  bool matches(std::string_view candidate) const {
    const Copy expected = copy();
    std::array<char, kLimitBytes + 1> padded{};
    std::memcpy(padded.data(), candidate.data(),
                candidate.size() < kLimitBytes ? candidate.size() : kLimitBytes);
    std::uint32_t difference =
        expected.size_bytes ^ static_cast<std::uint32_t>(candidate.size() & 0xffffffff);
    for (std::size_t i = 0; i < padded.size(); ++i) {
      difference |= static_cast<std::uint32_t>(static_cast<unsigned char>(padded[i] ^ expected.bytes[i]));
    }
    return difference == 0 && candidate.size() <= kLimitBytes;
  }

 private:
  static constexpr std::size_t kWords = (kLimitBytes + 1) / sizeof(std::uint64_t);

  struct Copy {
    std::uint32_t size_bytes = 0;
    std::array<char, kLimitBytes + 1> bytes{};
  };

  /// In words that can be read while they are written.
  struct Place {
    std::atomic<std::uint32_t> size_bytes{0};
    std::array<std::atomic<std::uint64_t>, kWords> words{};

    void write(const Copy& from) {
      std::array<std::uint64_t, kWords> plain;
      std::memcpy(plain.data(), from.bytes.data(), from.bytes.size());
      for (std::size_t i = 0; i < kWords; ++i) words[i].store(plain[i], std::memory_order_release);
      size_bytes.store(from.size_bytes, std::memory_order_release);
    }
    Copy read() const {
      std::array<std::uint64_t, kWords> plain;
      for (std::size_t i = 0; i < kWords; ++i) plain[i] = words[i].load(std::memory_order_acquire);
      Copy to;
      to.size_bytes = size_bytes.load(std::memory_order_acquire);
      std::memcpy(to.bytes.data(), plain.data(), to.bytes.size());
      return to;
    }
  };

  static std::uint32_t place_of(std::uint64_t turn) { return static_cast<std::uint32_t>(turn & 0xffff); }
  static std::uint64_t after(std::uint64_t turn, std::uint32_t place) {
    return (((turn >> 16) + 1) << 16) | place;
  }

  Copy copy() const {
    for (;;) {
      const std::uint64_t turn = turn_.load(std::memory_order_acquire);
      const Copy now = places_[place_of(turn)].read();
      if (turn_.load(std::memory_order_acquire) == turn) return now;
    }
  }

  std::atomic<std::uint64_t> turn_{0};  ///< how often it was set << 16 | the current place
  std::array<Place, 2 * kSetterLimit> places_;
};

}  // namespace memento
