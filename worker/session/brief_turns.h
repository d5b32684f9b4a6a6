// BriefTurns: executes turns that are nothing but brief requests, of one session after the other, as nearly
// all turns are. What Session::consume() looks at anew for each turn is looked at once for a row of them, and
// their commands are timed and counted together. Runs in workers.
#pragma once

#include <cstdint>
#include <optional>

#include "shm/os/byte_buffer.h"
#include "worker/session/batch.h"
#include "worker/session/session.h"
#include "worker/stats/command_meter.h"

namespace memento {

class BriefTurns {
 public:
  explicit BriefTurns(SessionContext& context) : context_(context) {}
  BriefTurns(const BriefTurns&) = delete;
  BriefTurns& operator=(const BriefTurns&) = delete;

  /// Executes the batch prepared from `bytes` when it is all there is of them, and consumes these; what is
  /// left is for when the output is sent. False: nothing was done, Session::consume() is to do it, behind
  /// end().
  bool execute(Session& session, ByteBuffer& bytes, Batch& batch, ByteBuffer& output);

  /// Notes what was executed since the last time. To be called before anything else is, and before a reply is
  /// sent.
  void end() {
    if (meter_) end_row();
  }

 private:
  bool may_begin();
  void end_row();

  SessionContext& context_;
  std::optional<CommandMeter> meter_;  ///< while a row of them goes on
  bool holds_ = false;                 ///< what replies tell of has to be on disk before they leave
  ExecState exec_;                     ///< which brief commands leave as it is
  std::uint64_t executed_ = 0;
  std::uint64_t errors_ = 0;
};

}  // namespace memento
