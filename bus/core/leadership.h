// What a leader keeps in memory for as long as it leads: which of its heartbeats were sent when, and who
// answered which. Pure calculation; bus/core/agreement.* acts on it.
//
// Authority: a voter that answered a heartbeat refuses all older terms, and voted for nobody newer before it
// did. So up to the moment when the latest heartbeat that majorities of both sets answered was *sent*, nobody
// else can have been elected. (The moment of the answer's arrival proves nothing: it may have been on its way
// for long.)
#pragma once

#include <deque>
#include <map>
#include <vector>

#include "bus/core/document.h"
#include "bus/core/timing.h"

namespace memento::bus {

class Leadership {
 public:
  Leadership(std::uint64_t term, TimeNs now) : term_(term), since_(now), next_beat_(now) {}

  std::uint64_t term() const { return term_; }
  TimeNs since() const { return since_; }

  /// The number of a heartbeat or publication that is about to leave.
  std::uint64_t note_sending(TimeNs now);
  void note_answer(const Uuid& member, std::uint64_t number, TimeNs now);
  /// When this number was sent; none: never, or too long ago.
  std::optional<TimeNs> sent_at(std::uint64_t number) const;
  /// When the newest heartbeat that this member has answered was sent; before the election: none.
  std::optional<TimeNs> answered(const Uuid& member) const;
  /// When something was last heard of it; the election, if nothing was since.
  TimeNs heard(const Uuid& member) const;
  /// When the latest heartbeat was sent that a majority of the set has answered; none: there is none.
  std::optional<TimeNs> confirmed_by(const VoterSet& set) const;
  /// ... by both sets.
  std::optional<TimeNs> confirmed_by(const VoterSet& accepted, const VoterSet& committed) const;

  TimeNs next_beat() const { return next_beat_; }
  void set_next_beat(TimeNs next_beat) { next_beat_ = next_beat; }

  // The document under way. None: what was published last is committed.
  DocumentPtr publication;
  std::vector<Uuid> acceptances;  ///< sorted
  DocumentPtr committed;          ///< newest of this term; none: the first one is under way
  std::vector<Uuid> votes;        ///< that made it a leader

 private:
  struct Contact {
    TimeNs answered;
    TimeNs heard;
  };

  static constexpr std::size_t kNumbersKept = 400;  ///< more than a lease's worth, publications included

  std::uint64_t term_;
  TimeNs since_;
  TimeNs next_beat_;
  std::uint64_t number_ = 0;
  std::deque<TimeNs> sent_;  ///< of the numbers up to number_
  std::map<Uuid, Contact> contacts_;
};

}  // namespace memento::bus
