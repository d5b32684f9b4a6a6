// See tcp.h.
#include "bus/tcp.h"

#include <netinet/in.h>

#include <algorithm>
#include <vector>

namespace memento::bus {
namespace {

constexpr std::size_t kReadBytes = 256 * 1024;
constexpr int kBacklog = 512;

Tcp& tcp_of(void* data) { return *static_cast<Tcp*>(data); }

}  // namespace

Tcp::Tcp(uv_loop_t* loop) {
  uv_tcp_init(loop, &handle_);
  handle_.data = this;
}

int Tcp::listen(int socket, std::function<void()> on_connection) {
  on_connection_ = std::move(on_connection);
  if (const int opened = uv_tcp_open(&handle_, socket); opened != 0) return opened;
  return uv_listen(stream(), kBacklog, [](uv_stream_t* server, int status) {
    if (status == 0) tcp_of(server->data).on_connection_();
  });
}

bool Tcp::accept(Tcp& connection) {
  if (uv_accept(stream(), connection.stream()) != 0) return false;
  uv_tcp_nodelay(&connection.handle_, 1);
  return true;
}

void Tcp::connect(const std::string& address, int port) {
  sockaddr_storage to{};
  auto* const ipv4 = reinterpret_cast<sockaddr_in*>(&to);
  auto* const ipv6 = reinterpret_cast<sockaddr_in6*>(&to);
  int status = uv_ip4_addr(address.c_str(), port, ipv4);
  if (status != 0) status = uv_ip6_addr(address.c_str(), port, ipv6);
  if (status == 0) {
    status = uv_tcp_connect(&connect_, &handle_, reinterpret_cast<const sockaddr*>(&to),
                            [](uv_connect_t* request, int result) {
                              Tcp& tcp = tcp_of(request->handle->data);
                              if (tcp.is_closed_) return;
                              if (result == 0) uv_tcp_nodelay(&tcp.handle_, 1);
                              tcp.events_.on_connected(result == 0 ? nullptr : uv_strerror(result));
                            });
  }
  if (status != 0) events_.on_connected(uv_strerror(status));
}

void Tcp::start_reading() {
  uv_read_start(
      stream(),
      [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
        ByteBuffer& input = tcp_of(handle->data).input_;
        *buffer = uv_buf_init(input.reserve(kReadBytes), kReadBytes);
      },
      [](uv_stream_t* stream, ssize_t count, const uv_buf_t*) { tcp_of(stream->data).on_read(count); });
}

void Tcp::on_read(ssize_t count) {
  if (count < 0)
    return events_.on_end(count == UV_EOF ? "it was closed by the other side"
                                          : uv_strerror(static_cast<int>(count)));
  if (count == 0) return;
  input_.commit(static_cast<std::size_t>(count));
  events_.on_bytes();
}

void Tcp::send(const std::string& bytes) {
  std::deque<ByteBuffer> buffers(1);
  buffers[0].append(bytes);
  if (is_writing_) {  // a handshake's frame or a ping: behind what is on its way
    writing_.push_back(std::move(buffers[0]));
    return;
  }
  send(std::move(buffers));
}

void Tcp::send(std::deque<ByteBuffer> buffers) {
  std::vector<uv_buf_t> fragments;
  const auto gather = [&] {
    fragments.clear();
    for (const ByteBuffer& buffer : buffers) {
      fragments.push_back(
          uv_buf_init(const_cast<char*>(buffer.view().data()), static_cast<unsigned>(buffer.size())));
    }
  };
  gather();
  const int tried = uv_try_write(stream(), fragments.data(), static_cast<unsigned>(fragments.size()));
  for (std::size_t sent = tried > 0 ? static_cast<std::size_t>(tried) : 0; !buffers.empty();) {
    const std::size_t part = std::min(sent, buffers.front().size());
    buffers.front().consume(part);
    sent -= part;
    if (!buffers.front().empty()) break;
    if (on_spare) on_spare(std::move(buffers.front()));
    buffers.pop_front();
  }
  if (buffers.empty()) return;
  gather();
  writing_ = std::move(buffers);
  is_writing_ = true;
  writing_count_ = writing_.size();
  uv_write(&write_, stream(), fragments.data(), static_cast<unsigned>(fragments.size()),
           [](uv_write_t* request, int status) { tcp_of(request->handle->data).on_write_end(status); });
}

void Tcp::on_write_end(int status) {
  if (is_closed_ || status != 0) return;  // the reading side tells the end
  is_writing_ = false;
  std::deque<ByteBuffer> behind;
  for (std::size_t i = writing_count_; i < writing_.size(); ++i) behind.push_back(std::move(writing_[i]));
  writing_.clear();
  if (!behind.empty()) send(std::move(behind));
  if (!is_writing_ && events_.on_written) events_.on_written();
}

std::string Tcp::peer_text() const {
  sockaddr_storage address{};
  int bytes = sizeof address;
  char text[INET6_ADDRSTRLEN] = "?";
  if (uv_tcp_getpeername(&handle_, reinterpret_cast<sockaddr*>(&address), &bytes) == 0) {
    uv_ip_name(reinterpret_cast<const sockaddr*>(&address), text, sizeof text);
  }
  return text;
}

void Tcp::close() {
  if (std::exchange(is_closed_, true)) return;
  uv_close(reinterpret_cast<uv_handle_t*>(&handle_),
           [](uv_handle_t* handle) { delete static_cast<Tcp*>(handle->data); });
}

}  // namespace memento::bus
