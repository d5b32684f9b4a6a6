// Replies as text for people and for programs. Pure: bytes of the server in, bytes for stdout out.
//
// By type, for terminals, nothing the server sent can steer the terminal: control characters are escaped.
// --raw and --null give the bytes as they are.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cli/show/reply.h"

namespace memento::cli {

enum class OutputFormat : std::uint8_t {
  kByType,  ///< OK, (null), (integer) 3, "quoted", arrays and maps numbered
  kRaw,     ///< the bytes; an element a line
  kJson,    ///< one JSON value a reply, on one line
  kCsv,     ///< one line a reply, as RFC 4180
  kQuoted,  ///< as raw, but each string in quotes, all that is not printable ASCII escaped
  kNull,    ///< the bytes; a zero byte behind each element
};

struct FormatOptions {
  OutputFormat format = OutputFormat::kByType;
  bool pretty = false;  ///< values that are JSON: over several lines, indented
  bool colour = false;
};

/// A reply with the end that separates it from the next one.
std::string format_reply(const Reply& reply, const FormatOptions& options);

std::optional<OutputFormat> output_format_of(std::string_view name);

/// "bytes" with \n \r \t \a \b \" \\ and \xHH; UTF-8 stays when `keeps_utf8`.
std::string quote(std::string_view bytes, bool keeps_utf8 = false);

/// What may be shown as it is: control characters but \n and \t become \xHH.
std::string without_controls(std::string_view text);

/// Bytes of the UTF-8 character at the front; 0: it is none.
std::size_t utf8_length(std::string_view text);
bool is_utf8(std::string_view text);

/// A string's JSON form. Bytes of a string that is not UTF-8, or of any when `as_latin1`, become the
/// characters of their numbers, U+0000 to U+00FF.
std::string json_string(std::string_view bytes, bool as_latin1 = false);

/// One field of a CSV line: in quotes, "" for a quote.
std::string csv_field(std::string_view bytes);

/// The text over several lines when it is a JSON object or array; else nothing.
std::optional<std::string> pretty_json(std::string_view text, bool colour);

/// `text` in an ANSI style ("31": red) if `colour`.
std::string styled(std::string_view text, const char* style, bool colour);

}  // namespace memento::cli
