// The power is lost at any moment of a server's life, and the disk has any of what POSIX permits then: on
// each such disk a server starts, and has what was promised. In `make test` on a hundred disks, in `make
// power-cut-test` on as many as DISKS= says. A failure prints its seed and keeps its disk.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "shm/format/limits.h"
#include "tests/data/power/drawn_start.h"
#include "tests/data/power/recorded_life.h"

namespace memento::testing {
namespace {

constexpr int kDisksPerLife = 50;
constexpr int kDisksPerReplay = 10;

std::uint64_t number_of(const char* variable, std::uint64_t usual) {
  const char* const given = std::getenv(variable);
  return given != nullptr && *given != '\0' ? std::strtoull(given, nullptr, 10) : usual;
}

/// One disk: its moment, and how it is drawn.
struct Cut {
  std::uint64_t at = 0;  ///< so many records of the log were done
  std::uint64_t seed = 0;
};

class PowerCuts {
 public:
  explicit PowerCuts(const RecordedLife& life) : life_(life), random_(life.plan().seed + 1) {
    const DiskRecord* record = life.log().first();
    const std::uint64_t count = life.log().count();
    for (std::uint64_t i = 0; i < count; ++i, record = DiskLog::next(record)) {
      if (record->kind != DiskRecord::kWrite && record->kind != DiskRecord::kNote) moments_.push_back(i);
    }
    count_ = count;
  }

  /// So many disks. The last one that was found good stays in place: then next_base() moves it out.
  void draw(int disk_count) {
    for (int done = 0; done < disk_count && !::testing::Test::HasFailure(); done += kDisksPerReplay) {
      std::vector<Cut> cuts;
      for (int i = 0; i < std::min(kDisksPerReplay, disk_count - done); ++i) cuts.push_back(choose());
      std::ranges::sort(cuts, {}, &Cut::at);
      replay(cuts);
    }
  }

  std::string base() const { return outer_.path() + "/base"; }
  const std::vector<DataItems>& base_holds() const { return base_holds_; }

 private:
  // At any record, or behind or in front of one that is no mere write.
  Cut choose() {
    Cut cut;
    cut.at = random_() % (count_ + 1);
    if (random_() % 2 == 0 && !moments_.empty())
      cut.at = moments_[random_() % moments_.size()] + random_() % 2;
    cut.seed = random_();
    return cut;
  }

  void replay(const std::vector<Cut>& cuts) {
    DiskModel model = life_.base();
    model.reseed(cuts.front().seed);
    const DiskRecord* record = life_.log().first();
    for (const Cut& cut : cuts) {
      for (; model.applied() < cut.at; record = DiskLog::next(record)) model.apply(*record);
      if (!lose_power(model, cut)) return;
    }
  }

  bool lose_power(const DiskModel& model, const Cut& cut) {
    std::mt19937_64 random(cut.seed);
    const DrawStyle style = DrawStyle::draw(random);
    const std::string disk = outer_.path() + "/disk";
    std::filesystem::remove_all(disk);
    const std::mt19937_64 as_drawn = random;
    model.draw(random, style, disk);
    const DrawnStart start = start_on_drawn_disk(disk);
    std::string fault = start.refusal.empty() ? fault_of(start, cut) : "it does not start: " + start.refusal;
    if (fault.empty()) {
      const DrawnStart again = start_on_drawn_disk(disk);
      if (!again.refusal.empty()) fault = "it does not start twice: " + again.refusal;
      if (again.databases != start.databases) fault = "another start has other data";
    }
    if (!fault.empty()) {
      std::mt19937_64 same = as_drawn;
      report(model, cut, style, same, fault);
      return false;
    }
    if (random() % 8 == 0 || base_holds_.empty()) {
      std::filesystem::remove_all(base());
      std::filesystem::rename(disk, base());
      base_holds_ = start.databases;
    }
    return true;
  }

  // Keeps the disk as it was drawn, and what was asked of it.
  void report(const DiskModel& model, const Cut& cut, const DrawStyle& style, std::mt19937_64& random,
              const std::string& fault) const {
    const std::string kept = "/tmp/memento-power-cut-" + std::to_string(cut.seed);
    std::filesystem::remove_all(kept);
    model.draw(random, style, kept);
    std::ofstream log(kept + ".log");
    const DiskRecord* record = life_.log().first();
    for (std::uint64_t i = 0; i < count_; ++i, record = DiskLog::next(record)) {
      log << i << (i < cut.at ? "" : "*") << ' ' << record->text() << '\n';
    }
    ADD_FAILURE() << fault << "\nSEED=" << number_of("SEED", 1) << ", a life with fsync "
                  << (life_.plan().always ? "always" : "everysec") << " of seed " << life_.plan().seed
                  << ", the power lost behind record " << cut.at << " of " << count_ << ", " << style.text()
                  << ", seed " << cut.seed << "; the disk as it was drawn: " << kept
                  << "\n, and what was asked of it: " << kept << ".log";
  }

  // Of each client one state that it may be in, together in an order that there was; empty: there are such.
  std::string fault_of(const DrawnStart& start, const Cut& cut) const {
    if (!start.has_data && cut.at < life_.ready_at()) return "";
    std::vector<std::vector<std::uint64_t>> candidates;  // by client, ascending
    for (const auto& client : life_.clients()) {
      const std::uint64_t found = print_of(start.databases[client->database()]);
      const std::uint64_t least = client->least(cut.at, life_.plan().always);
      const std::uint64_t most = client->most(cut.at);
      std::vector<std::uint64_t> steps;
      std::string elsewhere;
      for (std::uint64_t i = 0; i <= client->count(); ++i) {
        if (client->step(i).print != found) continue;
        if (i >= least && i <= most) steps.push_back(i);
        elsewhere += " " + std::to_string(i);
      }
      if (steps.empty()) {
        return "database " + std::to_string(client->database()) + " has none of the states " +
               std::to_string(least) + " to " + std::to_string(most) + " (" + client->step(most).text +
               "); " +
               (elsewhere.empty() ? "nor any other that there was, with " +
                                        std::to_string(start.databases[client->database()].size()) + " keys"
                                  : "it has state" + elsewhere);
      }
      candidates.push_back(std::move(steps));
    }
    return order_fault(std::move(candidates));
  }

  // What was answered before something else was asked for is there if that is.
  std::string order_fault(std::vector<std::vector<std::uint64_t>> candidates) const {
    const auto& clients = life_.clients();
    const auto lacks = [&](std::size_t one, std::size_t other) {  // what `other` knew of
      const std::uint64_t next = candidates[one].back() + 1;
      return next <= clients[one]->count() &&
             clients[one]->step(next).answered < clients[other]->asked_for_state(candidates[other].back());
    };
    for (bool is_stable = false; !is_stable;) {
      is_stable = true;
      for (std::size_t other = 0; other < clients.size(); ++other) {
        for (std::size_t one = 0; one < clients.size(); ++one) {
          if (one == other || !lacks(one, other)) continue;
          is_stable = false;
          if (candidates[other].size() == 1) {
            return "database " + std::to_string(other) + " has step " +
                   std::to_string(candidates[other].back()) +
                   ", which was asked for behind an answer that database " + std::to_string(one) + " lacks";
          }
          candidates[other].pop_back();
        }
      }
    }
    return "";
  }

  const RecordedLife& life_;
  std::mt19937_64 random_;
  const TemporaryFolder outer_;
  std::vector<std::uint64_t> moments_;
  std::uint64_t count_ = 0;
  std::vector<DataItems> base_holds_;
};

// Shows that a server starts on each disk that a loss of power may leave, over several lives, of which each
// begins on such a disk; that with `always` nothing is lost that was answered; that with `everysec` it is the
// end of all that was written, and nothing that a client has waited for; and that what belongs together is
// there together.
TEST(PowerCut, LeavesWhatWasPromised) {
  const std::uint64_t seed = number_of("SEED", 1);
  const auto disk_count = static_cast<int>(number_of("DISKS", 100));
  const TemporaryFolder outer;
  LifePlan plan;
  int life_number = 0;
  std::uint64_t steps = 0;
  for (int done = 0; done < disk_count && !HasFailure(); done += kDisksPerLife, ++life_number) {
    plan.seed = seed * 1'000'003 + static_cast<std::uint64_t>(life_number);
    plan.always = life_number % 2 == 0 || life_number % 5 == 3;
    const RecordedLife life(plan);
    if (HasFailure()) break;
    for (const auto& client : life.clients()) steps += client->count();
    PowerCuts cuts(life);
    cuts.draw(std::min(kDisksPerLife, disk_count - done));
    if (HasFailure()) break;
    // The next one begins on one of these disks, or with that in memory and no disk, or with nothing.
    const int next = (life_number + 1) % 5;
    plan.has_memory = next == 3;
    plan.holds = next == 0 ? std::vector<DataItems>() : cuts.base_holds();
    plan.base = next == 0 || next == 3 ? "" : outer.path() + "/" + std::to_string(life_number);
    if (!plan.base.empty()) std::filesystem::rename(cuts.base(), plan.base);
  }
  std::cout << life_number << " lives, " << steps << " requests\n";
}

}  // namespace
}  // namespace memento::testing
