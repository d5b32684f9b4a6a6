// See request_queue.h.
#include "bus/core/request_queue.h"

#include <cassert>
#include <utility>

namespace memento::bus {
namespace {

bool is_first(const FragmentHeader& header) { return (header.flags & kFirstFragment) != 0; }
bool is_last(const FragmentHeader& header) { return (header.flags & kLastFragment) != 0; }

std::string_view fragments_of(const ByteBuffer& frame) { return frame.view().substr(sizeof(FrameHeader)); }

}  // namespace

void RequestQueue::note_passed(const FragmentHeader& header) {
  const std::uint64_t bytes = fragment_bytes(header.payload_bytes);
  if (!passed_.empty() && passed_.back().process == header.process && passed_.back().lane == header.lane) {
    passed_.back().bytes += bytes;
  } else {
    passed_.push_back({header.process, header.lane, bytes});
  }
}

void RequestQueue::add(const FragmentHeader& header, std::string_view payload) {
  assert(header.process < kProcessLimit && header.lane < kLaneLimit);
  if (!is_first(header) || !is_last(header)) [[unlikely]] {
    Stream& stream = streams_[stream_of(header)];
    if (is_first(header)) {
      stream = Stream{header.number, header.generation, true, false};
    } else if (!stream.is_open || stream.drops || stream.generation != header.generation ||
               stream.number != header.number) {
      return note_passed(header);  // of a message that was refused, or lost its front
    }
    if (is_last(header)) stream.is_open = false;
  }
  batch_.add(header, payload);
}

std::deque<ByteBuffer> RequestQueue::take_frames(std::int64_t now_ns) {
  std::deque<ByteBuffer> frames = batch_.take();
  for (const ByteBuffer& frame : frames) {
    for_each_fragment(fragments_of(frame), [&](const FragmentHeader& header, std::string_view) {
      note_passed(header);
      if (is_last(header))
        sent_.push_back(Sent{header.number, header.generation, header.process, header.flags, now_ns});
      if (is_first(header) != is_last(header)) is_half_sent_[stream_of(header)] = is_first(header);
      return true;
    });
  }
  return frames;
}

void RequestQueue::on_link_broken(const Fail& fail) {
  for (const Sent& sent : std::exchange(sent_, {})) {
    fail(sent.process, sent.generation, sent.number,
         (sent.flags & kMayWrite) != 0 ? Failure::kUnknown : Failure::kDown);
  }
  std::array<bool, kStreams> is_cut = std::exchange(is_half_sent_, {});
  for (const ByteBuffer& frame : batch_.take()) {
    for_each_fragment(fragments_of(frame), [&](const FragmentHeader& header, std::string_view payload) {
      if (!is_cut[stream_of(header)] || is_first(header)) {
        if (is_first(header)) is_cut[stream_of(header)] = false;
        batch_.add(header, payload);
        return true;
      }
      note_passed(header);
      if (is_last(header)) {
        is_cut[stream_of(header)] = false;
        fail(header.process, header.generation, header.number, Failure::kDown);
      }
      return true;
    });
  }
  for (std::size_t i = 0; i < kStreams; ++i) {
    if (!is_cut[i]) continue;  // else its last fragment has yet to come
    streams_[i].drops = true;
    fail(static_cast<std::uint16_t>(i / kLaneLimit), streams_[i].generation, streams_[i].number,
         Failure::kDown);
  }
}

void RequestQueue::refuse_unsent(const Fail& fail) {
  for (const ByteBuffer& frame : batch_.take()) {
    for_each_fragment(fragments_of(frame), [&](const FragmentHeader& header, std::string_view) {
      note_passed(header);
      if (is_last(header)) fail(header.process, header.generation, header.number, Failure::kDown);
      return true;
    });
  }
  for (std::size_t i = 0; i < kStreams; ++i) {
    Stream& stream = streams_[i];
    if (!stream.is_open || stream.drops) continue;
    stream.drops = true;
    fail(static_cast<std::uint16_t>(i / kLaneLimit), stream.generation, stream.number, Failure::kDown);
  }
}

}  // namespace memento::bus
