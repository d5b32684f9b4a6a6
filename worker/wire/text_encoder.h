// Replies in the text protocol. Runs in workers.
//
// A reply ends in \r\n, lines inside one in \n. An array is a line for each element, a map a line `name:
// value` for each field; an empty one is an empty line. What is nested is indented by two spaces.
//   OK   (null)   (Unknown command)   (Out of memory)   digits   (error) a sentence
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "shm/os/byte_buffer.h"
#include "shm/os/copy_bytes.h"

namespace memento {

/// Where in an aggregate the reply is. Copied for roll-backs.
class TextEncoder {
 public:
  void value(ByteBuffer& output, std::string_view bytes) {
    if (depth_ > 0) return line(output, bytes);
    char* at = output.reserve(bytes.size() + 2);
    copy_bytes(at, bytes);
    at += bytes.size();
    at[0] = '\r';
    at[1] = '\n';
    output.commit(bytes.size() + 2);
  }

  void begin(ByteBuffer& output);
  void end(ByteBuffer& output);
  void field(ByteBuffer& output, std::string_view name);

 private:
  void line(ByteBuffer& output, std::string_view bytes);
  void indent(ByteBuffer& output);

  std::size_t outermost_begin_ = 0;
  std::int32_t depth_ = 0;
  bool after_field_ = false;  ///< "name: " was written
};

}  // namespace memento
