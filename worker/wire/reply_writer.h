// ReplyWriter: writes typed replies in the text protocol, straight into the output buffer. Runs in workers.
//
// Text protocol: a reply ends in \r\n, lines inside one in \n. A list is a line for each element, a map a line
// `name: value` for each field; an empty list is an empty line.
//   OK   (null)   (Unknown command)   (Out of memory)   digits   (error) a sentence
#pragma once

#include <cstdint>
#include <string_view>

#include "worker/wire/byte_buffer.h"

namespace memento {

class ReplyWriter {
 public:
  explicit ReplyWriter(ByteBuffer& output) : output_(output) {}

  void ok() { value("OK"); }
  void status(std::string_view word) { value(word); }
  void nil() { value("(null)"); }
  void integer(std::int64_t number);
  void bulk(std::string_view bytes) { value(bytes); }
  /// Several lines, each ended by \n, as one value.
  void lines(std::string_view text);

  /// `message` begins with its code, as in RESP: "ERR value is not an integer or out of range".
  void error(std::string_view message);
  void unknown_command(std::string_view name);
  void out_of_memory();
  std::uint64_t error_count() const { return error_count_; }

  void begin_list();
  void end_list();
  void begin_map() { begin_list(); }
  void field(std::string_view name);
  void end_map() { end_list(); }

  /// Rolls back to what mark() gave, for a reply that is written again.
  std::size_t mark() const { return output_.size(); }
  void roll_back(std::size_t mark) { output_.truncate(mark); }

 private:
  void value(std::string_view bytes) {
    char* at = output_.reserve(bytes.size() + 2);
    std::memcpy(at, bytes.data(), bytes.size());
    at += bytes.size();
    if (in_list_) {
      *at = '\n';
      output_.commit(bytes.size() + 1);
    } else {
      at[0] = '\r';
      at[1] = '\n';
      output_.commit(bytes.size() + 2);
    }
  }

  ByteBuffer& output_;
  bool in_list_ = false;
  std::size_t list_begin_ = 0;
  std::uint64_t error_count_ = 0;
};

}  // namespace memento
