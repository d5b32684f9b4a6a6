// See migrations.h.
#include "worker/net/migrations.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <thread>

#include "shm/os/clock.h"

namespace memento {
namespace {

constexpr std::size_t kReadBytes = 16 * 1024;
constexpr std::size_t kAnswerLimitBytes = 64 * 1024;  // no server's answer to RESTORE is as long
constexpr const char* kTooManyLookups = "too many names are being looked up; give an address, or try later";
constexpr const char* kNotConnected = "error or timeout connecting to the client";
constexpr const char* kNotWritten = "error or timeout writing to target instance";
constexpr const char* kNotRead = "error or timeout reading from target instance";

}  // namespace

struct Migrations::Lookup {
  std::string host;
  std::string port;
  std::atomic<bool> is_done{false};
  addrinfo* found = nullptr;  ///< nullptr: there is none; valid when it is done

  ~Lookup() {
    if (found != nullptr) freeaddrinfo(found);
  }
  void resolve(Resolver* resolver, int flags) {
    addrinfo hints{};
    hints.ai_flags = flags | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_STREAM;
    if (resolver(host.c_str(), port.c_str(), &hints, &found) != 0) found = nullptr;
  }
};

bool Migrations::start() {
  epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
  return static_cast<bool>(epoll_);
}

void Migrations::begin(ClientState& client) {
  assert(client.migration != nullptr && client.waits == ClientWait::kNothing);
  client.waits = ClientWait::kMigration;
  Migration& migration = *client.migration;
  migration.answers.clear();
  migration.failure = nullptr;
  migration.deadline_ms = monotonic_time_ms() + migration.timeout_ms;
  auto lookup = std::make_shared<Lookup>();
  under_way_[client.id] = lookup;
  if (migration.socket) {
    migration.stage = Migration::Stage::kTalks;
    return watch(client, EPOLLOUT, EPOLL_CTL_ADD);
  }
  migration.stage = Migration::Stage::kConnects;
  lookup->host = migration.host;
  lookup->port = std::to_string(migration.port);
  lookup->resolve(resolver_, AI_NUMERICHOST);
  lookup->is_done = lookup->found != nullptr;
  if (lookup->is_done) return connect(client);
  look_up(client, lookup);
}

// By a thread, or by one that is at the same name already; tick() looks whether it has ended.
void Migrations::look_up(ClientState& client, const std::shared_ptr<Lookup>& lookup) {
  for (const auto& [id, other] : under_way_) {
    if (other == lookup || other->is_done || other->host != lookup->host || other->port != lookup->port)
      continue;
    under_way_[client.id] = other;
    return;
  }
  if (*lookup_count_ >= kLookupLimit) return end(client, kTooManyLookups);
  ++*lookup_count_;
  try {
    std::thread([lookup, resolver = resolver_, count = lookup_count_] {
      lookup->resolve(resolver, 0);
      --*count;
      lookup->is_done = true;
    }).detach();
  } catch (const std::system_error&) {
    --*lookup_count_;
    end(client, kNotConnected);
  }
}

// To the first address that a connection can be begun to.
void Migrations::connect(ClientState& client) {
  const std::shared_ptr<Lookup> lookup = under_way_[client.id];
  if (!open_socket(*client.migration, *lookup)) return end(client, kNotConnected);
  watch(client, EPOLLOUT, EPOLL_CTL_ADD);
}

bool Migrations::open_socket(Migration& migration, const Lookup& lookup) {
  for (const addrinfo* address = lookup.found; address != nullptr; address = address->ai_next) {
    Fd socket(::socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket) continue;
    const int on = 1;
    setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::connect(socket.get(), address->ai_addr, address->ai_addrlen) != 0 && errno != EINPROGRESS) continue;
    migration.socket = std::move(socket);
    return true;
  }
  return false;
}

void Migrations::watch(const ClientState& client, std::uint32_t events, int operation) {
  epoll_event event{events, {.u64 = client.id}};
  epoll_ctl(epoll_.get(), operation, client.migration->socket.get(), &event);
}

void Migrations::serve() {
  std::array<epoll_event, 64> events;
  const int count = epoll_wait(epoll_.get(), events.data(), events.size(), 0);
  for (int i = 0; i < count; ++i) {
    ClientState* const client = clients_.find(events[static_cast<std::size_t>(i)].data.u64);
    if (client != nullptr && client->waits == ClientWait::kMigration) advance(*client);
  }
}

void Migrations::advance(ClientState& client) {
  Migration& migration = *client.migration;
  migration.deadline_ms = monotonic_time_ms() + migration.timeout_ms;
  if (migration.stage == Migration::Stage::kConnects) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(migration.socket.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return end(client, kNotConnected);
    migration.stage = Migration::Stage::kTalks;
  }
  while (!migration.requests.empty()) {
    const std::string_view bytes = migration.requests.view();
    const ssize_t sent = ::send(migration.socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
      take_answers(migration);  // a server that hangs up may have said why
      return end(client, kNotWritten);
    }
    if (sent < 0) break;
    migration.requests.consume(static_cast<std::size_t>(sent));
  }
  if (!take_answers(migration)) return end(client, kNotRead);
  if (migration.answers.size() == migration.expected_count) return end(client, nullptr);
  watch(client, migration.requests.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
}

// All of them are one line: OK, a number, or an error. False: the connection has ended, or what comes is no
// such line.
bool Migrations::take_answers(Migration& migration) {
  for (;;) {
    char* const room = migration.received.reserve(kReadBytes);
    const ssize_t got = ::recv(migration.socket.get(), room, kReadBytes, 0);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (got == 0) return false;
    migration.received.commit(static_cast<std::size_t>(got));
    for (;;) {
      const std::string_view bytes = migration.received.view();
      const std::size_t line_bytes = bytes.find("\r\n");
      if (line_bytes == bytes.npos) break;
      if (migration.answers.size() == migration.expected_count) return false;
      migration.answers.emplace_back(bytes.substr(0, line_bytes));
      migration.received.consume(line_bytes + 2);
    }
    if (migration.received.size() > kAnswerLimitBytes) return false;
    if (migration.answers.size() == migration.expected_count) return migration.received.empty();
  }
}

void Migrations::end(ClientState& client, const char* failure) {
  Migration& migration = *client.migration;
  under_way_.erase(client.id);
  migration.stage = Migration::Stage::kDone;
  migration.failure = failure;
  if (failure != nullptr) {
    migration.socket.reset();
  } else {
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, migration.socket.get(), nullptr);
  }
  clients_.make_ready(client);
}

bool Migrations::tick() {
  for (auto next = under_way_.begin(); next != under_way_.end();) {
    const auto [id, lookup] = *next;
    ++next;  // the current one may be removed
    ClientState* const client = clients_.find(id);
    if (client == nullptr) {
      under_way_.erase(id);
      continue;
    }
    const Migration& migration = *client->migration;
    if (monotonic_time_ms() >= migration.deadline_ms) {
      end(*client, migration.stage == Migration::Stage::kConnects ? kNotConnected
                   : migration.requests.empty()                   ? kNotRead
                                                                  : kNotWritten);
    } else if (!migration.socket && lookup->is_done) {
      connect(*client);
    }
  }
  return !under_way_.empty();
}

}  // namespace memento
