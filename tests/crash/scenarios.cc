// The table of scenarios. Keys {t}... share one slot; sizes are chosen for the path they take: up to about 32
// KiB an entry is a block of a size class, above it a run.
#include <random>
#include <set>

#include "shm/format/layout.h"
#include "shm/format/size_class.h"
#include "tests/crash/scenario.h"

namespace memento::crash {
namespace {

using Operations = std::vector<Operation>;

SetOptions when(SetCondition condition) { return {condition}; }
SetOptions expiring(TimeMs expiry_ms) { return {SetCondition::kAlways, expiry_ms}; }
SetOptions keeping() { return {SetCondition::kAlways, kNoExpiry, true}; }

std::string text(std::size_t bytes, char letter) { return std::string(bytes, letter); }

// `count` keys of the slot of {t}.
Operations fill(const std::string& prefix, int count, std::size_t value_bytes) {
  Operations operations;
  for (int i = 0; i < count; ++i)
    operations.push_back(put("{t}" + prefix + std::to_string(i), text(value_bytes, 'f')));
  return operations;
}

Operations erase_all(const std::string& prefix, int count) {
  Operations operations;
  for (int i = 0; i < count; ++i) operations.push_back(erase("{t}" + prefix + std::to_string(i)));
  return operations;
}

Operations operator+(Operations left, const Operations& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

// A reader that copies the value of {t}a, a run, and takes very long over it.
void pin(Segment& segment) {
  std::uint64_t pinned = 0;
  auto& pin = segment.process(kPinner).pins[0];
  Keyspace reader(segment, kPinner);
  reader.set_now_ms(kStartMs);
  reader.read(reader.hash("{t}a"), [&](const EntryView&) { pinned = pin.load(); });
  pin.store(pinned);
}

// Asks every process to give its blocks back, as who finds memory short does.
void ask_for_blocks(Segment& segment) { segment.header().memory_shortages.fetch_add(1); }

// All but every so many-th of fill()'s keys.
Operations thin_out(const std::string& prefix, int count, int kept) {
  Operations operations;
  for (int i = 0; i < count; ++i) {
    if (i % kept != 0) operations.push_back(erase("{t}" + prefix + std::to_string(i)));
  }
  return operations;
}

Operations look_up_all(const std::string& prefix, int count, int step) {
  Operations operations;
  for (int i = 0; i < count; i += step) operations.push_back(look_up("{t}" + prefix + std::to_string(i)));
  return operations;
}

const ProcessRecord& victim(Segment& segment) { return segment.process(kVictim); }
const Place kDraining = {"pages that are emptied",
                         [](Segment& segment) -> const Word& { return victim(segment).draining; }};
const Place kTargets = {"blocks to move to",
                        [](Segment& segment) -> const Word& { return victim(segment).targets.count; }};
const Place kEvacuated = {"evacuated blocks",
                          [](Segment& segment) -> const Word& { return victim(segment).evacuated.count; }};
const Place kMovedRun = {"a run to move to",
                         [](Segment& segment) -> const Word& { return victim(segment).held[kHeldMovedRun]; }};
const Place kOldRun = {"a run that was left",
                       [](Segment& segment) -> const Word& { return victim(segment).held[kHeldOldRun]; }};
const Place kOldTable = {"a table that was left",
                         [](Segment& segment) -> const Word& { return victim(segment).held[kHeldOldTable]; }};
const Place kEvictions = {"evictions", [](Segment& segment) -> const Word& {
                            return victim(segment).counters[static_cast<std::size_t>(Counter::kEvicted)];
                          }};
const Place kShortMagazine = {"blocks given back", [](Segment& segment) -> const Word& {
                                return victim(segment).magazines[class_of_size(300)].count;
                              }};
const Place kGhosts = {"ghosts", [](Segment& segment) -> const Word& { return segment.header().ghosts; }};

constexpr TimeMs kLater = kStartMs + 1000;
constexpr TimeMs kMuchLater = kStartMs + 5000;

std::vector<Scenario> scenarios_of_single_keys() {
  return {
      {"set",
       {},
       {put("{t}a", "one"), put("{t}b", "two"), put("{t}a", "uno"), put("{t}a", text(200, 'x')),
        put("{t}a", "one")}},
      {"conditions",
       {put("{t}a", "one")},
       {put("{t}a", "no", when(SetCondition::kIfAbsent)), put("{t}a", "yes", when(SetCondition::kIfPresent)),
        put("{t}b", "no", when(SetCondition::kIfPresent)),
        put("{t}b", "yes", when(SetCondition::kIfAbsent))}},
      {"erase",
       {put("{t}a", "one"), put("{t}b", "two")},
       {erase("{t}a"), erase("{t}none"), erase("{t}b"), put("{t}a", "again")}},
      {"tombstones", fill("k", 16, 20), erase_all("k", 16) + fill("n", 8, 20)},
      {"update",
       {put("{t}a", "041")},
       {increment("{t}a"), increment("{t}b"), append("{t}a", "tail"), prepend("{t}a", "head"),
        pad("{t}a", 100, "end"), append("{t}c", "new"), append("{t}a", text(2000, 't'))}},
      {"expiry",
       {put("{t}a", "one")},
       {expire("{t}a", kLater), expire("{t}a", kMuchLater), expire("{t}a", kNoExpiry),
        expire("{t}a", kNoExpiry), put("{t}a", "two", expiring(kLater)), put("{t}a", "three", keeping()),
        at(kLater, put("{t}a", "four")), expire("{t}none", kLater)}},
      {"long value",
       {put("{t}a", text(40000, 'r'))},
       {overwrite("{t}a", 1001, "part"), overwrite("{t}a", 2, text(40, 'p')), append("{t}a", "tail"),
        expire("{t}a", kLater), expire("{t}a", kNoExpiry), append("{t}a", text(3000, 't'))},
       {},
       2},
      {"long value, much of it",  // takes a redo list longer than a record's
       {put("{t}a", text(60000, 'r'))},
       {overwrite("{t}a", 333, text(18000, 'p'))},
       {},
       29},
      {"long value, pinned",
       {put("{t}a", text(40000, 'r'))},
       {overwrite("{t}a", 1001, "part"), append("{t}a", "tail"), expire("{t}a", kLater)},
       pin,
       3},
  };
}

// Keys that were seen when they were fetched ahead; something happens to them before they are written.
std::vector<Scenario> scenarios_of_seen_keys() {
  const auto after = [](const char* name, const Operations& between) {
    const Sight sight = std::make_shared<Sighting>();
    return Scenario{name,
                    Operations{put("{t}a", "one"), put("{t}b", "two"), see("{t}a", sight)} + between,
                    {put_where_seen("{t}a", "uno", sight)}};
  };
  return {
      {"seen",
       {put("{t}a", "one"), put("{t}b", "two")},
       {put_seen("{t}a", "uno"), put_seen("{t}c", "new"), put_seen("{t}a", text(200, 'x')),
        put_seen("{t}b", "trois"), at(kLater, put_seen("{t}b", "due"))}},
      after("seen, then written", {put("{t}a", "eins")}),
      after("seen, then erased", {erase("{t}a"), put("{t}c", "in its cell")}),
      after("seen, then flushed", {flush()}),
      after("seen, then its table rebuilt", fill("k", 8, 10)),
  };
}

std::vector<Scenario> scenarios_of_background_work_and_flush() {
  return {
      {"watched",
       {put("{t}b", "two")},
       {watch("{t}b"), put("{t}a", "one"), put("{t}a", "uno"), erase("{t}a"), put("{t}b", "due"),
        together({put("{t}a", "again"), put("{u}b", "two")})},
       {},
       1,
       0,
       false,
       "{t}a"},
      {"watched, erased",
       {put("{t}a", "one", expiring(kLater)), put("{t}b", text(40000, 'r'))},
       {expire("{t}a", kMuchLater), together({erase("{t}a"), put("{t}b", "two")})},
       {},
       1,
       0,
       false,
       "{t}a"},
      {"background work",  // sweep, a table shrunk, blocks asked for
       Operations{put("{t}a", "one", expiring(kLater)), put("{t}b", "two", expiring(kLater)),
                  put("{u}d", text(40000, 'r'), expiring(kLater))} +
           fill("k", 60, 10) + erase_all("k", 58) + fill("l", 3, 300) + erase_all("l", 2),
       {at(kLater, maintain()), at(kLater, put("{t}a", "back"))},
       ask_for_blocks,
       1,
       0,
       false,
       {},
       {kOldTable, kShortMagazine}},
      {"flush",
       {put("{t}a", "one"), put("{t}b", "two"), put("{t}c", text(40000, 'r'))},
       {flush(), put("{t}a", "again"), flush(), put("{t}a", "and again"), put("{t}b", "more")}},
      {"flush and sweep",
       {put("{t}a", "one"), put("{t}b", "two"), put("{t}c", text(40000, 'r')), put("{u}d", "three")},
       {flush(), maintain(), put("{t}b", "more")}},
      {"pinned run",
       {put("{t}a", text(40000, 'r'))},
       {put("{t}a", "small"), put("{t}b", text(34000, 's')), erase("{t}b"), put("{t}c", text(34000, 'u'))},
       pin},
      {"in place",
       {put("{t}a", text(200, 'x'))},
       {put("{t}a", text(200, 'y')), put("{t}a", text(197, 'z'), expiring(kMuchLater))}},
      {"runs",
       {put("{t}a", "small")},
       {put("{t}a", text(40000, 'r')), append("{t}a", "tail"), put("{t}a", text(70000, 's')),
        put("{t}a", "small"), put("{t}b", text(40000, 'r')), erase("{t}b")}},
  };
}

std::vector<Scenario> scenarios_of_several_keys() {
  return {
      {"together",
       {put("{t}a", "one"), put("{u}b", "two")},
       {together({put("{t}a", "uno"), put("{u}b", "due")}),
        together({erase("{t}a"), put("{t}c", "three"), append("{u}b", text(500, 'x'))}),
        together({put("{v}d", text(40000, 'r')), increment("{w}e"), erase("{u}b")}),
        together({erase("{t}c"), put("{t}c", "four"), erase("{v}d")})}},
      {"whole keyspace",
       {put("{t}a", "one"), put("{u}b", "two")},
       {together({put("{t}b", "due"), flush(), put("{t}c", "three"), put("{t}a", "uno")},
                 Reach::kWholeKeyspace)}},
      {"together, runs replaced",
       {put("{t}a", text(40000, 'r')), put("{u}b", text(34000, 's'))},
       {together({put("{t}a", text(34000, 'u')), put("{u}b", "small"), erase("{t}none")}),
        together({erase("{t}a"), put("{t}a", text(34000, 'v'))})}},
      {"together, a cell used again",
       fill("k", 16, 20),
       {together({erase("{t}k0"), put("{t}n0", "new"), erase("{t}k1"), erase("{t}k2")}),
        together({put("{t}k0", "back"), erase("{t}n0"), put("{t}n1", "newer")})}},
      {"all erased and flushed",
       {put("{t}a", text(40000, 'r')), put("{t}b", "two"), put("{u}c", "three")},
       {together({erase("{t}b"), flush(), put("{t}b", text(34000, 's'))}, Reach::kWholeKeyspace)}},
  };
}

// Keys 1|... are database 1's.
std::vector<Scenario> scenarios_of_databases() {
  const Operations both{open_database(1),     put("{t}a", "one"),       put("{u}b", "two"),
                        put("1|{t}a", "uno"), put("1|{v}d", "quattro"), put("1|{u}c", text(40000, 'r'))};
  return {
      {"databases",
       both,
       {put("1|{t}a", "otherwise"), together({put("1|{u}b", "moved"), erase("{u}b")}), erase("1|{u}c")}},
      {"database flushed", both, {flush_database(1), put("1|{t}a", "again")}, {}, 16},
      {"databases swapped", both, {swap_databases(0, 1), put("{t}a", "other")}, {}, 12},
      {"database flushed with other changes",
       both,
       {together({put("{t}a", "ein"), flush_database(1), put("1|{t}b", "zwei"), put("1|{v}d", "vier")},
                 Reach::kWholeKeyspace)},
       {},
       16},
      {"watched, its database swapped", both, {swap_databases(0, 1)}, {}, 16, 0, false, "{v}d"},
  };
}

std::vector<Scenario> scenarios_of_memory() {
  return {
      {"growth", {}, fill("k", 30, 10)},
      {"growth of tombstones", fill("k", 21, 10) + erase_all("k", 18), fill("n", 8, 10)},
      {"growth to a run", fill("k", 3199, 10), fill("n", 1, 10), {}, 61},
      {"full memory",
       fill("k", 8, 1'000'000),
       {put("{t}x", text(1'000'000, 'x')), erase("{t}k0"), put("{t}x", "small")},
       {},
       5},
      {"refill", fill("k", 31, 300), fill("n", 3, 300)},
      {"flush of a magazine", fill("k", 40, 300) + erase_all("k", 38), {erase("{t}k38"), erase("{t}k39")}},
      {"magazines", {}, fill("k", 12, 2000) + erase_all("k", 12)},
      {"large blocks", {}, fill("k", 5, 16000) + erase_all("k", 5)},
      {"page claim and give-back", {}, fill("k", 6, 30000) + erase_all("k", 6)},
      {"give-back of all",
       fill("k", 5, 10) + fill("l", 3, 300) + erase_all("l", 2) + Operations{put("{t}a", text(40000, 'r'))},
       {give_back(), put("{t}a", "again"), give_back()}},
  };
}

std::vector<Scenario> scenarios_of_compaction_and_eviction() {
  return {
      {"compaction of blocks",
       fill("k", 4 * 33, 1800) + thin_out("k", 4 * 33, 33),
       {put("{w}x", text(31'000, 'x')), at(kStartMs + 1, put("{t}y", text(500, 'y')))},
       {},
       1,
       8,
       false,
       {},
       {kDraining, kTargets, kEvacuated}},
      {"compaction of runs",
       fill("k", 8, 65000) + Operations{erase("{t}k1"), erase("{t}k2"), erase("{t}k4")},
       {put("{t}x", text(180'000, 'x'))},
       {},
       4,
       12,
       false,
       {},
       {kDraining, kMovedRun, kOldRun}},
      {"compaction of tables",
       fill("k", 6, 65000) + Operations{put("{u}b", text(65000, 'u')), put("{v}c", text(65000, 'v'))} +
           erase_all("k", 2) + Operations{erase("{t}k3")},
       {put("{t}x", text(180'000, 'x'))},
       {},
       4,
       12,
       false,
       {},
       {kDraining, kOldTable}},
      {"eviction switched on",
       {put("{t}a", "one")},
       {set_eviction(true), put("{t}a", "two"), set_eviction(false), set_eviction(true)},
       {},
       1,
       32,
       false,
       {},
       {kGhosts}},
      {"eviction of blocks",
       Operations{set_eviction(true)} + fill("k", 4 * 4, 15'000),
       {put("{t}x", text(20'000, 'x')), put("{t}y", text(20'000, 'y'))},
       {},
       3,
       8,
       true,
       {},
       {kDraining, kEvacuated, kEvictions}},
      {"eviction keeps what was read",
       Operations{set_eviction(true)} + fill("k", 4 * 4, 15'000) + look_up_all("k", 4 * 4, 3),
       {put("{t}x", text(20'000, 'x'))},
       {},
       3,
       8,
       true,
       {},
       {kDraining, kTargets, kEvacuated, kEvictions}},
      {"eviction of runs",
       Operations{set_eviction(true)} + fill("k", 6, 65000),
       {put("{t}x", text(65000, 'x'))},
       {},
       3,
       8,
       true,
       {},
       {kOldRun, kEvictions}},
  };
}

// The same with a journal, fewer of their states.
std::vector<Scenario> scenarios_with_a_journal() {
  std::vector<Scenario> all;
  for (const auto scenarios : {scenarios_of_single_keys, scenarios_of_background_work_and_flush,
                               scenarios_of_several_keys, scenarios_of_databases}) {
    for (Scenario& scenario : scenarios()) {
      // Those that come by all slots step through a million instructions each.
      static const std::set<std::string> kOfAllSlots{"background work",
                                                     "flush",
                                                     "flush and sweep",
                                                     "whole keyspace",
                                                     "all erased and flushed",
                                                     "database flushed",
                                                     "database flushed with other changes",
                                                     "watched, its database swapped"};
      if (kOfAllSlots.contains(scenario.name)) continue;
      scenario.name = "journal: " + scenario.name;
      scenario.ring_bytes = 4 << 20;
      scenario.stride *= scenario.name.ends_with("swapped") ? 48 : 12;
      scenario.only_when_long = scenario.name.ends_with("swapped");
      all.push_back(std::move(scenario));
    }
  }
  all.push_back({"journal: flush", {put("{t}a", "one"), put("{u}b", text(40000, 'r'))}, {flush()}, {}, 300});
  all.back().ring_bytes = 4 << 20;
  all.back().only_when_long = true;
  // Groups that lie in a run, and rings that are full.
  Operations parts;
  for (int i = 0; i < 9; ++i) parts.push_back(put("{k}" + std::to_string(i), text(2000, 'g')));
  all.push_back(
      {"journal: a group in a run", {put("{k}1", "one")}, {together(parts), put("{k}1", "last")}, {}, 9});
  all.push_back({"journal: texts",
                 {note_text(RecordKind::kPut, "la", "old"), put("{t}a", "one")},
                 {note_text(RecordKind::kPut, "la", text(3000, 'n')), put("{t}a", "two"),
                  note_text(RecordKind::kErase, "la", ""), note_text(RecordKind::kPut, "sb", "new"),
                  note_text(RecordKind::kFlush, "s", "")}});
  all.push_back({"journal: full",
                 fill("k", 60, 1000),
                 {put("{t}a", text(9000, 'x')), put("{t}b", text(5000, 'y')), erase("{t}k1"),
                  put("{t}b", "z"), together({put("{t}a", text(3000, 'v')), erase("{t}k2")})},
                 {},
                 5});
  for (Scenario& one : all) one.ring_bytes = std::max<std::uint64_t>(one.ring_bytes, 64 << 10);
  return all;
}

}  // namespace

std::vector<Scenario> all_scenarios() {
  std::vector<Scenario> all;
  for (const auto scenarios :
       {scenarios_of_single_keys, scenarios_of_seen_keys, scenarios_of_background_work_and_flush,
        scenarios_of_several_keys, scenarios_of_databases, scenarios_of_memory,
        scenarios_of_compaction_and_eviction, scenarios_with_a_journal}) {
    const std::vector<Scenario> some = scenarios();
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

Scenario random_scenario(std::uint64_t seed, std::size_t operation_count) {
  std::mt19937_64 random(seed);
  const std::string keys[] = {"{t}a", "{t}b", "{t}c", "{u}d", "{u}e", "elsewhere"};
  const std::size_t sizes[] = {3, 20, 25, 150, 800, 9000, 31000, 40000, 70000};
  Scenario scenario{"random " + std::to_string(seed), {}, {}};
  TimeMs now_ms = kStartMs;
  for (std::size_t i = 0; i < operation_count; ++i) {
    const std::string& key = keys[random() % 6];
    const std::string value =
        text(sizes[random() % (random() % 4 == 0 ? 9 : 5)], static_cast<char>('a' + random() % 26));
    const TimeMs expiry_ms = now_ms + static_cast<TimeMs>(random() % 50) + 1;
    if (random() % 4 == 0) now_ms += static_cast<TimeMs>(random() % 30);
    const auto choose = [&]() -> Operation {
      switch (random() % 16) {
        case 0:
        case 1:
        case 2:
        case 3:
          return put(key, value);
        case 4:
          return put(key, value, expiring(expiry_ms));
        case 5:
          return put(key, value, keeping());
        case 6:
          return put(key, value, when(SetCondition::kIfAbsent));
        case 7:
          return put(key, value, when(SetCondition::kIfPresent));
        case 8:
        case 9:
          return erase(key);
        case 10:
          return append(key, value.substr(0, 500));
        case 11:
          return prepend(key, value.substr(0, 50));
        case 12:
          return increment(key);
        case 13:
          return expire(key, expiry_ms);
        case 14:
          return expire(key, kNoExpiry);
        default:
          return random() % 3 == 0 ? flush() : random() % 8 == 0 ? maintain() : erase(key);
      }
    };
    scenario.operations.push_back(at(now_ms, choose()));
  }
  return scenario;
}

}  // namespace memento::crash
