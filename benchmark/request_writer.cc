// Writes requests: see request_writer.h.
#include "benchmark/request_writer.h"

#include <cassert>
#include <initializer_list>

namespace memento {
namespace {

void append_line(std::string& out, std::initializer_list<std::string_view> words, std::string_view end) {
  bool is_first = true;
  for (const std::string_view word : words) {
    if (!is_first) out.push_back(' ');
    out.append(word);
    is_first = false;
  }
  out.append(end);
}

void append_resp(std::string& out, std::initializer_list<std::string_view> words) {
  out.append("*").append(std::to_string(words.size())).append("\r\n");
  for (const std::string_view word : words) {
    out.append("$").append(std::to_string(word.size())).append("\r\n").append(word).append("\r\n");
  }
}

}  // namespace

std::string resp_request(std::initializer_list<std::string_view> words) {
  std::string out;
  append_resp(out, words);
  return out;
}

void RequestWriter::append_get(std::string& out, std::string_view key) const {
  switch (protocol_) {
    case ServerProtocol::kText:
      return append_line(out, {"GET", key}, "\n");
    case ServerProtocol::kResp2:
    case ServerProtocol::kResp3:
      return append_resp(out, {"GET", key});
    case ServerProtocol::kMemcached:
      return append_line(out, {"get", key}, "\r\n");
  }
}

void RequestWriter::append_set(std::string& out, std::string_view key, std::string_view value) const {
  const std::string expiry = std::to_string(expiry_s_);
  switch (protocol_) {
    case ServerProtocol::kText:
      return append_line(out, {"SET", key, value}, "\n");
    case ServerProtocol::kResp2:
    case ServerProtocol::kResp3:
      return expiry_s_ > 0 ? append_resp(out, {"SET", key, value, "EX", expiry})
                           : append_resp(out, {"SET", key, value});
    case ServerProtocol::kMemcached:
      append_line(out, {"set", key, "0", expiry, std::to_string(value.size())}, "\r\n");
      return append_line(out, {value}, "\r\n");
  }
}

void RequestWriter::append_expire(std::string& out, std::string_view key) const {
  assert(needs_expire_request());
  append_line(out, {"EXPIRE", key, std::to_string(expiry_s_)}, "\n");
}

}  // namespace memento
