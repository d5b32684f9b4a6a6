// What tests of sessions start from: a private segment, a keyspace, a worker's services, and conversations in
// both protocols. Every test ends with the segment's checker.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "shm/check.h"
#include "shm/segment.h"
#include "tests/resp_request.h"
#include "worker/clients/message_hub.h"
#include "worker/script/script_engine.h"
#include "worker/session/session.h"

namespace memento::testing {

using Words = std::vector<std::string>;

/// The words as one request in RESP.
inline std::string frame(const Words& words) { return resp_request(words); }

/// Replies in RESP.
inline std::string bulk(const std::string& bytes) {
  return "$" + std::to_string(bytes.size()) + "\r\n" + bytes + "\r\n";
}
inline constexpr const char* kOk = "+OK\r\n";
inline constexpr const char* kNil = "$-1\r\n";
inline constexpr const char* kSyntax = "-ERR syntax error\r\n";

/// A client: its session, and the input it has not used up.
class Conversation {
 public:
  explicit Conversation(SessionContext& context) : context_(context) {
    session_.client().may_debug = true;
    session_.client().id = context.services.hub.clients().next_id();
    session_.client().connected_ms = context.keyspace.now_ms();
    context.services.hub.clients().add(session_.client());
  }
  ~Conversation() { context_.services.hub.remove(session_.client()); }
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;

  /// Gives the bytes as one read would; the replies.
  std::string say(std::string_view bytes) {
    input_.append(bytes);
    ByteBuffer output;
    do {
      input_.consume(session_.consume(input_.view(), context_, batch_, output));
      replies_ += output.view();
      output.consume(output.size());
    } while (session_.is_paused());
    return std::exchange(replies_, {});
  }
  /// One request in RESP.
  std::string ask(const Words& words) { return say(frame(words)); }
  /// The same from a line of words without spaces in them.
  std::string ask(const std::string& line) {
    Words words;
    for (std::string_view rest = line, word; !(word = take_word(&rest)).empty();) words.emplace_back(word);
    return ask(words);
  }

  /// The replies to several such lines.
  std::string ask_all(const std::vector<std::string>& lines) {
    std::string replies;
    for (const std::string& line : lines) replies += ask(line);
    return replies;
  }

  /// Messages that came without having been asked for.
  std::string pushes() {
    ByteBuffer pushes = std::move(session_.client().pushes);
    session_.client().pushes = ByteBuffer();
    return std::string(pushes.view());
  }

  Session& session() { return session_; }
  std::size_t left_bytes() const { return input_.size(); }

 private:
  SessionContext& context_;
  Session session_;
  Batch batch_;
  ByteBuffer input_;
  std::string replies_;
};

class SessionTest : public ::testing::Test {
 protected:
  explicit SessionTest(std::uint64_t value_limit_bytes = 1 << 20, std::uint64_t memory_bytes = 64 << 20) {
    segment_ = std::move(*Segment::create_anonymous({"", memory_bytes, 1, value_limit_bytes, false}));
    keyspace_ = std::make_unique<Keyspace>(*segment_, 1);
    hub_ = std::make_unique<MessageHub>(*segment_, *keyspace_, 1);
    services_ =
        std::make_unique<WorkerServices>(WorkerServices{facts_, settings_, *hub_, nullptr, &scripts_});
    context_ = std::make_unique<SessionContext>(SessionContext{*keyspace_, *services_});
  }
  ~SessionTest() override {
    const CheckReport report = check_segment(*segment_);
    for (const std::string& error : report.errors) ADD_FAILURE() << error;
  }

  /// Replies in the text protocol on a connection that has been used, each part given as one read would.
  std::string talk(const std::vector<std::string>& parts) {
    Conversation conversation(*context_);
    conversation.say("ECHO -\n");
    std::string replies;
    for (const std::string& part : parts) replies += conversation.say(part);
    closed_ = conversation.session().is_closing();
    left_bytes_ = conversation.left_bytes();
    return replies;
  }
  std::string talk(const std::string& requests) { return talk(std::vector<std::string>{requests}); }

  /// The reply in RESP2 on a connection of its own.
  std::string ask(const Words& words) { return Conversation(*context_).ask(words); }
  std::string ask(const std::string& line) { return Conversation(*context_).ask(line); }

  std::unique_ptr<Segment> segment_;
  std::unique_ptr<Keyspace> keyspace_;
  const ServerFacts facts_{0, 2, 0, {}};
  LiveSettings settings_;
  ScriptEngine scripts_{""};
  std::unique_ptr<MessageHub> hub_;
  std::unique_ptr<WorkerServices> services_;
  std::unique_ptr<SessionContext> context_;
  Batch batch_;
  bool closed_ = false;
  std::size_t left_bytes_ = 0;
};

inline void burn_ms(std::int64_t duration_ms) {
  const std::int64_t end_ns = monotonic_time_ns() + duration_ms * 1'000'000;
  while (monotonic_time_ns() < end_ns) {
  }
}

/// A message as it is pushed: an array of strings, and of numbers that begin with a colon.
inline std::string pushed(const Words& words, char type = '*') {
  std::string bytes = type + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words) {
    bytes +=
        word.starts_with(':') ? word + "\r\n" : "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  }
  return bytes;
}

/// Two workers: each is a hub on the same segment.
class TwoWorkersTest : public SessionTest {
 protected:
  TwoWorkersTest() {
    segment_->header().process_count = 3;
    // A keyspace belongs to a thread; the one that receives needs none of its own.
    other_hub_ = std::make_unique<MessageHub>(*segment_, *keyspace_, 2);
    other_services_ =
        std::make_unique<WorkerServices>(WorkerServices{facts_, settings_, *other_hub_, nullptr, &scripts_});
    other_context_ = std::make_unique<SessionContext>(SessionContext{*keyspace_, *other_services_});
  }

  /// What a client of the other worker is sent.
  std::string received(Conversation& client) {
    other_hub_->serve();
    return client.pushes();
  }

  std::unique_ptr<MessageHub> other_hub_;
  std::unique_ptr<WorkerServices> other_services_;
  std::unique_ptr<SessionContext> other_context_;
};

}  // namespace memento::testing
