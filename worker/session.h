// Session: a connection's protocol without its socket. Takes bytes as they come, executes the whole requests
// among them in order, appends the replies. Runs in workers.
//
// Requests are taken in batches: parsed, their keys hashed and the memory they need fetched ahead, then executed. A
// worker prepares the first batches of several sessions before it executes them, so that their fetches overlap.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "worker/command/command.h"
#include "worker/wire/byte_buffer.h"
#include "worker/wire/text_codec.h"

namespace memento {

/// A parsed request. Its words are `argument_count` of the batch's arguments, from `first_argument` on.
struct Request {
  const Command* command;  ///< nullptr: unknown
  std::size_t first_argument;
  std::size_t argument_count;
  std::size_t input_end;  ///< of the batch's input
  HashedKey key;
  bool has_key;  ///< `key` is set
  bool greets;  ///< the line PING that opens a connection
};

/// Requests that are executed together. Reused, so that parsing allocates nothing.
struct Batch {
  static constexpr std::size_t kLimit = 16;
  std::array<Request, kLimit> requests;
  std::size_t count = 0;
  Arguments arguments;
  std::size_t input_bytes = 0;  ///< of the input that the requests come from
  bool is_prepared = false;     ///< parsed, not yet executed
};

/// Next stages of fetching what the batch's requests need; parsing has begun the first.
void prefetch_tables(const Batch& batch, const Keyspace& keyspace);
void prefetch_entries(const Batch& batch, const Keyspace& keyspace);

/// What a worker's sessions share.
struct SessionContext {
  Keyspace& keyspace;
  const ServerFacts& facts;
};

class Session {
 public:
  /// Parses the first batch of the input, which must stay where it is until consume() gets it with the same batch.
  void prepare(std::string_view bytes, const Keyspace& keyspace, Batch& batch);

  /// Executes requests until `bytes` holds no whole one more or `output` holds kOutputPauseBytes; how many bytes were
  /// taken. Call it again with the rest: with more bytes behind it, or (when paused) once the output is sent.
  std::size_t consume(std::string_view bytes, SessionContext& context, Batch& batch, ByteBuffer& output);

  /// The last call stopped because of the output, not for want of input.
  bool is_paused() const { return paused_; }
  /// Nothing more is to be read: send the output and close.
  bool is_closing() const { return closing_; }
  /// Why it is closing: the client sent, and may go on sending, a line that no request can be.
  bool is_line_too_long() const { return line_too_long_; }

  static constexpr std::size_t kOutputPauseBytes = 1 << 20;

 private:
  void parse_line(std::string_view line, std::size_t input_end, Batch& batch);

  std::size_t scanned_bytes_ = 0;  ///< at the front of the input, known to hold no line end
  bool fresh_ = true;              ///< no request came yet
  bool line_too_long_ = false;
  bool paused_ = false;
  bool closing_ = false;
};

}  // namespace memento
