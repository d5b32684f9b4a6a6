// Many requests at full pipeline depth: sends while replies come in, never more than `depth` ahead of them,
// and hands each reply on with the number its request was given. What --pipe, --import and --export are made
// of.
//
// Requests are collected and sent in large pieces; replies are taken in whenever the socket has some. Memory
// is bounded by the depth and by the largest request.
#pragma once

#include <deque>
#include <functional>

#include "cli/net/connection.h"

namespace memento::cli {

class BulkPipeline {
 public:
  using OnReply = std::function<void(std::uint64_t number, Reply& reply)>;

  BulkPipeline(Connection connection, std::size_t depth, OnReply on_reply)
      : connection_(std::move(connection)), depth_(depth), on_reply_(std::move(on_reply)) {}

  /// Where a request's bytes are to be appended; then call sent(). Valid until that.
  std::string* output() { return &output_; }
  /// One request was appended. May wait for replies.
  Outcome sent(std::uint64_t number);
  /// Sends what was collected and takes in all replies that are missing.
  Outcome finish();
  /// Sends what was collected and takes in the replies that are there.
  Outcome flush();

  std::size_t outstanding_count() const { return numbers_.size(); }
  std::uint64_t sent_bytes() const { return sent_bytes_; }
  WireProtocol protocol() const { return connection_.protocol(); }

 private:
  Outcome send_collected();
  /// Takes replies in until at most so many are missing.
  Outcome receive_until(std::size_t outstanding_max);

  Connection connection_;
  const std::size_t depth_;
  OnReply on_reply_;
  std::string output_;
  std::deque<std::uint64_t> numbers_;  ///< of the requests whose replies are missing
  std::uint64_t sent_bytes_ = 0;
};

}  // namespace memento::cli
