// INFO as names and values, and differences between two of them. Pure but for fetch().
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cli/net/connection.h"

namespace memento::cli {

class Info {
 public:
  Info() = default;
  /// Lines "name:value"; others are skipped.
  explicit Info(std::string_view text);

  /// INFO with these sections; an error when the server refuses.
  static Result<Info> fetch(Connection& connection, const Words& sections = {});

  std::string text(const std::string& name) const;
  /// 0 when there is none, or it is no number.
  double number(const std::string& name) const;
  bool has(const std::string& name) const { return values_.contains(name); }
  /// The lines whose name begins so, without that beginning.
  std::vector<std::pair<std::string, std::string>> lines_of(std::string_view prefix) const;

 private:
  std::map<std::string, std::string> values_;
};

/// "a=1,b=2" as names and numbers.
std::map<std::string, double> fields_of(std::string_view text);

/// The part of hits among lookups between two INFOs, in percent; -1 when there were none.
double hit_rate_percent(const Info& before, const Info& now);

/// 12.3 MiB
std::string size_text(double size_bytes);

}  // namespace memento::cli
