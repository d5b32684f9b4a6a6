// Aftermath: a second segment that takes on the states a Recorder noted, one after the other, and in which
// the victim's death is followed by everything that may follow it:
//   reaper        the master repairs the record, a successor takes it over
//   writer        another process meets the dead one's locks first, then the master
//   dead helper   whoever repairs dies too, at some instruction of the repair; somebody else completes it
// Before each, a reader looks at the keys. After each, the checker must find the segment sound and every key
// must be as one of the allowed models says.
//
// The states lie in a file in memory; the segment is a private mapping of it, so that dropping its pages
// brings back the state. It lies at another address than the victim's: nothing may depend on pointers.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "shm/format/layout.h"
#include "shm/os/fd.h"
#include "shm/segment.h"
#include "tests/crash/operation.h"
#include "tests/crash/recorder.h"

namespace memento::crash {

/// Processes of every scenario, by record.
inline constexpr std::uint32_t kVictim = 1;
inline constexpr std::uint32_t kWriter = 2;
inline constexpr std::uint32_t kReader = 3;
inline constexpr std::uint32_t kPinner = 4;  ///< holds a pin on a run; never runs
inline constexpr std::uint32_t kWorkerCount = 4;

struct Totals {
  std::uint64_t instructions = 0;         ///< of operations
  std::uint64_t helper_instructions = 0;  ///< of recoverers that were to die
  std::uint64_t states = 0;               ///< distinct ones seen
  std::uint64_t explored = 0;             ///< of them: recovered from, in every way
  std::uint64_t recoveries = 0;
  std::uint64_t dead_helpers = 0;
  std::uint64_t slow_readers = 0;  ///< stopped in the middle while the victim went on

  void add(const Totals& other);
};

/// A key that was marked, and what it was like then.
struct Watch {
  std::string key;
  ChangeMark mark;
  std::optional<Expected> before;
};

/// One crash to look into.
struct Crash {
  std::uint64_t number = 0;  ///< varies what the others do and where a helper dies
  RobustList list;
  std::vector<Model> allowed;  ///< exactly one of these, in all keys
  TimeMs now_ms = kStartMs;
  bool only_blocks = true;  ///< no value is in a run: reading takes no lock
  /// Keys that the victim evicts: there with a value of `allowed`, or gone.
  std::set<std::string> may_be_gone = {};
  bool others_evict = false;  ///< when anybody but the victim writes, any key may go
  const Watch* watch = nullptr;
  std::uint64_t seed = 1;
  std::uint64_t helpers = 1;
};

class Aftermath {
 public:
  Aftermath(Stepper& stepper, Segment& victim);
  ~Aftermath();

  /// Takes the victim's memory as it is.
  void sync();
  void advance(const WordChange* changes, std::size_t count);

  /// What other processes do in (b): each on keys that the victim works on or near.
  void set_writers(std::vector<Operation> writers) { writers_ = std::move(writers); }

  /// A reader stopped at some instruction, after which the victim makes all these changes: then the reader
  /// goes on.
  void read_across(const Crash& crash, const WordChange* changes, std::size_t count,
                   std::vector<std::string>* failures);
  /// Lets the victim die in the present state, recovers in all ways; appends what went wrong.
  void explore(const Crash& crash, std::vector<std::string>* failures);

  const Totals& totals() const { return totals_; }

 private:
  enum HelperKind : std::uint32_t {
    kHelperWriter,
    kHelperLocker,
    kHelperReaper,
    kHelperSuccessor,
    kHelperKindCount
  };

  bool die(const Crash& crash);
  void read_before_recovery(const Crash& crash);
  void recover_as_reaper(const Crash& crash);
  void recover_as_writer(const Crash& crash);
  void recover_after_dead_helper(const Crash& crash, std::uint64_t choice);
  bool help_and_die(const Crash& crash, HelperKind kind, const Operation& operation, std::uint64_t choice);
  WriteStatus write(const Crash& crash, const Operation& operation, std::uint32_t process);
  void reap(std::uint32_t process);
  void verify(const Crash& crash, const std::vector<Model>& allowed, bool others_wrote);
  static bool matches(const Crash& crash, const std::vector<Model>& allowed, const Model& seen,
                      bool others_wrote);
  static Model read_as_one(Keyspace& reader, const std::vector<Model>& allowed);
  Model observe(Keyspace& reader, const std::vector<Model>& allowed) const;
  void note_pin();
  void copy_rings(std::uint32_t begin, std::uint32_t end);
  void verify_journal(std::uint64_t key_count);
  std::set<std::string> keys_of_cells(const std::set<std::string>& names, const WordChange* changes,
                                      std::size_t count) const;
  void stop_reader(const Crash& crash, const std::string& name, std::uint64_t cut, const WordChange* changes,
                   std::size_t count);
  Slot& slot_of(const HashedKey& key) const;
  bool find_stuck_lock();
  void fail(const std::string& message);
  static std::vector<Model> with(const std::vector<Model>& allowed, const Operation& operation,
                                 bool keep_without);

  Stepper& stepper_;
  Segment& victim_;
  std::uint32_t thread_id_;
  Fd file_;
  char* image_ = nullptr;  ///< the file, shared: the present state
  std::unique_ptr<Segment> segment_;
  std::vector<Operation> writers_;
  std::uint64_t helper_length_[kHelperKindCount] = {2000, 200, 200,
                                                    2000};  ///< instructions taken, as last seen
  std::uint64_t reader_length_ = 300;                       ///< instructions of a read_across(), as last seen
  std::uint64_t pinned_offset_ = 0;  ///< of a value that kPinner is copying; its bytes must stay
  std::string pinned_bytes_;
  std::set<SlotId> touched_slots_;
  std::vector<RobustLock*> dead_locks_;                        ///< as find_stuck_lock() found them
  std::array<std::uint64_t, kWorkerCount + 1> ring_begins_{};  ///< what copy_rings() copies on from
  std::string way_;                                            ///< for messages
  std::vector<std::string>* failures_ = nullptr;
  Totals totals_;
};

}  // namespace memento::crash
