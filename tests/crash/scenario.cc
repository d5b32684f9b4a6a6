// Running one scenario: record each operation, then explore its states. The table is in scenarios.cc.
#include "tests/crash/scenario.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "shm/check.h"
#include "shm/format/size_class.h"

namespace memento::crash {
namespace {

constexpr std::size_t kFailureLimit = 10;
constexpr std::uint64_t kSegmentBytes = 16ull << 20;

// What others do near the victim: on its key, on a key of the same slot, with blocks at hand and without.
std::vector<Operation> writers_near(const std::string& key, bool evicts) {
  const std::size_t tag_end = key.find('}');
  const std::string neighbour =
      tag_end == std::string::npos ? "{" + key + "}near" : key.substr(0, tag_end + 1) + "near";
  if (evicts) {  // what the others change may be gone: nothing that depends on it
    return {put(neighbour, "written by another"), put(key, "overwritten"), erase(key),
            put(neighbour, std::string(900, 'n'))};
  }
  return {put(neighbour, "written by another"),
          append(key, "+more"),
          put(neighbour, std::string(900, 'n')),
          put(key, "overwritten"),
          erase(key),
          expire(key, kStartMs + 50'000'000),
          put(key, std::string(300, 'o')),
          put(neighbour, std::string(40000, 'r')),
          together({append(key, "+one"), put("elsewhere", "+two")})};
}

bool fits_blocks(const Model& model) {
  return std::all_of(model.begin(), model.end(), [](const auto& entry) {
    return entry.first.size() + entry.second.value.size() + 24 <= kLargestBlockBytes;
  });
}

// Chooses the states to explore. Filling a large block makes hundreds of states that differ in bytes nobody
// can reach, and locking all slots in turn tens of thousands that differ in locks: the first ones of such a
// sequence are explored, then a sample.
class Sampler {
 public:
  Sampler(Segment& segment, const Sampling& sampling, std::uint64_t stride)
      : sampling_(sampling),
        stride_(stride),
        slots_offset_(segment.header().slots_offset),
        arena_offset_(segment.header().arena_offset) {}

  bool skip(const WordChange* changes, std::size_t count) {
    bool is_copy = count > 0, is_lock = true;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t offset = changes[i].offset;
      is_copy &= offset >= arena_offset_ && offset - at_ + kReach < 2 * kReach;
      const std::uint64_t in_slots = offset - slots_offset_;
      is_lock &= in_slots < kDatabaseLimit * kDatabaseStride * sizeof(Slot) &&
                 in_slots % sizeof(Slot) < sizeof(RobustLock);
    }
    if (count > 0) at_ = changes[count - 1].offset;
    copy_length_ = is_copy ? copy_length_ + 1 : 0;
    lock_length_ = is_lock ? lock_length_ + 1 : 0;
    ++number_;
    if (stride_ > 1 && !is_sampled(stride_)) return true;
    return (copy_length_ > 8 || lock_length_ > kLocksOfOneOperation) && !is_sampled(kOneInLongSequence);
  }

 private:
  static constexpr std::uint64_t kReach = 512;
  static constexpr std::uint64_t kLocksOfOneOperation = 100;
  static constexpr std::uint64_t kOneInLongSequence = 256;

  bool is_sampled(std::uint64_t one_in) const {
    std::uint64_t random = (number_ + (sampling_.seed << 32)) * 0x9e3779b97f4a7c15;
    random ^= random >> 29;
    return random % std::max<std::uint64_t>(1, one_in / sampling_.density) == 0;
  }

  Sampling sampling_;
  std::uint64_t stride_;
  std::uint64_t slots_offset_;
  std::uint64_t arena_offset_;
  std::uint64_t at_ = 0;
  std::uint64_t number_ = 0;
  std::uint64_t copy_length_ = 0;
  std::uint64_t lock_length_ = 0;
};

// Removes from the model what the victim evicted; those keys.
std::set<std::string> drop_evicted(Keyspace& victim, Model* model) {
  std::set<std::string> gone;
  for (const auto& entry : *model) {
    if (!victim.read(key_named(victim, entry.first), [](const EntryView&) {})) gone.insert(entry.first);
  }
  for (const std::string& key : gone) model->erase(key);
  return gone;
}

// One scenario, from its empty segment to its result.
class Run {
 public:
  Run(const Scenario& scenario, const Sampling& sampling, Segment& segment)
      : scenario_(scenario),
        sampling_(sampling),
        segment_(segment),
        victim_(with_writers_blocks(segment), kVictim),
        recorder_(stepper_, segment, RobustList::registered()),
        aftermath_(stepper_, segment),
        sampler_(segment, sampling, scenario.stride) {}

  ScenarioResult run() {
    set_up();
    for (const Operation& operation : scenario_.operations) {
      const std::vector<std::string> failures = explore(operation);
      for (const std::string& failure : failures) {
        result_.failures.push_back(scenario_.name + ", " + operation.name + ", " + failure);
      }
      if (!failures.empty()) break;
      if (scenario_.evicts) {  // looking for what is left warmed it
        recorder_.sync();
        aftermath_.sync();
      }
    }
    look_for_reached();
    result_.totals.add(aftermath_.totals());
    return std::move(result_);
  }

 private:
  // The writer has some blocks of its own; for others it will need the arena.
  static Segment& with_writers_blocks(Segment& segment) {
    Keyspace writer(segment, kWriter);
    writer.set_now_ms(kStartMs);
    writer.set(writer.hash("of the writer"), "for its magazine");
    writer.erase(writer.hash("of the writer"));
    return segment;
  }

  void set_up() {
    for (const Operation& operation : scenario_.setup) {
      victim_.set_now_ms(operation.now_ms);
      drop_expired(&model_, operation.now_ms);
      if (execute(operation, victim_) != WriteStatus::kOutOfMemory) operation.apply(model_);
      if (scenario_.evicts) drop_evicted(victim_, &model_);
    }
    watch_.key = scenario_.watched;
    if (!scenario_.watched.empty()) {
      watch_.mark = *victim_.mark(key_named(victim_, scenario_.watched));
      if (const auto found = model_.find(scenario_.watched); found != model_.end())
        watch_.before = found->second;
    }
    if (scenario_.prepare) scenario_.prepare(segment_);
    recorder_.sync();
    aftermath_.sync();
  }

  // Executes the operation, recording it, and then looks at what each of its states leaves.
  std::vector<std::string> explore(const Operation& operation) {
    std::vector<std::string> failures;
    victim_.set_now_ms(operation.now_ms);
    drop_expired(&model_, operation.now_ms);
    WriteStatus status = WriteStatus::kDone;
    const std::string distrust = recorder_.record([&] { status = execute(operation, victim_); });
    if (!distrust.empty()) failures.push_back("recording: " + distrust);
    result_.totals.states += recorder_.states().size();
    result_.totals.instructions += recorder_.instructions();
    for (const WordChange& change : recorder_.changes()) changed_.insert(change.offset);
    Crash crash = crash_of(operation, status);
    aftermath_.set_writers(writers_near(operation.key.empty() ? "{t}a" : operation.key, scenario_.evicts));
    explore_states(&crash, &failures);
    return failures;
  }

  // What may be found after a death inside the operation, which has just been executed; the model is as
  // behind it.
  Crash crash_of(const Operation& operation, WriteStatus status) {
    Crash crash;
    crash.now_ms = operation.now_ms;
    crash.seed = sampling_.seed;
    crash.helpers = sampling_.helpers;
    crash.others_evict = scenario_.evicts;
    if (!scenario_.watched.empty()) crash.watch = &watch_;
    crash.allowed = {model_};
    if (status != WriteStatus::kOutOfMemory) operation.apply(model_);
    if (!(crash.allowed.front() == model_)) crash.allowed.push_back(model_);
    if (scenario_.evicts) crash.may_be_gone = drop_evicted(victim_, &model_);
    crash.only_blocks = fits_blocks(crash.allowed.front()) && fits_blocks(crash.allowed.back());
    return crash;
  }

  void explore_states(Crash* crash, std::vector<std::string>* failures) {
    std::size_t done = 0;
    const auto& states = recorder_.states();
    const auto& changes = recorder_.changes();
    for (std::size_t i = 0; i < states.size() && failures->size() < kFailureLimit; ++i) {
      const std::size_t change_count = states[i].changes_end - done;
      aftermath_.advance(changes.data() + done, change_count);
      const bool skips = sampler_.skip(changes.data() + done, change_count);
      done = states[i].changes_end;
      const bool last = i + 1 == states.size();
      ++number_;
      if (skips && !last) continue;
      crash->number = number_;
      crash->list = states[i].list;
      const std::size_t known = failures->size();
      if (crash->only_blocks)
        aftermath_.read_across(*crash, changes.data() + done, changes.size() - done, failures);
      if (last) {  // it has returned: acknowledged
        crash->allowed = {model_};
        crash->may_be_gone.clear();
      }
      aftermath_.explore(*crash, failures);
      for (std::size_t f = known; f < failures->size(); ++f) {
        (*failures)[f] = "state " + std::to_string(i) + " at instruction " +
                         std::to_string(states[i].instruction) + ": " + (*failures)[f];
      }
    }
  }

  void look_for_reached() {
    for (const Place& place : scenario_.reaches) {
      const char* word = reinterpret_cast<const char*>(&place.word(segment_));
      if (result_.failures.empty() &&
          !changed_.contains(static_cast<std::uint64_t>(word - segment_.base()))) {
        result_.failures.push_back(scenario_.name + ": never reaches " + place.name);
      }
    }
  }

  const Scenario& scenario_;
  const Sampling& sampling_;
  Segment& segment_;
  Stepper stepper_;
  Keyspace victim_;
  Recorder recorder_;
  Aftermath aftermath_;
  Sampler sampler_;
  Model model_;
  Watch watch_{};
  std::uint64_t number_ = 0;         ///< of the state
  std::set<std::uint64_t> changed_;  ///< offsets of words
  ScenarioResult result_;
};

}  // namespace

ScenarioResult run_scenario(const Scenario& scenario, const Sampling& sampling) {
  const robust_list_head* const at_start = RobustList::registered();
  SegmentOptions options;
  options.size_bytes = kSegmentBytes;
  options.worker_count = kWorkerCount;
  auto made = Segment::create_anonymous(options);
  if (!made) return {{}, {made.error().message}};
  if (scenario.ring_bytes != 0 && !(*made)->begin_journal(kJournalForDisk, scenario.ring_bytes))
    return {{}, {"no memory for the journal's rings"}};
  if (scenario.page_limit != 0) (*made)->header().page_count = scenario.page_limit;
  ScenarioResult result = Run(scenario, sampling, **made).run();
  syscall(SYS_set_robust_list, at_start, sizeof(robust_list_head));
  return result;
}

}  // namespace memento::crash
