// See canonical.h: kForms and kUnordered are the lists of what may differ, with the reasons.
#include "tests/differential/canonical.h"

#include <algorithm>
#include <regex>

#include "worker/text/words.h"

namespace memento::testing {
namespace {

std::vector<std::string> lines_of(const std::string& text, const std::string& end) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t line_end = std::min(text.find(end, at), text.size());
    lines.push_back(text.substr(at, line_end - at));
    at = line_end + end.size();
  }
  return lines;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

// The bulk's or verbatim text's lines, without its header.
std::vector<std::string> lines_inside(const std::string& reply) {
  std::vector<std::string> lines = lines_of(reply.substr(reply.find("\r\n") + 2), "\n");
  for (std::string& line : lines) {
    if (line.starts_with("txt:")) line.erase(0, 4);
    if (line.ends_with('\r')) line.pop_back();
  }
  std::erase(lines, "");
  return lines;
}

std::string with_replaced(const std::string& text, const char* pattern, const char* by) {
  return std::regex_replace(text, std::regex(pattern), by);
}

std::string monitor_line(const std::string& reply) {
  return with_replaced(reply, R"(^\+[0-9.]+ \[0 [^\]]*\])", "+time [0 address]");
}

std::string hello(const std::string& reply) {
  return with_replaced(with_replaced(reply, R"((\$7\r\nversion\r\n)\$[0-9]+\r\n[0-9.]+\r\n)", "$1"),
                       R"(\$2\r\nid\r\n:[0-9]+)", "id number");
}

std::string client_lines(const std::string& reply) {
  constexpr const char* kSame[] = {"name",  "flags",    "db",  "sub",  "psub",  "ssub",
                                   "multi", "argv-mem", "cmd", "user", "redir", "resp"};
  std::vector<std::string> lines;
  for (const std::string& line : lines_inside(reply)) {
    std::string kept;
    for (std::string field : lines_of(line, " ")) {
      if (field.starts_with("flags=")) std::erase(field, 'd');
      if (field == "flags=") field = "flags=N";
      const auto is_same = [&](const char* name) { return field.starts_with(std::string(name) + "="); };
      if (std::ranges::any_of(kSame, is_same)) kept += field + " ";
    }
    lines.push_back(kept);
  }
  return joined(lines);
}

std::string command_statistics(const std::string& reply) {
  std::vector<std::string> lines;
  for (const std::string& line : lines_inside(reply)) {
    lines.push_back(with_replaced(line, R"(usec=[0-9]+,usec_per_call=[0-9.]+,)", ""));
  }
  std::ranges::sort(lines);
  return joined(lines);
}

std::string error_statistics(const std::string& reply) {
  std::vector<std::string> lines = lines_inside(reply);
  std::ranges::sort(lines);
  return joined(lines);
}

std::string slow_lines(const std::string& reply) {
  return with_replaced(with_replaced(reply, R"(:[0-9]+\r\n)", ":number\r\n"),
                       R"(\$[0-9]+\r\n127\.0\.0\.1:[0-9]+\r\n)", "address ");
}

std::string histogram(const std::string& reply) {
  return with_replaced(reply, R"(\$14\r\nhistogram_usec\r\n[*%][0-9]+\r\n(:[0-9]+\r\n)*)", "buckets ");
}

std::string confirmations(const std::string& reply) {
  return with_replaced(reply, R"(>3(\r\n\$[0-9]+\r\n[ps]?(un)?subscribe))", "*3$1");
}

struct Form {
  const char* sign;  ///< which replies it is for
  std::string (*apply)(const std::string& reply);
  const char* reason;
};

constexpr Form kForms[] = {
    {R"(^\+[0-9]+\.[0-9]{6} \[0 )", monitor_line, "each client has its own address, each server its clock"},
    {R"(\$6\r\nserver\r\n\$5\r\nredis\r\n)", hello, "version and connection number"},
    {R"(id=[0-9]+ addr=.* laddr=)", client_lines,
     "numbers, addresses, times, and buffers of another shape; 7.0 has no lib-name; memento looks at watched "
     "keys at EXEC only"},
    {"# Commandstats", command_statistics, "times"},
    {"# Errorstats", error_statistics, "the order of the codes"},
    {R"(^\*[0-9]+\r\n\*6\r\n:[0-9]+\r\n:[0-9]+\r\n:[0-9]+\r\n\*)", slow_lines,
     "numbers, times and addresses"},
    {R"(\$14\r\nhistogram_usec\r\n)", histogram, "times"},
    {R"(>3\r\n\$[0-9]+\r\n[ps]?(un)?subscribe)", confirmations,
     "in EXEC's array Redis confirms with pushes, memento with arrays"},
};

struct Unordered {
  const char* command;
  const char* reason;
};

constexpr Unordered kUnordered[] = {
    {"UNSUBSCRIBE", "all of a client's channels end in no order that Redis promises"},
    {"PUNSUBSCRIBE", "all of a client's patterns end in no order that Redis promises"},
    {"SUNSUBSCRIBE", "all of a client's channels end in no order that Redis promises"},
    {"PUBSUB", "channels are listed in no order that Redis promises"},
    {"PUBLISH",
     "Redis 7.2 sends its own message behind the reply to PUBLISH, or EXEC; Debian's 7.0 in front of it"},
    {"SPUBLISH",
     "Redis 7.2 sends its own message behind the reply to SPUBLISH, or EXEC; Debian's 7.0 in front of it"},
    {"LATENCY", "commands are listed in no order that Redis promises"},
};

}  // namespace

std::vector<std::string> canonical(std::vector<std::string> replies) {
  for (std::string& reply : replies) {
    for (const Form& form : kForms) {
      if (std::regex_search(reply, std::regex(form.sign))) reply = form.apply(reply);
    }
  }
  return replies;
}

const char* reason_for_another_order(const Step& step) {
  for (const Words& request : step.requests) {
    for (const Unordered& row : kUnordered) {
      if (is_word(request[0], row.command)) return row.reason;
    }
  }
  return nullptr;
}

std::vector<std::string> sorted_lines(const std::vector<std::string>& replies) {
  std::vector<std::string> lines;
  for (const std::string& reply : replies) {
    for (std::string& line : lines_of(reply, "\r\n")) lines.push_back(std::move(line));
  }
  std::ranges::sort(lines);
  return lines;
}

}  // namespace memento::testing
