// An entry's bytes: header word, [extension word], [expiry word], key, value.
//
//   header     creation time in ms since Header::time_base_ms 40 bits | key length 8 | value length 15 |
//              has an expiry word 1. A value length of 0x7fff says that an extension word follows.
//   extension  key length 20 bits | value length 44 bits << 20
//   expiry     ms since the Unix epoch; kNoExpiry: the key does not expire. Extended entries always have this
//   word, so that
//              a long value need not be copied to get an expiry
//
// Once an entry is reachable, words of it change only through a redo list: the expiry; of entries in runs,
// which nobody reads without a pin, a part of the value, and the extension when the value grows into what the
// run has left (keyspace_update.cc).
//
// Worked example: key "ab", value "xyz", created at base + 5: header 0x0003'0200'0000'0005 >> as fields 5, 2,
// 3, 0; then "abxyz": 13 bytes.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "shm/format/layout.h"
#include "shm/os/copy_bytes.h"

#if defined(__SANITIZE_THREAD__)
#define MEMENTO_RACY __attribute__((no_sanitize("thread"), noinline))
#else
#define MEMENTO_RACY
#endif

namespace memento {

/// Reading bytes that another process may be writing: the caller validates the slot's version afterwards and
/// throws the result away when it changed (Boehm, "Can Seqlocks Get Along With Programming Language Memory
/// Models?", MSPC 2012). ThreadSanitizer is told to look away here and only here.
MEMENTO_RACY inline void racy_copy(char* to, const char* from, std::size_t bytes) {
#if defined(__SANITIZE_THREAD__)
  for (std::size_t i = 0; i < bytes; ++i)
    reinterpret_cast<volatile char*>(to)[i] = reinterpret_cast<const volatile char*>(from)[i];
#else
  std::memcpy(to, from, bytes);
#endif
}

MEMENTO_RACY inline bool racy_equal(const char* a, const char* b, std::size_t bytes) {
#if defined(__SANITIZE_THREAD__)
  for (std::size_t i = 0; i < bytes; ++i) {
    if (reinterpret_cast<const volatile char*>(a)[i] != reinterpret_cast<const volatile char*>(b)[i])
      return false;
  }
  return true;
#else
  if (bytes < 8 || bytes > 16) return std::memcmp(a, b, bytes) == 0;
  const auto word = [](const char* at) {  // most keys: two words, which overlap
    std::uint64_t value = 0;
    std::memcpy(&value, at, sizeof value);
    return value;
  };
  return ((word(a) ^ word(b)) | (word(a + bytes - 8) ^ word(b + bytes - 8))) == 0;
#endif
}

struct Entry {
  std::uint64_t created = 0;  ///< ms since the segment's time base
  std::uint64_t key_bytes = 0;
  std::uint64_t value_bytes = 0;
  bool has_expiry_word = false;
  bool extended = false;
  const char* at = nullptr;

  static constexpr std::uint64_t kExtendedValue = 0x7fff;
  static constexpr std::uint64_t kHeadBytes = 8;

  static Entry shape(std::uint64_t key_bytes, std::uint64_t value_bytes, bool expires,
                     std::uint64_t created) {
    Entry entry;
    entry.created = created & ((1ull << 40) - 1);
    entry.key_bytes = key_bytes;
    entry.value_bytes = value_bytes;
    entry.extended = key_bytes > 255 || value_bytes >= kExtendedValue;
    entry.has_expiry_word = expires || entry.extended;
    return entry;
  }

  /// The header word of an entry without an extension.
  static constexpr std::uint64_t head_of(std::uint64_t key_bytes, std::uint64_t value_bytes, bool expires,
                                         std::uint64_t created) {
    return (created & ((1ull << 40) - 1)) | key_bytes << 40 | value_bytes << 48 |
           static_cast<std::uint64_t>(expires) << 63;
  }
  static std::uint64_t head_at(const char* at) { return word(at); }
  /// Whether an entry has neither an extension nor an expiry, and lengths as the one of `head`, which has no
  /// extension.
  static constexpr bool is_plain_like(std::uint64_t head, std::uint64_t other) {
    return ((head ^ other) >> 40 | head >> 63) == 0;
  }

  /// Reads the words in front of the key. Lengths may be nonsense when read without the slot's lock.
  static Entry parse(const char* at) {
    Entry entry;
    entry.at = at;
    const std::uint64_t header = word(at);
    entry.created = header & ((1ull << 40) - 1);
    entry.key_bytes = header >> 40 & 255;
    entry.value_bytes = header >> 48 & kExtendedValue;
    entry.has_expiry_word = header >> 63;
    entry.extended = entry.value_bytes == kExtendedValue;
    if (entry.extended) {
      const std::uint64_t extension = word(at + 8);
      entry.key_bytes = extension & ((1u << 20) - 1);
      entry.value_bytes = extension >> 20;
    }
    return entry;
  }

  std::uint64_t key_offset() const { return 8u + (extended ? 8u : 0u) + (has_expiry_word ? 8u : 0u); }
  std::uint64_t total_bytes() const { return key_offset() + key_bytes + value_bytes; }
  const char* key() const { return at + key_offset(); }
  const char* value() const { return key() + key_bytes; }
  /// REQUIRES: has_expiry_word.
  Word& expiry_word() const { return *reinterpret_cast<Word*>(const_cast<char*>(at) + (extended ? 16 : 8)); }
  static std::uint64_t word_of_expiry(TimeMs expiry_ms) { return static_cast<std::uint64_t>(expiry_ms); }
  TimeMs expiry_ms() const { return has_expiry_word ? raw_expiry_ms() : kNoExpiry; }
  bool expires() const { return has_expiry_word && raw_expiry_ms() != kNoExpiry; }
  /// Compared as the words that they are, where kNoExpiry is later than every time.
  bool expired(TimeMs now_ms) const {
    return has_expiry_word &&
           static_cast<std::uint64_t>(raw_expiry_ms()) <= static_cast<std::uint64_t>(now_ms);
  }
  /// REQUIRES: extended.
  Word& extension_word() const { return *reinterpret_cast<Word*>(const_cast<char*>(at) + 8); }
  static std::uint64_t word_of_lengths(std::uint64_t key_bytes, std::uint64_t value_bytes) {
    return key_bytes | value_bytes << 20;
  }

  /// Writes this entry's expiry into a copy of it. REQUIRES: has_expiry_word.
  void write_expiry(char* copy) const {
    put(copy + (extended ? 16 : 8), static_cast<std::uint64_t>(raw_expiry_ms()));
  }

  /// Writes the words and the key into an unreachable block; returns where the value goes.
  char* write(char* to, std::string_view key_text, TimeMs expiry) const {
    const std::uint64_t short_value = extended ? kExtendedValue : value_bytes;
    put(to, created | (extended ? 0 : key_bytes) << 40 | short_value << 48 |
                static_cast<std::uint64_t>(has_expiry_word) << 63);
    if (extended) put(to + 8, word_of_lengths(key_bytes, value_bytes));
    if (has_expiry_word) put(to + (extended ? 16 : 8), word_of_expiry(expiry));
    copy_bytes(to + key_offset(), key_text);
    return to + key_offset() + key_bytes;
  }

  /// The same for an entry without an extension, whose header word is `head`.
  static char* write_short(char* to, std::uint64_t head, std::string_view key_text, TimeMs expiry_ms) {
    put(to, head);
    to += kHeadBytes;
    if (head >> 63 != 0) {
      put(to, word_of_expiry(expiry_ms));
      to += 8;
    }
    copy_bytes(to, key_text);
    return to + key_text.size();
  }

 private:
  TimeMs raw_expiry_ms() const { return static_cast<TimeMs>(word(at + (extended ? 16 : 8))); }
  /// In a block that was given to another entry meanwhile anything may stand here.
  static std::uint64_t word(const char* at) {
#if defined(__SANITIZE_THREAD__)
    std::uint64_t value = 0;
    racy_copy(reinterpret_cast<char*>(&value), at, sizeof value);
    return value;
#else
    return reinterpret_cast<const Word*>(at)->load(std::memory_order_relaxed);
#endif
  }
  static void put(char* to, std::uint64_t value) {
    reinterpret_cast<Word*>(to)->store(value, std::memory_order_relaxed);
  }
};

}  // namespace memento
