// Channel: two rings of bytes between one worker and the bus process, in the file `channel-N` beside the
// segment, N being the worker's process record. Any process; each side has one object.
//
//   0                       ChannelHeader, one page
//   4096                    request ring, kChannelRingBytes: the worker writes, the bus reads
//   4096 + ring             reply ring: the bus writes, the worker reads
//
// A ring is mapped twice in a row, so that no piece is ever cut by its end. Who writes makes a whole batch
// visible by one release store of the tail, and who reads frees it by one of the head: a process that dies in
// between has written, or read, nothing of it. Each side says before it sleeps that it wants to be woken, and
// looks once more: a bell is rung once for a batch, and only for who sleeps.
//
// The worker makes the file and begins it anew by a new generation, which every piece carries: what is meant
// for a dead worker is dropped. A bus that takes over notes how far the one before had read.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "shm/cluster_state.h"
#include "shm/layout.h"
#include "shm/os/result.h"

namespace memento {

inline constexpr std::uint64_t kChannelRingBytes = 2 << 20;
inline constexpr std::uint32_t kPieceLimitBytes = 128 * 1024;  ///< of a piece's payload

enum class PieceKind : std::uint8_t {
  kCommand,  ///< words of one command
  kWatch,    ///< keys; the answer is what they hold
  kExec,     ///< what WATCH answered, and commands to execute as one
  kReply,    ///< bytes for the client, or for who asked
  kFailed,   ///< a Failure instead of a reply
};

/// Why a request has no reply.
enum class Failure : std::uint8_t {
  kNone,
  kDown,     ///< it was not executed: the node cannot be reached
  kUnknown,  ///< it was sent and may have been executed
  kLost,     ///< it was executed; the reply was dropped
};

enum PieceFlag : std::uint8_t {
  kFirstPiece = 1,  ///< of its message
  kLastPiece = 2,
  kMayWrite = 4,  ///< of a request: it may change something
};

/// In front of each piece of a request or reply, in rings and in the bus's frames; the next piece follows the
/// payload at a multiple of 8 bytes.
struct PieceHeader {
  std::uint32_t payload_bytes;
  std::uint32_t number;      ///< the worker's, given back with the reply
  std::uint32_t generation;  ///< of the worker
  std::uint16_t process;     ///< record of the worker
  std::uint8_t node;         ///< whose slots it is for
  PieceKind kind;
  std::uint8_t flags;
  std::uint8_t protocol;  ///< the client's, for the reply
  Failure failure;
  std::uint8_t reserved;
  std::uint32_t reserved_word;  ///< zero: what follows begins at a multiple of 8 bytes
};
static_assert(sizeof(PieceHeader) == 24);
static_assert(offsetof(PieceHeader, process) == 12 && offsetof(PieceHeader, flags) == 16);

constexpr std::uint64_t piece_bytes(std::uint64_t payload_bytes) {
  return (sizeof(PieceHeader) + payload_bytes + 7) / 8 * 8;
}
static_assert(piece_bytes(kPieceLimitBytes) * 4 <= kChannelRingBytes);

/// Calls on_piece(header, payload), which returns whether to go on, for each piece. False: it did not, or the
/// bytes are not whole pieces; those before the fault were given.
template <class OnPiece>
bool for_each_piece(std::string_view bytes, OnPiece&& on_piece) {
  while (!bytes.empty()) {
    PieceHeader header;
    if (bytes.size() < sizeof header) return false;
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.payload_bytes > kPieceLimitBytes || piece_bytes(header.payload_bytes) > bytes.size())
      return false;
    if (!on_piece(header, bytes.substr(sizeof header, header.payload_bytes))) return false;
    bytes.remove_prefix(piece_bytes(header.payload_bytes));
  }
  return true;
}

/// Positions count bytes since the file was made.
struct RingState {
  alignas(64) Word tail;  ///< the writer's
  alignas(64) Word head;  ///< the reader's
};

struct ChannelHeader {
  RingState requests;
  RingState replies;
  alignas(64) Word generation;      ///< of the worker; +1 with each
  Word worker_sleeps;               ///< it wants its bell to be rung; cleared by who rings
  Word worker_waits;                ///< not 0: it wants to know when `passed` moves
  alignas(64) Word bus_generation;  ///< of the bus that reads it
  Word taken_over;                  ///< head of the requests when that bus began
  std::array<Word, kNodeLimit>
      passed;  ///< by node: bytes of requests that have left the bus, or were dropped
};
static_assert(sizeof(ChannelHeader) <= 4096);

/// The writer's side of one ring.
class RingWriter {
 public:
  RingWriter() = default;
  RingWriter(RingState& state, char* memory)
      : state_(&state), memory_(memory), tail_(state.tail.load()), head_(state.head.load()) {}

  /// Room for so many bytes, a multiple of 8; nullptr: the reader has to read first.
  char* reserve(std::uint64_t bytes) {
    if (tail_ + bytes - head_ > kChannelRingBytes) {
      head_ = state_->head.load(std::memory_order_acquire);
      if (tail_ + bytes - head_ > kChannelRingBytes) return nullptr;
    }
    return memory_ + tail_ % kChannelRingBytes;
  }
  void advance(std::uint64_t bytes) { tail_ += bytes; }
  /// Makes visible what was written. False: there was nothing.
  bool publish() {
    if (state_->tail.load(std::memory_order_relaxed) == tail_) return false;
    state_->tail.store(tail_, std::memory_order_release);
    return true;
  }
  std::uint64_t position() const { return tail_; }
  std::uint64_t free_bytes() {
    head_ = state_->head.load(std::memory_order_acquire);
    return kChannelRingBytes - (tail_ - head_);
  }

 private:
  RingState* state_ = nullptr;
  char* memory_ = nullptr;
  std::uint64_t tail_ = 0;  ///< not yet visible
  std::uint64_t head_ = 0;  ///< as last seen
};

/// The reader's side of one ring.
class RingReader {
 public:
  RingReader() = default;
  RingReader(RingState& state, const char* memory)
      : state_(&state), memory_(memory), head_(state.head.load()) {}

  bool has_more() const { return state_->tail.load(std::memory_order_acquire) != head_; }
  /// The pieces that are there; they stay until release().
  std::string_view view() const {
    const std::uint64_t tail = state_->tail.load(std::memory_order_acquire);
    return {memory_ + head_ % kChannelRingBytes, std::min<std::uint64_t>(tail - head_, kChannelRingBytes)};
  }
  void advance(std::uint64_t bytes) { head_ += bytes; }
  /// Lets the writer have what was read.
  void release() { state_->head.store(head_, std::memory_order_release); }
  /// Nothing of what is there is wanted.
  void skip_all() {
    head_ = state_->tail.load(std::memory_order_acquire);
    release();
  }

 private:
  RingState* state_ = nullptr;
  const char* memory_ = nullptr;
  std::uint64_t head_ = 0;
};

/// The mapping. Move-only.
class Channel {
 public:
  static std::string path_of(const std::string& directory, std::uint32_t process);
  /// By the worker: makes the file if it is not there.
  static Result<Channel> create(const std::string& directory, std::uint32_t process);
  /// By the bus. Error: it is not there.
  static Result<Channel> open(const std::string& directory, std::uint32_t process);

  Channel(Channel&& other) noexcept;
  Channel& operator=(Channel&&) = delete;
  ~Channel();

  ChannelHeader& header() const { return *reinterpret_cast<ChannelHeader*>(base_); }
  RingWriter request_writer() const { return {header().requests, requests()}; }
  RingReader request_reader() const { return {header().requests, requests()}; }
  RingWriter reply_writer() const { return {header().replies, replies()}; }
  RingReader reply_reader() const { return {header().replies, replies()}; }

 private:
  explicit Channel(char* base) : base_(base) {}
  static Result<Channel> map(const Fd& file, const std::string& path);
  char* requests() const { return base_ + 4096; }
  char* replies() const { return requests() + 2 * kChannelRingBytes; }
  char* base_;
};

}  // namespace memento
