// See recorded_client.h.
#include "tests/data/power/recorded_client.h"

#include <unistd.h>

#include <algorithm>

namespace memento::testing {
namespace {

constexpr std::int64_t kFarAwayMs = 4'000'000'000'000;
constexpr std::uint64_t kPauseUs = 3000;     // at most, lest the journal is long to read
constexpr std::size_t kLongBytes = 300'000;  // several pieces, and more than a frame of a group takes

}  // namespace

RecordedClient::RecordedClient(std::uint32_t database, std::uint64_t seed, DiskLog& log, DataItems holds,
                               bool waits)
    : database_(database), random_(seed), log_(log), items_(std::move(holds)), waits_(waits) {
  steps_.push_back({0, 0, print_of(items_), "nothing"});
}

void RecordedClient::run(std::uint16_t port) {
  Result<Client> client = Client::connect({"127.0.0.1", port});
  if (!client) return;
  const Result<std::string> selected = client->request("SELECT " + std::to_string(database_));
  if (!selected) return;
  while (request(*client)) {
    if (waits_ && draw(20) == 0 && !wait_for_disk(*client)) return;
    usleep(static_cast<useconds_t>(draw(kPauseUs)));
  }
}

std::uint64_t RecordedClient::note(const std::string& text) {
  return log_.note("client " + std::to_string(database_) + ", step " + std::to_string(count()) + ": " + text);
}

// False: the server is gone, or something is wrong.
bool RecordedClient::request(Client& client) {
  former_ = items_;
  const Lines lines = choose();
  Step step;
  step.print = print_of(items_);
  step.text = lines.size() > 1 ? lines[1] + " ..." : lines[0];
  if (step.text.size() > 60) step.text.resize(60);
  steps_.push_back(step);
  steps_.back().asked = note("asks " + step.text);
  bool is_refused = false;
  if (!exchange(client, lines, &is_refused)) return false;
  if (is_refused) {
    items_ = former_;
    steps_.back().print = steps_[steps_.size() - 2].print;
  }
  steps_.back().answered = note(is_refused ? "is refused" : "is answered");
  return true;
}

// Until then a disk may have what the next server has not found: it has not, from then on.
bool RecordedClient::settle(const DataItems& found) {
  const std::uint64_t now = note("looks what is there");
  Step& last = steps_.back();
  const bool was_unknown = last.answered == UINT64_MAX;
  if (was_unknown) last.answered = now;
  if (found == items_) return true;
  if (!was_unknown || found != former_) return false;
  items_ = former_;
  steps_.push_back({now, now, print_of(items_), "what was not done"});
  return true;
}

// False: the last line's outcome is not known.
bool RecordedClient::exchange(Client& client, const Lines& lines, bool* is_refused) {
  for (const std::string& line : lines) {
    const Result<std::string> reply = client.request(line);
    if (!reply) return false;
    if (!is_error_reply(*reply)) continue;
    const auto says = [&](const char* word) { return reply->find(word) != std::string::npos; };
    if (says("UNKNOWN")) return false;
    *is_refused |= says("MISCONF") || says("EXECABORT");
    if (!*is_refused) fault_ = line.substr(0, 60) + " was answered by " + *reply;
    if (!*is_refused) return false;
  }
  return true;
}

bool RecordedClient::wait_for_disk(Client& client) {
  const std::uint64_t step = count();
  const Result<std::string> reply = client.request("WAITAOF 1 0 0");
  if (!reply || is_error_reply(*reply)) return false;
  if (reply->starts_with("1")) waited_.push_back({note("is told that it is on disk"), step});
  return true;
}

std::uint64_t RecordedClient::asked_for_state(std::uint64_t i) const {
  while (i > 0 && steps_[i - 1].print == steps_[i].print) --i;
  return steps_[i].asked;
}

std::uint64_t RecordedClient::least(std::uint64_t log_end, bool always) const {
  const auto waited = std::ranges::lower_bound(waited_, log_end, {}, &Waited::answered);
  std::uint64_t least = waited == waited_.begin() ? 0 : std::prev(waited)->step;
  if (!always) return least;
  const auto behind = std::ranges::lower_bound(steps_, log_end, {}, &Step::answered);
  if (behind != steps_.begin() && std::prev(behind)->answered > promised_from_)
    least = std::max(least, static_cast<std::uint64_t>(behind - steps_.begin()) - 1);
  return least;
}

std::uint64_t RecordedClient::most(std::uint64_t log_end) const {
  const auto behind = std::ranges::lower_bound(steps_, std::max<std::uint64_t>(log_end, 1), {}, &Step::asked);
  return static_cast<std::uint64_t>(behind - steps_.begin()) - 1;
}

std::string RecordedClient::key() { return "key:" + std::to_string(draw(40)); }

std::string RecordedClient::value(std::size_t most_bytes) {
  std::string text = std::to_string(database_) + ":" + std::to_string(steps_.size()) + ":";
  text.append(draw(most_bytes), static_cast<char>('a' + draw(26)));
  return text;
}

std::string RecordedClient::set(std::string_view key, std::string value) {
  DataItem& item = items_[std::string(key)];
  item.value = std::move(value);
  item.expiry_ms = kNoExpiry;
  return "SET " + std::string(key) + " " + item.value;
}

std::string RecordedClient::append(std::string_view key) {
  std::string more = value(300);
  std::string line = "APPEND " + std::string(key) + " " + more;
  items_[std::string(key)].value += more;
  return line;
}

std::string RecordedClient::set_several() {
  std::string line = "MSET";
  for (std::uint64_t i = draw(5) + 2; i > 0; --i) {
    const std::string name = key();
    items_[name] = {value(200), kNoExpiry};
    line += " " + name + " " + items_[name].value;
  }
  return line;
}

// One request that changes something, mostly.
std::string RecordedClient::change() {
  const std::uint64_t choice = draw(100);
  const std::string name = key();
  if (choice < 40) return set(name, value(1500));
  if (choice < 52) return append(long_key());
  if (choice < 62) return append(name);
  if (choice < 76) {
    items_.erase(name);
    return "DEL " + name;
  }
  if (choice < 86) {
    const std::int64_t at_ms = kFarAwayMs + static_cast<std::int64_t>(steps_.size());
    if (const auto found = items_.find(name); found != items_.end()) found->second.expiry_ms = at_ms;
    return "PEXPIREAT " + name + " " + std::to_string(at_ms);
  }
  if (choice < 92) {
    if (const auto found = items_.find(name); found != items_.end()) found->second.expiry_ms = kNoExpiry;
    return "PERSIST " + name;
  }
  return set_several();
}

RecordedClient::Lines RecordedClient::choose() {
  const std::uint64_t choice = draw(100);
  if (choice < 1) return {set(long_key(), value(kLongBytes))};
  if (choice < 2) {
    items_.clear();
    return {"FLUSHDB"};
  }
  if (choice < 25) return transaction();
  return {change()};
}

// Sometimes one that is longer than a frame.
RecordedClient::Lines RecordedClient::transaction() {
  Lines lines{"MULTI"};
  for (std::uint64_t i = draw(4) + 2; i > 0; --i) lines.push_back(change());
  if (draw(40) == 0) {
    for (int i = 0; i < 2; ++i) lines.push_back(set(long_key(), value(kLongBytes)));
    for (int i = 0; i < 8; ++i) lines.push_back(set(key(), value(40'000)));
  }
  lines.emplace_back("EXEC");
  return lines;
}

}  // namespace memento::testing
