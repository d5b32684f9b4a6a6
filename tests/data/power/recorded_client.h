// RecordedClient: a client that changes a database of its own, alone, with requests of many kinds, and knows
// after each what the database holds. It notes in the disk's log when it asks and when it is answered. So of
// any disk that was drawn from the log it can be told which of its states that may hold.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "cli/net/client.h"
#include "tests/data/power/data_print.h"
#include "tests/data/power/disk_log.h"

namespace memento::testing {

class RecordedClient {
 public:
  /// The database of this number holds that. `waits`: it asks now and then for what it wrote to be on disk.
  RecordedClient(std::uint32_t database, std::uint64_t seed, DiskLog& log, DataItems holds, bool waits);

  /// Changes it until the server dies.
  void run(std::uint16_t port);
  /// Another server has the data, and lacks nothing that was answered: what became of the last request is
  /// what the database holds. False: it holds neither what it had before nor behind it.
  bool settle(const DataItems& found);

  /// All that it has done so far is on disk.
  void is_on_disk() { waited_.push_back({note("is on disk"), count()}); }
  /// What was answered in front of this record was not promised.
  void is_promised_from(std::uint64_t record) { promised_from_ = record; }

  std::uint32_t database() const { return database_; }
  /// How many requests it has made.
  std::uint64_t count() const { return steps_.size() - 1; }

  /// A request, and what the database holds behind it. The first one is what it began with.
  struct Step {
    std::uint64_t asked = 0;  ///< number in the log
    std::uint64_t answered = UINT64_MAX;
    std::uint64_t print = 0;
    std::string text;
  };
  const Step& step(std::uint64_t i) const { return steps_[i]; }

  /// When the request was asked for that has made the state of this step; later ones have changed nothing.
  std::uint64_t asked_for_state(std::uint64_t i) const;

  /// The first step that a disk whose log ends in front of this record may hold, and the last one.
  /// `always`: all that was answered is on disk; else what it has waited for.
  std::uint64_t least(std::uint64_t log_end, bool always) const;
  std::uint64_t most(std::uint64_t log_end) const;

  /// Nothing went wrong but the server's death; else what.
  const std::string& fault() const { return fault_; }

 private:
  using Lines = std::vector<std::string>;

  std::uint64_t note(const std::string& text);
  bool request(Client& client);
  bool wait_for_disk(Client& client);
  bool exchange(Client& client, const Lines& lines, bool* is_refused);
  Lines choose();
  Lines transaction();
  std::string change();
  std::string set(std::string_view key, std::string value);
  std::string append(std::string_view key);
  std::string set_several();
  std::string key();
  std::string long_key() { return "long:" + std::to_string(draw(3)); }
  std::string value(std::size_t most_bytes);
  std::uint64_t draw(std::uint64_t count) { return random_() % count; }

  const std::uint32_t database_;
  std::mt19937_64 random_;
  DiskLog& log_;
  DataItems items_;
  DataItems former_;  ///< in front of the last request
  const bool waits_;
  std::vector<Step> steps_;
  struct Waited {
    std::uint64_t answered;
    std::uint64_t step;
  };
  std::vector<Waited> waited_;
  std::uint64_t promised_from_ = 0;
  std::string fault_;
};

}  // namespace memento::testing
