// See outbound_link.h.
#include "bus/outbound_link.h"

#include <algorithm>
#include <bit>

#include "shm/os/clock.h"

namespace memento::bus {
namespace {

void add_to(std::atomic<std::uint64_t>& word, std::uint64_t amount) {
  word.store(word.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}

}  // namespace

OutboundLink::OutboundLink(BusContext& context, NodeId node, std::uint32_t lane, std::int64_t now_ms)
    : context_(context), id_(node), lane_(lane), rules_(context.timeout_ms, now_ms) {}

OutboundLink::~OutboundLink() {
  if (tcp_ != nullptr) tcp_->close();
  queue_.on_link_broken(fail());
  queue_.refuse_unsent(fail());
  flush_passed();
}

RequestQueue::Fail OutboundLink::fail() const {
  return [this](std::uint16_t process, std::uint32_t generation, std::uint32_t number, Failure failure) {
    context_.channels.fail(process, generation, number, failure);
  };
}

// A link that is not read cannot be heard on.
void OutboundLink::on_tick(std::int64_t now_ms) {
  if (!is_reading_) rules_.on_heard(now_ms);
  switch (rules_.on_tick(now_ms)) {
    case LinkRules::Action::kNothing:
      break;
    case LinkRules::Action::kConnect:
      connect();
      break;
    case LinkRules::Action::kClose:
      close("nothing was heard in time");
      break;
    case LinkRules::Action::kPing:
      tcp_->send(sender_.frame(FrameType::kPing));
      break;
  }
}

void OutboundLink::connect() {
  tcp_ = new Tcp(context_.loop);
  sender_ = FrameSender();
  receiver_ = FrameReceiver();
  handshake_.emplace(Handshake::connector(context_.members, id_, lane_, context_.secret, new_nonce()));
  tcp_->set_events({[this](const char* error) {
                      if (error != nullptr) return close(error);
                      tcp_->send(handshake_->begin(sender_));
                      tcp_->start_reading();
                      is_reading_ = true;
                    },
                    [this] { on_bytes(); }, [this](const char* error) { close(error); }, nullptr});
  tcp_->on_spare = [this](ByteBuffer frame) { queue_.give_back(std::move(frame)); };
  const ClusterNode& peer = context_.members.node(id_);
  tcp_->connect(peer.address, peer.bus_port);
}

void OutboundLink::close(const std::string& why) {
  if (tcp_ == nullptr) return;
  why_closed_ = why;
  tcp_->close();
  tcp_ = nullptr;
  rules_.on_closed(monotonic_time_ms());
  queue_.on_link_broken(fail());
}

// Tried again and again, told once.
void OutboundLink::tell_refusal(const std::string& reason) {
  if (std::exchange(told_refusal_, reason) != reason)
    context_.log.error("no link to " + name() + ": " + reason);
}

void OutboundLink::on_bytes() {
  rules_.on_heard(monotonic_time_ms());
  while (tcp_ != nullptr) {
    Frame frame;
    std::size_t taken = 0;
    const FrameReceiver::Outcome outcome = receiver_.next(tcp_->input().view(), &frame, &taken);
    if (outcome == FrameReceiver::Outcome::kIncomplete) break;
    if (outcome == FrameReceiver::Outcome::kBroken || !on_frame(frame)) {
      const std::string why =
          outcome == FrameReceiver::Outcome::kBroken ? receiver_.error() : "a frame that means nothing";
      if (tcp_ == nullptr) return;
      if (!rules_.is_up()) tell_refusal(why);
      return close(why);
    }
    if (tcp_ != nullptr) tcp_->input().consume(taken);
  }
}

// False: the link is to be closed, or is.
bool OutboundLink::on_frame(const Frame& frame) {
  if (!rules_.is_up()) {
    const std::string answer = handshake_->on_frame(frame, sender_, receiver_);
    if (!answer.empty()) tcp_->send(answer);
    if (handshake_->state() == Handshake::State::kRefused) {
      tell_refusal(handshake_->reason());
      close(handshake_->reason());
      return false;
    }
    if (handshake_->state() != Handshake::State::kDone) return true;
    rules_.on_ready(monotonic_time_ms());
    told_refusal_.clear();
    return true;
  }
  if (frame.type == FrameType::kPing) return frame.payload.empty();
  return frame.type == FrameType::kReplies && on_replies(frame.payload);
}

bool OutboundLink::on_replies(std::string_view fragments) {
  const std::int64_t now_ns = monotonic_time_ns();
  return for_each_fragment(fragments, [&](const FragmentHeader& header, std::string_view payload) {
    const RequestQueue::Sent* const request = queue_.next_answered();
    if (request == nullptr) return false;
    if (header.kind == FragmentKind::kFailed) {
      context_.channels.fail(request->process, request->generation, request->number, header.failure);
      queue_.pop_answered();
      return true;
    }
    context_.channels.reply(request->process, request->generation, request->number, header.flags, payload);
    if ((header.flags & kLastFragment) != 0) {
      note_round_trip(now_ns - request->sent_ns);
      queue_.pop_answered();
    }
    return true;
  });
}

void OutboundLink::flush_passed() {
  queue_.take_passed([&](std::uint16_t process, std::uint8_t lane, std::uint64_t bytes) {
    context_.channels.pass(process, id_, lane, bytes);
  });
}

void OutboundLink::note_round_trip(std::int64_t took_ns) {
  const auto bucket = static_cast<std::size_t>(
      std::bit_width(static_cast<std::uint64_t>(std::max<std::int64_t>(took_ns, 0)) / 1000));
  add_to(node().round_trips[std::min<std::size_t>(bucket, kRoundTripBuckets - 1)], 1);
  add_to(node().requests, 1);
}

void OutboundLink::flush(std::int64_t now_ms) {
  if (queue_.unsent_bytes() > 0) {
    if (rules_.is_up() && !tcp_->is_writing()) {
      std::deque<ByteBuffer> frames = queue_.take_frames(monotonic_time_ns());
      for (ByteBuffer& frame : frames) sender_.seal(frame, FrameType::kRequests);
      tcp_->send(std::move(frames));
      rules_.on_sent(now_ms);
    }
  }
  if (rules_.refuses_requests(now_ms)) queue_.refuse_unsent(fail());
  flush_passed();
  if (tcp_ == nullptr || !rules_.is_up() || is_reading_ != context_.channels.is_congested()) return;
  is_reading_ = !is_reading_;
  is_reading_ ? tcp_->start_reading() : tcp_->stop_reading();
}

Peer::Peer(BusContext& context, NodeId node, std::int64_t now_ms) : context_(context), id_(node) {
  set_lane_count(static_cast<std::uint32_t>(std::max<std::uint64_t>(this->node().lanes.load(), 1)), now_ms);
  this->node().link.store(static_cast<std::uint64_t>(LinkState::kDown));
  this->node().link_changed_ms.store(static_cast<std::uint64_t>(wall_time_ms()));
}

// With another number of lanes requests go by other links: what waits for the ones before is refused, or it
// might be overtaken.
void Peer::set_lane_count(std::uint32_t count, std::int64_t now_ms) {
  for (const auto& link : links_) link->refuse_unsent();
  while (links_.size() > count) links_.pop_back();
  while (links_.size() < count) {
    links_.push_back(
        std::make_unique<OutboundLink>(context_, id_, static_cast<std::uint32_t>(links_.size()), now_ms));
  }
}

void Peer::on_tick(std::int64_t now_ms) {
  for (const auto& link : links_) link->on_tick(now_ms);
  update_state(now_ms);
  std::size_t unsent_bytes = 0;
  for (const auto& link : links_) unsent_bytes += link->unsent_bytes();
  node().queue_bytes.store(unsent_bytes, std::memory_order_relaxed);
  node().unanswered.store(unanswered_count(), std::memory_order_relaxed);
}

// To the outside there is one link, which is up when all are.
void Peer::update_state(std::int64_t now_ms) {
  if (const std::uint32_t count = std::min(links_[0]->lane_count(), kLaneLimit);
      count != 0 && count != links_.size()) {
    node().lanes.store(count);
    set_lane_count(count, now_ms);
  }
  const auto is_down = [](const auto& link) { return !link->is_up(); };
  const auto down = std::ranges::find_if(links_, is_down);
  const LinkState before = state_;
  state_ = down == links_.end()    ? LinkState::kUp
           : (*down)->is_refused() ? LinkState::kRefused
                                   : LinkState::kDown;
  if (state_ == before) return;
  node().link.store(static_cast<std::uint64_t>(state_));
  if (state_ != LinkState::kUp && before != LinkState::kUp) return;
  node().link_changed_ms.store(static_cast<std::uint64_t>(wall_time_ms()));
  const std::string name = context_.members.node(id_).name;
  if (state_ != LinkState::kUp)
    return context_.log.warning("the link to " + name + " is down: " + (*down)->why_closed());
  add_to(node().connects, 1);
  context_.log.info("the link to " + name + " is up");
}

void Peer::on_peer_seen(std::int64_t now_ms) {
  for (const auto& link : links_) link->on_peer_seen(now_ms);
}

bool Peer::is_up() const {
  return std::ranges::all_of(links_, [](const auto& link) { return link->is_up(); });
}

void Peer::flush(std::int64_t now_ms) {
  update_state(now_ms);
  for (const auto& link : links_) link->flush(now_ms);
}

std::size_t Peer::unanswered_count() const {
  std::size_t count = 0;
  for (const auto& link : links_) count += link->unanswered_count();
  return count;
}

}  // namespace memento::bus
