// See cluster_join.h.
#include "worker/replies/cluster_join.h"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <random>

#include "worker/command/command.h"
#include "worker/command/scan_cursor.h"

namespace memento {
namespace {

/// One element of a reply in RESP2.
struct Element {
  char type = 0;            ///< 0: there is none
  std::int64_t number = 0;  ///< of an integer; elements of an array, bytes of a bulk string; -1: nil
  std::string_view text{};  ///< of a bulk string, a status, an error
};

Element take_element(std::string_view* bytes) {
  const std::size_t end = bytes->find("\r\n");
  if (bytes->empty() || end == std::string_view::npos) return {};
  Element element{bytes->front(), 0, bytes->substr(1, end - 1)};
  std::from_chars(element.text.data(), element.text.data() + element.text.size(), element.number);
  bytes->remove_prefix(end + 2);
  if (element.type == '$' && element.number >= 0) {
    const auto size = static_cast<std::size_t>(element.number);
    if (bytes->size() < size + 2) return {};
    element.text = bytes->substr(0, size);
    bytes->remove_prefix(size + 2);
  }
  return element;
}

// How many elements the array at the front has; not more than its bytes can hold.
std::int64_t take_count(std::string_view* bytes) {
  const Element element = take_element(bytes);
  return element.type == '*'
             ? std::clamp<std::int64_t>(element.number, 0, static_cast<std::int64_t>(bytes->size() / 4))
             : 0;
}

void write_value(const Element& element, ReplyWriter& reply) {
  if (element.number < 0) return reply.nil();
  reply.bulk(element.text);
}

void write_error(std::string_view text, ReplyWriter& reply) {
  if (text.starts_with("OOM ")) return reply.out_of_memory();
  reply.error(text);
}

std::int64_t sum_of(const Join& join) {
  std::int64_t sum = 0;
  for (const JoinPart& part : join.parts) {
    std::string_view bytes = part.reply;
    if (const Element element = take_element(&bytes); element.type == ':') sum += element.number;
  }
  return sum;
}

void write_elements(const Join& join, ReplyWriter& reply) {
  std::vector<Element> all(join.element_count, Element{'$', -1, {}});
  for (const JoinPart& part : join.parts) {
    std::string_view bytes = part.reply;
    take_count(&bytes);
    for (const std::uint32_t place : part.places) {
      assert(place < all.size());
      all[place] = take_element(&bytes);
    }
  }
  reply.begin_array(all.size());
  for (const Element& element : all) write_value(element, reply);
  reply.end();
}

void write_lists(const Join& join, ReplyWriter& reply) {
  std::int64_t count = 0;
  for (const JoinPart& part : join.parts) {
    std::string_view bytes = part.reply;
    count += take_count(&bytes);
  }
  reply.begin_array(static_cast<std::size_t>(count));
  for (const JoinPart& part : join.parts) {
    std::string_view bytes = part.reply;
    for (std::int64_t left = take_count(&bytes); left > 0; --left) write_value(take_element(&bytes), reply);
  }
  reply.end();
}

// All parts have the same fields in the same order.
void write_fields(const Join& join, ReplyWriter& reply) {
  std::vector<std::string_view> names;
  std::vector<std::int64_t> sums;
  for (const JoinPart& part : join.parts) {
    std::string_view bytes = part.reply;
    const std::int64_t count = take_count(&bytes) / 2;
    for (std::int64_t i = 0; i < count; ++i) {
      const std::string_view name = take_element(&bytes).text;
      if (static_cast<std::size_t>(i) == names.size()) names.push_back(name), sums.push_back(0);
      sums[static_cast<std::size_t>(i)] += take_element(&bytes).number;
    }
  }
  reply.begin_map(names.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    reply.field(names[i]);
    reply.integer(sums[i]);
  }
  reply.end();
}

// Each part is how many keys the node has, and one of them. All keys have the same chance.
void write_any(const Join& join, ReplyWriter& reply) {
  static thread_local std::mt19937_64 random(std::random_device{}());
  std::uint64_t sum = 0;
  std::string_view chosen;
  for (const JoinPart& part : join.parts) {
    std::string_view bytes = part.reply;
    if (take_count(&bytes) != 2) continue;
    const auto weight = static_cast<std::uint64_t>(std::max<std::int64_t>(take_element(&bytes).number, 0));
    const Element key = take_element(&bytes);
    if (key.type != '$' || key.number < 0 || weight == 0) continue;
    sum += weight;
    if (random() % sum < weight) chosen = key.text;
  }
  sum == 0 ? reply.nil() : reply.bulk(chosen);
}

// A node's walk ends with its own slots; the next node's begins at the first of its own (the cursor:
// scan_handlers.cc).
void write_scan(const Join& join, const ClusterState& state, ReplyWriter& reply) {
  assert(join.parts.size() == 1);
  std::string_view bytes = join.parts[0].reply;
  take_count(&bytes);
  std::string cursor(take_element(&bytes).text);
  const SlotId next_slot = state.node(join.parts[0].node).end_slot;
  if (cursor == "0" && next_slot < kSlotEnd)
    cursor = std::to_string(std::uint64_t{next_slot.value} << kScanPlaceBits);
  std::int64_t left = take_count(&bytes);
  reply.begin_array(2);
  reply.bulk(cursor);
  reply.begin_array(static_cast<std::size_t>(left));
  for (; left > 0; --left) reply.bulk(take_element(&bytes).text);
  reply.end();
  reply.end();
}

}  // namespace

// What may have happened comes before what has not.
const JoinPart* worst_part(const Join& join) {
  const JoinPart* worst = nullptr;
  for (const JoinPart& part : join.parts) {
    if (part.failure != Failure::kNone && (worst == nullptr || part.failure > worst->failure)) worst = &part;
  }
  return worst;
}

void write_failure(Failure failure, const NodeState& node, ReplyWriter& reply) {
  const std::string name = "node " + std::string(node.name_text()) + " (" + std::string(node.address_text()) +
                           ":" + std::to_string(node.port) + ")";
  switch (failure) {
    case Failure::kNone:
    case Failure::kDown:
      return reply.error("CLUSTERDOWN " + name + " cannot be reached");
    case Failure::kUnknown:
      return reply.error("ERR outcome unknown: the link to " + name +
                         " broke after the command was sent; it may have run");
    case Failure::kLost:
      return reply.error("ERR outcome unknown: the reply of " + name +
                         " came while this worker took none; the command has run");
  }
}

void finish_join(const Join& join, const ClusterState& state, ReplyWriter& reply) {
  assert(join.missing == 0 && !join.parts.empty());
  assert(join.kind != JoinKind::kNone && join.kind != JoinKind::kWatch);
  if (join.kind == JoinKind::kSumOfSome) return reply.integer(sum_of(join));
  if (const JoinPart* part = worst_part(join))
    return write_failure(part->failure, state.node(part->node), reply);
  for (const JoinPart& part : join.parts) {
    std::string_view bytes = part.reply;
    if (const Element element = take_element(&bytes); element.type == '-')
      return write_error(element.text, reply);
  }
  switch (join.kind) {
    case JoinKind::kSum:
    case JoinKind::kSumOfSome:
      return reply.integer(sum_of(join));
    case JoinKind::kAllOk:
      return reply.ok();
    case JoinKind::kSame: {
      std::string_view bytes = join.parts.front().reply;
      return reply.bulk(take_element(&bytes).text);
    }
    case JoinKind::kElements:
      return write_elements(join, reply);
    case JoinKind::kLists:
      return write_lists(join, reply);
    case JoinKind::kFields:
      return write_fields(join, reply);
    case JoinKind::kAny:
      return write_any(join, reply);
    case JoinKind::kNone:
    case JoinKind::kWatch:  // finish_watch()
      return;
    case JoinKind::kScan:
      return write_scan(join, state, reply);
  }
}

}  // namespace memento
