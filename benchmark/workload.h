// Workload: the requests of one benchmark, written out ahead, so that the measured loop only copies bytes to
// sockets. A ring: the connections begin at places spread over it and go round. With partitions, each
// connection has a ring of its own inside it, and its own keys: then it knows what a key holds, and each time
// round it writes other values.
//
// Shared by all threads; immutable once built, but for begin_lap().
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "benchmark/key_distribution.h"
#include "benchmark/protocol.h"
#include "benchmark/request_writer.h"
#include "shm/keyspace/keyspace.h"

namespace memento {

/// What requests to make.
struct WorkloadPlan {
  ServerProtocol protocol = ServerProtocol::kText;
  std::size_t key_count = 100'000;
  KeyDistribution keys;
  double get_share = 0.5;  ///< of the requests, 0..1; the others are SETs
  std::size_t value_size_min_bytes = 32;
  std::size_t value_size_max_bytes = 32;
  std::uint32_t expiry_s = 0;  ///< 0: none
  std::uint64_t seed = 6737;
  std::size_t request_count = 0;     ///< length of the ring; 0: chosen from key_count
  std::size_t needed_count = 0;      ///< where the ring's length is chosen: no more are sent; 0: not known
  std::size_t partition_count = 1;   ///< at most key_count
  std::size_t batch_count = 1;       ///< where the ring's length is chosen: it is a multiple of this
  bool is_verifiable = false;        ///< keeps what each request is, for info() and begin_lap()
  std::uint32_t first_sequence = 0;  ///< of the values
  SlotId slot_first;                 ///< only keys of the slots from here to slot_last
  SlotId slot_last{kSlotCount - 1};
};

enum class RequestKind : std::uint8_t { kGet, kSet, kExpire };

/// What a request of the ring is; the verifier judges its reply by that.
struct RequestInfo {
  std::uint32_t key = 0;
  std::uint32_t sequence = 0;          ///< of a SET's value, the first time round
  std::uint32_t value_size_bytes = 0;  ///< of a SET
  RequestKind kind = RequestKind::kGet;
  std::size_t value_begin = 0;  ///< where it lies in the ring's bytes
};

/// A connection's part of the ring.
struct RingRange {
  std::size_t begin = 0;
  std::size_t end = 0;
};

class Workload {
 public:
  explicit Workload(const WorkloadPlan& plan);

  /// The same text request over and over.
  static Workload repeat(std::string_view request);
  /// Text SETs of keyN valueN for N below count: keys that grow in number and length.
  static Workload grow(std::size_t count);

  std::size_t request_count() const { return ends_.size(); }

  /// The bytes of up to `count` requests from `begin` on, fewer where `range` ends; sets `count` to how many.
  std::string_view requests(std::size_t begin, const RingRange& range, std::size_t& count) const;

  /// Where connection `index` of `connection_count` may go; the whole ring without partitions.
  RingRange range_of(std::size_t index) const;
  /// Before its connection goes round `range` again, for the lap-th time: writes new values into its SETs.
  /// REQUIRES: is_verifiable; no other thread uses the range, and all its bytes were sent.
  void begin_lap(const RingRange& range, std::uint32_t lap);
  /// The request at `index` as it was in the lap-th round. REQUIRES: is_verifiable.
  RequestInfo info(std::size_t index, std::uint32_t lap) const;
  std::size_t key_count() const { return key_count_; }
  std::string_view stored_reply() const { return stored_reply_; }

 private:
  Workload() = default;
  void append_partition(const WorkloadPlan& plan, std::size_t partition, std::size_t count);
  void append_set(const WorkloadPlan& plan, const RequestWriter& writer, RequestInfo info,
                  std::string_view key, std::string& scratch);
  void end_request(const WorkloadPlan& plan, const RequestInfo& info);
  void end_text(std::string_view line);

  std::string bytes_;
  std::vector<std::size_t> ends_;  ///< end of each request in bytes_
  std::vector<RequestInfo> infos_;
  std::vector<RingRange> ranges_;  ///< one per partition
  std::size_t key_count_ = 0;
  std::string_view stored_reply_;
};

/// The name of a key: key:000000000000, key:000000000001, ... (16 bytes).
void append_key(std::string& out, std::size_t number);

}  // namespace memento
