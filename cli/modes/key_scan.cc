// See key_scan.h.
#include "cli/modes/key_scan.h"

namespace memento::cli {
namespace {

constexpr const char* kBatchCount = "500";

}  // namespace

Result<bool> KeyScan::next(std::vector<std::string>* keys) {
  keys->clear();
  if (is_at_end_) return false;
  Words words{"SCAN", cursor_, "COUNT", kBatchCount};
  if (pattern_ != "*") words.insert(words.end(), {"MATCH", pattern_});
  Result<Reply> reply = connection_.request(words);
  if (!reply) return reply.error();
  if (reply->is_error()) return Error{ExitStatus::kRuntime, 0, "SCAN: " + reply->text};
  if (reply->elements.size() != 2 || !reply->elements[1].is_aggregate()) {
    return Error{ExitStatus::kRuntime, EPROTO, "SCAN: the reply is no cursor and keys"};
  }
  cursor_ = reply->elements[0].to_text();
  is_at_end_ = cursor_ == "0";
  for (Reply& key : reply->elements[1].elements) keys->push_back(std::move(key.text));
  return true;
}

std::uint64_t count_keys(Connection& connection) {
  const Result<Reply> reply = connection.request({"DBSIZE"});
  return reply && reply->integer > 0 ? static_cast<std::uint64_t>(reply->integer) : 0;
}

Result<std::vector<Reply>> exchange(Connection& connection, const std::string& bytes, std::size_t count) {
  if (Outcome sent = connection.send_bytes(bytes); !sent) return sent.error();
  std::vector<Reply> replies;
  while (replies.size() < count) {
    Result<Reply> reply = connection.read_reply();
    if (!reply) return reply.error();
    replies.push_back(std::move(*reply));
  }
  return replies;
}

}  // namespace memento::cli
