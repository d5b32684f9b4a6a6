// See trace.h.
#include "tests/simulator/trace.h"

#include <cstdio>

namespace memento::simulator {
namespace {

constexpr std::array kNames = {"hears",
                               "ticks",
                               "has written",
                               "stands",
                               "leads",
                               "steps down",
                               "publishes",
                               "commits",
                               "learns",
                               "forms",
                               "is removed",
                               "starts",
                               "dies",
                               "pauses",
                               "is cut off",
                               "is linked",
                               "has a disk error",
                               "voters change",
                               "fences",
                               "is granted",
                               "fault",
                               "calm"};
static_assert(kNames.size() == static_cast<std::size_t>(Happening::kCount));

constexpr std::array kMessages = {
    "PreVote", "PreVoteYes", "StartTerm",      "Vote",         "Heartbeat", "HeartbeatAnswer", "NewerTerm",
    "Publish", "Accepted",   "Commit",         "Fetch",        "Fetched",   "Fresh",           "Told",
    "Join",    "Leave",      "ChangeSettings", "LeaseRequest", "Grant"};

}  // namespace

void Trace::note(const TraceEntry& entry) {
  for (const std::uint64_t word :
       {static_cast<std::uint64_t>(entry.at), static_cast<std::uint64_t>(entry.what),
        std::uint64_t{entry.node}, std::uint64_t{entry.other}, entry.x, entry.y}) {
    hash_ = (hash_ ^ word) * 0x9e3779b97f4a7c15;
    hash_ ^= hash_ >> 29;
  }
  if (kept_ == 0) return;
  last_.push_back(entry);
  if (last_.size() > kept_) last_.pop_front();
}

std::string Trace::text() const {
  std::string text;
  for (const TraceEntry& entry : last_) {
    char line[160];
    const auto what = static_cast<std::size_t>(entry.what);
    std::string detail = std::to_string(entry.x);
    if (entry.what == Happening::kDelivered)
      detail = entry.x < kMessages.size() ? kMessages[entry.x] : "message " + detail;
    const std::string node = entry.node == kNobody ? "-" : std::to_string(entry.node);
    const std::string other = entry.other == kNobody ? "" : " (" + std::to_string(entry.other) + ")";
    std::snprintf(line, sizeof line, "%12.3f ms  node %s %s%s %s %llu\n",
                  static_cast<double>(entry.at) / bus::kMillisecondNs, node.c_str(), kNames[what],
                  other.c_str(), detail.c_str(), static_cast<unsigned long long>(entry.y));
    text += line;
  }
  return text;
}

}  // namespace memento::simulator
