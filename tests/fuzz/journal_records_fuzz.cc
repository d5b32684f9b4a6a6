// Bytes that are taken for a journal's records, from a ring, a file, or another node: each record lies within
// them, and so do its key and literal; what is at the places that its kind promises can be read.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "shm/format/journal_record.h"

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace memento;
  const auto copy = std::make_unique<char[]>(size);  // of exact size: reading beyond it is seen
  std::copy(data, data + size, copy.get());
  for (std::string_view left(copy.get(), size);;) {
    const std::optional<RecordView> record = read_record(left);
    if (!record) return 0;
    const RecordHeader& header = record->header;
    check(header.bytes >= sizeof header && header.bytes <= left.size() && header.bytes % 8 == 0);
    check(record->key.data() == left.data() + sizeof header);
    check(sizeof header + record->key.size() + record->rest.size() == header.bytes);
    const std::size_t least = least_literal_bytes(header.kind);
    check(least <= record->rest.size());
    for (std::size_t offset = 0; offset + 8 <= least; offset += 8) (void)record->number_at(offset);
    if (header.kind == RecordKind::kPut || header.kind == RecordKind::kPart)
      check(record->value().size() == header.value_bytes());
    left.remove_prefix(header.bytes);
  }
}
