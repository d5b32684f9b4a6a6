// See worker_channels.h.
#include "bus/worker_channels.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace memento::bus {

WorkerChannels::WorkerChannels(Segment& segment, ClusterState& state, WakeupFifo& wakeup)
    : segment_(segment),
      state_(state),
      wakeup_(wakeup),
      directory_(segment.path().substr(0, segment.path().rfind('/'))),
      generation_(state.bus_generation.fetch_add(1) + 1) {}

// What the bus before had read is lost; the worker learns how far that was before anything more is read.
void WorkerChannels::open_new() {
  const std::uint64_t version = state_.channels_version.load();
  if (std::exchange(channels_version_, version) == version) return;
  const auto count = static_cast<std::uint16_t>(segment_.header().process_count.load());
  for (std::uint16_t process = 1; process < count; ++process) {
    if (workers_[process]) continue;
    Result<Channel> channel = Channel::open(directory_, process, state_.node_count);
    if (!channel) continue;
    RingReader requests = channel->request_reader();
    RingWriter replies = channel->reply_writer();
    ChannelHeader& header = channel->header();
    header.taken_over.store(header.requests.head.load());
    header.bus_generation.store(generation_, std::memory_order_release);
    workers_[process].emplace(Worker{std::move(*channel), requests, replies});
    open_.push_back(process);
    wakeup_.wake(process);
  }
}

bool WorkerChannels::has_requests() const {
  return state_.channels_version.load(std::memory_order_relaxed) != channels_version_ ||
         std::ranges::any_of(open_,
                             [&](std::uint16_t process) { return workers_[process]->requests.has_more(); });
}

void WorkerChannels::take_requests(const OnRequest& on_request) {
  for (const std::uint16_t process : open_) {
    Worker& worker = *workers_[process];
    if (!worker.requests.has_more()) continue;
    const std::string_view fragments = worker.requests.view();
    const auto generation =
        static_cast<std::uint32_t>(worker.channel.header().generation.load(std::memory_order_acquire));
    for_each_fragment(fragments, [&](const FragmentHeader& header, std::string_view payload) {
      const bool is_good = header.generation == generation && header.process == process &&
                           header.node < state_.end_node() && header.node != state_.self &&
                           header.lane < kLaneLimit;
      if (is_good) on_request(header, payload);
      return true;
    });
    worker.requests.advance(fragments.size());
    worker.requests.release();
    if (worker.channel.header().worker_waits.load(std::memory_order_relaxed) != 0) touch(process);
  }
}

WorkerChannels::Worker* WorkerChannels::find(std::uint16_t process, std::uint32_t generation) {
  if (process >= kProcessLimit || !workers_[process]) return nullptr;
  Worker& worker = *workers_[process];
  return static_cast<std::uint32_t>(worker.channel.header().generation.load(std::memory_order_relaxed)) ==
                 generation
             ? &worker
             : nullptr;
}

void WorkerChannels::put(Worker& worker, const FragmentHeader& header, std::string_view payload) {
  const std::size_t bytes = fragment_bytes(payload.size());
  char* place = worker.backlog.empty() ? worker.replies.reserve(bytes) : nullptr;
  const bool is_put = place != nullptr;
  if (!is_put && worker.backlog.empty()) blocked_.push_back(header.process);
  if (!is_put) place = worker.backlog.reserve(bytes);
  std::memcpy(place, &header, sizeof header);
  if (!payload.empty()) std::memcpy(place + sizeof header, payload.data(), payload.size());
  is_put ? worker.replies.advance(bytes) : worker.backlog.commit(bytes);
  if (!is_put && worker.backlog.size() > kBacklogLimitBytes) is_congested_ = true;
}

void WorkerChannels::reply(std::uint16_t process, std::uint32_t generation, std::uint32_t number,
                           std::uint8_t flags, std::string_view payload) {
  Worker* const worker = find(process, generation);
  if (worker == nullptr) return;
  if (worker->is_stalled) {
    if ((flags & kLastFragment) != 0) fail(process, generation, number, Failure::kLost);
    return;
  }
  FragmentHeader header{};
  header.payload_bytes = static_cast<std::uint32_t>(payload.size());
  header.number = number;
  header.generation = generation;
  header.process = process;
  header.kind = FragmentKind::kReply;
  header.flags = flags;
  put(*worker, header, payload);
  touch(process);
}

void WorkerChannels::fail(std::uint16_t process, std::uint32_t generation, std::uint32_t number,
                          Failure failure) {
  Worker* const worker = find(process, generation);
  if (worker == nullptr) return;
  FragmentHeader header{};
  header.number = number;
  header.generation = generation;
  header.process = process;
  header.kind = FragmentKind::kFailed;
  header.flags = kFirstFragment | kLastFragment;
  header.failure = failure;
  put(*worker, header, {});
  touch(process);
}

void WorkerChannels::pass(std::uint16_t process, NodeId node, std::uint8_t lane, std::uint64_t bytes) {
  if (process >= kProcessLimit || !workers_[process]) return;
  ChannelHeader& header = workers_[process]->channel.header();
  Word& passed = header.passed[node.value][lane];
  passed.store(passed.load(std::memory_order_relaxed) + bytes, std::memory_order_release);
  if (header.worker_waits.load(std::memory_order_relaxed) != 0) touch(process);
}

const Channel* WorkerChannels::channel_of(std::uint16_t process) const {
  return process < kProcessLimit && workers_[process] ? &workers_[process]->channel : nullptr;
}

void WorkerChannels::touch(std::uint16_t process) {
  if (!std::exchange(workers_[process]->is_touched, true)) touched_.push_back(process);
}

void WorkerChannels::move_backlog(Worker& worker) {
  while (!worker.backlog.empty()) {
    FragmentHeader header;
    std::memcpy(&header, worker.backlog.view().data(), sizeof header);
    const std::size_t bytes = fragment_bytes(header.payload_bytes);
    char* const place = worker.replies.reserve(bytes);
    if (place == nullptr) return;
    std::memcpy(place, worker.backlog.view().data(), bytes);
    worker.replies.advance(bytes);
    worker.backlog.consume(bytes);
  }
  worker.backlog.shrink(0);
  worker.is_stalled = false;
}

bool WorkerChannels::has_room_for_replies() const {
  return std::ranges::any_of(blocked_, [&](std::uint16_t process) {
    RingWriter replies = workers_[process]->replies;
    return replies.free_bytes() >= fragment_bytes(kFragmentLimitBytes);
  });
}

void WorkerChannels::flush() {
  for (const std::uint16_t process : blocked_) touch(process);
  for (const std::uint16_t process : touched_) {
    Worker& worker = *workers_[process];
    worker.is_touched = false;
    if (!worker.backlog.empty()) move_backlog(worker);
    worker.replies.publish();
    std::atomic_thread_fence(std::memory_order_seq_cst);
    ChannelHeader& header = worker.channel.header();
    if (header.worker_sleeps.load(std::memory_order_relaxed) != 0 && header.worker_sleeps.exchange(0) != 0)
      wakeup_.wake(process);
  }
  touched_.clear();
  std::erase_if(blocked_, [&](std::uint16_t process) { return workers_[process]->backlog.empty(); });
  is_congested_ = std::ranges::any_of(blocked_, [&](std::uint16_t process) {
    return !workers_[process]->is_stalled && workers_[process]->backlog.size() > kBacklogLimitBytes;
  });
}

void WorkerChannels::on_tick(std::int64_t now_ms) {
  for (const std::uint16_t process : open_) {
    Worker& worker = *workers_[process];
    const std::uint64_t head = worker.channel.header().replies.head.load();
    if (std::exchange(worker.seen_head, head) != head || worker.backlog.empty()) worker.watch.reset();
    if (worker.backlog.empty()) continue;
    worker.watch.look(segment_.process(process).pid.load(), now_ms);
    worker.is_stalled |= worker.watch.idle_ms(now_ms) >= kStoppedPatienceMs ||
                         worker.watch.waited_ms(now_ms) >= kBusyPatienceMs;
  }
}

}  // namespace memento::bus
