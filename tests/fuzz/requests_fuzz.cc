// Request parsers: whatever the bytes and wherever they are cut, the words are the same as from one piece,
// and what is told to be a brief request has the words that the general parsers find. The first byte of the
// input is the size of the pieces.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "worker/session/brief_request.h"
#include "worker/wire/resp_codec.h"
#include "worker/wire/short_line.h"
#include "worker/wire/text_codec.h"

namespace {

using namespace memento;

using Words = std::vector<std::string>;
constexpr RespLimits kLimits{1000, 1 << 20, 2 << 20, true};

// The requests that come out of the bytes given in pieces, and the error that ends them.
std::vector<Words> requests_of(std::string_view bytes, std::size_t piece_bytes) {
  RespParser parser;
  std::vector<Words> requests;
  std::size_t begin = 0;
  for (std::size_t end = std::min(piece_bytes, bytes.size());;
       end = std::min(end + piece_bytes, bytes.size())) {
    for (;;) {
      const std::string piece(
          bytes.substr(begin, end - begin));  // a copy of exact size: reading beyond it is seen
      Arguments arguments;
      std::deque<std::string> unquoted;
      std::size_t taken = 0;
      const RespParser::Outcome outcome = parser.parse(piece, kLimits, &arguments, &taken, &unquoted);
      if (outcome == RespParser::Outcome::kIncomplete) break;
      if (outcome == RespParser::Outcome::kBroken) {
        requests.push_back({parser.error()});
        return requests;
      }
      requests.emplace_back(arguments.begin(), arguments.end());
      begin += taken;
    }
    if (end == bytes.size()) return requests;
  }
}

template <class AnyLine>
Arguments words_of(AnyLine& line, std::size_t rest_index) {
  Arguments arguments{line.take_word()};
  if (!arguments[0].empty()) split_words(line, rest_index, &arguments);
  return arguments;
}

Words words_in(const BriefRequest& brief, const std::array<std::string_view, kBriefWords>& places) {
  return {places.begin(), places.begin() + static_cast<std::ptrdiff_t>(brief.word_count)};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t piece_bytes = std::max<std::size_t>(data[0], 1);
  const std::vector<Words> requests = requests_of(bytes, bytes.size() + 1);
  if (requests != requests_of(bytes, piece_bytes)) std::abort();
  std::array<std::string_view, kBriefWords> places;
  const std::string exact(bytes);
  if (const BriefRequest frame = take_brief_frame(exact, places.data()); frame.command != nullptr) {
    if (words_in(frame, places) != requests[0]) std::abort();
  }
  std::size_t scanned = 0;
  std::size_t taken = 0;
  std::string_view text;
  if (!next_line(bytes, &scanned, &text, &taken)) return 0;
  Line line(text);
  const Arguments arguments = words_of(line, data[0] % 4);
  ShortLine short_line(exact);
  if (short_line.is_whole() != (taken <= 64)) std::abort();
  if (!short_line.is_whole()) return 0;
  if (short_line.text() != text || short_line.bytes_with_end() != taken) std::abort();
  if (const BriefRequest brief = take_brief_line(short_line, places.data()); brief.command != nullptr) {
    Line again(text);
    const Arguments expected = words_of(again, static_cast<std::size_t>(brief.command->text_rest));
    if (words_in(brief, places) != Words(expected.begin(), expected.end())) std::abort();
  }
  if (words_of(short_line, data[0] % 4) != arguments) std::abort();
  return 0;
}
