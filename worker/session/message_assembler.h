// MessageAssembler: puts the fragments of another node's messages together. Pure. Each lane of each process
// there sends one message after the other; fragments of different ones may stand between each other.
#pragma once

#include <cstdint>
#include <map>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "bus/core/channel.h"

namespace memento {

/// Memory grows with what came, not with what was announced.
class MessageAssembler {
 public:
  explicit MessageAssembler(std::uint64_t limit_bytes) : limit_bytes_(limit_bytes) {}

  enum class Outcome {
    kWhole,
    kIncomplete,
    kBroken,  ///< the message has no front, or is longer than the limit or than there is memory for: none is
              ///< kept
  };
  /// kWhole: `message` is all of it, valid until the next call; it is `payload` when that is the whole
  /// message.
  Outcome add(const FragmentHeader& header, std::string_view payload, std::string_view* message) {
    const bool is_last = (header.flags & kLastFragment) != 0;
    const auto stream = std::pair(header.process, header.lane);
    if ((header.flags & kFirstFragment) != 0) {
      if (is_last) {
        *message = payload;
        return Outcome::kWhole;
      }
      parts_.insert_or_assign(stream, Part{header.number, header.generation, {}});
    }
    const auto part = parts_.find(stream);
    if (part == parts_.end() || part->second.number != header.number ||
        part->second.generation != header.generation) {
      return Outcome::kBroken;
    }
    if (part->second.bytes.size() + payload.size() > limit_bytes_) {
      parts_.erase(part);
      return Outcome::kBroken;
    }
    try {
      part->second.bytes.append(payload);
    } catch (const std::bad_alloc&) {
      parts_.erase(part);
      return Outcome::kBroken;
    }
    if (!is_last) return Outcome::kIncomplete;
    whole_ = std::move(part->second.bytes);
    parts_.erase(part);
    *message = whole_;
    return Outcome::kWhole;
  }

  /// What add() gave last is not needed any more.
  void release() { whole_ = {}; }
  /// No more fragments come of what is incomplete.
  void clear() {
    parts_.clear();
    release();
  }

 private:
  struct Part {
    std::uint32_t number;
    std::uint32_t generation;
    std::string bytes;
  };
  std::uint64_t limit_bytes_;
  std::map<std::pair<std::uint16_t, std::uint8_t>, Part> parts_;
  std::string whole_;
};

}  // namespace memento
