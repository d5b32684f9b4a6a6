// Tcp: a TCP connection or listener on libuv's loop, by callbacks. Runs in the bus process. Its object is
// freed by the loop, some time after close().
#pragma once

#include <uv.h>

#include <deque>
#include <functional>
#include <string>

#include "shm/os/byte_buffer.h"

namespace memento::bus {

class Tcp {
 public:
  /// Of a connection. No callback comes after close().
  struct Events {
    std::function<void(const char* error)> on_connected;  ///< error: nullptr when it is
    std::function<void()> on_bytes;                       ///< more of them stand in input()
    std::function<void(const char* error)> on_end;        ///< the other side, or the network, ended it
    std::function<void()> on_written;                     ///< what send() could not do at once is done
  };

  explicit Tcp(uv_loop_t* loop);
  Tcp(const Tcp&) = delete;
  Tcp& operator=(const Tcp&) = delete;

  /// An open listening socket; on_connection() for each connection that waits: accept() it.
  int listen(int socket, std::function<void()> on_connection);
  bool accept(Tcp& connection);
  /// on_connected tells how it went; not at once, unless the address is none.
  void connect(const std::string& address, int port);
  void set_events(Events events) { events_ = std::move(events); }

  void start_reading();
  void stop_reading() { uv_read_stop(stream()); }
  ByteBuffer& input() { return input_; }

  /// Sends buffers in order. REQUIRES: !is_writing().
  void send(std::deque<ByteBuffer> buffers);
  void send(const std::string& bytes);
  bool is_writing() const { return is_writing_; }
  /// Gets the buffers back that were sent at once.
  std::function<void(ByteBuffer)> on_spare;

  std::string peer_text() const;
  void close();
  bool is_closed() const { return is_closed_; }

 private:
  ~Tcp() = default;
  uv_stream_t* stream() { return reinterpret_cast<uv_stream_t*>(&handle_); }
  void on_read(ssize_t count);
  void on_write_end(int status);

  uv_tcp_t handle_;
  uv_connect_t connect_{};
  uv_write_t write_{};
  Events events_;
  std::function<void()> on_connection_;
  ByteBuffer input_;
  std::deque<ByteBuffer> writing_;
  std::size_t writing_count_ = 0;  ///< of `writing_`, under way; the others wait behind
  bool is_writing_ = false;
  bool is_closed_ = false;
};

}  // namespace memento::bus
