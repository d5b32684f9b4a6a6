// Batch: parsed requests that are executed together, and BatchRun, which executes them. Whose requests they
// are, and where they came from, is the caller's: a client's (session.h). Runs in workers.
//
// The memory that a batch's keys need is fetched ahead in stages, each for all requests before the next.
#pragma once

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <deque>
#include <span>
#include <string>
#include <string_view>

#include "shm/os/byte_buffer.h"
#include "worker/handlers/context.h"
#include "worker/session/brief_request.h"
#include "worker/stats/command_meter.h"
#include "worker/wire/resp_codec.h"

namespace memento {

/// A parsed request.
struct Request {
  const Command* command;         ///< nullptr: unknown
  const std::string_view* words;  ///< nullptr while it is parsed: the batch's arguments may move yet
  std::size_t first_argument;     ///< where its words stand among the arguments; not of brief requests
  std::size_t argument_count;
  std::size_t input_end;  ///< of the batch's input
  HashedKey key;
  bool has_key;   ///< `key` is set
  bool is_plain;  ///< a whole request of a command that is: its handler may be called as it is
  bool greets;    ///< a line PING before any other request
};

/// Reused, so that parsing allocates nothing.
struct Batch {
  static constexpr std::size_t kLimit = 64;
  std::array<Request, kLimit> requests;
  std::size_t count = 0;
  std::size_t general_count = 0;  ///< of them, those that were not brief
  Arguments arguments;
  std::array<std::string_view, kLimit * kBriefWords> brief_words;  ///< of brief requests, by their place
  std::deque<std::string> unquoted;  ///< words that do not stand in the input as they are
  std::size_t input_bytes = 0;       ///< of the input that the requests come from
  bool is_prepared = false;          ///< parsed, not yet executed

  static std::span<const std::string_view> words_of(const Request& request) {
    return {request.words, request.argument_count};
  }
  /// The same while it is parsed, of a request whose words are among the arguments.
  std::span<const std::string_view> arguments_of(const Request& request) const {
    return std::span(arguments).subspan(request.first_argument, request.argument_count);
  }
  /// Appends the brief requests that stand in the input from `begin` on, hashes their keys and begins to
  /// fetch their slots; where they end.
  std::size_t take_brief_lines(std::string_view input, std::size_t begin, const Keyspace& keyspace);
  std::size_t take_brief_frames(std::string_view input, std::size_t begin, const Keyspace& keyspace);
  /// All are brief ones.
  bool is_brief() const { return general_count == 0; }
  bool is_plain() const {
    return is_brief() || std::all_of(requests.begin(), requests.begin() + count,
                                     [](const Request& request) { return request.is_plain; });
  }
  void clear() {
    count = general_count = input_bytes = 0;
    if (!arguments.empty() || !unquoted.empty()) [[unlikely]]
      clear_words();
  }

 private:
  void clear_words();
  template <class TakeOne>
  std::size_t take_brief(std::string_view input, std::size_t begin, const Keyspace& keyspace,
                         TakeOne&& take_one);
};

/// Puts the words of requests that were parsed in the general way in their place, hashes these requests'
/// first keys and begins to fetch their slots.
void settle_words(Batch& batch, const Keyspace& keyspace);
/// The next stages of fetching what the requests need.
void prefetch_tables(const Batch& batch, const Keyspace& keyspace);
/// Notes in the requests' keys where they were seen.
void prefetch_entries(Batch& batch, const Keyspace& keyspace);

/// Once a batch: what may be executed.
inline void look_at_disk(WorkerServices& services) {
  services.hub.disk().look(services.settings.disk_timeout_ms, services.settings.stops_writes_on_disk_error);
}

/// What these requests, which are plain, have seen is noted for the client.
inline void note_slots(DiskWaits& disk, ClientState& client, std::span<const Request> requests) {
  for (const Request& request : requests) disk.note_slot(client, request.key.slot);
}

/// Executes the requests of one batch, in order, and counts and times them. Replies go to the output that
/// the context's reply writes to.
class BatchRun {
 public:
  enum class Outcome {
    kDone,
    kRunEnded,  ///< and it was timed by itself
    kParks,     ///< it was not executed, and nothing was replied: it is to be executed again later
    kNoRoom,    ///< the same, since the journal has no room for what it changes
  };

  BatchRun(const Batch& batch, CommandContext& context, ByteBuffer& output,
           std::uint64_t turn_end_ticks = ~0ull)
      : batch_(batch), context_(context), output_(output), turn_end_ticks_(turn_end_ticks) {}

  /// The request at this place.
  Outcome execute(std::size_t place);
  /// It was refused before its handler ran. REQUIRES: execute() has just said kRunEnded.
  bool was_rejected() const { return was_rejected_; }
  /// Seen when a request that took long was done, or at end(): the rest is for another turn.
  bool is_over() const { return context_.meter.is_past(turn_end_ticks_); }
  /// Requests from `place` on as long as they are plain, the output is below `pause_bytes` and it is not
  /// over; the place behind the last. REQUIRES: the one at `place` is plain, and commands are not timed one
  /// by one.
  std::size_t execute_plain(std::size_t place, std::size_t pause_bytes);
  /// execute_plain() stopped in front of a request for which the journal has no room.
  bool lacks_room() const { return lacks_room_; }
  /// All in front of `place` were executed, or answered in another way: what they took is noted.
  void end(std::size_t place) {
    assert(place <= batch_.count);
    if (place > 0) context_.meter.end_run(batch_.words_of(batch_.requests[place - 1]), false);
  }

 private:
  void answer_out_of_memory(const Command* command, std::size_t reply_begin);
  void take_back(std::size_t reply_begin, std::uint64_t errors);
  std::size_t input_begin(std::size_t place) const {
    return place > 0 ? batch_.requests[place - 1].input_end : 0;
  }

  const Batch& batch_;
  CommandContext& context_;
  ByteBuffer& output_;
  const std::uint64_t turn_end_ticks_;
  bool was_rejected_ = false;
  bool lacks_room_ = false;
};

}  // namespace memento
