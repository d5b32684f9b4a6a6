// The pieces that payloads of DUMP and FUNCTION DUMP are made of, as Redis's files have them: numbers,
// lengths, and texts that LZF may have compressed. Pure; any process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace memento {

/// The first byte of a text that is compressed.
inline constexpr unsigned kRdbCompressed = 0xc3;

/// Numbers of `count` bytes, the lowest first.
void append_low_first(std::string* bytes, std::uint64_t number, std::size_t count);
std::uint64_t low_first(std::string_view bytes);

void append_rdb_length(std::string* bytes, std::uint64_t length);

/// Takes bytes from the front of a payload; none when there are too few.
class RdbReader {
 public:
  explicit RdbReader(std::string_view bytes) : bytes_(bytes) {}

  std::optional<std::string_view> take(std::uint64_t count);
  std::optional<unsigned> take_byte();
  /// A length that `first` begins; nothing: it is none, or cut.
  std::optional<std::uint64_t> take_length(unsigned first);
  /// What follows kRdbCompressed: the compressed bytes, and how many they become. Neither is 0.
  struct Compressed {
    std::string_view bytes;
    std::uint64_t text_bytes;
  };
  std::optional<Compressed> take_compressed();
  bool is_empty() const { return bytes_.empty(); }

 private:
  std::string_view bytes_;
};

/// Nothing: they are not what they say. Memory is taken only for what so many bytes can become.
std::optional<std::string> decompress(const RdbReader::Compressed& compressed);

}  // namespace memento
