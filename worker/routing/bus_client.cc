// See bus_client.h.
#include "worker/routing/bus_client.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "shm/os/clock.h"

namespace memento {
namespace {

constexpr std::int64_t kLookPauseMs = 200;
constexpr std::size_t kMuchBytes = kChannelRingBytes / 8;
constexpr std::int64_t kSlackMs = 2000;  // beyond the bus's own time limit

// Where the requests begin that a worker before has not taken. What it was executing is the bus's to answer.
void take_over_peers(const Channel& channel, NodeId end_node) {
  for (NodeId node; node < end_node; ++node) {
    PeerRings& peer = channel.peer(node);
    peer.taken_over.store(peer.taken.load());
    peer.requests.head.store(peer.taken.load());
  }
}

}  // namespace

Result<std::unique_ptr<BusClient>> BusClient::create(Segment& segment, ClusterState& state,
                                                     std::uint32_t process, std::int64_t timeout_ms) {
  Result<Channel> channel =
      Channel::create(segment.path().substr(0, segment.path().rfind('/')), process, state.node_count);
  if (!channel) return channel.error();
  take_over_peers(*channel, state.end_node());
  return std::unique_ptr<BusClient>(new BusClient(segment, state, process, timeout_ms, std::move(*channel)));
}

// What a worker before left unread is skipped; what it sent is dropped by the bus, for its generation is
// another.
BusClient::BusClient(Segment& segment, ClusterState& state, std::uint32_t process, std::int64_t timeout_ms,
                     Channel channel)
    : state_(state),
      process_(process),
      timeout_ms_(timeout_ms),
      channel_(std::move(channel)),
      requests_(channel_.request_writer()),
      replies_(channel_.reply_reader()),
      wakeup_(segment.path(), process),
      generation_(static_cast<std::uint32_t>(channel_.header().generation.fetch_add(1) + 1)),
      bus_generation_(channel_.header().bus_generation.load()),
      now_ms_(monotonic_time_ms()),
      ways_(state.node_count * kLaneLimit) {
  replies_.skip_all();
  for (std::size_t i = 0; i < ways_.size(); ++i) ways_[i].sent_bytes = passed(i).load();
  channel_.header().worker_sleeps.store(0);
  state_.channels_version.fetch_add(1);
  const auto bus = static_cast<std::uint32_t>(state_.bus_process.load());
  if (bus != 0) wakeup_.wake(bus);
}

std::uint32_t BusClient::begin(const NodeRequest& request, const ReplyTo& to) {
  assert(request.node < state_.end_node() && request.node != state_.self);
  if (free_.empty()) {
    assert(pending_.size() < kPendingLimit);
    free_.push_back(static_cast<std::uint32_t>(pending_.size()));
    pending_.emplace_back();
  }
  const std::uint32_t index = free_.back();
  free_.pop_back();
  Pending& pending = pending_[index];
  assert(!pending.is_used);
  pending.to = to;
  pending.sent_ms = now_ms_;
  pending.node = request.node;
  pending.lane = lane_of(to.client_id);
  pending.may_write = request.may_write;
  pending.is_used = true;
  pending.is_queued = false;
  return number_of(index);
}

BusClient::Pending* BusClient::find(std::uint32_t number) {
  const std::uint32_t index = number & ((1u << kIndexBits) - 1);
  if (index >= pending_.size() || !pending_[index].is_used || number_of(index) != number) return nullptr;
  return &pending_[index];
}

void BusClient::release(std::uint32_t number) {
  const std::uint32_t index = number & ((1u << kIndexBits) - 1);
  assert(index < pending_.size() && pending_[index].is_used);
  pending_[index].is_used = false;
  pending_[index].salt = (pending_[index].salt + 1) & ((1u << (32 - kIndexBits)) - 1);
  free_.push_back(index);
}

std::uint64_t BusClient::window_left(std::size_t way) {
  Way& to = ways_[way];
  const std::uint64_t left = passed(way).load(std::memory_order_acquire);
  if (static_cast<std::int64_t>(to.sent_bytes - left) < 0) to.sent_bytes = left;  // of a bus or worker before
  const std::uint64_t used = to.sent_bytes - left;
  return used < kWindowBytes ? kWindowBytes - used : 0;
}

char* BusClient::room_for(std::size_t way, std::size_t payload_bytes) {
  if (payload_bytes > kFragmentLimitBytes || !ways_[way].queue.empty()) return nullptr;
  if (window_left(way) < fragment_bytes(payload_bytes)) return nullptr;
  return requests_.reserve(fragment_bytes(payload_bytes));
}

FragmentHeader BusClient::header_of(std::uint32_t number, const NodeRequest& request, std::uint8_t lane,
                                    std::size_t payload_bytes) const {
  FragmentHeader header{};
  header.payload_bytes = static_cast<std::uint32_t>(payload_bytes);
  header.number = number;
  header.generation = generation_;
  header.process = static_cast<std::uint16_t>(process_);
  header.node = request.node;
  header.lane = lane;
  header.kind = request.kind;
  header.flags =
      static_cast<std::uint8_t>(kFirstFragment | kLastFragment | (request.may_write ? kMayWrite : 0));
  header.protocol = static_cast<std::uint8_t>(request.protocol) & 15;
  header.database = request.database.value & 15;
  return header;
}

void BusClient::finish_fragment(char* place, const FragmentHeader& header, std::uint32_t number) {
  std::memcpy(place, &header, sizeof header);
  const std::uint64_t bytes = fragment_bytes(header.payload_bytes);
  requests_.advance(bytes);
  ways_[way_of(header.node, header.lane)].sent_bytes += bytes;
  if ((header.flags & kLastFragment) == 0) return;
  Pending* const pending = find(number);
  assert(pending != nullptr);
  pending->is_queued = false;
  pending->position = requests_.position();
}

void BusClient::enqueue(std::uint32_t number, const NodeRequest& request, std::uint8_t lane,
                        std::string payload) {
  Pending* const pending = find(number);
  assert(pending != nullptr && !pending->is_queued);
  pending->is_queued = true;
  Way& way = ways_[way_of(request.node, lane)];
  if (way.queue.empty()) busy_ways_.push_back(way_of(request.node, lane));
  way.queued_bytes += payload.size() + sizeof(Queued);
  way.queue.push_back(Queued{number, request, lane, std::move(payload)});
}

// False: there is no room for it now.
bool BusClient::put_fragment(Queued& message) {
  const std::size_t left = message.payload.size() - message.put_bytes;
  const std::size_t size = std::min<std::size_t>(left, kFragmentLimitBytes);
  if (window_left(way_of(message.request.node, message.lane)) < fragment_bytes(size)) return false;
  const std::uint64_t position = requests_.position();
  char* const place = requests_.reserve(fragment_bytes(size));
  if (place == nullptr) return false;
  FragmentHeader header = header_of(message.number, message.request, message.lane, size);
  if (message.put_bytes > 0) header.flags &= static_cast<std::uint8_t>(~kFirstFragment);
  if (size < left) header.flags &= static_cast<std::uint8_t>(~kLastFragment);
  if (message.put_bytes == 0) message.begin_position = position;
  std::memcpy(place + sizeof header, message.payload.data() + message.put_bytes, size);
  message.put_bytes += size;
  finish_fragment(place, header, message.number);
  return true;
}

void BusClient::put_queued(std::size_t way) {
  Way& to = ways_[way];
  while (!to.queue.empty()) {
    Queued& message = to.queue.front();
    bool is_whole = false;
    while (!is_whole && put_fragment(message)) is_whole = message.put_bytes == message.payload.size();
    if (!is_whole) return;
    to.queued_bytes -= message.payload.size() + sizeof(Queued);
    to.queue.pop_front();
  }
}

void BusClient::flush() {
  if (!busy_ways_.empty()) [[unlikely]] {
    for (const std::size_t way : busy_ways_) put_queued(way);
    std::erase_if(busy_ways_, [&](std::size_t way) { return ways_[way].queue.empty(); });
    channel_.header().worker_waits.store(busy_ways_.empty() ? 0 : 1);
  }
  if (requests_.publish()) wake_bus();
}

void BusClient::wake_bus() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (state_.bus_sleeps.load(std::memory_order_relaxed) == 0 || state_.bus_sleeps.exchange(0) == 0) return;
  wakeup_.wake(static_cast<std::uint32_t>(state_.bus_process.load()));
}

bool BusClient::may_sleep() {
  channel_.header().worker_sleeps.store(1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (!replies_.has_more()) return true;
  wake();
  return false;
}

bool BusClient::receive(const OnReply& on_reply) {
  if (channel_.header().bus_generation.load(std::memory_order_acquire) != bus_generation_) [[unlikely]]
    on_new_bus(on_reply);
  if (!replies_.has_more()) return false;
  const std::string_view fragments = replies_.view();
  for_each_fragment(fragments, [&](const FragmentHeader& header, std::string_view payload) {
    Pending* const pending = header.generation == generation_ ? find(header.number) : nullptr;
    if (pending == nullptr) return true;
    const bool is_last = header.kind == FragmentKind::kFailed || (header.flags & kLastFragment) != 0;
    const ReplyTo to = pending->to;
    const NodeId node = pending->node;
    if (is_last) {
      if (pending->is_queued) drop_queued(*pending, header.number);
      release(header.number);
    }
    on_reply(to, node, header.kind == FragmentKind::kFailed ? header.failure : Failure::kNone, payload,
             is_last);
    return true;
  });
  replies_.advance(fragments.size());
  replies_.release();
  if (fragments.size() >= kMuchBytes) wake_bus();  // what found no room may be waiting there
  return true;
}

void BusClient::drop_queued(const Pending& pending, std::uint32_t number) {
  Way& to = ways_[way_of(pending.node, pending.lane)];
  const auto message = std::ranges::find(to.queue, number, &Queued::number);
  if (message == to.queue.end()) return;
  to.queued_bytes -= message->payload.size() + sizeof(Queued);
  to.queue.erase(message);
}

void BusClient::fail(std::uint32_t index, Failure failure, const OnReply& on_reply) {
  const Pending pending = pending_[index];
  const std::uint32_t number = number_of(index);
  if (pending.is_queued) drop_queued(pending, number);
  release(number);
  on_reply(pending.to, pending.node, failure, {}, true);
}

// The bus died. What it had read is lost, sent or not; what it had not read is its successor's. Replies that
// it gave are in the ring, and are taken first.
void BusClient::on_new_bus(const OnReply& on_reply) {
  bus_generation_ = channel_.header().bus_generation.load(std::memory_order_acquire);
  receive(on_reply);
  const std::uint64_t taken = channel_.header().taken_over.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < ways_.size(); ++i) ways_[i].sent_bytes = passed(i).load();  // the rest is lost
  for (std::uint32_t i = 0; i < pending_.size(); ++i) {
    const Pending& pending = pending_[i];
    if (!pending.is_used) continue;
    if (pending.is_queued) {
      const Way& way = ways_[way_of(pending.node, pending.lane)];
      const auto message = std::ranges::find(way.queue, number_of(i), &Queued::number);
      assert(message != way.queue.end());
      if (message->put_bytes > 0 && message->begin_position < taken) fail(i, Failure::kDown, on_reply);
    } else if (pending.position <= taken) {
      fail(i, pending.may_write ? Failure::kUnknown : Failure::kDown, on_reply);
    }
  }
}

// The bus answers in time, or its successor, whatever the other node does; this is for one that was stopped.
void BusClient::look(std::int64_t now_ms, const OnReply& on_reply) {
  now_ms_ = now_ms;
  if (now_ms - looked_ms_ < kLookPauseMs) return;
  looked_ms_ = now_ms;
  const auto bus_seen_ms = static_cast<std::int64_t>(state_.bus_seen_ms.load(std::memory_order_relaxed));
  if (now_ms - bus_seen_ms < timeout_ms_ + kSlackMs) return;
  for (std::uint32_t i = 0; i < pending_.size(); ++i) {
    const Pending& pending = pending_[i];
    if (!pending.is_used || now_ms - pending.sent_ms < timeout_ms_ + kSlackMs) continue;
    fail(i, pending.may_write && !pending.is_queued ? Failure::kUnknown : Failure::kDown, on_reply);
  }
}

}  // namespace memento
