// See data_server.h.
#include "tests/data/data_server.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "cli/net/connection.h"

namespace memento::testing {
namespace {

std::vector<std::string> prepare(const std::string& outer, std::vector<std::string> arguments,
                                 const DataServer::Before& before) {
  const std::string folder = outer + "/data";
  if (before) before(folder);
  arguments.insert(arguments.begin(), {"--data", folder, "--state", outer + "/state"});
  return arguments;
}

bool is_archiver(pid_t process) {
  return read_file("/proc/" + std::to_string(process) + "/comm").starts_with("memento: archi");
}

// As ps shows it: T is stopped, Z dead.
char state_of(pid_t process) {
  const std::string text = read_file("/proc/" + std::to_string(process) + "/stat");
  const std::size_t end = text.rfind(") ");
  return end == std::string::npos ? '?' : text[end + 2];
}

}  // namespace

std::size_t files_like(const std::string& folder, const std::string& prefix) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    count += entry.path().filename().string().starts_with(prefix) ? 1 : 0;
  return count;
}

std::string ask(const TestServer& server, const std::vector<std::string>& words) {
  cli::Endpoint endpoint;
  endpoint.address = {"127.0.0.1", server.port()};
  Result<cli::Connection> connection = cli::Connection::open(endpoint);
  if (!connection) return connection.error().message;
  const Result<cli::Reply> reply = connection->request(words);
  return reply ? reply->to_text() : reply.error().message;
}

bool is_serving(const TestServer& server) {
  Result<Client> client = Client::connect({"127.0.0.1", server.port()});
  if (!client) return false;
  const Result<std::string> reply = client->request("GET nothing");
  return reply && !is_error_reply(*reply) && reply->find("LOADING") == std::string::npos;
}

DataServer::DataServer(std::vector<std::string> arguments, const Before& before)
    : server_(prepare(outer_.path(), std::move(arguments), before)) {
  EXPECT_TRUE(wait_until([&] { return is_serving(server_); })) << server_.log();
}

// The master is stopped first: it would start others in the places of those that were killed.
void DataServer::kill_all() {
  server_.signal(SIGSTOP);
  EXPECT_TRUE(wait_until([&] { return state_of(server_.master()) == 'T'; }));
  const std::vector<pid_t> children = children_of(server_.master());
  for (const pid_t child : children) kill(child, SIGKILL);
  server_.stop(SIGKILL);
  for (const pid_t child : children) {
    EXPECT_TRUE(wait_until([&] { return kill(child, 0) != 0 || state_of(child) == 'Z'; }));
  }
}

void DataServer::lose_memory() {
  kill_all();
  std::filesystem::remove_all(server_.data_folder());
}

void DataServer::start() {
  server_.start();
  EXPECT_TRUE(wait_until([&] { return is_serving(server_); })) << server_.log();
}

Finished DataServer::start_refused() const {
  return run_program("memento", {"--port", std::to_string(server_.port()), "--dir", server_.data_folder(),
                                 "--data", folder(), "--state", state_folder()});
}

pid_t DataServer::archiver() const {
  for (const pid_t child : children_of(server_.master())) {
    if (is_archiver(child)) return child;
  }
  return 0;
}

void DataServer::wait_for_archiver(pid_t other_than) const {
  EXPECT_TRUE(wait_until([&] {
    const pid_t now = archiver();
    return now != 0 && now != other_than;
  }));
}

}  // namespace memento::testing
