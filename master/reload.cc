// HUP: reading the configuration again, and naming what of it waits for a restart or an upgrade. See
// master.h.
#include <sys/resource.h>

#include "conf/password_source.h"
#include "master/master.h"

namespace memento {
namespace {

constexpr std::uint64_t kMemoryStepBytes = 64 * 1024;  // a segment has whole pages

}  // namespace

// Reads the configuration again, on HUP. Settings that workers read from shared memory change at once; the
// log names others that changed.
void Master::reload() {
  const ParsedCommandLine parsed = parse_command_line(program_.arguments, start_folder_);
  if (parsed.ends) {
    log_->error("configuration not changed: " +
                parsed.text.substr(0, parsed.text.find_last_not_of('\n') + 1));
    return;
  }
  const Options& fresh = parsed.options;
  const Result<std::string> password = find_password(fresh);
  if (!password) return log_->error("configuration not changed: " + password.error().message);
  if (options_.cluster) {
    const Outcome guarded = check_bus_is_guarded(*password, !cluster_secret_.empty());
    if (!guarded) return log_->error("configuration not changed: " + guarded.error().message);
  }
  options_.huge_pages = fresh.huge_pages;
  options_.slow_after_us = fresh.slow_after_us;
  options_.slow_shown = fresh.slow_shown;
  options_.latency_after_ms = fresh.latency_after_ms;
  options_.max_clients = fresh.max_clients;
  options_.quit_timeout_s = fresh.quit_timeout_s;
  options_.lock_timeout_s = fresh.lock_timeout_s;
  options_.eviction = fresh.eviction;
  options_.password = fresh.password;
  options_.password_file = fresh.password_file;
  options_.protected_mode = fresh.protected_mode;
  options_.tcp_keepalive_s = fresh.tcp_keepalive_s;
  options_.tracking_key_limit = fresh.tracking_key_limit;
  options_.key_events = fresh.key_events;
  options_.idle_timeout_s = fresh.idle_timeout_s;
  options_.background_hz = fresh.background_hz;
  options_.busy_after_ms = fresh.busy_after_ms;
  options_.memory_limit_bytes = fresh.memory_limit_bytes;
  options_.value_limit_bytes = fresh.value_limit_bytes;
  options_.sync_policy = fresh.sync_policy;
  options_.disk_timeout_s = fresh.disk_timeout_s;
  options_.stops_writes_on_disk_error = fresh.stops_writes_on_disk_error;
  apply_live_values(*password);
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  for (const Child& child : children_) {
    if (child.pid > 0) prlimit(child.pid, RLIMIT_NOFILE, &limit, nullptr);
  }
  apply_settings();
  const std::string waiting = changes_that_wait(fresh, false);
  log_->info("Configuration read again" +
             (waiting.empty() ? "" : "; changes that need a restart: " + waiting));
}

std::string Master::changes_that_wait(const Options& fresh, bool after_upgrade) const {
  std::string waiting;
  const auto note = [&](bool changed, const char* key) {
    if (changed) waiting += (waiting.empty() ? "" : ", ") + std::string(key);
  };
  note(fresh.address != options_.address, "address");
  note(fresh.port != options_.port, "port");
  note(fresh.memory_bytes / kMemoryStepBytes != options_.memory_bytes / kMemoryStepBytes, "memory");
  note(fresh.directory != options_.directory, "dir");
  note(fresh.pid_file != options_.pid_file, "pidfile");
  note(fresh.data_folder != options_.data_folder, "data");
  note(fresh.state_folder != options_.state_folder, "state");
  note(fresh.journal_ring_bytes != options_.journal_ring_bytes, "journal-ring");
  note(fresh.user != options_.user, "user");
  note(fresh.nodes.nodes != options_.nodes.nodes || fresh.cluster != options_.cluster, "the cluster's nodes");
  if (after_upgrade) return waiting;
  note(fresh.workers != options_.workers, "workers (or an upgrade)");
  note(fresh.log_file != options_.log_file, "logfile (or an upgrade)");
  note(fresh.daemon != options_.daemon, "daemon");
  note(fresh.databases != options_.databases, "databases (or an upgrade)");
  note(fresh.debug_command != options_.debug_command, "enable-debug-command (or an upgrade)");
  note(fresh.inline_replies != options_.inline_replies, "inline-replies (or an upgrade)");
  note(fresh.cluster_timeout_s != options_.cluster_timeout_s, "cluster-timeout (or an upgrade)");
  note(fresh.cluster_secret_file != options_.cluster_secret_file, "cluster-secret-file (or an upgrade)");
  return waiting;
}

}  // namespace memento
