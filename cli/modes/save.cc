// See save.h.
#include "cli/modes/save.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <optional>

#include "cli/net/info.h"
#include "cli/show/progress.h"
#include "shm/os/clock.h"
#include "worker/text/words.h"

namespace memento::cli {
namespace {

constexpr int kIntervalMs = 200;
constexpr int kAskTimeoutMs = 2000;
constexpr std::uint64_t kParts = 10'000;  // the server says percent, with two digits

/// How far the snapshot is, asked over a connection of its own. What cannot be had is not shown.
class SnapshotProgress {
 public:
  explicit SnapshotProgress(Endpoint endpoint) : endpoint_(std::move(endpoint)) {
    endpoint_.timeout_ms = kAskTimeoutMs;
  }

  void show() {
    if (!progress_.is_due()) return;
    if (!connection_) {
      Result<Connection> opened = Connection::open(endpoint_);
      if (!opened) return;
      connection_.emplace(std::move(*opened));
    }
    const Result<Info> info = Info::fetch(*connection_, {"persistence"});
    if (!info) return connection_.reset();
    const double percent = info->number("snapshot_progress_perc");
    const double took_s = std::max(info->number("rdb_current_bgsave_time_sec"), 0.0);
    std::string text = "saving, " + short_number(info->number("current_save_keys_processed")) + " of " +
                       short_number(info->number("current_save_keys_total")) + " keys";
    if (percent >= 1 && took_s >= 1) {
      char left[48];
      std::snprintf(left, sizeof left, ", about %.0f s left", took_s * (100 - percent) / percent);
      text += left;
    }
    progress_.show(static_cast<std::uint64_t>(percent * kParts / 100), text);
  }

 private:
  Endpoint endpoint_;
  std::optional<Connection> connection_;
  Progress progress_{kParts};
};

}  // namespace

bool is_answered_by_end(const Words& words, const Error& error) {
  return is_word(words[0], "SHUTDOWN") && error.error_number == ECONNRESET;
}

bool waits_for_snapshot(const Words& words) {
  if (is_word(words[0], "SAVE")) return true;
  return is_word(words[0], "SHUTDOWN") &&
         std::any_of(words.begin() + 1, words.end(),
                     [](const std::string& word) { return is_word(word, "SAVE"); });
}

Result<Reply> request_snapshot(Connection& connection, const Words& words, const Endpoint& endpoint) {
  if (::isatty(STDERR_FILENO) == 0) return connection.request(words);
  if (const Outcome sent = connection.send(words); !sent) return sent.error();
  SnapshotProgress progress(endpoint);
  const std::int64_t began_ms = monotonic_time_ms();
  for (;;) {
    Result<std::optional<Reply>> reply = connection.read_within(kIntervalMs);
    if (!reply) return reply.error();
    if (*reply && (*reply)->type != ReplyType::kPush) return std::move(**reply);
    if (*reply) {
      connection.keep_push(std::move(**reply));
      continue;
    }
    if (endpoint.timeout_ms >= 0 && monotonic_time_ms() - began_ms >= endpoint.timeout_ms) {
      return Error{ExitStatus::kSystem, ETIMEDOUT,
                   "no reply within " + std::to_string(endpoint.timeout_ms) + " ms"};
    }
    progress.show();
  }
}

}  // namespace memento::cli
