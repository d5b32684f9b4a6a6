// Frames: what two nodes' buses send each other. Pure: bytes in, frames out.
//
//   FrameHeader   32 bytes, little-endian
//   payload       payload_bytes: by type a handshake's message, or fragments (bus/core/channel.h), each at a
//   multiple of 8 bytes
//
// The checksum is XXH3 over the header before it and the payload, seeded with the link's key, which both
// sides find in the handshake; sequence counts the frames of one direction. So a frame of another link, or
// the same one again, does not fit. A frame that does not fit ends its link. The checksum finds damage and
// mix-ups; it is no proof against somebody who can write into an established connection.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "shm/os/byte_buffer.h"

namespace memento::bus {

static_assert(std::endian::native == std::endian::little);

inline constexpr std::uint32_t kFrameMagic = 0x7375626d;  // "mbus"
inline constexpr std::uint32_t kFramePayloadLimitBytes = 1 << 20;
inline constexpr std::uint32_t kHandshakePayloadLimitBytes =
    1024;  ///< before the other side has proved itself

enum class FrameType : std::uint8_t {
  kHello,    ///< connector: who it is, a nonce
  kWelcome,  ///< acceptor: the same, and its proof that it knows the secret
  kProof,    ///< connector: its proof
  kReady,    ///< acceptor: requests are taken
  kRefused,  ///< either: why not, as text
  kRequests,
  kReplies,
  kPing,  ///< either, from time to time: its bus runs
};
inline constexpr std::uint8_t kFrameTypeCount = 8;

struct FrameHeader {
  std::uint32_t magic;
  FrameType type;
  std::uint8_t reserved[3];  ///< zero
  std::uint32_t payload_bytes;
  std::uint32_t reserved_word;  ///< zero
  std::uint64_t sequence;
  std::uint64_t checksum;
};
static_assert(sizeof(FrameHeader) == 32 && offsetof(FrameHeader, type) == 4 &&
              offsetof(FrameHeader, payload_bytes) == 8 && offsetof(FrameHeader, sequence) == 16 &&
              offsetof(FrameHeader, checksum) == 24);

/// Fills in the header at the front of `frame`, whose payload stands behind it.
void seal_frame(char* frame, std::uint32_t payload_bytes, FrameType type, std::uint64_t sequence,
                std::uint64_t key);

/// One direction of a link, sending.
class FrameSender {
 public:
  /// From the next frame on.
  void set_key(std::uint64_t key) { key_ = key; }
  /// A whole frame.
  std::string frame(FrameType type, std::string_view payload = {});
  /// REQUIRES: `frame` begins with room for the header; its payload is within the limit.
  void seal(ByteBuffer& frame, FrameType type);

 private:
  std::uint64_t key_ = 0;
  std::uint64_t sequence_ = 0;
};

struct Frame {
  FrameType type;
  std::string_view payload;
};

/// One direction of a link, receiving.
class FrameReceiver {
 public:
  enum class Outcome {
    kFrame,
    kIncomplete,
    kBroken,  ///< error() says how; the link is to be closed
  };
  /// The other side may know the key: from here on frames may be long.
  void set_key(std::uint64_t key) {
    key_ = key;
    payload_limit_bytes_ = kFramePayloadLimitBytes;
  }
  /// The frame at the front of `bytes`; `taken` is its length.
  Outcome next(std::string_view bytes, Frame* frame, std::size_t* taken);
  const char* error() const { return error_; }

 private:
  Outcome broken(const char* error) { return error_ = error, Outcome::kBroken; }

  std::uint64_t key_ = 0;
  std::uint64_t sequence_ = 0;
  std::uint32_t payload_limit_bytes_ = kHandshakePayloadLimitBytes;
  const char* error_ = "";
};

}  // namespace memento::bus
