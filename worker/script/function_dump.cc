// See function_dump.h.
#include "worker/script/function_dump.h"

#include <cstdint>

#include "worker/wire/crc64.h"
#include "worker/wire/rdb_format.h"

namespace memento {
namespace {

constexpr unsigned char kLibrary = 245;
constexpr unsigned kVersion = 10;
constexpr unsigned kNewestVersion = 12;  // of Redis 7.4: libraries are written as before
constexpr std::size_t kVersionBytes = 2;
constexpr std::size_t kChecksumBytes = 8;

// Puts the next text into `*text`, where it has `limit_bytes` at the most.
FunctionDump::Fault take_text(RdbReader* reader, std::size_t limit_bytes, std::string* text) {
  using Fault = FunctionDump::Fault;
  const auto first = reader->take_byte();
  if (first == kRdbCompressed) {
    const auto compressed = reader->take_compressed();
    if (!compressed) return Fault::kBroken;
    if (compressed->text_bytes > limit_bytes) return Fault::kTooLong;
    auto decompressed = decompress(*compressed);
    if (!decompressed) return Fault::kBroken;
    *text = std::move(*decompressed);
    return Fault::kNone;
  }
  const auto length = first ? reader->take_length(*first) : std::nullopt;
  const auto found = length ? reader->take(*length) : std::nullopt;
  if (!found) return Fault::kBroken;
  if (found->size() > limit_bytes) return Fault::kTooLong;
  *text = *found;
  return Fault::kNone;
}

}  // namespace

void FunctionDump::add(std::string_view text) {
  bytes_.push_back(static_cast<char>(kLibrary));
  append_rdb_length(&bytes_, text.size());
  bytes_.append(text);
}

std::string FunctionDump::seal(std::string bytes) {
  append_low_first(&bytes, kVersion, kVersionBytes);
  append_low_first(&bytes, crc64(bytes), kChecksumBytes);
  return bytes;
}

FunctionDump::Read FunctionDump::read(std::string_view payload, std::size_t limit_bytes) {
  Read result;
  const auto fail = [&](Fault fault) {
    result.fault = fault;
    return result;
  };
  if (payload.size() < kVersionBytes + kChecksumBytes) return fail(Fault::kChecksum);
  const std::string_view body = payload.substr(0, payload.size() - kChecksumBytes);
  const std::uint64_t version = low_first(body.substr(body.size() - kVersionBytes));
  if (version > kNewestVersion || crc64(body) != low_first(payload.substr(body.size())))
    return fail(Fault::kChecksum);
  RdbReader reader(body.substr(0, body.size() - kVersionBytes));
  while (!reader.is_empty()) {
    if (reader.take_byte() != kLibrary) return fail(Fault::kOtherType);
    std::string text;
    if (const Fault fault = take_text(&reader, limit_bytes, &text); fault != Fault::kNone) return fail(fault);
    limit_bytes -= text.size();
    result.texts.push_back(std::move(text));
  }
  return result;
}

}  // namespace memento
