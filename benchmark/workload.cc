// Builds the requests: see workload.h. The ring is long enough that a key's return does not line up with a
// cache's size (at least kRingCountMin, as many as keys, but no more than are sent), and short enough to be
// built at once (kRingSizeBytesMax).
#include "benchmark/workload.h"

#include <algorithm>
#include <cassert>
#include <random>

#include "benchmark/value_text.h"
#include "shm/keyspace/hash.h"

namespace memento {
namespace {

constexpr std::size_t kRepeatCount = 4096;
constexpr std::size_t kRingCountMin = 1U << 18U;
constexpr std::size_t kRingSizeBytesMax = 256U << 20U;
constexpr std::size_t kPartitionCountMin = 64;
constexpr std::size_t kKeyDigitCount = 12;

// The key of that number, or of the next one of the partition that lies in the plan's slots.
void set_key(const WorkloadPlan& plan, std::string& key, std::size_t* number) {
  for (std::size_t tries = 0; tries < plan.key_count; ++tries) {
    key.clear();
    append_key(key, *number);
    const SlotId slot = slot_of_key(key);
    if (slot >= plan.slot_first && slot <= plan.slot_last) return;
    *number += plan.partition_count;
    if (*number >= plan.key_count) *number %= plan.partition_count;
  }
}

}  // namespace

void append_key(std::string& out, std::size_t number) {
  char digits[kKeyDigitCount];
  for (std::size_t index = kKeyDigitCount; index > 0; --index) {
    digits[index - 1] = static_cast<char>('0' + number % 10);
    number /= 10;
  }
  out.append("key:").append(digits, kKeyDigitCount);
}

Workload::Workload(const WorkloadPlan& plan)
    : key_count_(plan.key_count), stored_reply_(RequestWriter(plan.protocol, plan.expiry_s).stored_reply()) {
  assert(plan.key_count > 0 && plan.partition_count > 0 && plan.partition_count <= plan.key_count);
  std::size_t count = plan.request_count > 0 ? plan.request_count : std::max(kRingCountMin, plan.key_count);
  if (plan.request_count == 0 && plan.needed_count > 0) count = std::min(count, plan.needed_count);
  const std::size_t partition_size = std::max(kPartitionCountMin, count / plan.partition_count);
  for (std::size_t partition = 0; partition < plan.partition_count; ++partition) {
    append_partition(plan, partition, plan.partition_count == 1 ? count : partition_size);
  }
}

// A drawn key is moved to the nearest one of the partition, so that the distribution keeps its shape.
void Workload::append_partition(const WorkloadPlan& plan, std::size_t partition, std::size_t count) {
  const RequestWriter writer(plan.protocol, plan.expiry_s);
  std::mt19937_64 random(plan.seed + partition);
  std::uniform_real_distribution<double> any_share(0, 1);
  std::uniform_int_distribution<std::size_t> any_size(plan.value_size_min_bytes, plan.value_size_max_bytes);
  KeyDistribution keys = plan.keys;
  const std::size_t first_request = ends_.size();
  const std::size_t size_max = bytes_.size() + kRingSizeBytesMax / plan.partition_count;
  std::string key;
  std::string value;
  for (std::size_t index = 0; index < count; ++index) {
    if (plan.request_count == 0 && bytes_.size() > size_max && index >= kPartitionCountMin) break;
    std::size_t number = keys.next(random, plan.key_count);
    number = number / plan.partition_count * plan.partition_count + partition;
    if (number >= plan.key_count) number -= plan.partition_count;
    set_key(plan, key, &number);
    RequestInfo info;
    info.key = static_cast<std::uint32_t>(number);
    if (any_share(random) < plan.get_share) {
      writer.append_get(bytes_, key);
      end_request(plan, info);
    } else {
      info.value_size_bytes = static_cast<std::uint32_t>(any_size(random));
      append_set(plan, writer, info, key, value);
    }
  }
  while (plan.request_count == 0 && (ends_.size() - first_request) % plan.batch_count != 0) {
    std::size_t number = partition;
    set_key(plan, key, &number);
    writer.append_get(bytes_, key);
    RequestInfo filler;
    filler.key = static_cast<std::uint32_t>(number);
    end_request(plan, filler);
  }
  ranges_.push_back({first_request, ends_.size()});
}

void Workload::append_set(const WorkloadPlan& plan, const RequestWriter& writer, RequestInfo info,
                          std::string_view key, std::string& scratch) {
  info.kind = RequestKind::kSet;
  info.sequence = plan.first_sequence + static_cast<std::uint32_t>(ends_.size());
  scratch.clear();
  append_value(scratch, info.key, info.sequence, info.value_size_bytes);
  const std::size_t begin = bytes_.size();
  writer.append_set(bytes_, key, scratch);
  if (plan.is_verifiable) info.value_begin = bytes_.find(scratch, begin);
  end_request(plan, info);
  if (!writer.needs_expire_request()) return;
  writer.append_expire(bytes_, key);
  info.kind = RequestKind::kExpire;
  end_request(plan, info);
}

void Workload::end_request(const WorkloadPlan& plan, const RequestInfo& info) {
  ends_.push_back(bytes_.size());
  if (plan.is_verifiable) infos_.push_back(info);
}

void Workload::begin_lap(const RingRange& range, std::uint32_t lap) {
  std::string value;
  for (std::size_t index = range.begin; index < range.end; ++index) {
    const RequestInfo now = info(index, lap);
    if (now.kind != RequestKind::kSet) continue;
    value.clear();
    append_value(value, now.key, now.sequence, now.value_size_bytes);
    bytes_.replace(now.value_begin, value.size(), value);
  }
}

RequestInfo Workload::info(std::size_t index, std::uint32_t lap) const {
  RequestInfo info = infos_[index];
  info.sequence += lap * static_cast<std::uint32_t>(ends_.size());
  return info;
}

void Workload::end_text(std::string_view line) {
  bytes_.append(line).push_back('\n');
  ends_.push_back(bytes_.size());
}

Workload Workload::repeat(std::string_view request) {
  Workload workload;
  for (std::size_t index = 0; index < kRepeatCount; ++index) workload.end_text(request);
  workload.ranges_.push_back({0, workload.ends_.size()});
  return workload;
}

Workload Workload::grow(std::size_t count) {
  Workload workload;
  for (std::size_t number = 0; number < count; ++number) {
    const std::string text = std::to_string(number);
    workload.end_text("SET key" + text + " value" + text);
  }
  workload.ranges_.push_back({0, workload.ends_.size()});
  return workload;
}

RingRange Workload::range_of(std::size_t index) const { return ranges_[index % ranges_.size()]; }

std::string_view Workload::requests(std::size_t begin, const RingRange& range, std::size_t& count) const {
  assert(begin >= range.begin && begin < range.end && count > 0);
  count = std::min(count, range.end - begin);
  const std::size_t first_byte = begin == 0 ? 0 : ends_[begin - 1];
  return std::string_view(bytes_).substr(first_byte, ends_[begin + count - 1] - first_byte);
}

}  // namespace memento
