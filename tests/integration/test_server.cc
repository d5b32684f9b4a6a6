// See test_server.h.
#include "tests/integration/test_server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace memento::testing {
namespace {

int exit_status(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

// Output and errors go to these files, the program starts in this folder; empty: inherited.
pid_t spawn(const std::string& name, std::vector<std::string> arguments, const std::string& output,
            const std::string& errors, const std::string& folder) {
  std::string path = std::filesystem::absolute(program(name));
  std::vector<char*> argv{path.data()};
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t child = fork();
  if (child != 0) return child;
  const auto redirect = [](const std::string& file, int stream) {
    if (!file.empty()) dup2(open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), stream);
  };
  redirect(output, STDOUT_FILENO);
  redirect(errors, STDERR_FILENO);
  if (!folder.empty() && chdir(folder.c_str()) != 0) _exit(127);
  execv(path.c_str(), argv.data());
  _exit(127);
}

}  // namespace

bool wait_until(const std::function<bool()>& happened) {
  for (int round = 0; round < 30'000; ++round) {
    if (happened()) return true;
    usleep(2000);
  }
  return false;
}

std::string program(const std::string& name) {
  if (name.starts_with('/')) return name;
  const char* folder = std::getenv("MEMENTO_BIN");
  return (folder != nullptr ? std::string(folder) : std::string("bin")) + "/" + name;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::size_t count_in(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != text.npos; at += part.size()) ++count;
  return count;
}

std::vector<pid_t> children_of(pid_t process) {
  const std::string id = std::to_string(process);
  std::istringstream text(read_file("/proc/" + id + "/task/" + id + "/children"));
  std::vector<pid_t> children;
  for (pid_t child = 0; text >> child;) children.push_back(child);
  return children;
}

pid_t pid_in(const std::string& path) { return std::atoi(read_file(path).c_str()); }

void end_daemon(pid_t pid) {
  ASSERT_GT(pid, 0);
  kill(pid, SIGTERM);
  EXPECT_TRUE(wait_until([&] {
    return kill(pid, 0) != 0 ||
           read_file("/proc/" + std::to_string(pid) + "/stat").find(") Z") != std::string::npos;
  }));
}

TemporaryFolder::TemporaryFolder() : path_("/dev/shm/memento-test-XXXXXX") {
  if (mkdtemp(path_.data()) == nullptr) ADD_FAILURE() << "mkdtemp(" << path_ << "): " << std::strerror(errno);
  chmod(path_.c_str(), 0711);  // for servers whose workers are another user's
}
TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Finished run_program(const std::string& name, const std::vector<std::string>& arguments,
                     const std::string& folder) {
  const TemporaryFolder results;
  const std::string output = results.path() + "/output";
  const std::string errors = results.path() + "/errors";
  int status = 0;
  waitpid(spawn(name, arguments, output, errors, folder), &status, 0);
  return Finished{exit_status(status), read_file(output), read_file(errors)};
}

TestServer::TestServer(std::vector<std::string> arguments, std::string binary) : binary_(std::move(binary)) {
  arguments_ = {"--port", std::to_string(port()), "--logfile", log_path()};
  const auto given = [&](const char* name) { return std::ranges::find(arguments, name) != arguments.end(); };
  if (!given("--dir")) arguments_.insert(arguments_.end(), {"--dir", data_folder()});
  if (!given("--memory")) arguments_.insert(arguments_.end(), {"--memory", "256MiB"});
  if (!given("--enable-debug-command"))
    arguments_.insert(arguments_.end(), {"--enable-debug-command", "local"});
  if (!given("--workers")) arguments_.insert(arguments_.end(), {"--workers", "2"});
  arguments_.insert(arguments_.end(), arguments.begin(), arguments.end());
  start();
}

void TestServer::start() {
  master_ = spawn(binary_, arguments_, "", "", "");
  const bool accepts = wait_until([&] {
    if (waitpid(master_, nullptr, WNOHANG) == master_) return master_ = 0, true;
    return static_cast<bool>(Client::connect({"127.0.0.1", port()}));
  });
  if (!accepts || master_ == 0)
    ADD_FAILURE() << "the server does not accept connections; its log:\n" << log();
}

TestServer::~TestServer() {
  if (master_ > 0) {
    EXPECT_EQ(stop(), 0) << log();
  }
}

int TestServer::wait() {
  int status = 0;
  waitpid(std::exchange(master_, 0), &status, 0);
  return exit_status(status);
}

void TestServer::kill_all() {
  const std::vector<pid_t> pids = workers(1);
  signal(SIGKILL);
  for (const pid_t pid : pids) kill(pid, SIGKILL);
  wait();
  // Orphans are reaped by init; until then a killed one may still be listed.
  EXPECT_TRUE(wait_until([&] { return !Client::connect({"127.0.0.1", port()}); }));
}

Client TestServer::connect() const {
  Result<Client> client = Client::connect({"127.0.0.1", port()});
  if (!client) {
    ADD_FAILURE() << client.error().message;
    return Client(Fd());
  }
  return std::move(*client);
}

std::string TestServer::request(const std::string& line) const {
  Client client = connect();
  const Result<std::string> reply = client.request(line);
  return reply ? *reply : "no reply: " + reply.error().message;
}

std::vector<pid_t> TestServer::workers(std::size_t count) const {
  std::vector<pid_t> pids;
  const std::string id = std::to_string(master_);
  wait_until([&] {
    pids.clear();
    std::istringstream children(read_file("/proc/" + id + "/task/" + id + "/children"));
    for (pid_t pid = 0; children >> pid;) pids.push_back(pid);
    return pids.size() >= count;
  });
  return pids;
}

bool log_says(const TestServer& server, const std::string& text) {
  return wait_until([&] { return server.log().find(text) != std::string::npos; });
}

pid_t worker_of(Client& client) {
  const Result<std::string> info = client.request("INFO server");
  const std::string name = "worker_process_id:";
  const std::size_t at = info ? info->find(name) : std::string::npos;
  return at == std::string::npos ? 0 : std::atoi(info->c_str() + at + name.size());
}

}  // namespace memento::testing
