// Session: a connection's protocol without its socket. Takes bytes as they come, executes the whole requests
// among them in order, appends the replies. Runs in workers.
//
// A connection speaks the text protocol until a request begins with '*': from there on it speaks RESP, RESP2
// until HELLO says 3. Its lines that do not begin with '*' are then inline requests, answered in RESP. So are
// they from the beginning on a connection whose first line is PING, ended by \r\n as Redis's tools end it, or
// that was made to (speak_resp()).
//
// Requests are taken in batches: parsed, their keys hashed and the memory they need fetched ahead, then
// executed. A worker prepares the first batches of several sessions before it executes them, so that their
// fetches overlap. A batch is of one protocol, and a request that cannot be parsed begins a batch of its own.
#pragma once

#include <cstddef>
#include <string_view>

#include "shm/os/byte_buffer.h"
#include "shm/os/cpu_clock.h"
#include "worker/handlers/context.h"
#include "worker/session/batch.h"
#include "worker/wire/resp_codec.h"
#include "worker/wire/text_codec.h"

namespace memento {

class BriefTurns;
class ClusterRouter;

/// What a worker's sessions share.
struct SessionContext {
  Keyspace& keyspace;
  WorkerServices& services;
  ClusterRouter* router = nullptr;  ///< of a cluster's node
};

/// Why a client is not served. A constant.
struct Refusal {
  const char* text_error;
  const char* resp_error;
};

class Session {
 public:
  /// Parses the first batch of the input, which must stay where it is until consume() gets it with the same
  /// batch.
  void prepare(std::string_view bytes, Keyspace& keyspace, Batch& batch);

  /// Executes requests until `bytes` holds no whole one more or `output` holds kOutputPauseBytes; how many
  /// bytes were taken. Call it again with the rest: with more bytes behind it, or (when paused) once the
  /// output is sent.
  std::size_t consume(std::string_view bytes, SessionContext& context, Batch& batch, ByteBuffer& output);

  /// From here on consume() goes on for some milliseconds, and then ends between two requests: has_rest().
  /// Without it there is no end but that of the input.
  void begin_turn() { turn_end_ticks_ = cpu_ticks() + turn_ticks(); }

  /// For a new connection: its first request need not begin with '*'.
  void speak_resp() {
    client_.protocol = Protocol::kResp2;
    fresh_ = false;
  }

  /// The client will not be served: its first byte, which tells the protocol, is answered so. Then the
  /// session is closing.
  void refuse(const Refusal& refusal) { refusal_ = &refusal; }

  /// The last call stopped at a request that waits (ClientState::waits).
  bool is_parked() const { return parked_; }
  /// The last call stopped because the turn is over: what is left is for the next one.
  bool has_rest() const { return has_rest_; }
  /// The last call stopped because of the output, not for want of input.
  bool is_paused() const { return paused_; }
  /// Nothing more is to be read: send the output and close.
  bool is_closing() const { return closing_; }
  /// None of them, and no reply of another node is awaited: the client goes on as it likes.
  bool wants_input() const {
    return !paused_ && !parked_ && !has_rest_ && !closing_ && !client_.has_pending_replies();
  }
  /// Why it is closing: the client sent, and may go on sending, what no request can be.
  bool is_input_broken() const { return broken_; }

  ClientState& client() { return client_; }
  const ClientState& client() const { return client_; }

  static constexpr std::size_t kOutputPauseBytes = 1 << 20;
  static constexpr double kTurnNs = 5e6;

 private:
  class Consumption;  // one call of consume() (consumption.cc)
  friend class BriefTurns;

  static std::uint64_t turn_ticks() {
    static const auto ticks = static_cast<std::uint64_t>(kTurnNs * ticks_per_ns());
    return ticks;
  }
  bool is_text() const { return client_.protocol == Protocol::kText; }
  inline std::size_t take_brief(std::string_view bytes, std::size_t taken, const Keyspace& keyspace,
                                Batch& batch);
  std::size_t prepare_others(std::string_view bytes, std::size_t taken, const Keyspace& keyspace,
                             Batch& batch);
  std::size_t prepare_lines(std::string_view bytes, std::size_t taken, const Keyspace& keyspace,
                            Batch& batch);
  std::size_t prepare_frames(std::string_view bytes, std::size_t taken, const Keyspace& keyspace,
                             Batch& batch);
  bool take_line(std::string_view left, const Keyspace& keyspace, Batch& batch, std::size_t* taken);
  bool take_frame(std::string_view left, const Keyspace& keyspace, Batch& batch, std::size_t* taken);
  template <class AnyLine>
  void parse_line(AnyLine& line, std::size_t input_end, Batch& batch);
  void add_request(const Command* command, std::size_t first_argument, std::size_t input_end, Batch& batch);
  /// Answers what no request can be.
  void report_broken(CommandContext& command);
  void forget_incomplete();

  ClientState client_;
  RespParser parser_;
  std::size_t scanned_bytes_ = 0;  ///< text: at the front of the input, known to hold no line end
  const Refusal* refusal_ = nullptr;
  bool fresh_ = true;  ///< nothing but PING lines came yet, and nothing was said of the protocol
  bool broken_ = false;
  bool paused_ = false;
  bool parked_ = false;
  bool has_rest_ = false;
  std::uint64_t turn_end_ticks_ = ~0ull;
  bool closing_ = false;
};

}  // namespace memento
