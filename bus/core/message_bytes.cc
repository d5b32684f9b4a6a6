// See message_bytes.h. A message's fields are named once, in fields_of(): writing and reading both follow
// that list.
#include "bus/core/message_bytes.h"

#include <tuple>

#include "bus/core/document_bytes.h"

namespace memento::bus {
namespace {

// clang-format off
template <class M> auto fields_of(PreVote*, M& m) { return std::tie(m.accepted); }
template <class M> auto fields_of(PreVoteYes*, M& m) { return std::tie(m.term); }
template <class M> auto fields_of(StartTerm*, M& m) { return std::tie(m.term); }
template <class M> auto fields_of(Vote*, M& m) { return std::tie(m.term, m.accepted); }
template <class M> auto fields_of(Heartbeat*, M& m) { return std::tie(m.term, m.number, m.committed); }
template <class M> auto fields_of(HeartbeatAnswer*, M& m) { return std::tie(m.term, m.number); }
template <class M> auto fields_of(NewerTerm*, M& m) { return std::tie(m.term); }
template <class M> auto fields_of(Publish*, M& m) { return std::tie(m.term, m.number, m.document); }
template <class M> auto fields_of(Accepted*, M& m) { return std::tie(m.term, m.number, m.key); }
template <class M> auto fields_of(Commit*, M& m) { return std::tie(m.key); }
template <class M> auto fields_of(Fetch*, M& m) { return std::tie(m.have); }
template <class M> auto fields_of(Fetched*, M& m) { return std::tie(m.document); }
template <class M> auto fields_of(Fresh*, M& m) { return std::tie(m.name, m.ready); }
template <class M> auto fields_of(Told*, M& m) { return std::tie(m.document, m.is_committed); }
template <class M> auto fields_of(Join*, M& m) { return std::tie(m.member, m.replaces); }
template <class M> auto fields_of(Leave*, M& m) { return std::tie(m.member); }
template <class M> auto fields_of(ChangeSettings*, M& m) { return std::tie(m.settings); }
template <class M> auto fields_of(LeaseRequest*, M& m) {
  return std::tie(m.term, m.number, m.asked_at, m.generation, m.memory_id);
}
template <class M> auto fields_of(Grant*, M& m) { return std::tie(m.generation, m.asked_at, m.duration_ns, m.wanted); }
// clang-format on

void put(ByteWriter& writer, std::uint64_t number) { writer.put(number); }
void put(ByteWriter& writer, std::int64_t number) { writer.put(number); }
void put(ByteWriter& writer, bool is_set) { writer.put(static_cast<std::uint8_t>(is_set)); }
void put(ByteWriter& writer, const std::string& text) { writer.put_text(text); }
void put(ByteWriter& writer, const Uuid& uuid) { put_uuid(writer, uuid); }
void put(ByteWriter& writer, const DocumentKey& key) { put_key(writer, key); }
void put(ByteWriter& writer, const Member& member) { put_member(writer, member); }
void put(ByteWriter& writer, const Settings& settings) { put_settings(writer, settings); }
void put(ByteWriter& writer, const std::vector<Uuid>& uuids) {
  writer.put(static_cast<std::uint8_t>(uuids.size()));
  for (const Uuid& uuid : uuids) put_uuid(writer, uuid);
}
void put(ByteWriter& writer, const DocumentPtr& document) { writer.put_long_text(document_bytes(*document)); }

void get(ByteReader& reader, std::uint64_t& number) { number = reader.get<std::uint64_t>(); }
void get(ByteReader& reader, std::int64_t& number) { number = reader.get<std::int64_t>(); }
void get(ByteReader& reader, bool& is_set) { is_set = reader.get_bool(); }
void get(ByteReader& reader, std::string& text) { text = reader.get_text(); }
void get(ByteReader& reader, Uuid& uuid) { uuid = get_uuid(reader); }
void get(ByteReader& reader, DocumentKey& key) { key = get_key(reader); }
void get(ByteReader& reader, Member& member) { member = get_member(reader); }
void get(ByteReader& reader, Settings& settings) { settings = get_settings(reader); }
void get(ByteReader& reader, std::vector<Uuid>& uuids) {
  uuids.resize(reader.get_below<std::uint8_t>(kMemberLimit + 1));
  for (Uuid& uuid : uuids) uuid = get_uuid(reader);
}
void get(ByteReader& reader, DocumentPtr& document) {
  Result<Document> read = read_document(reader.get_bytes(reader.get<std::uint32_t>()));
  if (read)
    document = std::make_shared<const Document>(std::move(*read));
  else
    reader.fail();
}

/// The body of this kind, its fields read from the bytes.
template <std::size_t kKind = 0>
MessageBody get_body(ByteReader& reader, std::size_t kind) {
  if constexpr (kKind < std::variant_size_v<MessageBody>) {
    if (kind != kKind) return get_body<kKind + 1>(reader, kind);
    using Body = std::variant_alternative_t<kKind, MessageBody>;
    Body body{};
    std::apply([&](auto&... fields) { (get(reader, fields), ...); },
               fields_of(static_cast<Body*>(nullptr), body));
    return body;
  } else {
    reader.fail();
    return {};
  }
}

/// What a grant says is added to a clock.
bool is_sound(const Message& message) {
  constexpr TimeNs kLongestNs = TimeNs{1} << 60;
  const auto* grant = std::get_if<Grant>(&message.body);
  if (grant == nullptr) return true;
  return grant->asked_at >= 0 && grant->asked_at < kLongestNs && grant->duration_ns >= 0 &&
         grant->duration_ns < kLongestNs;
}

}  // namespace

std::string message_bytes(const Message& message) {
  ByteWriter writer;
  writer.put(static_cast<std::uint8_t>(message.body.index()));
  for (const std::uint8_t byte : message.cluster_id) writer.put(byte);
  put_uuid(writer, message.from);
  std::visit(
      [&]<class Body>(const Body& body) {
        std::apply([&](const auto&... fields) { (put(writer, fields), ...); },
                   fields_of(static_cast<Body*>(nullptr), body));
      },
      message.body);
  return writer.take();
}

Result<Message> read_message(std::string_view bytes) {
  ByteReader reader(bytes);
  Message message;
  const std::size_t kind = reader.get<std::uint8_t>();
  for (std::uint8_t& byte : message.cluster_id) byte = reader.get<std::uint8_t>();
  message.from = get_uuid(reader);
  message.body = get_body(reader, kind);
  if (!reader.is_done() || !is_sound(message))
    return Error{ExitStatus::kRuntime, 0,
                 "a message of kind " + std::to_string(kind) + " is cut, or holds what is out of bounds"};
  return message;
}

}  // namespace memento::bus
