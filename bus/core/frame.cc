// See frame.h.
#include "bus/core/frame.h"

#include <xxhash.h>

#include <cassert>
#include <cstring>

namespace memento::bus {
namespace {

std::uint64_t checksum_of(const FrameHeader& header, const char* payload, std::uint64_t key) {
  const std::uint64_t seed = XXH3_64bits_withSeed(&header, offsetof(FrameHeader, checksum), key);
  return XXH3_64bits_withSeed(payload, header.payload_bytes, seed);
}

bool is_zero(const FrameHeader& header) {
  return (header.reserved[0] | header.reserved[1] | header.reserved[2]) == 0 && header.reserved_word == 0;
}

}  // namespace

void seal_frame(char* frame, std::uint32_t payload_bytes, FrameType type, std::uint64_t sequence,
                std::uint64_t key) {
  FrameHeader header{kFrameMagic, type, {}, payload_bytes, 0, sequence, 0};
  header.checksum = checksum_of(header, frame + sizeof header, key);
  std::memcpy(frame, &header, sizeof header);
}

std::string FrameSender::frame(FrameType type, std::string_view payload) {
  assert(payload.size() <= kFramePayloadLimitBytes);
  std::string frame(sizeof(FrameHeader), '\0');
  frame.append(payload);
  seal_frame(frame.data(), static_cast<std::uint32_t>(payload.size()), type, sequence_++, key_);
  return frame;
}

void FrameSender::seal(ByteBuffer& frame, FrameType type) {
  assert(frame.size() >= sizeof(FrameHeader) &&
         frame.size() - sizeof(FrameHeader) <= kFramePayloadLimitBytes);
  // The buffer is ours; view() shows it as constant.
  char* const bytes = const_cast<char*>(frame.view().data());
  seal_frame(bytes, static_cast<std::uint32_t>(frame.size() - sizeof(FrameHeader)), type, sequence_++, key_);
}

FrameReceiver::Outcome FrameReceiver::next(std::string_view bytes, Frame* frame, std::size_t* taken) {
  if (bytes.size() < sizeof(FrameHeader)) return Outcome::kIncomplete;
  FrameHeader header;
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.magic != kFrameMagic) return broken("what came is not a frame of a memento bus");
  if (static_cast<std::uint8_t>(header.type) >= kFrameTypeCount || !is_zero(header))
    return broken("a frame of no known type");
  if (header.payload_bytes > payload_limit_bytes_) return broken("a frame longer than the limit");
  if (header.sequence != sequence_) return broken("a frame out of sequence");
  if (bytes.size() - sizeof header < header.payload_bytes) return Outcome::kIncomplete;
  if (checksum_of(header, bytes.data() + sizeof header, key_) != header.checksum)
    return broken("a frame with a wrong checksum");
  ++sequence_;
  *frame = Frame{header.type, bytes.substr(sizeof header, header.payload_bytes)};
  *taken = sizeof header + header.payload_bytes;
  return Outcome::kFrame;
}

}  // namespace memento::bus
