// Running one scenario: record each operation, then explore its states. The table is in scenarios.cc.
#include "tests/crash/scenario.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <set>

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
      is_lock &= in_slots < kSlotCount * sizeof(Slot) && in_slots % sizeof(Slot) < sizeof(RobustLock);
    }
    if (count > 0) at_ = changes[count - 1].offset;
    copy_length_ = is_copy ? copy_length_ + 1 : 0;
    lock_length_ = is_lock ? lock_length_ + 1 : 0;
    ++number_;
    if (stride_ > 1 && !is_sampled(stride_)) return true;
    return (copy_length_ > 8 || lock_length_ > kLocksOfOneOperation) && !is_sampled(kOneInLongRow);
  }

 private:
  static constexpr std::uint64_t kReach = 512;
  static constexpr std::uint64_t kLocksOfOneOperation = 100;
  static constexpr std::uint64_t kOneInLongRow = 256;

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
    if (!victim.read(victim.hash(entry.first), [](const EntryView&) {})) gone.insert(entry.first);
  }
  for (const std::string& key : gone) model->erase(key);
  return gone;
}

}  // namespace

ScenarioResult run_scenario(const Scenario& scenario, const Sampling& sampling) {
  ScenarioResult result;
  const robust_list_head* const at_start = RobustList::registered();
  SegmentOptions options;
  options.size_bytes = kSegmentBytes;
  options.worker_count = kWorkerCount;
  auto made = Segment::create_anonymous(options);
  if (!made) return {{}, {made.error().message}};
  Segment& segment = **made;
  if (scenario.page_limit != 0) segment.header().page_count = scenario.page_limit;
  Stepper stepper;
  {
    Keyspace writer(segment, kWriter);
    writer.set_now_ms(kStartMs);
    // The writer has some blocks of its own; for others it will need the arena.
    writer.set(writer.hash("of the writer"), "for its magazine");
    writer.erase(writer.hash("of the writer"));
  }
  Keyspace victim(segment, kVictim);
  Recorder recorder(stepper, segment, RobustList::registered());
  Model model;
  for (const Operation& operation : scenario.setup) {
    victim.set_now_ms(operation.now_ms);
    drop_expired(&model, operation.now_ms);
    if (operation.run(victim) != WriteStatus::kOutOfMemory) operation.apply(model);
    if (scenario.evicts) drop_evicted(victim, &model);
  }
  Watch watch{scenario.watched, {}, {}};
  if (!scenario.watched.empty()) {
    watch.mark = *victim.mark(victim.hash(scenario.watched));
    if (const auto found = model.find(scenario.watched); found != model.end()) watch.before = found->second;
  }
  if (scenario.prepare) scenario.prepare(segment);
  recorder.sync();
  Aftermath aftermath(stepper, segment);
  aftermath.sync();

  std::uint64_t number = 0;
  Sampler sampler(segment, sampling, scenario.stride);
  std::set<std::uint64_t> changed;
  for (const Operation& operation : scenario.operations) {
    std::vector<std::string> failures;
    victim.set_now_ms(operation.now_ms);
    drop_expired(&model, operation.now_ms);
    WriteStatus status = WriteStatus::kDone;
    const std::string distrust = recorder.record([&] { status = operation.run(victim); });
    if (!distrust.empty()) failures.push_back("recording: " + distrust);
    result.totals.states += recorder.states().size();
    result.totals.instructions += recorder.instructions();
    for (const WordChange& change : recorder.changes()) changed.insert(change.offset);
    Crash crash;
    crash.now_ms = operation.now_ms;
    crash.seed = sampling.seed;
    crash.helpers = sampling.helpers;
    crash.others_evict = scenario.evicts;
    if (!scenario.watched.empty()) crash.watch = &watch;
    crash.allowed = {model};
    if (status != WriteStatus::kOutOfMemory) operation.apply(model);
    if (!(crash.allowed.front() == model)) crash.allowed.push_back(model);
    if (scenario.evicts) crash.may_be_gone = drop_evicted(victim, &model);
    crash.only_blocks = fits_blocks(crash.allowed.front()) && fits_blocks(crash.allowed.back());
    aftermath.set_writers(writers_near(operation.key.empty() ? "{t}a" : operation.key, scenario.evicts));

    std::size_t done = 0;
    const auto& states = recorder.states();
    const auto& changes = recorder.changes();
    for (std::size_t i = 0; i < states.size() && failures.size() < kFailureLimit; ++i) {
      const std::size_t change_count = states[i].changes_end - done;
      aftermath.advance(changes.data() + done, change_count);
      const bool skips = sampler.skip(changes.data() + done, change_count);
      done = states[i].changes_end;
      const bool last = i + 1 == states.size();
      ++number;
      if (skips && !last) continue;
      crash.number = number;
      crash.list = states[i].list;
      const std::size_t known = failures.size();
      if (crash.only_blocks) {
        aftermath.read_across(crash, changes.data() + done, changes.size() - done, &failures);
      }
      if (last) {  // it has returned: acknowledged
        crash.allowed = {model};
        crash.may_be_gone.clear();
      }
      aftermath.explore(crash, &failures);
      for (std::size_t f = known; f < failures.size(); ++f) {
        failures[f] = "state " + std::to_string(i) + " at instruction " +
                      std::to_string(states[i].instruction) + ": " + failures[f];
      }
    }
    for (const std::string& failure : failures) {
      result.failures.push_back(scenario.name + ", " + operation.name + ", " + failure);
    }
    if (!failures.empty()) break;
    if (scenario.evicts) {  // looking for what is left warmed it
      recorder.sync();
      aftermath.sync();
    }
  }
  for (const Place& place : scenario.reaches) {
    const char* word = reinterpret_cast<const char*>(&place.word(segment));
    if (result.failures.empty() && !changed.contains(static_cast<std::uint64_t>(word - segment.base()))) {
      result.failures.push_back(scenario.name + ": never reaches " + place.name);
    }
  }
  result.totals.add(aftermath.totals());
  syscall(SYS_set_robust_list, at_start, sizeof(robust_list_head));
  return result;
}

}  // namespace memento::crash
