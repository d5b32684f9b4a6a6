// FrameBatch: fragments on their way into frames. Pure. A frame is a buffer that begins with room for its
// header, which is filled in when it is sent. Buffers that were sent come back to be used again.
#pragma once

#include <cassert>
#include <cstring>
#include <deque>
#include <vector>

#include "bus/core/channel.h"
#include "bus/core/frame.h"

namespace memento::bus {

class FrameBatch {
 public:
  static constexpr std::size_t kFrameBytes = 192 * 1024;  ///< about as long is one
  static_assert(2 * kFrameBytes <= kFramePayloadLimitBytes &&
                kFrameBytes >= fragment_bytes(kFragmentLimitBytes));

  bool empty() const { return frames_.empty(); }
  /// Of all fragments.
  std::size_t bytes() const { return bytes_; }

  /// REQUIRES: header.payload_bytes == payload.size() <= kFragmentLimitBytes.
  void add(const FragmentHeader& header, std::string_view payload) {
    assert(header.payload_bytes == payload.size() && payload.size() <= kFragmentLimitBytes);
    const std::size_t whole = fragment_bytes(payload.size());
    ByteBuffer& frame = current();
    char* const to = frame.reserve(whole);
    std::memcpy(to, &header, sizeof header);
    if (!payload.empty()) std::memcpy(to + sizeof header, payload.data(), payload.size());
    std::memset(to + sizeof header + payload.size(), 0, whole - sizeof header - payload.size());
    frame.commit(whole);
    bytes_ += whole;
  }

  /// Whole fragments, as they stand in a ring. REQUIRES: not more than kFrameBytes.
  void add_fragments(std::string_view fragments) {
    assert(fragments.size() <= kFrameBytes && fragments.size() % 8 == 0);
    current().append(fragments);
    bytes_ += fragments.size();
  }

  /// The frames, oldest first.
  std::deque<ByteBuffer> take() {
    bytes_ = 0;
    return std::exchange(frames_, {});
  }
  void give_back(ByteBuffer frame) {
    if (spare_.size() >= kSpareLimit || frame.capacity() > 2 * kFrameBytes) return;
    frame.consume(frame.size());
    spare_.push_back(std::move(frame));
  }
  const std::deque<ByteBuffer>& frames() const { return frames_; }

 private:
  static constexpr std::size_t kSpareLimit = 4;

  ByteBuffer& current() {
    if (!frames_.empty() && frames_.back().size() < kFrameBytes) return frames_.back();
    if (spare_.empty()) {
      frames_.emplace_back();
    } else {
      frames_.push_back(std::move(spare_.back()));
      spare_.pop_back();
    }
    std::memset(frames_.back().reserve(sizeof(FrameHeader)), 0, sizeof(FrameHeader));
    frames_.back().commit(sizeof(FrameHeader));
    return frames_.back();
  }

  std::deque<ByteBuffer> frames_;
  std::vector<ByteBuffer> spare_;
  std::size_t bytes_ = 0;
};

}  // namespace memento::bus
