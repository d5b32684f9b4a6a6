// See reply_writer.h.
#include "worker/wire/reply_writer.h"

#include <charconv>
#include <cmath>
#include <string>

namespace memento {
namespace {

constexpr std::string_view kOutOfMemory = "OOM command not allowed when used memory > 'maxmemory'.";

std::string_view number_text(double number, char (&digits)[40]) {
  if (std::isinf(number)) return number > 0 ? "inf" : "-inf";
  if (std::isnan(number)) return "nan";
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  return {digits, static_cast<std::size_t>(end - digits)};
}

}  // namespace

void ReplyWriter::nil() {
  switch (protocol_) {
    case Protocol::kText:
      return text_.value(output_, "(null)");
    case Protocol::kResp2:
      return output_.append("$-1\r\n");
    case Protocol::kResp3:
      return output_.append("_\r\n");
  }
}

void ReplyWriter::nil_array() {
  if (protocol_ == Protocol::kResp2) return output_.append("*-1\r\n");
  nil();
}

void ReplyWriter::integer(std::int64_t number) {
  if (!is_text()) return resp::integer(output_, number);
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  text_.value(output_, {digits, static_cast<std::size_t>(end - digits)});
}

void ReplyWriter::number(double number) {
  char digits[40];
  const std::string_view text = number_text(number, digits);
  if (is_resp3()) return resp::simple(output_, ',', text);
  bulk(text);
}

void ReplyWriter::big_number(std::string_view digits) {
  if (is_resp3()) return resp::simple(output_, '(', digits);
  bulk(digits);
}

void ReplyWriter::boolean(bool value) {
  if (is_resp3()) return output_.append(value ? "#t\r\n" : "#f\r\n");
  integer(value ? 1 : 0);
}

void ReplyWriter::verbatim(std::string_view text, std::string_view format) {
  if (is_text()) {
    if (text.ends_with('\n')) text.remove_suffix(1);
    return text_.value(output_, text);
  }
  if (!is_resp3()) return resp::bulk(output_, text);
  resp::header(output_, '=', text.size() + 4);
  output_.append(format);
  output_.append(':');
  output_.append(text);
  output_.append("\r\n");
}

void ReplyWriter::error(std::string_view message) {
  ++error_count_;
  while (message.ends_with('\r') || message.ends_with('\n')) message.remove_suffix(1);
  std::string line(message);
  for (char& c : line) {
    if (c == '\r' || c == '\n') c = ' ';
  }
  if (!is_text()) return resp::simple(output_, '-', line);
  // ERR is what RESP calls an error without a code of its own.
  text_.value(output_, "(error) " + (line.starts_with("ERR ") ? line.substr(4) : line));
}

void ReplyWriter::unknown_command(std::string_view message) {
  if (!is_text()) return error(message);
  ++error_count_;
  text_.value(output_, "(Unknown command)");
}

void ReplyWriter::out_of_memory() {
  if (!is_text()) return error(kOutOfMemory);
  ++error_count_;
  text_.value(output_, "(Out of memory)");
}

std::size_t ReplyWriter::begin_list() {
  const std::size_t begin = output_.size();
  if (is_text()) text_.begin(output_);
  return begin;
}

void ReplyWriter::end_list(std::size_t begin, std::size_t count) {
  if (is_text()) return text_.end(output_);
  char header[resp::kHeaderBytes];
  const auto bytes =
      static_cast<std::size_t>(resp::put_header(header, '*', static_cast<std::int64_t>(count)) - header);
  std::memcpy(output_.insert_gap(begin, bytes), header, bytes);
}

}  // namespace memento
