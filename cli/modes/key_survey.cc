// See key_survey.h.
#include "cli/modes/key_survey.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <map>

#include "cli/modes/key_scan.h"
#include "cli/modes/session.h"
#include "cli/net/info.h"
#include "cli/net/interrupt.h"
#include "cli/show/progress.h"
#include "shm/os/clock.h"
#include "worker/command/command_table.h"

namespace memento::cli {
namespace {

constexpr std::size_t kHotKeyCapacity = 10'000;
constexpr double kHotKeySeconds = 10;
constexpr std::size_t kShownKeyBytes = 100;

struct SizeCommand {
  const char* type;
  const char* command;
  const char* unit;
};
/// How the size of what other servers hold is asked for.
constexpr SizeCommand kSizeCommands[] = {{"string", "STRLEN", "bytes"}, {"list", "LLEN", "elements"},
                                         {"set", "SCARD", "members"},   {"hash", "HLEN", "fields"},
                                         {"zset", "ZCARD", "members"},  {"stream", "XLEN", "entries"}};

CliStatus end_of(const Error& error, const Options& options) {
  std::fflush(stdout);
  return error.error_number == EINTR ? CliStatus::kOk : complain_of(error, options.endpoint);
}

std::string shown_key(const std::string& key) {
  return key.size() <= kShownKeyBytes ? quote(key, true) : quote(key.substr(0, kShownKeyBytes), true) + "...";
}

/// A key survey's figures for one type of value.
struct Figures {
  Largest largest;
  std::uint64_t count = 0;
  std::uint64_t sum = 0;
};

class Survey {
 public:
  Survey(Connection connection, const Options& options)
      : connection_(std::move(connection)),
        options_(options),
        is_memory_(options.mode == Mode::kMemoryKeys),
        progress_(options.pattern == "*" ? count_keys(connection_) : 0) {}

  CliStatus run() {
    KeyScan scan(connection_, options_.pattern);
    std::vector<std::string> keys;
    while (!is_interrupted()) {
      const Result<bool> more = scan.next(&keys);
      if (!more) return stopped(more.error());
      if (!*more) break;
      if (Outcome done = survey(keys); !done) return stopped(done.error());
      seen_ += keys.size();
      if (progress_.is_due()) progress_.show(seen_, std::to_string(seen_) + " keys");
    }
    print();
    return CliStatus::kOk;
  }

 private:
  CliStatus stopped(const Error& error) {
    print();
    return end_of(error, options_);
  }

  Outcome survey(const std::vector<std::string>& keys) {
    std::string requests;
    for (const std::string& key : keys) {
      append_request(is_memory_ ? Words{"MEMORY", "USAGE", key} : Words{"STRLEN", key}, &requests);
    }
    const Result<std::vector<Reply>> sizes = exchange(connection_, requests, keys.size());
    if (!sizes) return sizes.error();
    std::vector<std::string> others;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const Reply& size = (*sizes)[i];
      if (size.is_error() && size.text.starts_with("WRONGTYPE")) {
        others.push_back(keys[i]);
      } else if (size.is_error()) {
        return Error{ExitStatus::kRuntime, EPROTO, (is_memory_ ? "MEMORY USAGE: " : "STRLEN: ") + size.text};
      } else if (size.type == ReplyType::kInteger) {
        note(is_memory_ ? "memory" : "string", size.integer, keys[i]);
      }
    }
    return others.empty() ? Outcome(Done{}) : survey_others(others);
  }

  /// Keys of Redis's other types: what they are, then how large.
  Outcome survey_others(const std::vector<std::string>& keys) {
    std::string requests;
    for (const std::string& key : keys) append_request(Words{"TYPE", key}, &requests);
    const Result<std::vector<Reply>> types = exchange(connection_, requests, keys.size());
    if (!types) return types.error();
    requests.clear();
    std::vector<std::size_t> asked;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      for (const SizeCommand& row : kSizeCommands) {
        if ((*types)[i].text != row.type) continue;
        append_request(Words{row.command, keys[i]}, &requests);
        asked.push_back(i);
      }
    }
    const Result<std::vector<Reply>> sizes = exchange(connection_, requests, asked.size());
    if (!sizes) return sizes.error();
    for (std::size_t i = 0; i < asked.size(); ++i) {
      const Reply& size = (*sizes)[i];
      if (size.type == ReplyType::kInteger) note((*types)[asked[i]].text, size.integer, keys[asked[i]]);
    }
    return Done{};
  }

  void note(const std::string& type, std::int64_t size, const std::string& key) {
    Figures& figures = figures_.try_emplace(type, Figures{Largest(options_.top_count)}).first->second;
    const auto number = static_cast<std::uint64_t>(std::max<std::int64_t>(size, 0));
    figures.largest.add(number, key);
    figures.sum += number;
    ++figures.count;
  }

  void print() {
    progress_.clear();
    for (const auto& [type, figures] : figures_) {
      const char* unit = "bytes";
      for (const SizeCommand& row : kSizeCommands) unit = type == row.type ? row.unit : unit;
      for (const Largest::One& one : figures.largest.found()) {
        std::printf("%12" PRIu64 " %s  %s\n", one.size, unit, shown_key(one.key).c_str());
      }
      std::printf("%" PRIu64 " keys (%s), %" PRIu64 " %s, mean %.1f\n", figures.count, type.c_str(),
                  figures.sum, unit, static_cast<double>(figures.sum) / static_cast<double>(figures.count));
    }
    if (figures_.empty()) std::puts("no keys");
  }

  Connection connection_;
  const Options& options_;
  const bool is_memory_;
  Progress progress_;
  std::map<std::string, Figures> figures_;
  std::uint64_t seen_ = 0;
};

}  // namespace

void Largest::add(std::uint64_t size, const std::string& key) {
  if (found_.size() == count_ && (count_ == 0 || size <= found_.back().size)) return;
  const bool is_known = std::ranges::any_of(found_, [&](const One& one) { return one.key == key; });
  if (is_known) return;  // SCAN may give a key twice
  const auto place = std::ranges::find_if(found_, [&](const One& one) { return one.size < size; });
  found_.insert(place, One{size, key});
  if (found_.size() > count_) found_.pop_back();
}

void FrequentKeys::add(const std::string& key) {
  ++total_;
  if (const auto found = counts_.find(key); found != counts_.end()) {
    ++found->second;
    return;
  }
  if (counts_.size() >= capacity_) {
    std::vector<std::uint64_t> sorted;
    for (const auto& [name, count] : counts_) sorted.push_back(count);
    const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
    std::ranges::nth_element(sorted, middle);
    dropped_ = *middle;
    std::erase_if(counts_, [&](const auto& one) { return one.second <= dropped_; });
  }
  counts_.emplace(key, dropped_ + 1);
}

std::vector<Largest::One> FrequentKeys::most(std::size_t count) const {
  Largest largest(count);
  for (const auto& [key, times] : counts_) largest.add(times, key);
  return largest.found();
}

std::vector<std::string> keys_of(const Words& words) {
  std::vector<std::string> keys;
  if (words.empty()) return keys;
  const std::vector<std::string_view> views(words.begin(), words.end());
  const Command* command = resolve_subcommand(find_command(words[0]), views);
  if (command == nullptr) {
    if (words.size() > 1) keys.push_back(words[1]);
    return keys;
  }
  if (command->accepts(words.size()))
    command->each_key(views, [&](std::string_view key) { keys.emplace_back(key); });
  return keys;
}

Words monitored_words(const std::string& line) {
  const std::size_t begin = line.find("] \"");
  if (begin == std::string::npos) return {};
  const Result<Words> words = words_of(std::string_view(line).substr(begin + 2));
  return words ? *words : Words{};
}

CliStatus run_scan(const Options& options) {
  Result<Connection> connection = connect_or_complain(options.endpoint);
  if (!connection) return status_of(connection.error());
  KeyScan scan(*connection, options.pattern);
  std::vector<std::string> keys;
  for (;;) {
    const Result<bool> more = scan.next(&keys);
    if (!more) return end_of(more.error(), options);
    if (!*more || is_interrupted()) return CliStatus::kOk;
    for (std::string& key : keys) {
      const Reply reply{.type = ReplyType::kBulk, .text = std::move(key), .elements = {}};
      if (!write_output(format_reply(reply, options.format))) return CliStatus::kOk;
    }
  }
}

CliStatus run_key_survey(const Options& options) {
  Result<Connection> connection = connect_or_complain(options.endpoint);
  if (!connection) return status_of(connection.error());
  return Survey(std::move(*connection), options).run();
}

CliStatus run_hot_keys(const Options& options) {
  Result<Connection> connection = connect_or_complain(options.endpoint);
  if (!connection) return status_of(connection.error());
  if (const Outcome sent = connection->send({"MONITOR"}); !sent) return end_of(sent.error(), options);
  const double seconds = options.has_interval ? options.interval_s : kHotKeySeconds;
  const std::int64_t begin_ns = monotonic_time_ns();
  const std::int64_t end_ns = begin_ns + static_cast<std::int64_t>(seconds * 1e9);
  FrequentKeys keys(kHotKeyCapacity);
  Progress progress(static_cast<std::uint64_t>(seconds * 1000));
  for (std::int64_t now_ns = begin_ns; now_ns < end_ns && !is_interrupted(); now_ns = monotonic_time_ns()) {
    if (progress.is_due())
      progress.show(static_cast<std::uint64_t>((now_ns - begin_ns) / 1'000'000),
                    std::to_string(keys.total()) + " uses");
    const Result<std::optional<Reply>> reply = connection->read_within(
        static_cast<int>(std::min<std::int64_t>((end_ns - now_ns) / 1'000'000 + 1, 100)));
    if (!reply && reply.error().error_number != EINTR) return end_of(reply.error(), options);
    if (!reply || !*reply) continue;
    if ((**reply).is_error()) return print_reply(**reply, options);
    for (const std::string& key : keys_of(monitored_words((**reply).text))) keys.add(key);
  }
  progress.clear();
  for (const Largest::One& one : keys.most(options.top_count)) {
    std::printf("%12" PRIu64 " uses  %s\n", one.size, shown_key(one.key).c_str());
  }
  std::printf("%" PRIu64 " uses of keys in %.1f s\n", keys.total(),
              static_cast<double>(monotonic_time_ns() - begin_ns) / 1e9);
  return CliStatus::kOk;
}

}  // namespace memento::cli
