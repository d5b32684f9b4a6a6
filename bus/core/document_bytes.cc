// See document_bytes.h.
#include "bus/core/document_bytes.h"

#include <xxhash.h>

#include <cassert>

namespace memento::bus {
namespace {

constexpr std::size_t kHeaderBytes = 24;

void put_voters(ByteWriter& writer, const VoterSet& voters) {
  writer.put(static_cast<std::uint8_t>(voters.size()));
  for (const Uuid& voter : voters) put_uuid(writer, voter);
}

VoterSet get_voters(ByteReader& reader) {
  VoterSet voters(reader.get_below<std::uint8_t>(kVoterLimit + 1));
  for (Uuid& voter : voters) voter = get_uuid(reader);
  return voters;
}

void put_slot(ByteWriter& writer, const SlotEntry& slot) {
  writer.put(slot.primary);
  writer.put(static_cast<std::uint8_t>(slot.is_lost));
  for (const InSyncCopy& copy : slot.in_sync)
    writer.put(static_cast<std::uint32_t>(copy.data_number << 8 | copy.member));
  for (const MemberIndex target : slot.targets) writer.put(target);
  writer.put(slot.epoch);
  writer.put(slot.changes);
}

SlotEntry get_slot(ByteReader& reader) {
  SlotEntry slot;
  slot.primary = reader.get<std::uint8_t>();
  slot.is_lost = reader.get_bool();
  for (InSyncCopy& copy : slot.in_sync) {
    const std::uint32_t word = reader.get<std::uint32_t>();
    copy = {static_cast<MemberIndex>(word & 0xff), word >> 8};
  }
  for (MemberIndex& target : slot.targets) target = reader.get<std::uint8_t>();
  slot.epoch = reader.get<std::uint32_t>();
  slot.changes = reader.get<std::uint32_t>();
  return slot;
}

void put_slots(ByteWriter& writer, const std::vector<SlotEntry>& slots) {
  writer.put(static_cast<std::uint16_t>(slots.size()));
  for (std::size_t slot = 0; slot < slots.size();) {
    std::size_t end = slot + 1;
    while (end < slots.size() && slots[end] == slots[slot]) ++end;
    writer.put(static_cast<std::uint16_t>(end - slot));
    put_slot(writer, slots[slot]);
    slot = end;
  }
}

std::vector<SlotEntry> get_slots(ByteReader& reader) {
  const std::size_t count = reader.get_below<std::uint16_t>(kSlotCount + 1);
  std::vector<SlotEntry> slots;
  slots.reserve(count);
  while (slots.size() < count && !reader.has_failed()) {
    const std::size_t length = reader.get<std::uint16_t>();
    const SlotEntry slot = get_slot(reader);
    if (length == 0 || length > count - slots.size()) reader.fail();
    if (!reader.has_failed()) slots.insert(slots.end(), length, slot);
  }
  return slots;
}

}  // namespace

void put_settings(ByteWriter& writer, const Settings& settings) {
  writer.put(settings.replicas);
  writer.put(static_cast<std::uint8_t>(settings.acks_all));
  writer.put(settings.min_copies);
  writer.put(settings.heal_after_ms);
}

Settings get_settings(ByteReader& reader) {
  Settings settings;
  settings.replicas = reader.get_below<std::uint8_t>(kCopyLimit);
  settings.acks_all = reader.get_bool();
  settings.min_copies = reader.get_below<std::uint8_t>(kCopyLimit + 1);
  settings.heal_after_ms = reader.get<std::uint32_t>();
  return settings;
}

void put_uuid(ByteWriter& writer, const Uuid& uuid) {
  for (const std::uint64_t word : uuid.words) writer.put(word);
}

Uuid get_uuid(ByteReader& reader) {
  Uuid uuid;
  for (std::uint64_t& word : uuid.words) word = reader.get<std::uint64_t>();
  return uuid;
}

void put_key(ByteWriter& writer, const DocumentKey& key) {
  writer.put(key.term);
  writer.put(key.version);
}

DocumentKey get_key(ByteReader& reader) {
  DocumentKey key;
  key.term = reader.get<std::uint64_t>();
  key.version = reader.get<std::uint64_t>();
  return key;
}

void put_member(ByteWriter& writer, const Member& member) {
  writer.put(member.number);
  put_uuid(writer, member.uuid);
  writer.put_text(member.name);
  writer.put_text(member.address);
  writer.put(member.port);
  writer.put(member.bus_port);
  writer.put_text(member.zone);
  writer.put(member.weight);
  writer.put(static_cast<std::uint8_t>(member.state));
  writer.put(static_cast<std::uint8_t>(member.is_witness));
  put_uuid(writer, member.data_id);
  writer.put(member.data_number);
  writer.put(member.memory_id);
  writer.put(member.generation);
}

Member get_member(ByteReader& reader) {
  Member member;
  member.number = reader.get<std::uint32_t>();
  member.uuid = get_uuid(reader);
  member.name = reader.get_text();
  member.address = reader.get_text();
  member.port = reader.get<std::uint16_t>();
  member.bus_port = reader.get<std::uint16_t>();
  member.zone = reader.get_text();
  member.weight = reader.get<std::uint32_t>();
  member.state = static_cast<MemberState>(reader.get_below(kMemberStateCount));
  member.is_witness = reader.get_bool();
  member.data_id = get_uuid(reader);
  member.data_number = reader.get<std::uint32_t>();
  member.memory_id = reader.get<std::uint64_t>();
  member.generation = reader.get<std::uint64_t>();
  return member;
}

std::string sealed_bytes(std::uint32_t magic, std::uint32_t version, std::string_view body) {
  ByteWriter writer;
  writer.put(magic);
  writer.put(version);
  writer.put(static_cast<std::uint64_t>(body.size()));
  writer.put(static_cast<std::uint64_t>(XXH3_64bits(body.data(), body.size())));
  std::string bytes = writer.take();
  bytes.append(body);
  return bytes;
}

Result<std::string_view> unseal_bytes(std::uint32_t magic, std::uint32_t version, std::string_view bytes,
                                      const std::string& what) {
  const auto refused = [&](const std::string& why) {
    return Error{ExitStatus::kRuntime, 0, what + " " + why};
  };
  ByteReader reader(bytes);
  const auto found_magic = reader.get<std::uint32_t>();
  const auto found_version = reader.get<std::uint32_t>();
  const auto body_bytes = reader.get<std::uint64_t>();
  const auto checksum = reader.get<std::uint64_t>();
  if (reader.has_failed()) return refused("ends within its header");
  if (found_magic != magic) return refused("is something else");
  if (found_version != version)
    return refused("has format version " + std::to_string(found_version) + ", known is " +
                   std::to_string(version));
  if (body_bytes != reader.left())
    return refused("has " + std::to_string(reader.left()) + " bytes instead of " +
                   std::to_string(body_bytes));
  const std::string_view body = bytes.substr(kHeaderBytes);
  if (checksum != XXH3_64bits(body.data(), body.size())) return refused("is damaged: its checksum differs");
  return body;
}

std::string document_bytes(const Document& document) {
  assert(!fault_of(document));
  ByteWriter writer;
  for (const std::uint8_t byte : document.cluster_id) writer.put(byte);
  put_key(writer, document.key);
  writer.put(document.protocol);
  writer.put(document.next_number);
  put_settings(writer, document.settings);
  put_voters(writer, document.voters_accepted);
  put_voters(writer, document.voters_committed);
  writer.put(static_cast<std::uint8_t>(document.members.size()));
  for (const Member& member : document.members) put_member(writer, member);
  put_slots(writer, document.slots);
  return sealed_bytes(kDocumentMagic, kDocumentFormatVersion, writer.bytes());
}

Result<Document> read_document(std::string_view bytes) {
  const Result<std::string_view> body =
      unseal_bytes(kDocumentMagic, kDocumentFormatVersion, bytes, "the document");
  if (!body) return body.error();
  ByteReader reader(*body);
  Document document;
  for (std::uint8_t& byte : document.cluster_id) byte = reader.get<std::uint8_t>();
  document.key = get_key(reader);
  document.protocol = reader.get<std::uint32_t>();
  document.next_number = reader.get<std::uint32_t>();
  document.settings = get_settings(reader);
  document.voters_accepted = get_voters(reader);
  document.voters_committed = get_voters(reader);
  const std::size_t member_count = reader.get_below<std::uint8_t>(kMemberLimit + 1);
  for (std::size_t member = 0; member < member_count && !reader.has_failed(); ++member)
    document.members.push_back(get_member(reader));
  document.slots = get_slots(reader);
  if (!reader.is_done())
    return Error{ExitStatus::kRuntime, 0, "the document is cut, or holds what is out of bounds"};
  if (const std::optional<std::string> fault = fault_of(document))
    return Error{ExitStatus::kRuntime, 0, "the document contradicts itself: " + *fault};
  return document;
}

}  // namespace memento::bus
