// See inbound_link.h.
#include "bus/inbound_link.h"

#include <algorithm>

#include "bus/core/link_rules.h"
#include "shm/os/clock.h"

namespace memento::bus {
namespace {

constexpr std::int64_t kGreetingMs = 2000;

}  // namespace

InboundLink::InboundLink(BusContext& context, Tcp* tcp, std::int64_t now_ms)
    : context_(context),
      tcp_(tcp),
      handshake_(Handshake::acceptor(context.members, context.lanes.count(), context.secret, new_nonce())),
      has_address_of_member_(context.members.has_address(tcp->peer_text())),
      accepted_ms_(now_ms),
      heard_ms_(now_ms),
      sent_ms_(now_ms) {
  tcp_->set_events({nullptr, [this] { on_bytes(); }, [this](const char* error) { close(error); },
                    [this] { flush(monotonic_time_ms()); }});
  tcp_->on_spare = [this](ByteBuffer frame) { replies_.give_back(std::move(frame)); };
  tcp_->start_reading();
}

// A connection that is closed may be freed already.
InboundLink::~InboundLink() {
  if (!is_closed_) close("this node has ended it");
}

void InboundLink::close(const std::string& why) {
  if (std::exchange(is_closed_, true)) return;
  const std::optional<NodeId> peer = node();
  if (peer && handshake_.other_lane() == 0) {  // of the others it is said on the other side
    context_.log.warning("the link of " + context_.members.node(*peer).name + " has ended: " + why);
  }
  if (lane_ != nullptr && lane_->inbound() == this) lane_->set_inbound(nullptr);
  tcp_->close();
}

// A link that is not read cannot be heard on.
void InboundLink::on_tick(std::int64_t now_ms) {
  if (is_closed_) return;
  if (!is_ready_) {
    if (now_ms - accepted_ms_ >= std::min(kGreetingMs, context_.timeout_ms))
      close("no greeting came in time");
    return;
  }
  if (!is_reading_) heard_ms_ = now_ms;
  if (now_ms - heard_ms_ >= context_.timeout_ms) return close("nothing was heard in time");
  if (now_ms - sent_ms_ < LinkRules::kPingMs) return;
  sent_ms_ = now_ms;
  tcp_->send(sender_.frame(FrameType::kPing));
}

void InboundLink::on_bytes() {
  heard_ms_ = monotonic_time_ms();
  take_frames();
}

void InboundLink::resume() {
  if (is_closed_ || !waits_) return;
  waits_ = false;
  if (!on_requests(std::exchange(rest_, {}))) return close("a frame that means nothing");
  take_frames();
}

void InboundLink::take_frames() {
  while (!is_closed_ && !waits_) {
    Frame frame;
    std::size_t taken = 0;
    const FrameReceiver::Outcome outcome = receiver_.next(tcp_->input().view(), &frame, &taken);
    if (outcome == FrameReceiver::Outcome::kIncomplete) break;
    if (outcome == FrameReceiver::Outcome::kBroken || !on_frame(frame)) {
      const std::string why =
          outcome == FrameReceiver::Outcome::kBroken ? receiver_.error() : "a frame that means nothing";
      if (!is_ready_ && !is_closed_)
        context_.stranger_lines.warning(
            context_.log, "a connection from " + tcp_->peer_text() + " to the bus is closed: " + why);
      return close(why);
    }
    tcp_->input().consume(taken);
  }
  if (is_closed_ || is_reading_ != waits_) return;
  is_reading_ = !is_reading_;
  is_reading_ ? tcp_->start_reading() : tcp_->stop_reading();
}

bool InboundLink::on_frame(const Frame& frame) {
  if (is_ready_) {
    if (frame.type == FrameType::kPing) return frame.payload.empty();
    return frame.type == FrameType::kRequests && on_requests(frame.payload);
  }
  const std::string answer = handshake_.on_frame(frame, sender_, receiver_);
  if (!answer.empty()) tcp_->send(answer);
  if (handshake_.state() == Handshake::State::kRefused) {
    context_.stranger_lines.warning(context_.log,
                                    "a node at " + tcp_->peer_text() + " is refused: " + handshake_.reason());
    close(handshake_.reason());
  }
  return handshake_.state() != Handshake::State::kDone || on_ready();
}

// A node that has lost a link makes a new one, maybe before that is seen here.
bool InboundLink::on_ready() {
  if (handshake_.other_lane() >= context_.lanes.count()) return false;
  is_ready_ = true;
  lane_ = &context_.lanes.at(*handshake_.peer(), handshake_.other_lane());
  if (InboundLink* const before = lane_->inbound()) before->close("the node has made a new one");
  lane_->set_inbound(this);
  return true;
}

// What is left when the worker takes no more waits in rest_.
bool InboundLink::on_requests(std::string_view fragments) {
  std::size_t taken = 0;
  if (!lane_->put(fragments, &taken)) return false;
  waits_ = taken < fragments.size();
  rest_.assign(fragments.substr(taken));
  return true;
}

void InboundLink::flush(std::int64_t now_ms) {
  if (is_closed_ || replies_.empty() || tcp_->is_writing()) return;
  std::deque<ByteBuffer> frames = replies_.take();
  for (ByteBuffer& frame : frames) sender_.seal(frame, FrameType::kReplies);
  tcp_->send(std::move(frames));
  sent_ms_ = now_ms;
}

}  // namespace memento::bus
