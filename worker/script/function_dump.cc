// See function_dump.h.
#include "worker/script/function_dump.h"

#include <liblzf/lzf.h>

#include <cstdint>

#include "worker/wire/crc64.h"

namespace memento {
namespace {

constexpr unsigned char kLibrary = 245;
constexpr unsigned kVersion = 10;
constexpr unsigned kNewestVersion = 12;  // of Redis 7.4: libraries are written as before
constexpr std::size_t kVersionBytes = 2;
constexpr std::size_t kChecksumBytes = 8;
constexpr unsigned char kCompressed = 0xc3;

void append_little_endian(std::string* bytes, std::uint64_t value, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) bytes->push_back(static_cast<char>(value >> 8 * i & 0xff));
}

std::uint64_t read_little_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i > 0; --i)
    value = value << 8 | static_cast<unsigned char>(bytes[i - 1]);
  return value;
}

// Reads from the front of the payload; what does not fit sets is_broken.
struct Reader {
  std::string_view left;
  bool is_broken = false;

  std::string_view take(std::uint64_t size) {
    if (size > left.size()) return is_broken = true, std::string_view();
    const std::string_view bytes = left.substr(0, size);
    left.remove_prefix(size);
    return bytes;
  }
  unsigned char take_byte() {
    const std::string_view byte = take(1);
    return byte.empty() ? 0 : static_cast<unsigned char>(byte[0]);
  }
  std::uint64_t take_big_endian(std::uint64_t size) {
    std::uint64_t value = 0;
    for (const char byte : take(size)) value = value << 8 | static_cast<unsigned char>(byte);
    return value;
  }
  // REQUIRES: `first` is the byte before, and not one of a text's other forms.
  std::uint64_t length(unsigned char first) {
    if (first < 0x40) return first;
    if (first < 0x80) return std::uint64_t{first & 0x3fu} << 8 | take_byte();
    if (first == 0x80) return take_big_endian(4);
    if (first == 0x81) return take_big_endian(8);
    return is_broken = true, 0;
  }
};

// The next text, of `limit_bytes` at the most; *is_too_long: it would be longer.
std::string take_text(Reader* reader, std::size_t limit_bytes, bool* is_too_long) {
  const unsigned char first = reader->take_byte();
  if (first != kCompressed) {
    const std::string_view text = reader->take(reader->length(first));
    *is_too_long = text.size() > limit_bytes;
    return std::string(*is_too_long ? std::string_view() : text);
  }
  const std::uint64_t compressed_bytes = reader->length(reader->take_byte());
  const std::uint64_t size = reader->length(reader->take_byte());
  const std::string_view compressed = reader->take(compressed_bytes);
  if (reader->is_broken || compressed.empty() || size == 0) return reader->is_broken = true, "";
  if (size > limit_bytes) return *is_too_long = true, "";
  std::string text(size, '\0');
  if (lzf_decompress(compressed.data(), static_cast<unsigned>(compressed.size()), text.data(),
                     static_cast<unsigned>(size)) != size)
    reader->is_broken = true;
  return text;
}

}  // namespace

void FunctionDump::add(std::string_view text) {
  bytes_.push_back(static_cast<char>(kLibrary));
  if (text.size() < 0x40) {
    bytes_.push_back(static_cast<char>(text.size()));
  } else if (text.size() < 0x4000) {
    bytes_.push_back(static_cast<char>(0x40 | text.size() >> 8));
    bytes_.push_back(static_cast<char>(text.size() & 0xff));
  } else {
    bytes_.push_back(static_cast<char>(0x80));
    for (int shift = 24; shift >= 0; shift -= 8)
      bytes_.push_back(static_cast<char>(text.size() >> shift & 0xff));
  }
  bytes_.append(text);
}

std::string FunctionDump::seal(std::string bytes) {
  append_little_endian(&bytes, kVersion, kVersionBytes);
  append_little_endian(&bytes, crc64(bytes), kChecksumBytes);
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
  const std::uint64_t version = read_little_endian(body.substr(body.size() - kVersionBytes));
  if (version > kNewestVersion || crc64(body) != read_little_endian(payload.substr(body.size())))
    return fail(Fault::kChecksum);
  Reader reader{body.substr(0, body.size() - kVersionBytes)};
  while (!reader.left.empty()) {
    if (reader.take_byte() != kLibrary) return fail(Fault::kOtherType);
    bool is_too_long = false;
    std::string text = take_text(&reader, limit_bytes, &is_too_long);
    if (reader.is_broken) return fail(Fault::kBroken);
    if (is_too_long) return fail(Fault::kTooLong);
    limit_bytes -= text.size();
    result.texts.push_back(std::move(text));
  }
  return result;
}

}  // namespace memento
