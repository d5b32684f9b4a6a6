// Frames in memory (shm/format/frame.h): FrameBuilder puts records into frames, seal_frames() numbers them
// and makes them frames of one file, read_frame() and read_frame_records() take them apart. No file is
// touched. Archiver, recovery; not thread safe.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shm/format/frame.h"
#include "shm/format/journal_record.h"

namespace memento {

/// Frames that are being filled, one behind the other, with neither numbers nor checksums yet.
class FrameBuilder {
 public:
  /// A record that its ring held from this position on. A new frame begins when the record does not fit, or
  /// does not follow the ring's former one. REQUIRES: record is one, of kFramePayloadLimit at most.
  void add(std::string_view record, std::uint64_t ring_position);
  /// A piece of a value: it says its record's ring position itself.
  void add_piece(std::string_view record);

  /// What is added up to end_group() is all or nothing, however many frames it takes. In between frames may
  /// be taken out: what comes later goes on with the group. REQUIRES: no group is open.
  void begin_group();
  /// REQUIRES: a group is open, and something was added since frames were taken out last: an open frame needs
  /// one behind it.
  void end_group();

  /// Ends the frame that is being filled. All frames then, one behind the other, and how many they are.
  std::span<char> frames();
  std::uint64_t frame_count() const { return frame_count_; }
  std::uint64_t bytes() const { return bytes_.size(); }
  /// Forgets the frames, not that a group is open.
  void clear();

 private:
  static constexpr std::size_t kNone = SIZE_MAX;

  void append(std::string_view record, bool counts_in_ring, std::uint64_t ring_position);
  void end_frame();

  std::vector<char> bytes_;  ///< whole frames
  std::uint64_t frame_count_ = 0;
  std::vector<std::uint64_t> rings_;                   ///< the words of the frame that is being filled
  std::string records_;                                ///< its records; empty: none is being filled
  std::array<std::uint64_t, kFrameRingLimit> next_{};  ///< by ring: where its next record is to begin; 0: any
  bool group_is_open_ = false;
  bool continues_ = false;  ///< the frame that is being filled goes on with a group
};

/// What makes frames those of a file at one time.
struct FrameSeal {
  std::uint64_t first_number;  ///< the others count on
  std::uint64_t synced;
  std::uint64_t memory_id;
  std::uint64_t seed;  ///< the file's
};

/// Numbers frames and computes their checksums; frames that were sealed for another file, too.
/// REQUIRES: whole frames, one behind the other. Returns how many.
std::uint64_t seal_frames(std::span<char> frames, const FrameSeal& seal);

/// Where a frame's checksum lies.
std::uint64_t frame_checksum(std::string_view frame, std::uint64_t seed);

struct FrameView {
  FrameHeader header;
  std::string_view rings;
  std::string_view records;
};

/// The header that these bytes begin with, when magic and lengths are possible; the frame itself may be cut
/// off.
std::optional<FrameHeader> read_frame_header(std::string_view bytes);

/// The frame that these bytes begin with; nothing: none of the file with this seed, or not whole.
std::optional<FrameView> read_frame(std::string_view bytes, std::uint64_t seed);

struct FrameRecord {
  RecordView record;
  std::uint64_t ring_position;
  std::uint64_t offset;  ///< in the frame
};

/// A frame's records. Returns what is wrong with them; empty: nothing. A frame that is whole, with records
/// that are none, was written by another version, or wrongly.
std::string read_frame_records(const FrameView& frame, std::vector<FrameRecord>& records);

/// A head's bytes, zeros behind it, with its checksum; the head that a file's first bytes are. Nothing: none.
std::string journal_head_bytes(JournalHead head);
std::optional<JournalHead> read_journal_head(std::string_view bytes);

}  // namespace memento
