// See text_loader.h.
#include "shm/archive/text_loader.h"

#include <algorithm>

namespace memento {

std::string TextLoader::add_of_snapshot(const RecordView& record) {
  const RecordHeader& header = record.header;
  if (header.kind == RecordKind::kBegin) {
    texts_ = JournalImage(record.number_at(0), header.position, false);
    return "";
  }
  if (header.kind == RecordKind::kComplete && record.number_at(0) == texts_.number()) {
    is_whole_ = true;
    return "";
  }
  const bool is_part = header.kind == RecordKind::kPart ||
                       (header.kind == RecordKind::kPiece && (header.flags & kRecordOfPart) != 0);
  if (!is_part || is_whole_ || header.position != texts_.position()) return "no such record belongs there";
  if (!TextStore::read_key(record.key)) return "no text is called so";
  return texts_.add(record);
}

std::string TextLoader::add(const RecordView& record) {
  const RecordKind kind = record.header.kind;
  const bool has_key = kind == RecordKind::kPut || kind == RecordKind::kErase || kind == RecordKind::kPiece;
  if (!has_key && kind != RecordKind::kFlush && kind != RecordKind::kReign)
    return "this program applies no such records to texts";
  if (has_key && !TextStore::read_key(record.key)) return "no text is called so";
  return texts_.add(record);
}

bool TextLoader::put_all(TextStore& store) const {
  for (const TextGroup group : {TextGroup::kScript, TextGroup::kLibrary}) {
    if (store.count(group) != 0 && store.clear(group) != TextStore::Put::kDone) return false;
  }
  return std::ranges::all_of(texts_.items(), [&](const auto& item) {
    const auto key = TextStore::read_key(item.first);
    return store.put(key->first, key->second, item.second.value, TextStore::Keep::kKept) ==
           TextStore::Put::kDone;
  });
}

}  // namespace memento
