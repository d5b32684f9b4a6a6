// See guest_link.h.
#include "bus/guest_link.h"

#include <algorithm>

#include "shm/os/clock.h"

namespace memento::bus {
namespace {

constexpr std::uint64_t kMessageSlackBytes = 64 << 20;  // beside one value of the longest kind
constexpr std::int64_t kHandshakeMs = 1000;

}  // namespace

GuestLink::GuestLink(BusContext& context, Tcp* tcp, std::int64_t now_ms)
    : context_(context),
      tcp_(tcp),
      handshake_(Handshake::acceptor(context.members, context.secret, new_nonce())),
      assembler_(context.keyspace.value_limit_bytes() + kMessageSlackBytes),
      heard_ms_(now_ms) {
  tcp_->set_events({nullptr, [this] { on_bytes(); }, [this](const char* error) { close(error); },
                    [this] {
                      flush();
                      on_bytes();
                    }});
  tcp_->on_spare = [this](ByteBuffer frame) { replies_.give_back(std::move(frame)); };
  tcp_->start_reading();
}

GuestLink::~GuestLink() { tcp_->close(); }

void GuestLink::close(const std::string& why) {
  if (std::exchange(is_closed_, true)) return;
  const std::optional<std::size_t> peer = node();
  if (peer) {
    context_.log.warning("the link of " + context_.members.nodes[*peer].name + " has ended: " + why);
  }
  tcp_->close();
}

void GuestLink::on_tick(std::int64_t now_ms) {
  const std::int64_t patience_ms = is_ready_ ? context_.timeout_ms : std::min(kHandshakeMs, context_.timeout_ms);
  if (now_ms - heard_ms_ >= patience_ms && !is_blocked()) close("nothing was heard in time");
}

void GuestLink::on_bytes() {
  heard_ms_ = monotonic_time_ns() / 1'000'000;
  context_.keyspace.set_now_ms(wall_time_ms());
  while (!is_closed_ && !is_blocked()) {
    Frame frame;
    std::size_t taken = 0;
    const FrameReceiver::Outcome outcome = receiver_.next(tcp_->input().view(), &frame, &taken);
    if (outcome == FrameReceiver::Outcome::kIncomplete) break;
    if (outcome == FrameReceiver::Outcome::kBroken || !on_frame(frame)) {
      const std::string why = outcome == FrameReceiver::Outcome::kBroken ? receiver_.error() : "a frame that means nothing";
      if (!is_ready_ && !is_closed_) context_.log.warning("a connection from " + tcp_->peer_text() + " to the bus is closed: " + why);
      return close(why);
    }
    tcp_->input().consume(taken);
  }
  if (is_closed_ || is_reading_ != is_blocked()) return;
  is_reading_ = !is_reading_;
  is_reading_ ? tcp_->start_reading() : tcp_->stop_reading();
}

bool GuestLink::on_frame(const Frame& frame) {
  if (is_ready_) {
    if (frame.type == FrameType::kPing) {
      tcp_->send(sender_.frame(FrameType::kPong));
      return frame.payload.empty();
    }
    return frame.type == FrameType::kRequests && on_requests(frame.payload);
  }
  const std::string answer = handshake_.on_frame(frame, sender_, receiver_);
  if (!answer.empty()) tcp_->send(answer);
  if (handshake_.state() == Handshake::State::kRefused) {
    context_.log.error("a node at " + tcp_->peer_text() + " is refused: " + handshake_.reason());
    close(handshake_.reason());
  }
  is_ready_ = handshake_.state() == Handshake::State::kDone;
  return true;
}

bool GuestLink::on_requests(std::string_view pieces) {
  const bool is_good = for_each_piece(pieces, [&](const PieceHeader& header, std::string_view payload) {
    std::string_view message;
    switch (assembler_.add(header, payload, &message)) {
      case MessageAssembler::Outcome::kBroken: return false;
      case MessageAssembler::Outcome::kIncomplete: return true;
      case MessageAssembler::Outcome::kWhole: break;
    }
    context_.executor.add(header, message);
    if (context_.executor.is_full() || message.data() != payload.data()) run();
    return true;
  });
  run();
  return is_good;
}

void GuestLink::run() {
  std::uint64_t executed = 0;
  context_.executor.run([&](const PieceHeader& request, std::string_view reply) {
    ++executed;
    add_reply(request, reply);
  });
  std::atomic<std::uint64_t>& count = context_.state.nodes[*handshake_.peer()].executed;
  count.store(count.load(std::memory_order_relaxed) + executed, std::memory_order_relaxed);
}

void GuestLink::add_reply(const PieceHeader& request, std::string_view reply) {
  PieceHeader header = request;
  header.kind = PieceKind::kReply;
  header.flags = kFirstPiece;
  do {
    const std::string_view part = reply.substr(0, kPieceLimitBytes);
    reply.remove_prefix(part.size());
    if (reply.empty()) header.flags |= kLastPiece;
    header.payload_bytes = static_cast<std::uint32_t>(part.size());
    replies_.add(header, part);
    header.flags = 0;
  } while (!reply.empty());
}

void GuestLink::flush() {
  if (is_closed_ || replies_.empty() || tcp_->is_writing()) return;
  std::deque<ByteBuffer> frames = replies_.take();
  for (ByteBuffer& frame : frames) sender_.seal(frame, FrameType::kReplies);
  tcp_->send(std::move(frames));
}

}  // namespace memento::bus
