// See monitors.h.
#include "worker/clients/monitors.h"

#include <cassert>
#include <cstring>
#include <memory>
#include <utility>

#include "worker/clients/client_info.h"
#include "worker/command/command.h"
#include "worker/command/shown_words.h"

namespace memento {
namespace {

constexpr std::size_t kShownBytes = 32 * 1024;  // lines that are sent before a turn's end

}  // namespace

void Monitors::add(ClientState& client) {
  assert(!client.is_monitor() && messages_.is_listening());
  if (client.subscriptions == nullptr) client.subscriptions = std::make_unique<Subscriptions>();
  client.subscriptions->monitors = true;
  clients_.push_back(&client);
  segment_.header().monitors.fetch_add(1);
  segment_.process(process_).mailbox.monitors.fetch_add(1);
}

void Monitors::remove(ClientState& client) {
  assert(client.is_monitor());
  segment_.process(process_).mailbox.monitors.fetch_sub(1);
  segment_.header().monitors.fetch_sub(1);
  std::erase(clients_, &client);
  client.subscriptions->monitors = false;
  if (client.subscriptions->is_empty()) client.subscriptions.reset();
}

// A line that no client may hold ends where that shows.
void Monitors::show(const ClientState& client, const Command& command,
                    std::span<const std::string_view> words) {
  if (command.has(kAdmin)) return;
  if (std::exchange(shown_client_, client.id) != client.id || shown_address_.empty()) {
    shown_address_ = peer_address(client);
  }
  show_line(
      monitor_line(wall_time_us(), client.database, shown_address_, command, words, Pushes::kLimitBytes + 1));
}

void Monitors::show_line(std::string_view line) {
  const auto line_bytes = static_cast<std::uint32_t>(line.size());
  shown_.append(reinterpret_cast<const char*>(&line_bytes), sizeof line_bytes).append(line);
  if (shown_.size() > kShownBytes) send_shown();
}

void Monitors::send_shown() {
  if (shown_.empty()) return;
  const std::string lines = std::exchange(shown_, {});
  WorkerMessages::Processes readers;
  const std::uint32_t process_count = segment_.process_count();
  for (std::uint32_t process = 0; process < process_count; ++process) {
    if (segment_.process(process).mailbox.monitors.load(std::memory_order_acquire) != 0) readers.set(process);
  }
  readers.reset(process_);
  if (readers.any()) messages_.send_or_close({MessageType::kShown}, {}, lines, readers);
  deliver(lines);
}

void Monitors::deliver(std::string_view lines) {
  while (!clients_.empty() && !lines.empty()) {
    std::uint32_t line_bytes = 0;
    std::memcpy(&line_bytes, lines.data(), sizeof line_bytes);
    const std::string_view line = lines.substr(sizeof line_bytes, line_bytes);
    lines.remove_prefix(sizeof line_bytes + line_bytes);
    for (ClientState* client : clients_)
      pushes_.push(*client, [&](ReplyWriter& writer) { writer.status(line); });
  }
}

}  // namespace memento
