// What the keyspace's tests share: private segments, and the checker at a test's end.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "shm/check.h"
#include "shm/keyspace/keyspace.h"
#include "shm/segment.h"

namespace memento::testing {

inline std::unique_ptr<Segment> make_segment(std::uint64_t bytes, std::uint32_t worker_count = 8) {
  SegmentOptions options;
  options.size_bytes = bytes;
  options.worker_count = worker_count;
  auto segment = Segment::create_anonymous(options);
  EXPECT_TRUE(static_cast<bool>(segment));
  return std::move(*segment);
}

inline void expect_sound(Segment& segment) {
  const CheckReport report = check_segment(segment);
  for (const std::string& error : report.errors) ADD_FAILURE() << error;
}

inline bool get(Keyspace& keyspace, const std::string& key, std::string* value, TimeMs* expiry_ms = nullptr) {
  return keyspace.read(keyspace.hash(key), [&](const EntryView& view) {
    value->assign(view.value);
    if (expiry_ms != nullptr) *expiry_ms = view.expiry_ms;
  });
}

inline std::vector<HashedKey> hashed(const Keyspace& keyspace, const std::vector<std::string>& names) {
  std::vector<HashedKey> keys;
  for (const std::string& name : names) keys.push_back(keyspace.hash(name));
  return keys;
}
// The keys are views into the names.
std::vector<HashedKey> hashed(const Keyspace& keyspace, std::vector<std::string>&& names) = delete;

}  // namespace memento::testing
