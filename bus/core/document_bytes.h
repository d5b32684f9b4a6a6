// The document as bytes, for the wire and for the disk:
//
//   u32 magic "mdoc" | u32 format version | u64 bytes behind this header | u64 XXH3 of them
//   cluster id 16 | term u64 | version u64 | protocol u32 | next number u32 | settings | voters twice |
//   members u16 slots, then runs of equal slots: u16 length, the slot in 30 bytes
//
// Reading takes any bytes: the checksum finds damage, and every count and index is compared with its bounds,
// since a checksum can be made by anybody.
#pragma once

#include <string>
#include <string_view>

#include "bus/core/byte_codec.h"
#include "bus/core/document.h"
#include "shm/os/result.h"

namespace memento::bus {

inline constexpr std::uint32_t kDocumentMagic = 0x636f646d;  // "mdoc"
inline constexpr std::uint32_t kDocumentFormatVersion = 1;

/// REQUIRES: fault_of() finds nothing.
std::string document_bytes(const Document& document);
/// Error: what does not fit.
Result<Document> read_document(std::string_view bytes);

/// Parts that other messages have too.
void put_uuid(ByteWriter& writer, const Uuid& uuid);
Uuid get_uuid(ByteReader& reader);
void put_key(ByteWriter& writer, const DocumentKey& key);
DocumentKey get_key(ByteReader& reader);
void put_member(ByteWriter& writer, const Member& member);
Member get_member(ByteReader& reader);
void put_settings(ByteWriter& writer, const Settings& settings);
Settings get_settings(ByteReader& reader);

/// A header of magic and format version, and a checksum, around the bytes; and off again.
std::string sealed_bytes(std::uint32_t magic, std::uint32_t version, std::string_view body);
Result<std::string_view> unseal_bytes(std::uint32_t magic, std::uint32_t version, std::string_view bytes,
                                      const std::string& what);

}  // namespace memento::bus
