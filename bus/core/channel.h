// Channel: rings of bytes between one worker and the bus process, in the file `channel-N` beside the segment,
// N being the worker's process record. Any process; each side has one object.
//
//   ChannelHeader           whole pages
//   request ring            kChannelRingBytes: the worker writes, the bus reads: its clients' requests to
//   other nodes reply ring              kChannelRingBytes: the bus writes, the worker reads for each node two
//   rings of peer_ring_bytes(): that node's requests, which the bus writes and the worker
//                           executes, and the worker's replies
//
// A ring is mapped twice in a row, so that no fragment is ever cut by its end. Who writes makes a whole batch
// visible by one release store of the tail, and who reads frees it by one of the head: a process that dies in
// between has written, or read, nothing of it. Each side says before it sleeps that it wants to be woken, and
// looks once more: a wake-up FIFO is woken once for a batch, and only for who sleeps.
//
// The worker makes the file and begins it anew by a new generation, which every fragment carries: what is
// meant for a dead worker is dropped. A bus that takes over notes how far the one before had read. Requests
// of other nodes that a worker had not taken when it died are its successor's.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "bus/core/cluster_state.h"
#include "shm/format/layout.h"
#include "shm/os/fd.h"
#include "shm/os/mapping.h"
#include "shm/os/result.h"

namespace memento {

inline constexpr std::uint64_t kChannelRingBytes = 2 << 20;
/// Requests of one connection to a node take one lane, in which they stay in order.
inline constexpr std::uint32_t kLaneLimit = 16;
constexpr std::uint8_t lane_of(std::uint64_t client_id) {
  return static_cast<std::uint8_t>(client_id % kLaneLimit);
}

/// Of each of the rings for one node's requests and replies: all nodes' together take a few MiB, but in very
/// large clusters.
constexpr std::uint64_t peer_ring_bytes(std::uint32_t node_count) {
  return std::clamp<std::uint64_t>(std::bit_floor((std::uint64_t{4} << 20) / std::max(node_count, 1u)),
                                   128 << 10, 512 << 10);
}
inline constexpr std::uint32_t kFragmentLimitBytes = 64 * 1024;  ///< of a fragment's payload

enum class FragmentKind : std::uint8_t {
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

enum FragmentFlag : std::uint8_t {
  kFirstFragment = 1,  ///< of its message
  kLastFragment = 2,
  kMayWrite = 4,  ///< of a request: it may change something
};

/// In front of each fragment of a request or reply, in rings and in the bus's frames; the next fragment
/// follows the payload at a multiple of 8 bytes.
struct FragmentHeader {
  std::uint32_t payload_bytes;
  std::uint32_t number;      ///< the worker's, given back with the reply
  std::uint32_t generation;  ///< of the worker
  std::uint16_t process;     ///< record of the worker
  NodeId node;               ///< whose slots it is for
  FragmentKind kind;
  std::uint8_t flags;
  std::uint8_t protocol : 4;  ///< the client's, for the reply
  std::uint8_t database : 4;  ///< that a request is about
  Failure failure;
  std::uint8_t lane;   ///< of the request's connection, below kLaneLimit
  std::uint32_t link;  ///< the executing node's: the link that a request came on
};
static_assert(sizeof(FragmentHeader) == 24 && kDatabaseLimit <= 16);
static_assert(offsetof(FragmentHeader, process) == 12 && offsetof(FragmentHeader, flags) == 16);

constexpr std::uint64_t fragment_bytes(std::uint64_t payload_bytes) {
  return (sizeof(FragmentHeader) + payload_bytes + 7) / 8 * 8;
}
static_assert(fragment_bytes(kFragmentLimitBytes) * 4 <= kChannelRingBytes);
static_assert(fragment_bytes(kFragmentLimitBytes) <= peer_ring_bytes(kNodeLimit));

/// Calls on_fragment(header, payload), which returns whether to go on, for each fragment. False: it did not,
/// or the bytes are not whole fragments; those before the fault were given.
template <class OnFragment>
bool for_each_fragment(std::string_view bytes, OnFragment&& on_fragment) {
  while (!bytes.empty()) {
    FragmentHeader header;
    if (bytes.size() < sizeof header) return false;
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.payload_bytes > kFragmentLimitBytes || fragment_bytes(header.payload_bytes) > bytes.size())
      return false;
    if (!on_fragment(header, bytes.substr(sizeof header, header.payload_bytes))) return false;
    bytes.remove_prefix(fragment_bytes(header.payload_bytes));
  }
  return true;
}

/// Positions count bytes since the file was made.
struct RingState {
  alignas(64) Word tail;  ///< the writer's
  alignas(64) Word head;  ///< the reader's
};

/// What one other node asks of the worker.
struct PeerRings {
  RingState requests;
  RingState replies;
  alignas(64) Word taken;      ///< the worker's: requests in front of it were executed, or are about to be
  Word taken_over;             ///< what `taken` was when this worker began
  Word worker_waits;           ///< not 0: it wants its wake-up FIFO when replies are taken
  alignas(64) Word bus_waits;  ///< not 0: it wants its wake-up FIFO when requests are taken
};

struct ChannelHeader {
  RingState requests;
  RingState replies;
  alignas(64) Word generation;      ///< of the worker; +1 with each
  Word worker_sleeps;               ///< it wants its wake-up FIFO to be woken; cleared by who rings
  Word worker_waits;                ///< not 0: it wants to know when `passed` moves
  alignas(64) Word bus_generation;  ///< of the bus that reads it
  Word taken_over;                  ///< head of the requests when that bus began
  /// By node and lane: bytes of requests that have left the bus, or were dropped.
  std::array<std::array<Word, kLaneLimit>, kNodeLimit> passed;
  std::array<PeerRings, kNodeLimit> peers;  ///< by node
};

/// The writer's side of one ring.
class RingWriter {
 public:
  RingWriter() = default;
  /// REQUIRES: ring_bytes is a power of two.
  RingWriter(RingState& state, char* memory, std::uint64_t ring_bytes)
      : state_(&state),
        memory_(memory),
        ring_bytes_(ring_bytes),
        tail_(state.tail.load()),
        head_(state.head.load()) {
    assert(std::has_single_bit(ring_bytes));
  }

  /// Room for so many bytes, a multiple of 8; nullptr: the reader has to read first.
  char* reserve(std::uint64_t bytes) {
    assert(bytes % 8 == 0 && bytes <= ring_bytes_);
    if (tail_ + bytes - head_ > ring_bytes_) {
      head_ = state_->head.load(std::memory_order_acquire);
      if (tail_ + bytes - head_ > ring_bytes_) return nullptr;
    }
    return memory_ + (tail_ & (ring_bytes_ - 1));
  }
  /// REQUIRES: so many bytes were reserved.
  void advance(std::uint64_t bytes) {
    tail_ += bytes;
    assert(tail_ - head_ <= ring_bytes_);
  }
  /// Makes visible what was written. False: there was nothing.
  bool publish() {
    if (state_->tail.load(std::memory_order_relaxed) == tail_) return false;
    state_->tail.store(tail_, std::memory_order_release);
    return true;
  }
  /// What was not published was not written.
  void take_back() { tail_ = state_->tail.load(std::memory_order_relaxed); }
  std::uint64_t position() const { return tail_; }
  std::uint64_t free_bytes() {
    head_ = state_->head.load(std::memory_order_acquire);
    return ring_bytes_ - (tail_ - head_);
  }

 private:
  RingState* state_ = nullptr;
  char* memory_ = nullptr;
  std::uint64_t ring_bytes_ = 0;
  std::uint64_t tail_ = 0;  ///< not yet visible
  std::uint64_t head_ = 0;  ///< as last seen
};

/// The reader's side of one ring.
class RingReader {
 public:
  RingReader() = default;
  RingReader(RingState& state, const char* memory, std::uint64_t ring_bytes)
      : state_(&state), memory_(memory), ring_bytes_(ring_bytes), head_(state.head.load()) {
    assert(std::has_single_bit(ring_bytes));
  }

  bool has_more() const { return state_->tail.load(std::memory_order_acquire) != head_; }
  /// The fragments that are there; they stay until release().
  std::string_view view() const {
    const std::uint64_t tail = state_->tail.load(std::memory_order_acquire);
    return {memory_ + (head_ & (ring_bytes_ - 1)), std::min<std::uint64_t>(tail - head_, ring_bytes_)};
  }
  std::uint64_t position() const { return head_; }
  /// REQUIRES: so many bytes are there.
  void advance(std::uint64_t bytes) {
    assert(bytes <= state_->tail.load(std::memory_order_relaxed) - head_);
    head_ += bytes;
  }
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
  std::uint64_t ring_bytes_ = 0;
  std::uint64_t head_ = 0;
};

/// The mapping. Move-only.
class Channel {
 public:
  static std::string path_of(const std::string& directory, std::uint32_t process);
  /// By the worker: makes the file if it is not there.
  static Result<Channel> create(const std::string& directory, std::uint32_t process,
                                std::uint32_t node_count);
  /// By the bus. Error: it is not there.
  static Result<Channel> open(const std::string& directory, std::uint32_t process, std::uint32_t node_count);

  ChannelHeader& header() const { return *reinterpret_cast<ChannelHeader*>(mapping_.data()); }
  RingWriter request_writer() const { return {header().requests, requests(), kChannelRingBytes}; }
  RingReader request_reader() const { return {header().requests, requests(), kChannelRingBytes}; }
  RingWriter reply_writer() const { return {header().replies, replies(), kChannelRingBytes}; }
  RingReader reply_reader() const { return {header().replies, replies(), kChannelRingBytes}; }

  PeerRings& peer(NodeId node) const {
    assert(node.value < node_count_);
    return header().peers[node.value];
  }
  RingWriter peer_request_writer(NodeId node) const {
    return {peer(node).requests, peer_requests(node), peer_bytes()};
  }
  RingReader peer_request_reader(NodeId node) const {
    return {peer(node).requests, peer_requests(node), peer_bytes()};
  }
  RingWriter peer_reply_writer(NodeId node) const {
    return {peer(node).replies, peer_replies(node), peer_bytes()};
  }
  RingReader peer_reply_reader(NodeId node) const {
    return {peer(node).replies, peer_replies(node), peer_bytes()};
  }

 private:
  static constexpr std::uint64_t kHeaderBytes = (sizeof(ChannelHeader) + 4095) / 4096 * 4096;

  Channel(Mapping mapping, std::uint32_t node_count)
      : mapping_(std::move(mapping)), node_count_(node_count) {}
  static std::uint64_t file_bytes(std::uint32_t node_count) {
    return kHeaderBytes + 2 * kChannelRingBytes + 2 * node_count * peer_ring_bytes(node_count);
  }
  static Result<Channel> map(const Fd& file, const std::string& path, std::uint32_t node_count);
  // Each ring is mapped twice.
  char* requests() const { return mapping_.data() + kHeaderBytes; }
  char* replies() const { return requests() + 2 * kChannelRingBytes; }
  std::uint64_t peer_bytes() const { return peer_ring_bytes(node_count_); }
  char* peer_requests(NodeId node) const {
    return replies() + 2 * kChannelRingBytes + 4 * node.value * peer_bytes();
  }
  char* peer_replies(NodeId node) const { return peer_requests(node) + 2 * peer_bytes(); }

  Mapping mapping_;
  std::uint32_t node_count_;
};

}  // namespace memento
