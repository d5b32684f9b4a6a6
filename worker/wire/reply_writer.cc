// See reply_writer.h.
#include "worker/wire/reply_writer.h"

#include <cassert>
#include <charconv>

namespace memento {

void ReplyWriter::integer(std::int64_t number) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  value({digits, static_cast<std::size_t>(end - digits)});
}

void ReplyWriter::lines(std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  value(text);
}

void ReplyWriter::error(std::string_view message) {
  ++error_count_;
  // ERR is what RESP calls an error without a code of its own.
  if (message.starts_with("ERR ")) message.remove_prefix(4);
  const std::size_t begin = output_.size();
  value(message);
  constexpr std::string_view kMark = "(error) ";
  std::memcpy(output_.insert_gap(begin, kMark.size()), kMark.data(), kMark.size());
}

void ReplyWriter::unknown_command(std::string_view) {
  ++error_count_;
  value("(Unknown command)");
}

void ReplyWriter::out_of_memory() {
  ++error_count_;
  value("(Out of memory)");
}

void ReplyWriter::begin_list() {
  assert(!in_list_);
  in_list_ = true;
  list_begin_ = output_.size();
}

void ReplyWriter::end_list() {
  in_list_ = false;
  if (output_.size() > list_begin_) output_.truncate(output_.size() - 1);
  output_.append("\r\n");
}

void ReplyWriter::field(std::string_view name) {
  output_.append(name);
  output_.append(": ");
}

}  // namespace memento
