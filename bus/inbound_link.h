// InboundLink: another node's link to this one: its requests go to one of the workers, the replies come back.
// Runs in the bus process. It answers in the order of the requests, takes nothing from the network while the
// worker takes nothing, nor from the worker while its replies are not taken, and ends itself.
#pragma once

#include <optional>
#include <string>

#include "bus/bus_context.h"
#include "bus/core/frame_batch.h"
#include "bus/tcp.h"

namespace memento::bus {

class InboundLink {
 public:
  /// A connection that was accepted. Its greeting as a whole has limited time.
  InboundLink(BusContext& context, Tcp* tcp, std::int64_t now_ms);
  ~InboundLink();
  InboundLink(const InboundLink&) = delete;
  InboundLink& operator=(const InboundLink&) = delete;

  void on_tick(std::int64_t now_ms);
  /// Goes on with requests that the worker did not take.
  void resume();
  /// Sends the replies that are there.
  void flush(std::int64_t now_ms);

  /// From the worker: fragments of replies, as in FrameBatch::add_fragments().
  void add_replies(std::string_view fragments) { replies_.add_fragments(fragments); }
  /// What comes instead of a reply.
  void add_failure(const FragmentHeader& header) { replies_.add(header, {}); }
  bool takes_replies() const { return !tcp_->is_writing() || replies_.bytes() < kRepliesLimitBytes; }
  /// Requests came that the worker did not take.
  bool waits_for_worker() const { return waits_; }

  /// It is to be deleted.
  bool is_closed() const { return is_closed_; }
  /// Nobody has proved to be a member.
  bool is_stranger() const { return !is_ready_ && !is_closed_; }
  bool has_address_of_member() const { return has_address_of_member_; }
  /// Whose link it is; nothing before that has proved itself.
  std::optional<NodeId> node() const { return is_ready_ ? handshake_.peer() : std::nullopt; }
  void close(const std::string& why);

 private:
  static constexpr std::size_t kRepliesLimitBytes = 1 << 20;  ///< not sent: no more are taken

  void on_bytes();
  void take_frames();
  bool on_frame(const Frame& frame);
  bool on_ready();
  bool on_requests(std::string_view fragments);

  BusContext& context_;
  Tcp* const tcp_;
  Handshake handshake_;
  FrameSender sender_;
  FrameReceiver receiver_;
  WorkerLane* lane_ = nullptr;  ///< when ready
  FrameBatch replies_;
  std::string rest_;  ///< of a frame's requests, that the worker does not take now
  const bool has_address_of_member_;
  const std::int64_t accepted_ms_;
  std::int64_t heard_ms_;
  std::int64_t sent_ms_;
  bool is_ready_ = false;
  bool is_reading_ = true;
  bool waits_ = false;
  bool is_closed_ = false;
};

}  // namespace memento::bus
