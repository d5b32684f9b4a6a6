// Records of --import and --export as text: CSV (RFC 4180) and JSON lines. Pure.
//
// A CSV file may begin with a line of column names; without one the columns are key, value, ttl. ttl is
// seconds, with up to three decimals; empty or absent: the key does not expire. In JSON lines a record is
// {"key": ..., "value": ..., "ttl": ...}; a value that is no string is stored as the JSON it is. Bytes that
// are no UTF-8 are written as the characters of their numbers (U+0000 to U+00FF), and the record says
// "encoding": "latin1".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shm/os/result.h"

namespace memento::cli {

struct Record {
  std::string key;
  std::string value;
  std::int64_t ttl_ms = -1;  ///< -1: it does not expire
};

enum class RecordFormat : std::uint8_t { kCsv, kJsonLines };

/// By the end of a file's name: .csv, .jsonl, .ndjson, .json.
std::optional<RecordFormat> record_format_of(std::string_view path);

class RecordReader {
 public:
  explicit RecordReader(RecordFormat format) : format_(format) {}

  /// Adds what was read of the file.
  void feed(std::string_view bytes) { input_.append(bytes); }
  /// No more will come: the last record needs no line end.
  void end() { is_at_end_ = true; }

  enum class Outcome : std::uint8_t {
    kRecord,
    kIncomplete,
    kBroken,  ///< what stands here is no record: error() says why; the next call goes on behind it
  };
  Outcome next(Record* record);

  /// Line of the file on which the last record began.
  std::uint64_t line() const { return record_line_; }
  const std::string& error() const { return error_; }

 private:
  struct Columns {
    std::size_t key = 0;
    std::size_t value = 1;
    std::optional<std::size_t> ttl = 2;
  };

  Outcome next_csv(Record* record);
  Outcome next_json(Record* record);
  /// The fields of one line, which quotes may spread over several; false: not whole yet.
  bool take_fields(std::vector<std::string>* fields);
  Outcome set_columns(const std::vector<std::string>& fields);
  Outcome broken(std::string why);
  void compact();

  RecordFormat format_;
  std::string input_;
  std::size_t position_ = 0;
  std::uint64_t next_line_ = 1;
  std::uint64_t record_line_ = 0;
  bool is_at_end_ = false;
  std::size_t retry_bytes_ =
      0;  ///< a long record that was not whole is looked at again when there is this much of it
  bool quote_is_open_ = false;  ///< the last line's quote never ended
  Columns columns_;
  std::string error_;
};

/// One record as a line.
std::string record_line(const Record& record, RecordFormat format);
/// What a file begins with.
std::string record_header(RecordFormat format);

}  // namespace memento::cli
