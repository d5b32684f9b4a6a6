// See cluster_file.h.
#include "conf/cluster_file.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>

namespace memento {
namespace {

constexpr std::size_t kFieldCount = 4;

// The first numeric address that a name has; empty when it has none.
std::string literal_address(const std::string& address) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(address.c_str(), nullptr, &hints, &found) != 0) return "";
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> list(found, &freeaddrinfo);
  char text[INET6_ADDRSTRLEN] = "";
  if (found->ai_family == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(found->ai_addr)->sin_addr, text, sizeof text);
  } else if (found->ai_family == AF_INET6) {
    inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(found->ai_addr)->sin6_addr, text, sizeof text);
  }
  return text;
}

bool is_node_name(const std::string& name) {
  return name.size() <= kNodeNameLimitBytes && std::ranges::all_of(name, [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
         });
}

std::vector<std::string> split(const std::string& line) {
  std::istringstream words(line.substr(0, line.find('#')));
  std::vector<std::string> fields;
  for (std::string word; words >> word;) fields.push_back(word);
  return fields;
}

class FileReader {
 public:
  FileReader(std::string shown, std::string self_name, std::uint16_t port)
      : shown_(std::move(shown)), self_name_(std::move(self_name)), port_(port) {}

  void read(std::istream& lines) {
    for (std::string line; std::getline(lines, line);) {
      ++line_number_;
      if (const std::vector<std::string> fields = split(line); !fields.empty()) take(fields);
    }
    if (parsed_.errors.empty()) finish();
  }

  ParsedClusterFile take_result() { return std::move(parsed_); }

 private:
  void complain(std::size_t line, const std::string& what) {
    parsed_.errors += shown_ + ":" + std::to_string(line) + ": " + what + "\n";
  }
  void complain(const std::string& what) { complain(line_number_, what); }

  void take(const std::vector<std::string>& fields) {
    if (fields.size() != kFieldCount) {
      return complain("a node has 4 fields, ADDRESS PORT NAME SELF; here are " +
                      std::to_string(fields.size()));
    }
    ClusterNode node{literal_address(fields[0]), 0, fields[2]};
    if (node.address.empty()) return complain("'" + fields[0] + "' is not an address");
    const std::optional<std::uint16_t> port = take_port(fields[1]);
    if (!port) return;
    node.bus_port = *port;
    if (!is_node_name(node.name)) {
      return complain("'" + node.name + "' is not a name: up to 63 letters, digits, '-', '_', '.'");
    }
    if (fields[3] != "0" && fields[3] != "1")
      return complain("SELF is 1 for this node, else 0; not '" + fields[3] + "'");
    for (std::size_t i = 0; i < nodes().size(); ++i) {
      const std::string before = " stands in line " + std::to_string(lines_[i]) + " already";
      if (nodes()[i].name == node.name) return complain("the name " + node.name + before);
      if (nodes()[i].address == node.address && nodes()[i].bus_port == node.bus_port) {
        return complain("the address " + node.address + " " + fields[1] + before);
      }
    }
    if (nodes().size() == kClusterNodeLimit) {
      return complain("a cluster has at most " + std::to_string(kClusterNodeLimit) + " nodes");
    }
    if (self_name_.empty() ? fields[3] == "1" : node.name == self_name_) take_self();
    nodes().push_back(std::move(node));
    lines_.push_back(line_number_);
  }

  std::optional<std::uint16_t> take_port(const std::string& text) {
    int number = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool good = failure == std::errc() && end == text.data() + text.size() && number > kBusPortOffset &&
                      number <= kClusterPortLimit;
    if (good) return static_cast<std::uint16_t>(number);
    complain("'" + text + "' is not a bus port, the listen port plus " + std::to_string(kBusPortOffset) +
             " (" + std::to_string(kBusPortOffset + 1) + " to " + std::to_string(kClusterPortLimit) + ")");
    return std::nullopt;
  }

  void take_self() {
    if (has_self_) return complain("SELF is 1 in line " + std::to_string(self_line_) + " already");
    has_self_ = true;
    self_line_ = line_number_;
    parsed_.file.self = nodes().size();
  }

  void finish() {
    const std::size_t last_line = std::max<std::size_t>(line_number_, 1);
    if (!has_self_ && self_name_.empty())
      return complain(last_line, "no line has SELF 1; mark this node's, or name it with -i");
    if (!has_self_) return complain(last_line, "no node is called " + self_name_ + ", as -i says");
    const ClusterNode& self = nodes()[parsed_.file.self];
    if (port_ == 0 || port_ == self.port()) return;
    complain(self_line_, "the bus port " + std::to_string(self.bus_port) + " belongs to the listen port " +
                             std::to_string(self.port()) + ", but -p says " + std::to_string(port_));
  }

  std::vector<ClusterNode>& nodes() { return parsed_.file.nodes; }

  const std::string shown_;
  const std::string self_name_;
  const std::uint16_t port_;
  ParsedClusterFile parsed_;
  std::vector<std::size_t> lines_;  ///< of the nodes
  std::size_t line_number_ = 0;
  std::size_t self_line_ = 0;
  bool has_self_ = false;
};

}  // namespace

ParsedClusterFile read_cluster_file(const std::string& path, const std::string& shown,
                                    const std::string& self_name, std::uint16_t port) {
  std::ifstream file(path);
  if (!file || std::filesystem::is_directory(path)) {
    return {{}, shown + ": cannot be read; name the file of the cluster's nodes with -f\n"};
  }
  FileReader reader(shown, self_name, port);
  reader.read(file);
  return reader.take_result();
}

}  // namespace memento
