// Walking over the keys of a slot, and drawing a key at random. Part of Keyspace; any process.
//
// A place in a slot is a tag (table.h). A key's tag never changes, and every table is in tag order, however
// long it is: a walk from place to place meets each key that is there all the while, whatever happens to the
// table meanwhile.
//
// Keys whose tags have the home lines [first, end) lie in these lines and, where those were full, in the ones
// behind (behind the last comes line 0), up to the first from line end - 1 on that has an empty cell: a
// search would end there, too. So many lines are a piece. It is read without the slot's lock and believed
// when the slot's version has stayed, as with any read; in a slot that keeps changing a shorter one is read
// under the lock. Nothing is held, nor kept, from piece to piece.
#include <algorithm>
#include <cassert>
#include <random>

#include "shm/keyspace/keyspace_scopes.h"
#include "shm/keyspace/transaction.h"

namespace memento {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr int kLockFreeTries = 4;
constexpr std::uint64_t kPieceKeys = 256;
constexpr std::uint64_t kPieceBytes = 128 * 1024;
constexpr std::uint64_t kPieceLines = 512;
constexpr std::uint64_t kLockedPieceKeys = 32;
constexpr std::uint64_t kLockedPieceBytes = 16 * 1024;
constexpr int kDraws = 512;
constexpr int kProbes = 2048;

/// The first tag whose home is that line.
constexpr std::uint64_t first_tag(std::uint64_t line, std::uint64_t lines) {
  return ((line << 24) + lines - 1) / lines;
}
static_assert(home_line(first_tag(5, 7), 7) == 5 && home_line(first_tag(5, 7) - 1, 7) == 4);
static_assert(first_tag(7, 7) == kScanEnd);

}  // namespace

// Up to how many lines a piece is, is a guess by how many keys the table has: a few more or less do no harm.
void Keyspace::Impl::find_cells(Extent table, std::uint64_t live, const ScanRequest& wanted,
                                ScanPiece* piece) const {
  const std::uint64_t lines = table.size();
  const Word* const cells = table_cells(base, table);
  const std::uint64_t first = home_line(wanted.begin, lines);
  const std::uint64_t span = wanted.keys * lines / std::max<std::uint64_t>(live, 1) + 1;
  const std::uint64_t end = std::min(first + std::min(span, kPieceLines), lines);
  if (end < lines) piece->end = std::min(piece->end, first_tag(end, lines));
  for (std::uint64_t n = 1, line = first; n <= lines; ++n, line = line + 1 == lines ? 0 : line + 1) {
    bool has_empty = false;
    for (std::uint32_t i = 0; i < kCellsPerLine; ++i) {
      const std::uint64_t cell = cells[line * kCellsPerLine + i].load(std::memory_order_acquire);
      const std::uint64_t tag = Cell::tag(cell);
      has_empty |= cell == 0;
      if (Cell::live(cell) && tag >= wanted.begin && tag < piece->end)
        piece->found.push_back({tag, Cell::offset(cell)});
    }
    piece->steps = n;
    if (first + n >= end && has_empty) break;
  }
}

// The piece ends earlier when it has more keys than are wanted; those with one tag stay together.
void Keyspace::Impl::cut_piece(const ScanRequest& wanted, ScanPiece* piece) {
  std::vector<ScanPiece::Found>& found = piece->found;
  std::ranges::sort(found, {}, &ScanPiece::Found::tag);
  std::size_t size = wanted.keys;
  while (size < found.size() && found[size].tag == found[size - 1].tag) ++size;
  if (size >= found.size()) return;
  piece->end = found[size].tag;
  found.resize(size);
}

// False: what was read makes no sense, or the slot has changed.
MEMENTO_RACY bool Keyspace::Impl::copy_keys(const Slot& slot, std::uint64_t version,
                                            const ScanRequest& wanted, ScanPiece* piece) const {
  for (const ScanPiece::Found& found : piece->found) __builtin_prefetch(base + found.offset);
  std::uint64_t tag = wanted.begin;
  for (const ScanPiece::Found& found : piece->found) {
    if (piece->bytes.size() > wanted.bytes && found.tag != tag) {
      piece->end = found.tag;
      break;
    }
    tag = found.tag;
    ++piece->steps;
    if (!is_committed(found.offset, kSmallestBlockBytes)) return false;
    const Entry entry = Entry::parse(base + found.offset);
    if (entry.key_bytes > kKeyLimitBytes || !is_committed(found.offset, entry.total_bytes())) return false;
    if (entry.expired(now_ms) != wanted.expired) continue;
    const TimeMs expiry_ms = entry.expiry_ms();
    if (!unchanged_since(slot, version)) return false;
    if (expiry_ms != kNoExpiry) {
      piece->ttl_sum_ms += expiry_ms - now_ms;
      ++piece->expiring_count;
    }
    const std::size_t begin = piece->bytes.size();
    piece->bytes.resize(begin + entry.key_bytes);
    racy_copy(piece->bytes.data() + begin, entry.key(), entry.key_bytes);
    piece->key_ends.push_back(piece->bytes.size());
  }
  return true;
}

// Without the slot's lock, or with it. False: the slot has changed meanwhile.
bool Keyspace::Impl::gather(const Slot& slot, const ScanRequest& wanted, ScanPiece* piece) const {
  piece->clear(wanted.end);
  const std::uint64_t version = slot.version.load(std::memory_order_acquire);
  if (slot.is_changing()) return false;
  const Extent table{slot.table.load(std::memory_order_acquire)};
  if (is_current(slot) && table.word != 0) {
    if (!is_committed(table.offset(), table.size() * kLineBytes)) return false;
    find_cells(table, slot.cells.load(kRelaxed) & 0xffffffff, wanted, piece);
    cut_piece(wanted, piece);
    if (!copy_keys(slot, version, wanted, piece)) return false;
  }
  return unchanged_since(slot, version);
}

void Keyspace::Impl::read_piece(SlotId number, ScanRequest wanted, ScanPiece* piece) {
  Slot& slot = slots[number];
  for (int attempt = 0; attempt < kLockFreeTries || transaction->is_locked(); ++attempt) {
    if (gather(slot, wanted, piece)) return;
  }
  wanted.keys = std::min(wanted.keys, kLockedPieceKeys);
  wanted.bytes = kLockedPieceBytes;
  const SlotGuard guard(*this, slot);
  [[maybe_unused]] const bool is_whole = gather(slot, wanted, piece);
  assert(is_whole);
}

std::uint64_t Keyspace::scan_erased(SlotId slot, std::uint64_t place, ScanLimit* limit, VisitFunction visit,
                                    void* context) {
  slot = slot_in(database_, slot);
  Impl::ScanPiece piece;
  Transaction& transaction = *impl_->transaction;
  while (place < kScanEnd && limit->keys > 0 && limit->steps > 0) {
    const Impl::ScanRequest wanted{place, kScanEnd, std::min(limit->keys, kPieceKeys), kPieceBytes, false};
    if (transaction.is_open()) {
      if (transaction.must_stop()) return kScanEnd;
      transaction.read_piece(slot, wanted, &piece);
    } else {
      impl_->read_piece(slot, wanted, &piece);
    }
    assert(piece.end > place);
    place = piece.end;
    limit->keys -= std::min<std::uint64_t>(limit->keys, piece.key_count());
    limit->steps -= std::min(limit->steps, piece.steps + 1);
    for (std::size_t i = 0; i < piece.key_count(); ++i) visit(context, piece.key(i));
  }
  return place;
}

// Keys of slots from one on that differs from time to time; all, where there are few. As others see them:
// what a body has written is left out.
std::int64_t Keyspace::average_ttl_ms() {
  constexpr std::uint64_t kSampledKeys = 256;
  Impl::ScanPiece piece;
  std::int64_t sum_ms = 0;
  std::uint64_t count = 0;
  const auto begin = static_cast<std::uint32_t>(static_cast<std::uint64_t>(now_ms()) % kSlotCount);
  for (std::uint32_t i = 0; i < kSlotCount && count < kSampledKeys; ++i) {
    const SlotId slot = first_slot(database_) + (begin + i) % kSlotCount;
    if (impl_->slots[slot].bytes.load(kRelaxed) < kOneExpiry) continue;
    impl_->read_piece(slot, {0, kScanEnd, kSampledKeys, kPieceBytes, false}, &piece);
    sum_ms += piece.ttl_sum_ms;
    count += piece.expiring_count;
  }
  return count == 0 ? 0 : sum_ms / static_cast<std::int64_t>(count);
}

// Drawing a key. The slot is drawn by how many entries it has, then a cell of its table until one holds an
// entry. One that has expired makes all begin again, so that no key's chance grows by what lies around it.

// How many entries the database's slots up to and including each have.
void Keyspace::Impl::sum_entries(std::vector<std::uint64_t>* sums) const {
  std::uint64_t sum = 0;
  sums->clear();
  each_slot_of(database, [&](SlotId s) {
    if (is_current(slots[s])) sum += slots[s].cells.load(kRelaxed) & 0xffffffff;
    sums->push_back(sum);
  });
}

// A cell of the table that holds an entry; 0: none was found. Each has the same chance, unless hardly any
// cell holds one.
std::uint64_t Keyspace::Impl::draw_cell(Extent table, std::mt19937_64& random) const {
  const Word* const cells = table_cells(base, table);
  const std::uint64_t count = table.size() * kCellsPerLine;
  for (int probe = 0; probe < kProbes; ++probe) {
    const std::uint64_t cell = cells[random() % count].load(std::memory_order_acquire);
    if (Cell::live(cell)) return cell;
  }
  for (std::uint64_t left = count, at = random() % count; left > 0;
       --left, at = at + 1 == count ? 0 : at + 1) {
    const std::uint64_t cell = cells[at].load(std::memory_order_acquire);
    if (Cell::live(cell)) return cell;
  }
  return 0;
}

// An entry of the slot, as of one version of it.
MEMENTO_RACY Keyspace::Impl::Draw Keyspace::Impl::draw_key(const Slot& slot, std::mt19937_64& random,
                                                           std::string* key) const {
  const std::uint64_t version = slot.version.load(std::memory_order_acquire);
  if (slot.is_changing()) return Draw::kTorn;
  const Extent table{slot.table.load(std::memory_order_acquire)};
  Draw draw = Draw::kNothing;
  if (is_current(slot) && table.word != 0) {
    if (!is_committed(table.offset(), table.size() * kLineBytes)) return Draw::kTorn;
    if (const std::uint64_t cell = draw_cell(table, random); cell != 0) {
      if (!is_committed(Cell::offset(cell), kSmallestBlockBytes)) return Draw::kTorn;
      const Entry entry = Entry::parse(base + Cell::offset(cell));
      if (entry.key_bytes > kKeyLimitBytes || !is_committed(Cell::offset(cell), entry.total_bytes()))
        return Draw::kTorn;
      key->resize(entry.key_bytes);
      racy_copy(key->data(), entry.key(), entry.key_bytes);
      draw = entry.expired(now_ms) ? Draw::kNothing : Draw::kKey;
    }
  }
  return unchanged_since(slot, version) ? draw : Draw::kTorn;
}

// Nothing: there is none, or what was drawn has expired.
std::optional<std::string> Keyspace::Impl::draw_key_of(SlotId number, std::mt19937_64& random) {
  Slot& slot = slots[number];
  std::string key;
  Draw draw = Draw::kTorn;
  for (int attempt = 0; draw == Draw::kTorn && (attempt < kLockFreeTries || transaction->is_locked());
       ++attempt) {
    draw = draw_key(slot, random, &key);
  }
  if (draw == Draw::kTorn) {
    const SlotGuard guard(*this, slot);
    draw = draw_key(slot, random, &key);
  }
  if (draw != Draw::kKey) return std::nullopt;
  return key;
}

std::optional<std::string> Keyspace::random_key(std::mt19937_64& random) {
  Transaction& transaction = *impl_->transaction;
  std::vector<std::uint64_t> sums(kSlotCount, 0);
  if (transaction.is_open()) {
    transaction.note_read_of_all();
    if (transaction.must_stop()) return std::nullopt;
  }
  if (!transaction.is_flushed(database_)) impl_->sum_entries(&sums);
  // A key that a transaction's body has written is drawn as such, and not as the entry that it had.
  const std::uint64_t entry_count = sums.back();
  const std::uint64_t count = entry_count + (transaction.is_open() ? transaction.write_count() : 0);
  for (int draw = 0; draw < kDraws && count > 0; ++draw) {
    const std::uint64_t number = random() % count;
    if (number >= entry_count) {
      if (std::optional<std::string> written = transaction.written_key(number - entry_count)) return written;
      continue;
    }
    const SlotId place(static_cast<std::uint32_t>(std::ranges::upper_bound(sums, number) - sums.begin()));
    const SlotId slot = slot_in(database_, place);
    std::optional<std::string> drawn = impl_->draw_key_of(slot, random);
    if (drawn && (!transaction.is_open() || !transaction.has_written(hash(*drawn)))) return drawn;
  }
  // Nearly all have expired: any that is left.
  const auto first = static_cast<std::uint32_t>(random() % kSlotCount);
  for (std::uint32_t n = 0; n < kSlotCount && count > 0; ++n) {
    ScanLimit limit{1, UINT64_MAX};
    std::string key;
    scan(SlotId{(first + n) % kSlotCount}, 0, &limit, [&](std::string_view found) { key = found; });
    if (limit.keys == 0) return key;
  }
  return std::nullopt;
}

}  // namespace memento
