// GuestLink: another node's link to this one: its requests come in and are executed, the replies go back. Runs in the bus
// process. It answers in the order of the requests, executes nothing while its replies are not taken, and ends itself.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "bus/bus_context.h"
#include "bus/core/frame_batch.h"
#include "bus/core/request_queue.h"
#include "bus/tcp.h"

namespace memento::bus {

class GuestLink {
 public:
  /// A connection that was accepted.
  GuestLink(BusContext& context, Tcp* tcp, std::int64_t now_ms);
  ~GuestLink();
  GuestLink(const GuestLink&) = delete;
  GuestLink& operator=(const GuestLink&) = delete;

  void on_tick(std::int64_t now_ms);
  /// Sends the replies that are there.
  void flush();
  /// It is to be deleted.
  bool is_closed() const { return is_closed_; }
  /// Whose link it is; nothing before that has proved itself.
  std::optional<std::size_t> node() const { return is_ready_ ? handshake_.peer() : std::nullopt; }
  void close(const std::string& why);

 private:
  static constexpr std::size_t kRepliesLimitBytes = 4 << 20;  ///< not sent: nothing more is executed

  bool is_blocked() const { return tcp_->is_writing() && replies_.bytes() > kRepliesLimitBytes; }
  void on_bytes();
  bool on_frame(const Frame& frame);
  bool on_requests(std::string_view pieces);
  void run();
  void add_reply(const PieceHeader& request, std::string_view reply);

  BusContext& context_;
  Tcp* const tcp_;
  Handshake handshake_;
  FrameSender sender_;
  FrameReceiver receiver_;
  MessageAssembler assembler_;
  FrameBatch replies_;
  std::int64_t heard_ms_;
  bool is_ready_ = false;
  bool is_reading_ = true;
  bool is_closed_ = false;
};

}  // namespace memento::bus
