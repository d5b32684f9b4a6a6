// The prompt's loop: see prompt.h. Before each command it looks whether the server has closed the connection
// meanwhile (a restart), since a command sent into a closed connection would be lost without need.
#include "cli/prompt.h"

#include <cstdio>
#include <optional>

#include "cli/line_editor.h"

namespace memento {
namespace {

/// Opens the connection when there is none or the server has closed it.
bool ensure_connected(const Address& address, std::optional<Client>& client) {
  if (client && !client->is_closed_by_server()) return true;
  const bool is_reconnect = client.has_value();
  client.reset();
  Result<Client> opened = connect_or_complain(address);
  if (!opened) return false;
  if (is_reconnect) complain("the server had closed the connection; connected again");
  client.emplace(std::move(*opened));
  return true;
}

}  // namespace

CliStatus run_prompt(const Address& address) {
  std::optional<Client> client;
  if (!ensure_connected(address, client)) return CliStatus::kNoConnection;
  LineEditor editor("memento-cli", address.to_string() + "> ", default_history_path());
  std::puts("Connected. `help` lists the commands, `quit` leaves.");

  while (const std::optional<std::string> line = editor.read_line()) {
    const std::string request = request_of(*line);
    if (request.empty()) continue;
    if (is_quit(request)) return CliStatus::kOk;
    if (!ensure_connected(address, client)) continue;
    const Result<std::string> reply = client->request(request);
    if (reply) {
      print_reply(*reply);
      std::fflush(stdout);
      continue;
    }
    complain(reply.error().message);
    complain("the command may have been carried out; look before you repeat it");
    client.reset();
    static_cast<void>(ensure_connected(address, client));
  }
  std::fputc('\n', stdout);
  return CliStatus::kOk;
}

}  // namespace memento
