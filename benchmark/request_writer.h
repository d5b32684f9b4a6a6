// RequestWriter: the bytes of requests in each protocol. Used before the clock starts.
//
// The text protocol's SET takes no expiry: there an EXPIRE request of its own follows, which the caller
// writes (`needs_expire_request`). The other protocols carry it in the SET.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "benchmark/protocol.h"

namespace memento {

/// The words as one request in RESP.
std::string resp_request(std::initializer_list<std::string_view> words);

class RequestWriter {
 public:
  RequestWriter(ServerProtocol protocol, std::uint32_t expiry_s) : protocol_(protocol), expiry_s_(expiry_s) {}

  void append_get(std::string& out, std::string_view key) const;
  void append_set(std::string& out, std::string_view key, std::string_view value) const;
  /// REQUIRES: needs_expire_request().
  void append_expire(std::string& out, std::string_view key) const;

  bool needs_expire_request() const { return protocol_ == ServerProtocol::kText && expiry_s_ > 0; }
  /// What a successful SET is answered with.
  std::string_view stored_reply() const { return protocol_ == ServerProtocol::kMemcached ? "STORED" : "OK"; }

 private:
  ServerProtocol protocol_;
  std::uint32_t expiry_s_;  ///< 0: none
};

}  // namespace memento
