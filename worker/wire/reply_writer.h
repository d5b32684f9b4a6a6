// ReplyWriter: writes typed replies straight into the output buffer, in the protocol the connection speaks. A
// handler says what it answers (a status, nil, an integer, a map ...); text_encoder.h and resp_encoder.h say
// how it looks. Runs in workers.
//
// Aggregates (array, set, map, push) are begun with the number of their elements and ended; a map's elements
// are field() and a value each. A list is an array whose length is known only at its end.
#pragma once

#include <cstdint>
#include <string_view>

#include "shm/os/byte_buffer.h"
#include "worker/wire/resp_encoder.h"
#include "worker/wire/text_encoder.h"

namespace memento {

enum class Protocol : std::uint8_t { kText, kResp2, kResp3 };

class ReplyWriter {
 public:
  explicit ReplyWriter(ByteBuffer& output, Protocol protocol = Protocol::kText)
      : output_(output), protocol_(protocol) {}

  Protocol protocol() const { return protocol_; }
  bool is_text() const { return protocol_ == Protocol::kText; }
  bool is_resp3() const { return protocol_ == Protocol::kResp3; }
  /// From the next reply on.
  void set_protocol(Protocol protocol) { protocol_ = protocol; }

  void ok() { status("OK"); }
  void status(std::string_view word) {
    if (is_text()) return text_.value(output_, word);
    resp::simple(output_, '+', word);
  }
  void nil();
  /// What RESP2 tells from nil: an array that is not there (EXEC that was not executed).
  void nil_array();
  void integer(std::int64_t number);
  void bulk(std::string_view bytes) {
    if (is_text()) return text_.value(output_, bytes);
    resp::bulk(output_, bytes);
  }
  void number(double number);
  void boolean(bool value);
  /// An integer that may be longer than 64 bits, by its digits.
  void big_number(std::string_view digits);
  /// Text for people, lines parted by \n or \r\n; one \n at its end is dropped in the text protocol. `format`
  /// has three letters.
  void verbatim(std::string_view text, std::string_view format = "txt");

  /// `message` begins with its code: "ERR value is not an integer or out of range". Line ends in it become
  /// spaces.
  void error(std::string_view message);
  void unknown_command(std::string_view message);
  void out_of_memory();
  std::uint64_t error_count() const { return error_count_; }

  void begin_array(std::size_t count) { begin('*', '*', count); }
  void begin_set(std::size_t count) { begin('~', '*', count); }
  void begin_map(std::size_t count) { begin('%', '*', count); }
  /// In front of a reply, which it does not count as. REQUIRES: is_resp3().
  void begin_attributes(std::size_t count) { begin('|', '|', count); }
  /// A message that answers no request.
  void begin_push(std::size_t count) { begin('>', '*', count); }
  /// Ends the aggregate begun last.
  void end() {
    if (is_text()) text_.end(output_);
  }
  /// The name of a map's next value.
  void field(std::string_view name) {
    if (is_text()) return text_.field(output_, name);
    resp::bulk(output_, name);
  }

  /// What was written since; invalid with the next reply.
  std::string_view since(std::size_t mark_size) const { return output_.view().substr(mark_size); }

  /// So much was written; whatever was written behind it is dropped, when that was values at most.
  std::size_t size() const { return output_.size(); }
  void truncate(std::size_t size) { output_.truncate(size); }

  /// Rolls back to what mark() gave, for a reply that is written again.
  struct Mark {
    std::size_t size;
    TextEncoder text;
    std::uint64_t error_count;
  };
  Mark mark() const { return {output_.size(), text_, error_count_}; }
  void roll_back(const Mark& mark) {
    output_.truncate(mark.size);
    text_ = mark.text;
    error_count_ = mark.error_count;
  }

  /// An array of not yet known length: give end_list() what begin_list() returned.
  std::size_t begin_list();
  void end_list(std::size_t begin, std::size_t count);

 private:
  void begin(char resp3_type, char resp2_type, std::size_t count) {
    if (is_text()) return text_.begin(output_);
    const bool is_flat_map = resp3_type == '%' && !is_resp3();
    resp::header(output_, is_resp3() ? resp3_type : resp2_type, is_flat_map ? 2 * count : count);
  }

  ByteBuffer& output_;
  Protocol protocol_;
  TextEncoder text_;
  std::uint64_t error_count_ = 0;
};

}  // namespace memento
