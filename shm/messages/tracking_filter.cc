// See tracking_filter.h.
#include "shm/messages/tracking_filter.h"

#include <cassert>
#include <cstring>

#include "shm/messages/mailbox_file.h"

namespace memento {
namespace {

constexpr std::uint64_t kBitCount = kTrackingFilterBytes * 8;
constexpr int kHashShift = 64 - 20;
static_assert(kBitCount == 1ull << (64 - kHashShift));

std::uint64_t bit_of(std::uint64_t hash) { return hash >> kHashShift; }

Word* words_of(Segment& segment, std::uint32_t process) {
  char* const tables = segment.mailboxes().tables(process);
  return tables == nullptr ? nullptr : reinterpret_cast<Word*>(tables + MailboxFiles::kFilterOffset);
}

}  // namespace

TrackingFilter::TrackingFilter(Segment& segment, std::uint32_t process)
    : segment_(segment), mailbox_(segment.process(process).mailbox), process_(process) {
  mailbox_.tracks.store(static_cast<std::uint64_t>(TrackedKeys::kNone));
}

void TrackingFilter::begin() {
  assert(!is_valid_);
  constexpr std::uint64_t kBegin = MailboxFiles::kFilterOffset;
  key_counts_.assign(kBitCount, 0);
  words_ = segment_.mailboxes().commit_tables(process_, kBegin, kBegin + kTrackingFilterBytes)
               ? words_of(segment_, process_)
               : nullptr;
  if (words_ != nullptr) std::memset(static_cast<void*>(words_), 0, kTrackingFilterBytes);
  is_valid_ = true;
  publish();
}

void TrackingFilter::end() {
  is_valid_ = hears_all_ = false;
  publish();
  key_counts_ = {};
}

void TrackingFilter::set_hears_all(bool hears_all) {
  assert(is_valid_);
  hears_all_ = hears_all;
  publish();
}

void TrackingFilter::publish() {
  const TrackedKeys keys = !is_valid_                        ? TrackedKeys::kNone
                           : hears_all_ || words_ == nullptr ? TrackedKeys::kAll
                                                             : TrackedKeys::kOfFilter;
  mailbox_.tracks.store(static_cast<std::uint64_t>(keys));
}

void TrackingFilter::add(std::uint64_t hash) {
  assert(is_valid_);
  const std::uint64_t bit = bit_of(hash);
  if (key_counts_[bit]++ == 0 && words_ != nullptr) words_[bit / 64].fetch_or(1ull << bit % 64);
}

void TrackingFilter::remove(std::uint64_t hash) {
  assert(is_valid_ && key_counts_[bit_of(hash)] > 0);
  const std::uint64_t bit = bit_of(hash);
  if (--key_counts_[bit] == 0 && words_ != nullptr) words_[bit / 64].fetch_and(~(1ull << bit % 64));
}

void TrackingFilter::clear() {
  key_counts_.assign(kBitCount, 0);
  if (words_ == nullptr) return;
  for (std::uint64_t i = 0; i < kBitCount / 64; ++i) words_[i].store(0, std::memory_order_relaxed);
}

bool may_track(Segment& segment, std::uint32_t process, std::uint64_t hash) {
  const auto keys = static_cast<TrackedKeys>(segment.process(process).mailbox.tracks.load());
  if (keys != TrackedKeys::kOfFilter) return keys == TrackedKeys::kAll;
  const Word* const words = words_of(segment, process);
  if (words == nullptr) return true;
  const std::uint64_t bit = bit_of(hash);
  return (words[bit / 64].load() >> bit % 64 & 1) != 0;
}

}  // namespace memento
