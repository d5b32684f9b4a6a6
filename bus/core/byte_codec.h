// Numbers and texts as bytes and back, little-endian, without gaps. The reader takes bytes of any origin:
// what does not fit makes it fail, for good, and gives zeros from there on; nothing is read beyond the end.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace memento::bus {

static_assert(std::endian::native == std::endian::little);

class ByteWriter {
 public:
  template <std::integral Number>
  void put(Number number) {
    bytes_.append(reinterpret_cast<const char*>(&number), sizeof number);
  }
  /// REQUIRES: shorter than 64 KiB.
  void put_text(std::string_view text) {
    put(static_cast<std::uint16_t>(text.size()));
    bytes_.append(text);
  }
  /// REQUIRES: shorter than 4 GiB.
  void put_long_text(std::string_view text) {
    put(static_cast<std::uint32_t>(text.size()));
    bytes_.append(text);
  }
  const std::string& bytes() const { return bytes_; }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  template <std::integral Number>
  Number get() {
    Number number{};
    if (rest_.size() < sizeof number) return fail(), number;
    std::memcpy(&number, rest_.data(), sizeof number);
    rest_.remove_prefix(sizeof number);
    return number;
  }
  std::string get_text() { return std::string(get_bytes(get<std::uint16_t>())); }
  std::string_view get_bytes(std::size_t count) {
    if (rest_.size() < count) return fail(), std::string_view();
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  /// A number below `end`.
  template <std::integral Number>
  Number get_below(Number end) {
    const Number number = get<Number>();
    if (number < end) return number;
    return fail(), Number{};
  }
  bool get_bool() { return get_below<std::uint8_t>(2) == 1; }

  void fail() {
    has_failed_ = true;
    rest_ = {};
  }
  bool has_failed() const { return has_failed_; }
  /// All was read, and fitted.
  bool is_done() const { return !has_failed_ && rest_.empty(); }
  std::size_t left() const { return rest_.size(); }

 private:
  std::string_view rest_;
  bool has_failed_ = false;
};

}  // namespace memento::bus
