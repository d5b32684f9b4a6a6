// See pipeline.h. Half the depth is sent at a time, so that the server has work while replies are taken in.
#include "cli/net/pipeline.h"

namespace memento::cli {
namespace {

constexpr std::size_t kPieceBytes = 64 * 1024;

}  // namespace

Outcome BulkPipeline::sent(std::uint64_t number) {
  numbers_.push_back(number);
  if (output_.size() >= kPieceBytes) {
    if (Outcome done = send_collected(); !done) return done;
  }
  if (numbers_.size() < depth_) return Done{};
  if (Outcome done = send_collected(); !done) return done;
  return receive_until(depth_ / 2);
}

Outcome BulkPipeline::flush() {
  if (Outcome done = send_collected(); !done) return done;
  while (!numbers_.empty()) {
    Result<std::optional<Reply>> reply = connection_.read_within(0);
    if (!reply) return reply.error();
    if (!*reply) break;
    if ((**reply).type == ReplyType::kPush) continue;
    on_reply_(numbers_.front(), **reply);
    numbers_.pop_front();
  }
  return Done{};
}

Outcome BulkPipeline::finish() {
  if (Outcome done = send_collected(); !done) return done;
  return receive_until(0);
}

Outcome BulkPipeline::send_collected() {
  if (output_.empty()) return Done{};
  Outcome sent = connection_.send_bytes(output_);
  sent_bytes_ += output_.size();
  output_.clear();
  return sent;
}

Outcome BulkPipeline::receive_until(std::size_t outstanding_max) {
  while (numbers_.size() > outstanding_max) {
    Result<Reply> reply = connection_.read_reply();
    if (!reply) return reply.error();
    on_reply_(numbers_.front(), *reply);
    numbers_.pop_front();
  }
  return Done{};
}

}  // namespace memento::cli
