// See stored_state.h.
#include "bus/core/stored_state.h"

#include <cassert>

#include "bus/core/document_bytes.h"

namespace memento::bus {
namespace {

constexpr std::uint32_t kStateMagic = 0x7473736d;  // "msst"
constexpr std::uint32_t kStateFormatVersion = 1;

}  // namespace

std::string stored_state_bytes(const StoredState& state, std::uint64_t number) {
  ByteWriter writer;
  writer.put(number);
  put_uuid(writer, state.uuid);
  writer.put(state.term);
  writer.put(state.generation);
  writer.put(static_cast<std::uint8_t>(state.ready.size()));
  for (const Uuid& uuid : state.ready) put_uuid(writer, uuid);
  std::string body = writer.take();
  if (state.accepted) body += document_bytes(*state.accepted);
  return sealed_bytes(kStateMagic, kStateFormatVersion, body);
}

Result<StoredBlock> read_stored_state(std::string_view bytes) {
  const Result<std::string_view> body = unseal_bytes(kStateMagic, kStateFormatVersion, bytes, "the state");
  if (!body) return body.error();
  ByteReader reader(*body);
  StoredBlock block;
  block.number = reader.get<std::uint64_t>();
  block.state.uuid = get_uuid(reader);
  block.state.term = reader.get<std::uint64_t>();
  block.state.generation = reader.get<std::uint64_t>();
  block.state.ready.resize(reader.get_below<std::uint8_t>(kMemberLimit + 1));
  for (Uuid& uuid : block.state.ready) uuid = get_uuid(reader);
  if (reader.has_failed())
    return Error{ExitStatus::kRuntime, 0, "the state is cut, or holds what is out of bounds"};
  if (reader.left() == 0) return block;
  Result<Document> document = read_document(reader.get_bytes(reader.left()));
  if (!document) return document.error();
  block.state.accepted = std::make_shared<const Document>(std::move(*document));
  return block;
}

void StateWriter::set_term(std::uint64_t term) {
  assert(term >= state_.term);
  is_changed_ |= term != state_.term;
  state_.term = term;
}

void StateWriter::set_accepted(DocumentPtr accepted) {
  assert(accepted && (!state_.accepted || accepted->key >= state_.accepted->key));
  is_changed_ |= accepted != state_.accepted;
  state_.accepted = std::move(accepted);
}

void StateWriter::set_ready(std::vector<Uuid> ready) {
  is_changed_ |= ready != state_.ready;
  state_.ready = std::move(ready);
}

SaveTicket StateWriter::save(TimeNs now, std::optional<Persist>& persist) {
  if (is_changed_) {
    is_changed_ = false;
    pending_.push_back({++asked_, state_.term, now});
    persist = Persist{asked_, state_};
  }
  return asked_;
}

void StateWriter::on_persisted(SaveTicket ticket) {
  assert(ticket <= asked_);
  while (!pending_.empty() && pending_.front().ticket <= ticket) {
    written_ = pending_.front().ticket;
    term_on_disk_ = pending_.front().term;
    pending_.pop_front();
  }
}

}  // namespace memento::bus
