// Running one scenario: record each operation, then explore its states. The table is in scenarios.cc.
#include "tests/crash/scenario.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "shm/check.h"
#include "shm/size_class.h"

namespace memento::crash {
namespace {

constexpr std::size_t kFailureLimit = 10;
constexpr std::uint64_t kSegmentBytes = 16ull << 20;

// What others do near the victim: on its key, on a key of the same slot, with blocks at hand and without.
std::vector<Operation> writers_near(const std::string& key) {
  const std::size_t tag_end = key.find('}');
  const std::string neighbour =
      tag_end == std::string::npos ? "{" + key + "}near" : key.substr(0, tag_end + 1) + "near";
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

// Is the state another step of a copy? Filling a large block makes hundreds of states that differ in bytes
// nobody can reach. The first ones of a copy are explored, then every 128th.
class CopyThinner {
 public:
  explicit CopyThinner(std::uint64_t arena_offset) : arena_offset_(arena_offset) {}

  bool skip(const WordChange* changes, std::size_t count) {
    bool follows = count > 0;
    for (std::size_t i = 0; i < count; ++i) {
      follows &= changes[i].offset >= arena_offset_ && changes[i].offset - at_ + kReach < 2 * kReach;
    }
    if (count > 0) at_ = changes[count - 1].offset;
    length_ = follows ? length_ + 1 : 0;
    return length_ > 8 && length_ % 128 != 0;
  }

 private:
  static constexpr std::uint64_t kReach = 512;
  std::uint64_t arena_offset_;
  std::uint64_t at_ = 0;
  std::uint64_t length_ = 0;
};

}  // namespace

ScenarioResult run_scenario(const Scenario& scenario, bool thin_copies) {
  ScenarioResult result;
  const robust_list_head* const at_start = RobustList::registered();
  SegmentOptions options;
  options.size_bytes = kSegmentBytes;
  options.worker_count = kWorkerCount;
  auto made = Segment::create_anonymous(options);
  if (!made) return {{}, {made.error().message}};
  Segment& segment = **made;
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
  }
  if (scenario.prepare) scenario.prepare(segment);
  recorder.sync();
  Aftermath aftermath(stepper, segment);
  aftermath.sync();

  std::uint64_t number = 0;
  CopyThinner copy(segment.header().arena_offset);
  for (const Operation& operation : scenario.operations) {
    std::vector<std::string> failures;
    victim.set_now_ms(operation.now_ms);
    drop_expired(&model, operation.now_ms);
    WriteStatus status = WriteStatus::kDone;
    const std::string distrust = recorder.record([&] { status = operation.run(victim); });
    if (!distrust.empty()) failures.push_back("recording: " + distrust);
    result.totals.states += recorder.states().size();
    result.totals.instructions += recorder.instructions();
    const Model before = model;
    if (status != WriteStatus::kOutOfMemory) operation.apply(model);
    Crash crash;
    crash.now_ms = operation.now_ms;
    crash.allowed = {before};
    if (!(before == model)) crash.allowed.push_back(model);
    crash.only_blocks = fits_blocks(before) && fits_blocks(model);
    aftermath.set_writers(writers_near(operation.key.empty() ? "{t}a" : operation.key));

    std::size_t done = 0;
    const auto& states = recorder.states();
    for (std::size_t i = 0; i < states.size() && failures.size() < kFailureLimit; ++i) {
      const WordChange* changes = recorder.changes().data() + done;
      const std::size_t change_count = states[i].changes_end - done;
      aftermath.advance(changes, change_count);
      done = states[i].changes_end;
      const bool last = i + 1 == states.size();
      ++number;
      if (number % scenario.stride != 0 && !last) continue;
      if (thin_copies && copy.skip(changes, change_count) && !last) continue;
      crash.number = number;
      crash.list = states[i].list;
      if (last) crash.allowed = {model};  // it has returned: acknowledged
      const std::size_t known = failures.size();
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
  }
  result.totals.add(aftermath.totals());
  syscall(SYS_set_robust_list, at_start, sizeof(robust_list_head));
  return result;
}

}  // namespace memento::crash
