// See request_queue.h.
#include "bus/core/request_queue.h"

#include <utility>

namespace memento::bus {
namespace {

bool is_first(const PieceHeader& header) { return (header.flags & kFirstPiece) != 0; }
bool is_last(const PieceHeader& header) { return (header.flags & kLastPiece) != 0; }

std::string_view pieces_of(const ByteBuffer& frame) { return frame.view().substr(sizeof(FrameHeader)); }

}  // namespace

void RequestQueue::note_passed(std::uint16_t process, std::uint64_t bytes) {
  if (passed_[process] == 0) passed_processes_.push_back(process);
  passed_[process] += bytes;
}

void RequestQueue::add(const PieceHeader& header, std::string_view payload) {
  if (!is_first(header) || !is_last(header)) [[unlikely]] {
    Stream& stream = streams_[header.process];
    if (is_first(header)) {
      stream = Stream{header.number, header.generation, true, false};
    } else if (!stream.is_open || stream.drops || stream.generation != header.generation || stream.number != header.number) {
      return note_passed(header.process, piece_bytes(payload.size()));  // of a message that was refused, or lost its front
    }
    if (is_last(header)) stream.is_open = false;
  }
  batch_.add(header, payload);
}

std::deque<ByteBuffer> RequestQueue::take_frames(std::int64_t now_ns) {
  std::deque<ByteBuffer> frames = batch_.take();
  for (const ByteBuffer& frame : frames) {
    for_each_piece(pieces_of(frame), [&](const PieceHeader& header, std::string_view payload) {
      note_passed(header.process, piece_bytes(payload.size()));
      if (is_last(header)) sent_.push_back(Sent{header.number, header.generation, header.process, header.flags, now_ns});
      if (is_first(header) != is_last(header)) is_half_sent_[header.process] = is_first(header);
      return true;
    });
  }
  return frames;
}

void RequestQueue::on_link_broken(const Fail& fail) {
  for (const Sent& sent : std::exchange(sent_, {})) {
    fail(sent.process, sent.generation, sent.number, (sent.flags & kMayWrite) != 0 ? Failure::kUnknown : Failure::kDown);
  }
  std::array<bool, kProcessLimit> is_cut = std::exchange(is_half_sent_, {});
  for (const ByteBuffer& frame : batch_.take()) {
    for_each_piece(pieces_of(frame), [&](const PieceHeader& header, std::string_view payload) {
      if (!is_cut[header.process] || is_first(header)) {
        if (is_first(header)) is_cut[header.process] = false;
        batch_.add(header, payload);
        return true;
      }
      note_passed(header.process, piece_bytes(payload.size()));
      if (is_last(header)) {
        is_cut[header.process] = false;
        fail(header.process, header.generation, header.number, Failure::kDown);
      }
      return true;
    });
  }
  for (std::uint16_t process = 0; process < kProcessLimit; ++process) {
    if (!is_cut[process]) continue;  // else its last piece has yet to come
    streams_[process].drops = true;
    fail(process, streams_[process].generation, streams_[process].number, Failure::kDown);
  }
}

void RequestQueue::refuse_unsent(const Fail& fail) {
  for (const ByteBuffer& frame : batch_.take()) {
    for_each_piece(pieces_of(frame), [&](const PieceHeader& header, std::string_view payload) {
      note_passed(header.process, piece_bytes(payload.size()));
      if (is_last(header)) fail(header.process, header.generation, header.number, Failure::kDown);
      return true;
    });
  }
  for (std::uint16_t process = 0; process < kProcessLimit; ++process) {
    Stream& stream = streams_[process];
    if (!stream.is_open || stream.drops) continue;
    stream.drops = true;
    fail(process, stream.generation, stream.number, Failure::kDown);
  }
}

MessageAssembler::Outcome MessageAssembler::add(const PieceHeader& header, std::string_view payload,
                                                std::string_view* message) {
  if (header.process >= kProcessLimit) return Outcome::kBroken;
  Part& part = parts_[header.process];
  if (is_first(header)) {
    if (is_last(header)) {
      *message = payload;
      return Outcome::kWhole;
    }
    part = Part{header.number, header.generation, true, {}};
  } else if (!part.is_open || part.number != header.number || part.generation != header.generation) {
    return Outcome::kBroken;
  }
  if (part.bytes.size() + payload.size() > limit_bytes_) return Outcome::kBroken;
  part.bytes.append(payload);
  if (!is_last(header)) return Outcome::kIncomplete;
  whole_ = std::move(part.bytes);
  part = Part{};
  *message = whole_;
  return Outcome::kWhole;
}

}  // namespace memento::bus
