// See format.h. JSON is read and written by nlohmann-json; colours are put on what it wrote, token by token.
#include "cli/show/format.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

namespace memento::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kRed = "31";
constexpr const char* kGreen = "32";
constexpr const char* kYellow = "33";
constexpr const char* kBlue = "34";
constexpr const char* kCyan = "36";
constexpr const char* kFaint = "2";

bool is_string(const Reply& reply) {
  return reply.type == ReplyType::kBulk || reply.type == ReplyType::kVerbatim ||
         reply.type == ReplyType::kText || reply.type == ReplyType::kStatus;
}

std::string latin1_to_utf8(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      text += c;
    } else {
      text += static_cast<char>(0xc0 | byte >> 6);
      text += static_cast<char>(0x80 | (byte & 0x3f));
    }
  }
  return text;
}

std::string json_text(std::string_view bytes) {
  return is_utf8(bytes) ? std::string(bytes) : latin1_to_utf8(bytes);
}

Json to_json(const Reply& reply) {
  switch (reply.type) {
    case ReplyType::kNil:
      return nullptr;
    case ReplyType::kInteger:
      return reply.integer;
    case ReplyType::kBoolean:
      return reply.integer != 0;
    case ReplyType::kDouble: {
      char* end = nullptr;
      const double number = std::strtod(reply.text.c_str(), &end);
      const bool is_number = end == reply.text.c_str() + reply.text.size() && !reply.text.empty();
      return is_number && std::isfinite(number) ? Json(number) : Json(json_text(reply.text));
    }
    case ReplyType::kError:
      return Json{{"error", json_text(reply.text)}};
    case ReplyType::kMap: {
      Json object = Json::object();
      for (std::size_t i = 0; i + 1 < reply.elements.size(); i += 2) {
        object[json_text(reply.elements[i].to_text())] = to_json(reply.elements[i + 1]);
      }
      return object;
    }
    case ReplyType::kArray:
    case ReplyType::kSet:
    case ReplyType::kPush: {
      Json array = Json::array();
      for (const Reply& element : reply.elements) array.push_back(to_json(element));
      return array;
    }
    default:
      return json_text(reply.text);
  }
}

std::string value_by_type(const Reply& reply, const FormatOptions& options) {
  const bool colour = options.colour;
  switch (reply.type) {
    case ReplyType::kStatus:
      return without_controls(reply.text);
    case ReplyType::kError:
      return styled((reply.text.starts_with('(') ? "" : "(error) ") + without_controls(reply.text), kRed,
                    colour);
    case ReplyType::kInteger:
      return "(integer) " + styled(std::to_string(reply.integer), kCyan, colour);
    case ReplyType::kDouble:
      return "(double) " + styled(without_controls(reply.text), kCyan, colour);
    case ReplyType::kBigNumber:
      return "(big number) " + styled(without_controls(reply.text), kCyan, colour);
    case ReplyType::kBoolean:
      return reply.integer != 0 ? "(true)" : "(false)";
    case ReplyType::kNil:
      return styled("(null)", kFaint, colour);
    case ReplyType::kText:
    case ReplyType::kVerbatim: {
      std::string text = without_controls(reply.text);
      if (reply.type == ReplyType::kVerbatim) {
        while (text.ends_with('\n')) text.pop_back();
      }
      return text;
    }
    default:
      return quote(reply.text, true);
  }
}

std::string pretty_value(const Reply& reply, const FormatOptions& options) {
  if (options.pretty && is_string(reply)) {
    if (std::optional<std::string> text = pretty_json(reply.text, options.colour)) return *text;
  }
  return value_by_type(reply, options);
}

std::string indented(std::string_view text, std::size_t column) {
  std::string result;
  for (const char c : text) {
    result += c;
    if (c == '\n') result.append(column, ' ');
  }
  return result;
}

/// Numbered elements; what follows the first line begins at `column`.
void append_by_type(const Reply& reply, const FormatOptions& options, std::size_t column, std::string* text) {
  if (!reply.is_aggregate()) {
    *text += indented(pretty_value(reply, options), column);
    return;
  }
  const bool is_map = reply.type == ReplyType::kMap;
  if (reply.elements.empty()) {
    *text += is_map ? "(empty map)" : reply.type == ReplyType::kSet ? "(empty set)" : "(empty array)";
    return;
  }
  const std::size_t step = is_map ? 2 : 1;
  const std::size_t count = reply.elements.size() / step;
  const std::size_t width = std::to_string(count).size();
  const char mark = is_map ? '#' : reply.type == ReplyType::kSet ? '~' : ')';
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) text->append("\n").append(column, ' ');
    std::string number = std::to_string(i + 1);
    number.insert(0, width - number.size(), ' ');
    *text += styled(number + mark, kFaint, options.colour) + " ";
    const std::size_t inner = column + width + 2;
    append_by_type(reply.elements[i * step], options, inner, text);
    if (!is_map) continue;
    *text += styled(" => ", kFaint, options.colour);
    const Reply& value = reply.elements[i * step + 1];
    if (value.is_aggregate() && !value.elements.empty()) text->append("\n").append(inner, ' ');
    append_by_type(value, options, inner, text);
  }
}

template <class Write>
void for_each_scalar(const Reply& reply, Write&& write) {
  if (!reply.is_aggregate()) return write(reply);
  for (const Reply& element : reply.elements) for_each_scalar(element, write);
}

std::string separated(const Reply& reply, char separator, auto&& text_of) {
  std::string text;
  for_each_scalar(reply, [&](const Reply& value) { text.append(text_of(value)).push_back(separator); });
  return text;
}

std::string csv_value(const Reply& value) {
  switch (value.type) {
    case ReplyType::kNil:
      return "";
    case ReplyType::kInteger:
    case ReplyType::kDouble:
    case ReplyType::kBigNumber:
    case ReplyType::kBoolean:
      return value.to_text();
    case ReplyType::kError:
      return "ERROR," + csv_field(value.text);
    default:
      return csv_field(value.text);
  }
}

/// A colour for each token of JSON that nlohmann-json wrote.
std::string coloured_json(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = i + 1;
    if (text[i] == '"') {
      while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2 : 1;
      end = std::min(end + 1, text.size());
      const bool is_name = end < text.size() && text[end] == ':';
      result += styled(text.substr(i, end - i), is_name ? kBlue : kGreen, true);
    } else if (std::string_view("-0123456789tfn").find(text[i]) != std::string_view::npos) {
      while (end < text.size() && std::string_view(",\n]} ").find(text[end]) == std::string_view::npos) ++end;
      const bool is_word = text[i] == 't' || text[i] == 'f' || text[i] == 'n';
      result += styled(text.substr(i, end - i), is_word ? kYellow : kCyan, true);
    } else {
      result += text[i];
    }
    i = end;
  }
  return result;
}

}  // namespace

std::string format_reply(const Reply& reply, const FormatOptions& options) {
  switch (options.format) {
    case OutputFormat::kByType: {
      std::string text;
      append_by_type(reply, options, 0, &text);
      return text + "\n";
    }
    case OutputFormat::kJson: {
      const std::string text = to_json(reply).dump(options.pretty ? 2 : -1);
      return (options.colour ? coloured_json(text) : text) + "\n";
    }
    case OutputFormat::kCsv: {
      std::string text = separated(reply, ',', csv_value);
      if (!text.empty()) text.pop_back();
      return text + "\n";
    }
    case OutputFormat::kQuoted:
      return separated(reply, '\n', [](const Reply& value) {
        if (value.type == ReplyType::kNil) return std::string("(null)");
        return is_string(value) || value.is_error() ? quote(value.text) : value.to_text();
      });
    case OutputFormat::kNull:
    case OutputFormat::kRaw:
      return separated(reply, options.format == OutputFormat::kRaw ? '\n' : '\0', [&](const Reply& value) {
        if (options.pretty && is_string(value)) {
          if (std::optional<std::string> text = pretty_json(value.text, options.colour)) return *text;
        }
        return value.to_text();
      });
  }
  return {};
}

std::optional<OutputFormat> output_format_of(std::string_view name) {
  if (name == "type") return OutputFormat::kByType;
  if (name == "raw") return OutputFormat::kRaw;
  if (name == "json") return OutputFormat::kJson;
  if (name == "csv") return OutputFormat::kCsv;
  if (name == "quoted") return OutputFormat::kQuoted;
  if (name == "null") return OutputFormat::kNull;
  return std::nullopt;
}

std::size_t utf8_length(std::string_view text) {
  if (text.empty()) return 0;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (byte(0) < 0x80) return 1;
  const std::size_t length = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : 2;
  if (byte(0) < 0xc2 || byte(0) > 0xf4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  if (byte(0) == 0xe0 && byte(1) < 0xa0) return 0;  // too long a form
  if (byte(0) == 0xed && byte(1) > 0x9f) return 0;  // surrogates
  if (byte(0) == 0xf0 && byte(1) < 0x90) return 0;
  if (byte(0) == 0xf4 && byte(1) > 0x8f) return 0;  // beyond Unicode
  return length;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

namespace {

void append_escaped(char c, std::string* text) {
  char escape[8];
  std::snprintf(escape, sizeof escape, "\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
  *text += escape;
}

/// A character that is no control character; those of UTF-8's second block, U+0080 to U+009F, steer terminals
/// too.
bool is_shown(std::string_view character) {
  if (character.size() == 1) return character[0] >= ' ' && character[0] != 0x7f;
  return character.size() > 2 || character[0] != '\xc2' || static_cast<unsigned char>(character[1]) >= 0xa0;
}

template <class Escape>
std::string escaped(std::string_view bytes, bool keeps_utf8, Escape&& escape) {
  std::string text;
  while (!bytes.empty()) {
    const std::size_t length = utf8_length(bytes);
    const bool is_kept = length > 0 && (length == 1 || keeps_utf8) && is_shown(bytes.substr(0, length));
    if (is_kept && escape(bytes[0]) == nullptr) {
      text.append(bytes.substr(0, length));
      bytes.remove_prefix(length);
      continue;
    }
    if (const char* known = escape(bytes[0]); known != nullptr) {
      text += known;
    } else {
      append_escaped(bytes[0], &text);
    }
    bytes.remove_prefix(1);
  }
  return text;
}

}  // namespace

std::string quote(std::string_view bytes, bool keeps_utf8) {
  return "\"" +
         escaped(bytes, keeps_utf8,
                 [](char c) -> const char* {
                   switch (c) {
                     case '\n':
                       return "\\n";
                     case '\r':
                       return "\\r";
                     case '\t':
                       return "\\t";
                     case '\a':
                       return "\\a";
                     case '\b':
                       return "\\b";
                     case '"':
                       return "\\\"";
                     case '\\':
                       return "\\\\";
                     default:
                       return nullptr;
                   }
                 }) +
         "\"";
}

std::string without_controls(std::string_view text) {
  return escaped(text, true, [](char c) -> const char* {
    return c == '\n' ? "\n" : c == '\t' ? "\t" : nullptr;
  });
}

std::string json_string(std::string_view bytes, bool as_latin1) {
  return Json(as_latin1 ? latin1_to_utf8(bytes) : json_text(bytes)).dump();
}

std::string csv_field(std::string_view bytes) {
  std::string text = "\"";
  for (const char c : bytes) {
    text += c;
    if (c == '"') text += c;
  }
  return text + "\"";
}

std::optional<std::string> pretty_json(std::string_view text, bool colour) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || (text[first] != '{' && text[first] != '[')) return std::nullopt;
  // nlohmann-json descends into what is nested by recursion when it ends a value; deep nesting is left as it
  // is.
  std::size_t depth = 0;
  std::size_t deepest = 0;
  for (const char c : text) {
    if (c == '{' || c == '[') deepest = std::max(deepest, ++depth);
    if ((c == '}' || c == ']') && depth > 0) --depth;
  }
  if (deepest > 200) return std::nullopt;
  const Json value = Json::parse(text, nullptr, false);
  if (value.is_discarded()) return std::nullopt;
  const std::string shown = without_controls(value.dump(2, ' ', false, Json::error_handler_t::replace));
  return colour ? coloured_json(shown) : shown;
}

std::string styled(std::string_view text, const char* style, bool colour) {
  if (!colour) return std::string(text);
  return "\x1b[" + std::string(style) + "m" + std::string(text) + "\x1b[0m";
}

}  // namespace memento::cli
