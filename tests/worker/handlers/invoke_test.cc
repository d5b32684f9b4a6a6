// Commands that are run within a command: what the caller gets of their replies, and what the client's reply
// keeps.
#include "worker/handlers/invoke.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/worker/session/session_fixture.h"
#include "worker/command/command_table.h"
#include "worker/stats/command_meter.h"

namespace memento::testing {
namespace {

class InvokeTest : public SessionTest {
 protected:
  InvokeTest() {
    client_.protocol = Protocol::kResp3;
    command_.reply.set_protocol(Protocol::kResp3);
  }

  // Calls run(command, call) for a line of words.
  template <class Run>
  auto with(const std::string& line, Run&& run) {
    std::vector<std::string_view> words;
    std::string_view rest = line;
    for (std::string_view word; !(word = take_word(&rest)).empty();) words.push_back(word);
    const HashedKey key = keyspace_->hash(words[1]);
    return run(*resolve_subcommand(find_command(words[0]), words), Call{words, key});
  }
  Invocation run(const std::string& line) {
    return with(line,
                [&](const Command& command, const Call& call) { return invoke(command_, command, call); });
  }
  ReplyBytes run_apart(const std::string& line) {
    return with(line, [&](const Command& command, const Call& call) {
      return invoke_apart(command_, command, call);
    });
  }

  ByteBuffer output_;
  ClientState client_;
  CommandMeter meter_{settings_, 1, client_};
  ExecState exec_;
  CommandContext command_{*keyspace_, ReplyWriter(output_), *services_, client_, meter_, exec_};
};

TEST_F(InvokeTest, TheReplyIsWhatTheHandlerWrote) {
  run("SET k 5");
  const Invocation got = run("GET k");
  EXPECT_EQ(got.reply, "$1\r\n5\r\n");
  EXPECT_FALSE(got.is_error);
  const Invocation failed = run("SET k 5 NOSUCH");
  EXPECT_TRUE(failed.is_error);
  EXPECT_EQ(failed.reply, "-ERR syntax error\r\n");
  EXPECT_EQ(output_.view(), "+OK\r\n$1\r\n5\r\n-ERR syntax error\r\n");
}

TEST_F(InvokeTest, AReplyApartIsInResp2AndLeavesTheClientsAsItWas) {
  command_.reply.begin_array(2);
  const std::string before(output_.view());
  const ReplyBytes nil = run_apart("GET missing");
  EXPECT_EQ(nil.bytes, "$-1\r\n");
  EXPECT_FALSE(nil.is_error);
  const ReplyBytes failed = run_apart("SET k 5 NOSUCH");
  EXPECT_EQ(failed.bytes, "-ERR syntax error\r\n");
  EXPECT_TRUE(failed.is_error);
  EXPECT_EQ(output_.view(), before);
  EXPECT_EQ(command_.reply.error_count(), 0u);
  EXPECT_EQ(run("GET missing").reply, "_\r\n");
}

// EXEC may run its commands again: who watches a key is told by EXEC, once.
TEST_F(InvokeTest, InsideExecNobodyIsToldOfAValue) {
  Conversation watcher(*context_);
  watcher.ask("SUB k");
  command_.in_exec = true;
  run("SET k 1");
  EXPECT_EQ(watcher.pushes(), "");
  command_.in_exec = false;
  run("SET k 2");
  EXPECT_EQ(watcher.pushes(), pushed({"value", "k", "2"}));
}

}  // namespace
}  // namespace memento::testing
