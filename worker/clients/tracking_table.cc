// See tracking_table.h.
#include "worker/clients/tracking_table.h"

#include <algorithm>
#include <cassert>
#include <new>
#include <utility>

namespace memento {
namespace {

constexpr std::size_t kMinBuckets = 1024;
constexpr std::size_t kEmptyShare = 16;  // more buckets for each key are too many to look for the next

}  // namespace

bool TrackingTable::add(std::string_view name, std::uint64_t client) {
  auto found = keys_.find(name);
  const bool is_new = found == keys_.end();
  if (is_new) found = keys_.emplace(name, Clients{client}).first;
  Clients& clients = found->second;
  const auto place = std::ranges::lower_bound(clients, client);
  if (!is_new && place != clients.end() && *place == client) return false;
  if (!is_new) clients.insert(place, client);
  ++item_count_;
  name_bytes_ += is_new ? name.size() : 0;
  return is_new;
}

TrackingTable::Entry TrackingTable::take(Keys::iterator found) {
  auto node = keys_.extract(found);
  Entry entry{std::move(node.key()), std::move(node.mapped())};
  assert(item_count_ >= entry.clients.size() && name_bytes_ >= entry.name.size());
  item_count_ -= entry.clients.size();
  name_bytes_ -= entry.name.size();
  return entry;
}

TrackingTable::Entry TrackingTable::take(std::string_view name) {
  const auto found = keys_.find(name);
  return found == keys_.end() ? Entry{} : take(found);
}

TrackingTable::Entry TrackingTable::take_next() {
  assert(!keys_.empty());
  if (keys_.bucket_count() > kMinBuckets && keys_.bucket_count() / kEmptyShare > keys_.size()) {
    try {
      keys_.rehash(0);
    } catch (const std::bad_alloc&) {  // they stay as they are
    }
  }
  for (;; ++next_bucket_) {
    if (next_bucket_ >= keys_.bucket_count()) next_bucket_ = 0;
    if (keys_.begin(next_bucket_) != keys_.end(next_bucket_))
      return take(keys_.find(keys_.begin(next_bucket_)->first));
  }
}

void TrackingTable::clear() {
  keys_ = Keys(0, keys_.hash_function());
  item_count_ = name_bytes_ = next_bucket_ = 0;
}

}  // namespace memento
