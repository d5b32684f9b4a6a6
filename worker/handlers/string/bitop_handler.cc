// BITOP: a bitwise operation over whole values, as one change. A value that is shorter than the longest one,
// or not there, counts as if zeros followed it.
#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "worker/handlers/atomically.h"
#include "worker/handlers/handler_support.h"
#include "worker/handlers/handlers.h"
#include "worker/text/words.h"

namespace memento::handlers {
namespace {

enum class BitOperation { kAnd, kOr, kXor, kNot };

struct OperationName {
  std::string_view word;
  BitOperation operation;
};
constexpr OperationName kOperations[] = {{"AND", BitOperation::kAnd},
                                         {"OR", BitOperation::kOr},
                                         {"XOR", BitOperation::kXor},
                                         {"NOT", BitOperation::kNot}};

// One word at a time, and what is left of the shorter value byte by byte.
template <class Operate>
void combine(std::string* result, std::string_view value, Operate&& operate) {
  std::size_t at = 0;
  for (; at + sizeof(std::uint64_t) <= value.size(); at += sizeof(std::uint64_t)) {
    std::uint64_t left = 0;
    std::uint64_t right = 0;
    std::memcpy(&left, result->data() + at, sizeof left);
    std::memcpy(&right, value.data() + at, sizeof right);
    left = operate(left, right);
    std::memcpy(result->data() + at, &left, sizeof left);
  }
  for (; at < value.size(); ++at) {
    const std::uint64_t byte =
        operate(static_cast<unsigned char>((*result)[at]), static_cast<unsigned char>(value[at]));
    (*result)[at] = static_cast<char>(byte & 0xff);
  }
}

// The result becomes `result` combined with `value`. REQUIRES: not kNot.
void add_value(BitOperation operation, std::string* result, std::string_view value) {
  const std::size_t shorter = std::min(result->size(), value.size());
  if (value.size() > result->size()) result->resize(value.size());
  if (operation == BitOperation::kAnd) {
    combine(result, value, [](std::uint64_t left, std::uint64_t right) { return left & right; });
    std::fill(result->begin() + static_cast<std::ptrdiff_t>(shorter), result->end(), '\0');
  } else if (operation == BitOperation::kOr) {
    combine(result, value, [](std::uint64_t left, std::uint64_t right) { return left | right; });
  } else {
    combine(result, value, [](std::uint64_t left, std::uint64_t right) { return left ^ right; });
  }
}

}  // namespace

void bitop(CommandContext& context, const Call& call) {
  const auto* const named = std::ranges::find_if(
      kOperations, [&](const OperationName& candidate) { return is_word(call[1], candidate.word); });
  if (named == std::end(kOperations)) return context.reply.error(kSyntaxError);
  if (named->operation == BitOperation::kNot && call.count() != 4)
    return context.reply.error("ERR BITOP NOT must be called with a single source key.");
  std::vector<HashedKey> keys{call.key};  // the target, and behind it the sources
  for (const std::string_view source : call.args.subspan(3)) keys.push_back(context.keyspace.hash(source));
  std::string result;
  std::string value;
  const WriteStatus status = atomically(context, keys, [&] {
    result.clear();
    for (std::size_t i = 1; i < keys.size(); ++i) {
      if (context.keyspace.must_stop()) return false;
      std::string& target = i == 1 ? result : value;
      target.clear();
      if (!context.keyspace.read(keys[i], [&](const EntryView& entry) { target.assign(entry.value); }))
        context.missed(keys[i]);
      if (i > 1) add_value(named->operation, &result, value);
    }
    if (named->operation == BitOperation::kNot) {
      for (char& byte : result) byte = static_cast<char>(~byte);
    }
    if (result.empty()) {
      if (context.keyspace.erase(keys[0]) == WriteStatus::kDone) context.changed(keys[0], key_events::kDel);
    } else {
      (void)context.keyspace.set(keys[0], result);
      context.changed(keys[0], key_events::kSet);
    }
    return true;
  });
  if (answer_refusal(context, status)) return;
  context.reply.integer(static_cast<std::int64_t>(result.size()));
}

}  // namespace memento::handlers
