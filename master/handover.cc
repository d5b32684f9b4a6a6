// See handover.h. The file: name, NUL, value, NUL, and so on.
#include "master/handover.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <sstream>
#include <string_view>

#include "shm/os/file.h"

namespace memento {
namespace {

constexpr const char* kVariable = "MEMENTO_HANDOVER";

Error broken(const std::string& what) {
  return Error{ExitStatus::kRuntime, 0, "the handover of the running server " + what};
}

class Writer {
 public:
  void field(std::string_view name, std::string_view value) {
    text_.append(name).append(1, '\0').append(value).append(1, '\0');
  }
  void field(std::string_view name, std::int64_t value) { field(name, std::to_string(value)); }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

template <class Number>
void read_number(const std::string& value, Number* number) {
  std::from_chars(value.data(), value.data() + value.size(), *number);
}

std::string next_part(const std::string& text, std::size_t* at) {
  const std::size_t end = std::min(text.find('\0', *at), text.size());
  std::string part = text.substr(*at, end - *at);
  *at = end + 1;
  return part;
}

void read_field(const std::string& name, const std::string& value, Handover* handover) {
  if (name == "start_folder") handover->start_folder = value;
  if (name == "directory") handover->directory = value;
  if (name == "pid_file") handover->pid_file = value;
  if (name == "user") handover->user = value;
  if (name == "address") handover->address = value;
  if (name == "port") read_number(value, &handover->port);
  if (name == "start_monotonic_ms") read_number(value, &handover->start_monotonic_ms);
  if (name == "configured") handover->configured = value;
  if (name == "in_use") handover->in_use = value;
  if (name == "segment") read_number(value, &handover->segment);
  if (name == "pid_file_lock") read_number(value, &handover->pid_file_lock);
  if (name == "statistics") read_number(value, &handover->statistics);
  if (name == "stuck_lock_reader") read_number(value, &handover->stuck_lock_reader);
  if (name == "stuck_lock_writer") read_number(value, &handover->stuck_lock_writer);
  if (name == "socket") read_number(value, &handover->sockets.emplace_back(-1));
  if (name == "redirect_socket") read_number(value, &handover->redirect_sockets.emplace_back(-1));
  if (name == "bus_socket") read_number(value, &handover->bus_socket);
  if (name == "data_folder") read_number(value, &handover->data_folder);
  if (name == "data_path") handover->data_path = value;
  if (name == "state_path") handover->state_path = value;
  if (name == "predecessor") {
    Predecessor& process = handover->predecessors.emplace_back();
    std::istringstream(value) >> process.pid >> process.record >> process.index >> process.kill_at_ns >>
        process.is_cleaner >> process.is_bus >> process.is_archiver;
  }
}

}  // namespace

void keep_over_exec(int descriptor, bool keep) {
  if (descriptor >= 0) fcntl(descriptor, F_SETFD, keep ? 0 : FD_CLOEXEC);
}

std::vector<int> Handover::descriptors() const {
  std::vector<int> all = sockets;
  all.insert(all.end(), redirect_sockets.begin(), redirect_sockets.end());
  for (const int one :
       {segment, pid_file_lock, statistics, stuck_lock_reader, stuck_lock_writer, bus_socket, data_folder}) {
    if (one >= 0) all.push_back(one);
  }
  return all;
}

Result<Fd> Handover::write() const {
  Writer writer;
  writer.field("start_folder", start_folder);
  writer.field("directory", directory);
  writer.field("pid_file", pid_file);
  writer.field("user", user);
  writer.field("address", address);
  writer.field("port", port);
  writer.field("start_monotonic_ms", start_monotonic_ms);
  writer.field("configured", configured);
  writer.field("in_use", in_use);
  writer.field("segment", segment);
  writer.field("pid_file_lock", pid_file_lock);
  writer.field("statistics", statistics);
  writer.field("stuck_lock_reader", stuck_lock_reader);
  writer.field("stuck_lock_writer", stuck_lock_writer);
  for (const int socket : sockets) writer.field("socket", socket);
  for (const int socket : redirect_sockets) writer.field("redirect_socket", socket);
  writer.field("bus_socket", bus_socket);
  writer.field("data_folder", data_folder);
  writer.field("data_path", data_path);
  writer.field("state_path", state_path);
  for (const Predecessor& process : predecessors) {
    std::ostringstream text;
    text << process.pid << ' ' << process.record << ' ' << process.index << ' ' << process.kill_at_ns << ' '
         << process.is_cleaner << ' ' << process.is_bus << ' ' << process.is_archiver;
    writer.field("predecessor", text.str());
  }
  Fd file(memfd_create("memento-handover", MFD_CLOEXEC));
  if (!file) return system_error("memfd_create for the handover");
  const std::string& text = writer.text();
  if (!write_at(file.get(), 0, text.data(), text.size())) return system_error("write of the handover");
  return file;
}

void Handover::announce(int file) {
  if (file < 0) {
    unsetenv(kVariable);
  } else {
    setenv(kVariable, std::to_string(file).c_str(), 1);
  }
}

Result<std::optional<Handover>> Handover::received() {
  const char* variable = std::getenv(kVariable);
  if (variable == nullptr) return std::optional<Handover>();
  int number = -1;
  read_number(variable, &number);
  announce(-1);
  const Fd file(number);
  const std::optional<std::uint64_t> size_bytes = file_size_bytes(file.get());
  if (!size_bytes) return broken("is not there; unset " + std::string(kVariable));
  std::string text(*size_bytes, '\0');
  if (!read_at(file.get(), 0, text.data(), text.size())) return broken("cannot be read");
  Handover handover;
  for (std::size_t at = 0; at < text.size();) {
    const std::string name = next_part(text, &at);
    read_field(name, next_part(text, &at), &handover);
  }
  if (handover.segment < 0 || handover.sockets.empty()) return broken("lacks its segment or its sockets");
  for (const int descriptor : handover.descriptors()) {
    if (fcntl(descriptor, F_SETFD, FD_CLOEXEC) != 0) return broken("names a file that is not open");
  }
  return std::optional<Handover>(std::move(handover));
}

}  // namespace memento
