// Executor: executes other nodes' requests on this node's keyspace, with the handlers and in batches like a worker's. Runs in
// the bus process.
//
// A batch's requests are added, which hashes their keys and begins to fetch what they need, and then executed in order. A
// message that is no request (a peer of another build, a broken link's remains) is answered with an error.
#pragma once

#include <array>
#include <functional>
#include <string_view>
#include <vector>

#include "shm/channel.h"
#include "worker/command/command.h"
#include "worker/wire/byte_buffer.h"

namespace memento::bus {

class Executor {
 public:
  static constexpr std::size_t kBatchLimit = 16;

  Executor(Keyspace& keyspace, WorkerServices& services) : keyspace_(keyspace), services_(services) {}

  bool is_full() const { return count_ == kBatchLimit; }
  /// `message` must stay where it is until run().
  void add(const PieceHeader& header, std::string_view message);
  /// on_reply(header, bytes) for each request in order.
  using OnReply = std::function<void(const PieceHeader& request, std::string_view reply)>;
  void run(const OnReply& on_reply);

 private:
  struct Request {
    PieceHeader header;
    std::string_view message;  ///< behind the words of a command
    const Command* command;
    std::size_t first_word;
    std::size_t word_count;
    HashedKey key;
    bool has_key;
  };

  std::span<const std::string_view> words_of(const Request& request) const {
    return std::span(words_).subspan(request.first_word, request.word_count);
  }
  void execute(const Request& request, CommandContext& context);
  void watch(const Request& request, ByteBuffer& output);
  /// Replies itself.
  void exec(const Request& request, CommandContext& context);

  Keyspace& keyspace_;
  WorkerServices& services_;
  std::array<Request, kBatchLimit> requests_;
  std::size_t count_ = 0;
  std::vector<std::string_view> words_;
  ByteBuffer output_;
  ClientState client_;  ///< stands for all clients of other nodes
};

}  // namespace memento::bus
