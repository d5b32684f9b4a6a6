// The client's parser of replies. Whatever a server sends, in whatever pieces: it ends, keeps within its
// limits, and gives the same replies and the same error as the bytes in one piece. The first byte chooses
// protocol and the pieces' length.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "cli/show/format.h"
#include "cli/show/reply.h"

namespace {

using namespace memento::cli;

std::string everything(std::string_view bytes, bool is_text, std::size_t piece_bytes) {
  ReplyParser parser(is_text, {.depth = 8, .reply_bytes = 1 << 20});
  std::string text;
  while (!bytes.empty()) {
    parser.feed(bytes.substr(0, piece_bytes));
    bytes.remove_prefix(std::min(piece_bytes, bytes.size()));
    Reply reply;
    ReplyParser::Outcome outcome;
    while ((outcome = parser.next(&reply)) == ReplyParser::Outcome::kReply) {
      for (const OutputFormat format : {OutputFormat::kByType, OutputFormat::kRaw, OutputFormat::kJson,
                                        OutputFormat::kCsv, OutputFormat::kQuoted}) {
        text += format_reply(reply, {.format = format});
      }
    }
    if (outcome == ReplyParser::Outcome::kBroken) return text + parser.error();
  }
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const bool is_text = (data[0] & 1) != 0;
  const std::size_t piece_bytes = 1 + data[0] / 2;
  if (everything(bytes, is_text, piece_bytes) != everything(bytes, is_text, bytes.size())) std::abort();
  return 0;
}
