// Judges replies: see verifier.h.
#include "benchmark/verifier.h"

#include "benchmark/value_text.h"

namespace memento {

void Verifier::check(std::size_t index, std::uint32_t lap, const Reply& reply) {
  const RequestInfo info = workload_.info(index, lap);
  std::uint32_t& expected = expected_[info.key];
  if (info.kind == RequestKind::kExpire) return;
  if (info.kind == RequestKind::kSet) {
    // A refused SET (out of memory) may have removed the old value, as memcached's does.
    expected = reply.kind == ReplyKind::kError ? ExpectedValues::kUnknown : info.sequence;
    if (reply.kind != ReplyKind::kError && reply.text != workload_.stored_reply()) {
      mismatch(info, "SET was answered with \"" + std::string(reply.text.substr(0, 80)) + "\"");
    }
    return;
  }
  if (reply.kind == ReplyKind::kError) return;
  if (reply.kind == ReplyKind::kNil) {
    if (expected != ExpectedValues::kUnknown && !may_expire_) mismatch(info, "the value written is missing");
    return;
  }
  const auto sequence = sequence_of(reply.text, info.key, scratch_);
  if (!sequence) {
    mismatch(info, "no value of this key: \"" + std::string(reply.text.substr(0, 80)) + "\"");
  } else if (expected != ExpectedValues::kUnknown && *sequence != expected) {
    mismatch(info, "value number " + std::to_string(*sequence) + ", but " + std::to_string(expected) +
                       " was the last one written");
  }
}

void Verifier::mismatch(const RequestInfo& info, const std::string& why) {
  if (mismatch_count_++ > 0) return;
  append_key(first_mismatch_, info.key);
  first_mismatch_.append(": ").append(why);
}

}  // namespace memento
