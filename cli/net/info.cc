// See info.h.
#include "cli/net/info.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "cli/show/format.h"

namespace memento::cli {
namespace {

/// Calls write(name, value) for each "name<mark>value" between separators.
template <class Write>
void for_each_pair(std::string_view text, char separator, char mark, Write&& write) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    std::string_view one = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    while (one.ends_with('\r')) one.remove_suffix(1);
    const std::size_t middle = one.find(mark);
    if (middle != one.npos && !one.starts_with('#')) write(one.substr(0, middle), one.substr(middle + 1));
  }
}

}  // namespace

Info::Info(std::string_view text) {
  for_each_pair(text, '\n', ':', [this](std::string_view name, std::string_view value) {
    values_[without_controls(name)] = without_controls(value);
  });
}

Result<Info> Info::fetch(Connection& connection, const Words& sections) {
  Words words{"INFO"};
  words.insert(words.end(), sections.begin(), sections.end());
  const Result<Reply> reply = connection.request(words);
  if (!reply) return reply.error();
  if (reply->is_error()) {
    return Error{ExitStatus::kRuntime, is_authentication_error(*reply) ? EACCES : EPROTO,
                 "INFO: " + reply->text};
  }
  return Info(reply->text);
}

std::string Info::text(const std::string& name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? "" : found->second;
}

double Info::number(const std::string& name) const { return std::strtod(text(name).c_str(), nullptr); }

std::vector<std::pair<std::string, std::string>> Info::lines_of(std::string_view prefix) const {
  std::vector<std::pair<std::string, std::string>> lines;
  for (auto line = values_.lower_bound(std::string(prefix));
       line != values_.end() && line->first.starts_with(prefix); ++line) {
    lines.emplace_back(line->first.substr(prefix.size()), line->second);
  }
  return lines;
}

std::map<std::string, double> fields_of(std::string_view text) {
  std::map<std::string, double> fields;
  for_each_pair(text, ',', '=', [&](std::string_view name, std::string_view value) {
    fields[std::string(name)] = std::strtod(std::string(value).c_str(), nullptr);
  });
  return fields;
}

double hit_rate_percent(const Info& before, const Info& now) {
  const double hits = now.number("keyspace_hits") - before.number("keyspace_hits");
  const double misses = now.number("keyspace_misses") - before.number("keyspace_misses");
  return hits + misses > 0 ? 100 * hits / (hits + misses) : -1;
}

std::string size_text(double size_bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (size_bytes >= 1024 && unit + 1 < std::size(kUnits)) {
    size_bytes /= 1024;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", size_bytes, kUnits[unit]);
  return text;
}

}  // namespace memento::cli
