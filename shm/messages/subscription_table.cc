// See subscription_table.h.
#include "shm/messages/subscription_table.h"

#include <xxhash.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <optional>

#include "shm/messages/mailbox_file.h"

namespace memento {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr std::uint64_t kScaleLimit = 6;

struct Cell {
  Word hash;   ///< 0: empty
  Word value;  ///< subscribers << 32 | offset of the name among the names
};

struct Name {
  std::uint32_t size_bytes;
  SubscriptionKind kind;
};
constexpr std::uint64_t kNameHeaderBytes = 8;
static_assert(sizeof(Name) == kNameHeaderBytes);

constexpr std::uint64_t name_bytes(std::size_t size) { return (kNameHeaderBytes + size + 7) / 8 * 8; }

/// One table: cells, patterns, names.
struct Table {
  std::uint64_t word;  ///< Mailbox::table: generation << 8 | 1 << 7 | scale << 1 | half
  char* begin;         ///< nullptr: its file is not there

  static std::uint64_t make_word(std::uint64_t generation, std::uint64_t scale, std::uint64_t half) {
    return generation << 8 | 1 << 7 | scale << 1 | half;
  }
  static std::uint64_t offset_of(std::uint64_t half) { return half * kSubscriptionHalfBytes; }

  std::uint64_t half() const { return word & 1; }
  std::uint64_t scale() const { return word >> 1 & 63; }
  std::uint64_t generation() const { return word >> 8; }
  std::uint64_t cell_limit() const { return 1024ull << scale(); }
  std::uint64_t pattern_limit() const { return 128ull << scale(); }
  std::uint64_t heap_limit() const { return 32768ull << scale(); }
  std::uint64_t bytes() const {
    return cell_limit() * sizeof(Cell) + (pattern_limit() + 1) * sizeof(Word) + heap_limit();
  }

  Cell* cells() const { return reinterpret_cast<Cell*>(begin); }
  Word& pattern_count() const {
    assert(begin != nullptr);
    return *reinterpret_cast<Word*>(begin + cell_limit() * sizeof(Cell));
  }
  Word* patterns() const { return &pattern_count() + 1; }  ///< values as of cells
  char* heap() const { return reinterpret_cast<char*>(patterns() + pattern_limit()); }

  /// The name of that kind that a value leads to. Nothing: it is of another kind, or what the value says
  /// makes no sense, since the table has been replaced.
  std::optional<std::string_view> name_at(std::uint64_t value, SubscriptionKind kind) const {
    const std::uint64_t offset = value & 0xffffffff;
    if (offset + kNameHeaderBytes > heap_limit()) return std::nullopt;
    Name header{};
    std::memcpy(&header, heap() + offset, sizeof header);
    if (header.kind != kind || header.size_bytes > kSubscriptionNameLimitBytes ||
        offset + kNameHeaderBytes + header.size_bytes > heap_limit()) {
      return std::nullopt;
    }
    return std::string_view(heap() + offset + kNameHeaderBytes, header.size_bytes);
  }

  Word* find_hashed(SubscriptionKind kind, std::string_view name, std::uint64_t hash) const {
    for (std::uint64_t probe = 0; probe < cell_limit(); ++probe) {
      Cell& cell = cells()[(hash + probe) % cell_limit()];
      const std::uint64_t found = cell.hash.load(std::memory_order_acquire);
      if (found == 0) return nullptr;
      if (found == hash && name_at(cell.value.load(kRelaxed), kind) == name) return &cell.value;
    }
    return nullptr;
  }
};
static_assert((1024 * sizeof(Cell) + 128 * sizeof(Word) + 32768) << kScaleLimit <=
              kSubscriptionHalfBytes - sizeof(Word));

std::uint64_t hash_of(const Header& header, SubscriptionKind kind, std::string_view name) {
  const std::uint64_t hash =
      XXH3_64bits_withSeed(name.data(), name.size(), header.hash_seed + static_cast<std::uint64_t>(kind));
  return hash == 0 ? 1 : hash;
}

Table table_of(Segment& segment, std::uint32_t process, std::uint64_t word) {
  char* const tables = segment.mailboxes().tables(process);
  return {word, tables == nullptr ? nullptr : tables + Table::offset_of(word & 1)};
}

bool is_still(const Mailbox& mailbox, std::uint64_t word) {
  std::atomic_thread_fence(std::memory_order_acquire);
  return mailbox.table.load(std::memory_order_acquire) == word;
}

// Calls visit(value) for each name of the kind with subscribers.
template <class Visit>
void for_each(const Table& table, SubscriptionKind kind, Visit&& visit) {
  const auto look_at = [&](std::uint64_t value) {
    if (value >> 32 == 0) return;
    if (const std::optional<std::string_view> name = table.name_at(value, kind))
      visit(*name, static_cast<std::uint32_t>(value >> 32));
  };
  if (kind == SubscriptionKind::kPattern) {
    const std::uint64_t count =
        std::min(table.pattern_count().load(std::memory_order_acquire), table.pattern_limit());
    for (std::uint64_t i = 0; i < count; ++i) look_at(table.patterns()[i].load(kRelaxed));
    return;
  }
  for (std::uint64_t i = 0; i < table.cell_limit(); ++i) {
    if (table.cells()[i].hash.load(std::memory_order_acquire) != 0)
      look_at(table.cells()[i].value.load(kRelaxed));
  }
}

/// Puts names into a table that has room for them.
struct Filler {
  const Table& table;
  std::uint64_t& used_cells;
  std::uint64_t& pattern_cells;
  std::uint64_t& heap_bytes;

  bool has_room(SubscriptionKind kind, std::string_view name) const {
    if (heap_bytes + name_bytes(name.size()) > table.heap_limit()) return false;
    return kind == SubscriptionKind::kPattern ? pattern_cells < table.pattern_limit()
                                              : used_cells < table.cell_limit() / 4 * 3;
  }

  void add(SubscriptionKind kind, std::string_view name, std::uint64_t hash, std::uint32_t subscribers) {
    char* const at = table.heap() + heap_bytes;
    Name header{};
    header.size_bytes = static_cast<std::uint32_t>(name.size());
    header.kind = kind;
    std::memcpy(at, &header, sizeof header);
    if (!name.empty()) std::memcpy(at + kNameHeaderBytes, name.data(), name.size());
    const std::uint64_t value = std::uint64_t{subscribers} << 32 | heap_bytes;
    heap_bytes += name_bytes(name.size());
    if (kind == SubscriptionKind::kPattern) {
      table.patterns()[pattern_cells].store(value, kRelaxed);
      table.pattern_count().store(++pattern_cells, std::memory_order_release);
      return;
    }
    std::uint64_t place = hash % table.cell_limit();
    while (table.cells()[place].hash.load(kRelaxed) != 0) place = (place + 1) % table.cell_limit();
    table.cells()[place].value.store(value, kRelaxed);
    table.cells()[place].hash.store(hash, std::memory_order_release);
    ++used_cells;
  }
};

}  // namespace

SubscriptionTable::SubscriptionTable(Segment& segment, std::uint32_t process)
    : segment_(segment), mailbox_(segment.process(process).mailbox), process_(process) {
  mailbox_.table.store(0);
  mailbox_.pattern_version.fetch_add(1);
}

// The new table has room for twice what is subscribed to now.
bool SubscriptionTable::rebuild() {
  const std::uint64_t old_word = mailbox_.table.load(kRelaxed);
  const Table old = table_of(segment_, process_, old_word);
  std::uint64_t names = 0;
  std::uint64_t patterns = 0;
  std::uint64_t bytes = 0;
  if (old_word != 0) {
    for (const SubscriptionKind kind : kSubscriptionKinds) {
      for_each(old, kind, [&](std::string_view name, std::uint32_t) {
        ++(kind == SubscriptionKind::kPattern ? patterns : names);
        bytes += name_bytes(name.size());
      });
    }
  }
  // Generations go on where the owner before left: a reader of its table must see another word.
  const std::uint64_t generation = mailbox_.pattern_version.fetch_add(1) + 1;
  Table fresh{};
  for (std::uint64_t scale = 0;; ++scale) {
    fresh =
        table_of(segment_, process_, Table::make_word(generation, scale, old_word == 0 ? 0 : 1 - old.half()));
    const bool fits = names * 2 <= fresh.cell_limit() / 4 * 3 && patterns * 2 <= fresh.pattern_limit() &&
                      bytes * 2 + kSubscriptionNameLimitBytes <= fresh.heap_limit();
    if (fits || scale == kScaleLimit) break;
  }
  const std::uint64_t begin = Table::offset_of(fresh.half());
  if (!segment_.mailboxes().commit_tables(process_, begin, begin + fresh.bytes())) return false;
  fresh = table_of(segment_, process_, fresh.word);  // it may not have been mapped before
  assert(fresh.begin != nullptr);
  std::memset(fresh.begin, 0, fresh.bytes() - fresh.heap_limit());
  used_cells_ = pattern_cells_ = heap_bytes_ = 0;
  pattern_places_.clear();
  Filler filler{fresh, used_cells_, pattern_cells_, heap_bytes_};
  if (old_word != 0) {
    for (const SubscriptionKind kind : kSubscriptionKinds) {
      for_each(old, kind, [&](std::string_view name, std::uint32_t subscribers) {
        if (kind == SubscriptionKind::kPattern) pattern_places_.emplace(name, pattern_cells_);
        filler.add(kind, name, hash_of(segment_.header(), kind, name), subscribers);
      });
    }
  }
  mailbox_.table.store(fresh.word, std::memory_order_release);
  return true;
}

bool SubscriptionTable::set_count(SubscriptionKind kind, std::string_view name, std::uint32_t subscribers) {
  const std::uint64_t hash = hash_of(segment_.header(), kind, name);
  const bool is_pattern = kind == SubscriptionKind::kPattern;
  const auto find = [&](const Table& table) -> Word* {
    if (!is_pattern) return table.find_hashed(kind, name, hash);
    const auto place = pattern_places_.find(name);
    return place == pattern_places_.end() ? nullptr : &table.patterns()[place->second];
  };
  if (mailbox_.table.load(kRelaxed) == 0) {
    if (subscribers == 0) return true;
    if (!rebuild()) return false;
  }
  Table table = table_of(segment_, process_, mailbox_.table.load(kRelaxed));
  if (Word* const value = find(table)) {
    value->store(std::uint64_t{subscribers} << 32 | (value->load(kRelaxed) & 0xffffffff),
                 std::memory_order_release);
  } else if (subscribers != 0) {
    if (!Filler{table, used_cells_, pattern_cells_, heap_bytes_}.has_room(kind, name)) {
      if (!rebuild()) return false;
      table = table_of(segment_, process_, mailbox_.table.load(kRelaxed));
    }
    Filler filler{table, used_cells_, pattern_cells_, heap_bytes_};
    if (!filler.has_room(kind, name)) return false;
    if (is_pattern) pattern_places_.emplace(name, pattern_cells_);
    filler.add(kind, name, hash, subscribers);
  }
  if (is_pattern) mailbox_.pattern_version.fetch_add(1);
  return true;
}

std::uint32_t count_subscribers(Segment& segment, std::uint32_t process, SubscriptionKind kind,
                                std::string_view name) {
  const Mailbox& mailbox = segment.process(process).mailbox;
  for (;;) {
    const std::uint64_t word = mailbox.table.load(std::memory_order_acquire);
    if (word == 0) return 0;
    const Table table = table_of(segment, process, word);
    if (table.begin == nullptr) return 0;
    const Word* const value = table.find_hashed(kind, name, hash_of(segment.header(), kind, name));
    const std::uint32_t subscribers =
        value == nullptr ? 0 : static_cast<std::uint32_t>(value->load(std::memory_order_acquire) >> 32);
    if (is_still(mailbox, word)) return subscribers;
  }
}

std::vector<SubscriptionCount> list_subscriptions(Segment& segment, std::uint32_t process,
                                                  SubscriptionKind kind) {
  const Mailbox& mailbox = segment.process(process).mailbox;
  for (;;) {
    std::vector<SubscriptionCount> all;
    const std::uint64_t word = mailbox.table.load(std::memory_order_acquire);
    if (word == 0) return all;
    const Table table = table_of(segment, process, word);
    if (table.begin == nullptr) return all;
    for_each(table, kind, [&](std::string_view name, std::uint32_t subscribers) {
      all.push_back({std::string(name), subscribers});
    });
    if (is_still(mailbox, word)) return all;
  }
}

}  // namespace memento
