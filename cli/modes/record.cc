// See record.h.
#include "cli/modes/record.h"

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/show/format.h"
#include "worker/text/words.h"

namespace memento::cli {
namespace {

constexpr std::size_t kCompactBytes = 1 << 20;
constexpr std::size_t kRetryAtOnceBytes = 64 * 1024;
constexpr double kTtlLimitS = 1e12;

/// Seconds as milliseconds; -1: the record has none; nothing: the text is no time.
std::optional<std::int64_t> parse_ttl(std::string_view text) {
  if (text.empty()) return -1;
  double seconds = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size()) return std::nullopt;
  if (seconds == -1) return -1;
  if (!(seconds > 0) || seconds > kTtlLimitS) return std::nullopt;
  return std::max<std::int64_t>(std::llround(seconds * 1000), 1);
}

std::string ttl_text(std::int64_t ttl_ms) {
  if (ttl_ms < 0) return "";
  char text[40];
  std::snprintf(text, sizeof text, "%lld.%03lld", static_cast<long long>(ttl_ms / 1000),
                static_cast<long long>(ttl_ms % 1000));
  return text;
}

/// The bytes whose numbers the characters are; nothing when one is beyond U+00FF.
std::optional<std::string> latin1_of(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x80) {
      bytes += text[i];
    } else if ((byte == 0xc2 || byte == 0xc3) && i + 1 < text.size()) {
      bytes += static_cast<char>((byte & 3) << 6 | (static_cast<unsigned char>(text[++i]) & 0x3f));
    } else {
      return std::nullopt;
    }
  }
  return bytes;
}

bool is_too_deep(std::string_view json) {
  std::size_t depth = 0;
  for (const char c : json) {
    if (c == '{' || c == '[') ++depth;
    if ((c == '}' || c == ']') && depth > 0) --depth;
    if (depth > 200) return true;
  }
  return false;
}

}  // namespace

std::optional<RecordFormat> record_format_of(std::string_view path) {
  if (path.ends_with(".csv")) return RecordFormat::kCsv;
  if (path.ends_with(".jsonl") || path.ends_with(".ndjson") || path.ends_with(".json"))
    return RecordFormat::kJsonLines;
  return std::nullopt;
}

RecordReader::Outcome RecordReader::next(Record* record) {
  *record = Record{};
  const Outcome outcome = format_ == RecordFormat::kCsv ? next_csv(record) : next_json(record);
  compact();
  return outcome;
}

void RecordReader::compact() {
  if (position_ < kCompactBytes && position_ < input_.size()) return;
  input_.erase(0, position_);
  position_ = 0;
}

RecordReader::Outcome RecordReader::broken(std::string why) {
  error_ = std::move(why);
  return Outcome::kBroken;
}

bool RecordReader::take_fields(std::vector<std::string>* fields) {
  fields->clear();
  std::string field;
  bool in_quotes = false;
  std::uint64_t line_count = 1;
  for (std::size_t at = position_; at <= input_.size(); ++at) {
    const bool is_end = at == input_.size();
    if (is_end && !is_at_end_) return false;
    const char c = is_end ? '\n' : input_[at];
    if (in_quotes && !is_end) {
      // Whether a quote is the field's end shows in the byte behind it.
      if (c == '"' && at + 1 == input_.size() && !is_at_end_) return false;
      if (c == '"' && at + 1 < input_.size() && input_[at + 1] == '"') {
        field += '"';
        ++at;
      } else if (c == '"') {
        in_quotes = false;
      } else {
        line_count += c == '\n' ? 1 : 0;
        field += c;
      }
      continue;
    }
    if (c == '"' && field.empty()) {
      in_quotes = true;
    } else if (c == ',') {
      fields->push_back(std::exchange(field, {}));
    } else if (c == '\n') {
      quote_is_open_ = in_quotes;
      if (!in_quotes && field.ends_with('\r')) field.pop_back();
      fields->push_back(std::move(field));
      position_ = is_end ? at : at + 1;
      record_line_ = next_line_;
      next_line_ += line_count;
      return true;
    } else {
      field += c;
    }
  }
  return false;
}

RecordReader::Outcome RecordReader::set_columns(const std::vector<std::string>& fields) {
  const auto find = [&](std::string_view upper) -> std::optional<std::size_t> {
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (is_word(fields[i], upper)) return i;
    }
    return std::nullopt;
  };
  if (!find("VALUE")) return broken("the line of column names has no `value`");
  columns_ = Columns{*find("KEY"), *find("VALUE"), find("TTL")};
  return Outcome::kRecord;
}

RecordReader::Outcome RecordReader::next_csv(Record* record) {
  std::vector<std::string> fields;
  for (;;) {
    const std::size_t left_bytes = input_.size() - position_;
    if (left_bytes == 0 || (left_bytes < retry_bytes_ && !is_at_end_)) return Outcome::kIncomplete;
    if (!take_fields(&fields)) {
      // Half as much again, so that a quote that never ends costs no more than a few readings of the file.
      retry_bytes_ = left_bytes < kRetryAtOnceBytes ? 0 : left_bytes + left_bytes / 2;
      return Outcome::kIncomplete;
    }
    retry_bytes_ = 0;
    if (quote_is_open_) return broken("a quote that does not end");
    if (fields.size() == 1 && fields[0].empty()) continue;  // an empty line
    const bool has_names =
        record_line_ == 1 && fields.size() > 1 && (is_word(fields[0], "KEY") || is_word(fields[1], "KEY"));
    if (!has_names) break;
    if (const Outcome set = set_columns(fields); set != Outcome::kRecord) return set;
  }
  if (fields.size() <= std::max(columns_.key, columns_.value)) {
    return broken("there are " + std::to_string(fields.size()) +
                  " columns; a record is key,value or key,value,ttl");
  }
  record->key = std::move(fields[columns_.key]);
  record->value = std::move(fields[columns_.value]);
  if (!columns_.ttl || *columns_.ttl >= fields.size()) return Outcome::kRecord;
  const std::string& text = fields[*columns_.ttl];
  const std::optional<std::int64_t> ttl_ms = parse_ttl(text);
  if (!ttl_ms) return broken("the ttl " + quote(text.substr(0, 40)) + " is no number of seconds");
  record->ttl_ms = *ttl_ms;
  return Outcome::kRecord;
}

RecordReader::Outcome RecordReader::next_json(Record* record) {
  std::string_view line;
  do {
    std::size_t end = input_.find('\n', position_);
    if (end == std::string::npos && (!is_at_end_ || position_ == input_.size())) return Outcome::kIncomplete;
    end = std::min(end, input_.size());
    line = std::string_view(input_).substr(position_, end - position_);
    position_ = std::min(end + 1, input_.size());
    record_line_ = next_line_++;
  } while (line.find_first_not_of(" \t\r") == line.npos);

  if (is_too_deep(line)) return broken("JSON nested too deeply");
  const nlohmann::json object = nlohmann::json::parse(line, nullptr, false);
  if (!object.is_object())
    return broken("no JSON object; a record is {\"key\": ..., \"value\": ..., \"ttl\": ...}");
  const auto member = [&](const char* name) {
    const auto found = object.find(name);
    return found == object.end() || found->is_null() ? nullptr : &*found;
  };
  const nlohmann::json* key = member("key");
  const nlohmann::json* value = member("value");
  const nlohmann::json* ttl = member("ttl");
  const nlohmann::json* encoding = member("encoding");
  if (key == nullptr || !key->is_string()) return broken("there is no \"key\" that is a string");
  if (value == nullptr) return broken("there is no \"value\"");
  record->key = key->get<std::string>();
  record->value = value->is_string() ? value->get<std::string>() : value->dump();
  if (ttl != nullptr) {
    const std::optional<std::int64_t> ttl_ms =
        parse_ttl(ttl->is_string() ? ttl->get<std::string>() : ttl->dump());
    if (!ttl_ms) return broken("the \"ttl\" is no number of seconds");
    record->ttl_ms = *ttl_ms;
  }
  if (encoding == nullptr) return Outcome::kRecord;
  const auto key_bytes = latin1_of(record->key);
  const auto value_bytes = latin1_of(record->value);
  if (*encoding != "latin1" || !key_bytes || !value_bytes) return broken("the \"encoding\" is not latin1");
  record->key = *key_bytes;
  record->value = *value_bytes;
  return Outcome::kRecord;
}

std::string record_header(RecordFormat format) {
  return format == RecordFormat::kCsv ? "key,value,ttl\n" : "";
}

std::string record_line(const Record& record, RecordFormat format) {
  if (format == RecordFormat::kCsv) {
    return csv_field(record.key) + "," + csv_field(record.value) + "," + ttl_text(record.ttl_ms) + "\n";
  }
  const bool is_text = is_utf8(record.key) && is_utf8(record.value);
  std::string line =
      "{\"key\":" + json_string(record.key, !is_text) + ",\"value\":" + json_string(record.value, !is_text);
  if (record.ttl_ms >= 0) line += ",\"ttl\":" + ttl_text(record.ttl_ms);
  if (!is_text) line += ",\"encoding\":\"latin1\"";
  return line + "}\n";
}

}  // namespace memento::cli
