// CacheClient: a client with a cache of its own, as CLIENT TRACKING is made for: what it has read it answers
// from the cache until the server says that the key was changed. It speaks RESP3. A broken connection empties
// the cache, and is an answer, not a failure.
#pragma once

#include <sys/socket.h>
#include <sys/time.h>

#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/net/client.h"
#include "tests/resp_request.h"

namespace memento::testing {

class CacheClient {
 public:
  explicit CacheClient(std::uint16_t port) : port_(port) {}

  /// Connects, if it is not, and lets the server track. False: nobody listens, or the connection broke.
  bool begin() {
    if (socket_) return true;
    Result<Fd> socket = connect_tcp({"127.0.0.1", port_});
    if (!socket) return false;
    const timeval patience{60, 0};
    setsockopt(socket->get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    socket_ = std::move(*socket);
    return ask({"HELLO", "3"}) && ask({"CLIENT", "TRACKING", "ON"});
  }

  /// What the cache has; nothing: it has to be read.
  std::optional<std::string> cached(const std::string& key) const {
    const auto found = cache_.find(key);
    return found != cache_.end() ? std::optional(found->second) : std::nullopt;
  }
  /// Reads it from the server into the cache. Nothing: the connection broke.
  std::optional<std::string> read(const std::string& key) {
    const std::optional<std::string> value = ask({"GET", key});
    if (value) cache_[key] = *value;
    return value;
  }
  /// Takes all that the server had to say before it answers. False: the connection broke.
  bool settle() { return ask({"PING"}).has_value(); }

  std::uint64_t invalidations() const { return invalidations_; }
  std::uint64_t nulls() const { return nulls_; }

 private:
  /// A reply or a push: its type and its words, one behind the other.
  struct Frame {
    char type = 0;
    std::vector<std::string> words;
  };

  std::optional<std::string> ask(std::initializer_list<std::string_view> words) {
    const std::string bytes = resp_request(words);
    if (::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size()))
      return end();
    for (;;) {
      Frame frame;
      if (!take_frame(&frame)) return end();
      if (frame.type != '>') return frame.words.empty() ? std::string() : frame.words.back();
      on_push(frame.words);
    }
  }

  void on_push(const std::vector<std::string>& words) {
    if (words.size() == 1) {  // no keys: all of them
      ++nulls_;
      cache_.clear();
    }
    for (std::size_t i = 1; i < words.size(); ++i) {
      ++invalidations_;
      cache_.erase(words[i]);
    }
  }

  std::optional<std::string> end() {
    socket_ = Fd();
    received_.clear();
    cache_.clear();
    return std::nullopt;
  }

  std::optional<std::string> take(std::size_t count) {
    while (received_.size() < count) {
      char bytes[4096];
      const ssize_t got = ::recv(socket_.get(), bytes, sizeof bytes, 0);
      if (got <= 0) return std::nullopt;
      received_.append(bytes, static_cast<std::size_t>(got));
    }
    std::string taken = received_.substr(0, count);
    received_.erase(0, count);
    return taken;
  }
  std::optional<std::string> take_line() {
    std::string line;
    while (!line.ends_with("\r\n")) {
      const std::optional<std::string> byte = take(1);
      if (!byte) return std::nullopt;
      line += *byte;
    }
    return line.substr(0, line.size() - 2);
  }
  bool take_frame(Frame* frame) {
    const std::optional<std::string> line = take_line();
    if (!line || line->empty()) return false;
    const char type = line->front();
    if (frame->type == 0) frame->type = type;
    if (type == '$') {
      const std::optional<std::string> bytes = take(std::stoul(line->substr(1)) + 2);
      if (!bytes) return false;
      frame->words.push_back(bytes->substr(0, bytes->size() - 2));
    } else if (type == '*' || type == '>' || type == '%') {
      const std::size_t count = std::stoul(line->substr(1)) * (type == '%' ? 2 : 1);
      for (std::size_t i = 0; i < count; ++i) {
        if (!take_frame(frame)) return false;
      }
    } else if (type != '_') {
      frame->words.push_back(line->substr(1));
    }
    return true;
  }

  const std::uint16_t port_;
  Fd socket_;
  std::string received_;
  std::map<std::string, std::string> cache_;
  std::uint64_t invalidations_ = 0;
  std::uint64_t nulls_ = 0;
};

}  // namespace memento::testing
