// RingFrames: from the processes' rings to frames of the journal's files. Long values leave as pieces of
// kPieceBytes; a transaction that does not fit a frame, or has long values, as several parts between
// FrameBuilder's begin_group() and end_group(), each a kGroup with the ring position of the whole. Archiver;
// not thread safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "shm/archive/frame_bytes.h"
#include "shm/journal/ring_merger.h"

namespace memento {

class RingFrames {
 public:
  static constexpr std::uint64_t kPieceBytes = 128 << 10;

  /// Takes what a consumer of the rings (RingMerger) has yet to take.
  RingFrames(Segment& segment, std::uint32_t consumer) : merger_(segment, consumer) {}

  /// Puts what is in the rings into frames, in order, until there is nothing more or the frames have about so
  /// many bytes. False: a ring holds what is no record, which merger().error() names.
  bool fill(std::uint64_t limit_bytes, FrameBuilder* frames);

  /// What was taken ends within a change of whole databases; nothing: no such change has begun or ended yet.
  std::optional<bool> ends_in_database_change() const { return ends_in_database_change_; }

  /// Its publish() is due when the frames are where a successor finds them.
  RingMerger& merger() { return merger_; }

 private:
  void take(const RingMerger::Taken& taken);
  void take_group(const RingMerger::Taken& taken);
  void add_record(const RecordView& record, std::uint64_t ring_position);
  void add_pieces(const RecordView& record, std::uint64_t ring_position);
  void add_part(const RecordHeader& group, std::uint32_t count, std::string_view records,
                std::uint64_t ring_position);

  RingMerger merger_;
  FrameBuilder* frames_ = nullptr;  ///< of fill()
  std::string record_;              ///< the one being put together
  std::optional<bool> ends_in_database_change_;
};

}  // namespace memento
