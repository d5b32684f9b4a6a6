// See worker_lane.h.
#include "bus/worker_lane.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "bus/inbound_link.h"

namespace memento::bus {

namespace {

bool is_request(const FragmentHeader& header) {
  return header.process < kProcessLimit && header.lane < kLaneLimit &&
         (header.kind == FragmentKind::kCommand || header.kind == FragmentKind::kWatch ||
          header.kind == FragmentKind::kExec);
}

}  // namespace

WorkerLane::WorkerLane(Segment& segment, ClusterState& state, WorkerChannels& channels, NodeId node,
                       std::uint32_t worker)
    : segment_(segment),
      state_(state),
      channels_(channels),
      node_(node),
      worker_(worker),
      fail_([this](const FragmentHeader& request, Failure failure) {
        send_run();
        if (inbound_ == nullptr) return;
        FragmentHeader header = request;
        header.payload_bytes = 0;
        header.kind = FragmentKind::kFailed;
        header.flags = kLastFragment;
        header.failure = failure;
        inbound_->add_failure(header);
      }) {}

// Numbers of links differ from those of a bus before, whose requests may still be in the ring.
void WorkerLane::set_inbound(InboundLink* inbound) {
  queue_.on_link_ended();
  inbound_ = inbound;
  if (inbound != nullptr) link_ = channels_.new_link_number();
}

// A worker that was replaced first answers all it was given. One that has died has a successor with the same
// channel; or, when it was to be replaced, none: then the position where it stopped is final.
void WorkerLane::find_worker() {
  const auto wanted =
      static_cast<std::uint16_t>(state_.worker_processes[worker_].load(std::memory_order_relaxed));
  if (channel_ != nullptr) {
    const std::uint64_t generation = channel_->header().generation.load(std::memory_order_acquire);
    if (std::exchange(generation_, generation) != generation) {
      take_replies();
      queue_.on_worker_lost(rings().taken_over.load(std::memory_order_acquire), fail_);
    }
    if (wanted == process_) return;
    if (queue_.awaits_worker()) {
      if (segment_.process(process_).pid.load() != 0) return;
      take_replies();
      queue_.on_worker_gone(rings().taken.load(std::memory_order_acquire), fail_);
    }
  }
  if (queue_.awaits_worker() || wanted == 0) return;
  channel_ = channels_.channel_of(wanted);
  if (channel_ == nullptr) return;
  process_ = wanted;
  generation_ = channel_->header().generation.load(std::memory_order_acquire);
  requests_ = channel_->peer_request_writer(node_);
  replies_ = channel_->peer_reply_reader(node_);
}

bool WorkerLane::has_worker() const {
  return channel_ != nullptr && process_ == state_.worker_processes[worker_].load(std::memory_order_relaxed);
}

bool WorkerLane::has_room() {
  find_worker();
  if (!has_worker()) return false;
  if (requests_.reserve(fragment_bytes(kFragmentLimitBytes)) != nullptr) return true;
  rings().bus_waits.store(1, std::memory_order_relaxed);
  return false;
}

// All is copied at once, and looked at in the ring; what is not published may be written again.
bool WorkerLane::put(std::string_view fragments, std::size_t* taken) {
  *taken = 0;
  find_worker();
  if (!has_worker()) return true;
  const std::string_view fitting = fragments.substr(0, requests_.free_bytes());
  if (fitting.size() < fragments.size()) rings().bus_waits.store(1, std::memory_order_relaxed);
  char* const place = requests_.reserve(0);
  std::memcpy(place, fitting.data(), fitting.size());
  bool is_good = true;
  const bool is_whole =
      for_each_fragment({place, fitting.size()}, [&](FragmentHeader header, std::string_view payload) {
        is_good = is_request(header);
        if (!is_good) return false;
        header.link = link_;
        std::memcpy(place + *taken, &header, sizeof header);
        const std::uint64_t begin = requests_.position();
        requests_.advance(fragment_bytes(payload.size()));
        *taken += fragment_bytes(payload.size());
        queue_.add(header, begin, requests_.position(), fail_);
        return true;
      });
  return is_good && (is_whole || fitting.size() < fragments.size());
}

void WorkerLane::take_replies() {
  if (channel_ == nullptr || !replies_.has_more()) return;
  const std::string_view fragments = replies_.view();
  const std::uint64_t taken_over = rings().taken_over.load(std::memory_order_acquire);
  std::size_t taken = 0;
  for_each_fragment(fragments, [&](const FragmentHeader& header, std::string_view payload) {
    const std::size_t bytes = fragment_bytes(payload.size());
    if (run_.size() + bytes > FrameBatch::kFrameBytes) send_run();
    if (inbound_ != nullptr && !inbound_->takes_replies()) return false;
    if (!queue_.on_reply(header, taken_over, fail_)) {
      send_run();
    } else {
      run_ =
          run_.empty() ? fragments.substr(taken, bytes) : std::string_view(run_.data(), run_.size() + bytes);
    }
    taken += bytes;
    return true;
  });
  send_run();
  queue_.give_failures(fail_);
  if (taken == 0) return;
  replies_.advance(taken);
  replies_.release();
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (rings().worker_waits.load(std::memory_order_relaxed) != 0) channels_.touch(process_);
}

void WorkerLane::send_run() {
  if (!run_.empty() && inbound_ != nullptr) inbound_->add_replies(run_);
  run_ = {};
}

bool WorkerLane::has_work() {
  if (channel_ == nullptr) return false;
  if (replies_.has_more() && (inbound_ == nullptr || inbound_->takes_replies())) return true;
  return inbound_ != nullptr && inbound_->waits_for_worker() && has_room();
}

void WorkerLane::publish() {
  if (channel_ != nullptr && requests_.publish()) channels_.touch(process_);
}

WorkerLanes::WorkerLanes(Segment& segment, ClusterState& state, WorkerChannels& channels,
                         std::uint32_t worker_count)
    : segment_(segment),
      state_(state),
      channels_(channels),
      worker_count_(worker_count),
      count_(std::min(worker_count, kLaneLimit)),
      by_place_(state.node_count * count_) {}

// Where there are more workers than lanes, different nodes use different ones.
WorkerLane& WorkerLanes::at(NodeId node, std::uint32_t lane) {
  const std::size_t place = node.value * count_ + lane;
  if (by_place_[place] == nullptr) {
    by_place_[place] = std::make_unique<WorkerLane>(segment_, state_, channels_, node,
                                                    static_cast<std::uint32_t>(place % worker_count_));
    used_.push_back(by_place_[place].get());
  }
  return *by_place_[place];
}

void WorkerLanes::tick() {
  for (WorkerLane* lane : used_) lane->find_worker();
}

void WorkerLanes::take_replies() {
  for (WorkerLane* lane : used_) lane->take_replies();
}

bool WorkerLanes::has_work() const {
  return std::ranges::any_of(used_, [](WorkerLane* lane) { return lane->has_work(); });
}

bool WorkerLanes::has_unanswered() const {
  return std::ranges::any_of(used_, [](const WorkerLane* lane) { return lane->has_unanswered(); });
}

void WorkerLanes::publish() {
  for (WorkerLane* lane : used_) lane->publish();
}

}  // namespace memento::bus
