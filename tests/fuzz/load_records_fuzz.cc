// Records that are well-framed and say anything: loading them ends with an error or with a sound keyspace,
// and what an error left can be cleared. Each 8 bytes of the input are one record: kind, flags, key,
// position, two numbers of its literal, how long that is, and how long it says the value is. Those
// with high flags make a group.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "shm/archive/recovery.h"
#include "shm/archive/slot_loader.h"
#include "shm/check.h"
#include "shm/segment.h"

namespace {

using namespace memento;

void check(bool holds) {
  if (!holds) std::abort();
}

Segment& segment() {
  static const std::unique_ptr<Segment> one = [] {
    SegmentOptions options;
    options.size_bytes = 16 << 20;
    return std::move(*Segment::create_anonymous(options));
  }();
  return *one;
}

void expect_sound() {
  const CheckReport report = check_segment(segment());
  for (const std::string& error : report.errors) std::fprintf(stderr, "%s\n", error.c_str());
  check(report.errors.empty());
}

std::uint64_t number_of_byte(std::uint8_t byte) {
  return byte < 200 ? byte : byte < 240 ? std::uint64_t{1} << (byte - 200) : ~std::uint64_t{0} - byte;
}

std::string record_of_bytes(const std::uint8_t* bytes) {
  static const std::string keys[] = {"a", "b{a}", "c{a}", "d", std::string(300, 'e') + "{a}", ""};
  const std::string& key = keys[bytes[2] % std::size(keys)];
  const std::uint64_t numbers[3] = {number_of_byte(bytes[4]), number_of_byte(bytes[5]),
                                    number_of_byte(bytes[7])};
  std::string literal(reinterpret_cast<const char*>(numbers), sizeof numbers);
  literal.resize(bytes[6] < 128 ? bytes[6] % 40 : bytes[6] * 300u, 'v');
  RecordHeader header{};
  header.bytes = static_cast<std::uint32_t>(record_bytes(key.size(), literal.size()));
  header.kind = static_cast<RecordKind>(bytes[0] % (kLastRecordKind + 2));
  header.flags = bytes[1];
  header.slot = static_cast<std::uint16_t>(slot_of_key(key).value);
  header.position = position_of(bytes[3] >> 6, bytes[3] & 15);
  header.created_and_key = RecordHeader::created_and_key_of(1, key.size());
  const std::uint64_t piece_bytes = literal.size() - std::min<std::size_t>(literal.size(), kPieceHeadBytes);
  const std::uint64_t value_bytes = header.kind == RecordKind::kPiece                       ? piece_bytes
                                    : bytes[7] % 2 == 0 || header.kind == RecordKind::kPart ? literal.size()
                                                                                            : bytes[7];
  header.value_and_origin = RecordHeader::value_and_origin_of(value_bytes, bytes[3] >> 4 & 3, 1);
  header.expiry_ms = bytes[5] % 2 == 0 ? kNoExpiry : bytes[5];
  std::string record(header.bytes, '\0');
  std::memcpy(record.data(), &header, sizeof header);
  key.copy(record.data() + sizeof header, key.size());
  literal.copy(record.data() + sizeof header + key.size(), literal.size());
  return record;
}

std::string group_of(const std::string& members, std::uint64_t count) {
  RecordHeader header{};
  header.bytes = static_cast<std::uint32_t>(record_bytes(0, 8 + members.size()));
  header.kind = RecordKind::kGroup;
  header.value_and_origin = RecordHeader::value_and_origin_of(members.size(), 0, 1);
  std::string record(header.bytes, '\0');
  std::memcpy(record.data(), &header, sizeof header);
  std::memcpy(record.data() + sizeof header, &count, sizeof count);
  members.copy(record.data() + sizeof header + 8, members.size());
  return record;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check(static_cast<bool>(segment().commit_slot_journals(0)));
  bool is_good = true;
  {
    LoadedDatabases databases(segment());
    SlotLoader loader(segment(), 1, {}, databases);
    std::uint64_t ring_position = 8;
    for (std::size_t at = 0; is_good && at + 8 <= size; at += 8) {
      std::string bytes = record_of_bytes(data + at);
      if (data[at + 1] >= 192) {
        std::string members;
        std::uint64_t count = data[at] % 8 == 7 ? 1 : 0;
        for (; at + 16 <= size && data[at + 1] >= 192; at += 8, ++count)
          members += record_of_bytes(data + at);
        bytes = group_of(members, count);
      }
      const std::optional<RecordView> record = read_record(bytes);
      if (!record) continue;
      JournalFrame frame;
      frame.frame.header.memory_id = 9;
      frame.records.push_back({*record, ring_position, 0});
      if (data[at] % 3 != 0) ring_position += 8;
      is_good = loader.add(frame);
    }
    is_good = is_good && loader.finish(true);
    check(is_good || !loader.fault().empty());
  }
  if (is_good) expect_sound();
  check(static_cast<bool>(clear_for_load(segment())));
  expect_sound();
  return 0;
}
