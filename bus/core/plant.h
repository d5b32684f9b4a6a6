// Planted mistakes, for tests of the simulator only (tests/simulator): each rule between members left out or
// done wrongly. In every build but MODE=plant planted() is false at compile time and leaves nothing behind.
#pragma once

#include <array>
#include <string_view>

namespace memento::bus {

enum class Plant {
  kNone,
  kVoteLost,      ///< a vote leaves before its term is on disk
  kAcceptLost,    ///< an acceptance leaves before its document is on disk
  kLateState,     ///< a term counts only once it is on disk
  kTermLate,      ///< an answer in a term that is not on disk
  kStandLost,     ///< a candidate asks for votes before its term is on disk
  kOldBeat,       ///< heartbeats of older terms are answered
  kNoNewer,       ///< a leader is not told of a newer term
  kFreshness,     ///< votes are given to, and taken by, a candidate with an older document
  kSingle,        ///< one majority while voters change
  kTwice,         ///< a document is published before the former one is committed
  kHoldsVotes,    ///< the new voters must have voted for the leader
  kCandidate,     ///< a candidate goes on in a term that has a leader
  kFigure8,       ///< a new leader counts the former term's document
  kFirstChanged,  ///< a leader's first document has changes
  kNoPreVote,     ///< a member stands without having asked
  kPreVoteLive,   ///< a pre-vote is given while there is a leader
  kVotersOnly,    ///< only voters stand
  kNoStepDown,    ///< a leader that hears nobody goes on
  kHungDisk,      ///< a node whose disk does not answer leads and stands
  kUuid,          ///< a lost state folder's uuid is used again
  kOldRemoval,    ///< a member is removed by a document from before it joined
  kOnePhase,      ///< a cluster forms in one round
  kMajorityForm,  ///< a cluster forms when a majority of the file's nodes is there
  kKnownOnly,     ///< only committed documents are told to the fresh
  kCommitLost,    ///< it is forgotten at a restart that a document was committed
  kCount
};

struct PlantName {
  Plant plant;
  std::string_view name;
};

inline constexpr std::array kPlantNames = {
    PlantName{Plant::kVoteLost, "votelost"},
    PlantName{Plant::kAcceptLost, "acceptlost"},
    PlantName{Plant::kLateState, "latestate"},
    PlantName{Plant::kTermLate, "termlate"},
    PlantName{Plant::kStandLost, "standlost"},
    PlantName{Plant::kOldBeat, "oldbeat"},
    PlantName{Plant::kNoNewer, "nonewer"},
    PlantName{Plant::kFreshness, "freshness"},
    PlantName{Plant::kSingle, "single"},
    PlantName{Plant::kTwice, "twice"},
    PlantName{Plant::kHoldsVotes, "holdsvotes"},
    PlantName{Plant::kCandidate, "candidate"},
    PlantName{Plant::kFigure8, "figure8"},
    PlantName{Plant::kFirstChanged, "firstchanged"},
    PlantName{Plant::kNoPreVote, "noprevote"},
    PlantName{Plant::kPreVoteLive, "prevotelive"},
    PlantName{Plant::kVotersOnly, "votersonly"},
    PlantName{Plant::kNoStepDown, "nostepdown"},
    PlantName{Plant::kHungDisk, "hungdisk"},
    PlantName{Plant::kUuid, "uuid"},
    PlantName{Plant::kOldRemoval, "oldremoval"},
    PlantName{Plant::kOnePhase, "onephase"},
    PlantName{Plant::kMajorityForm, "majorityform"},
    PlantName{Plant::kKnownOnly, "knownonly"},
    PlantName{Plant::kCommitLost, "comlost"},
};
static_assert(kPlantNames.size() + 1 == static_cast<std::size_t>(Plant::kCount));

#if defined(MEMENTO_PLANT)
inline Plant active_plant = Plant::kNone;
inline bool planted(Plant plant) { return active_plant == plant; }
#else
constexpr bool planted(Plant) { return false; }
#endif

}  // namespace memento::bus
