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
  kNoLease,       ///< a node answers without a lease
  kAuthority,     ///< a lease is not bounded by the leader's authority
  kAuthOld,       ///< the authority is of the former voters alone
  kAckReceipt,    ///< the authority counts from an answer's arrival
  kGrantReceipt,  ///< a lease counts from the grant's arrival
  kFirstCommit,   ///< a leader grants on what it knows committed, before its first document is
  kGrantSoon,     ///< a leader grants before its first document is committed
  kGrantVer,      ///< a grant is in force without its document
  kGrantCom,      ///< a grant names the last committed document
  kGen,           ///< a grant to an earlier bus is taken
  kGrantMem,      ///< a grant to another memory
  kMemPublished,  ///< a grant to a memory that only a published document names
  kFenceAtOnce,   ///< a new leader takes roles away at once
  kFailEarly,     ///< roles are taken before the lease has ended
  kMonotonic,     ///< a clock that stops while the machine sleeps
  kDrift,         ///< clocks whose rates differ by more
  kDeafPrimary,   ///< a request counts although who asks hears nothing
  kOldTimer,      ///< whoever was given a slot is not given time
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
    PlantName{Plant::kNoLease, "nolease"},
    PlantName{Plant::kAuthority, "authority"},
    PlantName{Plant::kAuthOld, "authold"},
    PlantName{Plant::kAckReceipt, "ackreceipt"},
    PlantName{Plant::kGrantReceipt, "grantreceipt"},
    PlantName{Plant::kFirstCommit, "firstcommit"},
    PlantName{Plant::kGrantSoon, "grantsoon"},
    PlantName{Plant::kGrantVer, "grantver"},
    PlantName{Plant::kGrantCom, "grantcom"},
    PlantName{Plant::kGen, "gen"},
    PlantName{Plant::kGrantMem, "grantmem"},
    PlantName{Plant::kMemPublished, "mempublished"},
    PlantName{Plant::kFenceAtOnce, "fenceatonce"},
    PlantName{Plant::kFailEarly, "failearly"},
    PlantName{Plant::kMonotonic, "monotonic"},
    PlantName{Plant::kDrift, "drift"},
    PlantName{Plant::kDeafPrimary, "deafprimary"},
    PlantName{Plant::kOldTimer, "oldtimer"},
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
