// Which commands a client may run, by the state it is in: a table of states and calls, and what each call is
// told.
#include "worker/dispatch/admission.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "shm/segment.h"
#include "worker/command/command_table.h"

namespace memento {

static void PrintTo(Admission admission, std::ostream* out) {
  *out << "admission " << static_cast<int>(admission);
}

namespace {

using enum Admission;

constexpr std::size_t kStateCount = 7;
// In the order of the table's columns.
enum State : std::size_t {
  kOrdinary,
  kStranger,
  kInMulti,
  kSubscriberResp2,
  kSubscriberResp3,
  kMonitor,
  kReplyOff
};

std::array<ClientState, kStateCount> make_clients() {
  std::array<ClientState, kStateCount> clients;
  for (ClientState& client : clients) client.protocol = Protocol::kResp2;
  clients[kStranger].authenticated = false;
  clients[kInMulti].transaction = std::make_unique<Transaction>();
  for (const State state : {kSubscriberResp2, kSubscriberResp3, kMonitor})
    clients[state].subscriptions = std::make_unique<Subscriptions>();
  clients[kSubscriberResp2].subscriptions->of(SubscriptionKind::kChannel).insert("news");
  clients[kSubscriberResp3].subscriptions->of(SubscriptionKind::kChannel).insert("news");
  clients[kSubscriberResp3].protocol = Protocol::kResp3;
  clients[kMonitor].subscriptions->monitors = true;
  clients[kReplyOff].reply_mode = ReplyMode::kOff;
  return clients;
}

struct Row {
  std::vector<std::string_view> words;
  std::array<Admission, kStateCount> expected;
};

const std::string kLongKey(kKeyLimitBytes + 1, 'k');
const std::string kLongestKey(kKeyLimitBytes, 'k');

constexpr std::array<Admission, kStateCount> all(Admission admission) {
  std::array<Admission, kStateCount> row{};
  row.fill(admission);
  return row;
}

const Row kRows[] = {
    // ordinary, stranger, in MULTI, subscriber in RESP2, in RESP3, monitor, CLIENT REPLY OFF
    {{"GET", "k"}, {kRuns, kNotAuthenticated, kIsQueued, kClientSubscribes, kRuns, kClientMonitors, kRuns}},
    {{"mset", "k", "v"},
     {kRuns, kNotAuthenticated, kIsQueued, kClientSubscribes, kRuns, kClientMonitors, kRuns}},
    {{"GET", kLongestKey},
     {kRuns, kNotAuthenticated, kIsQueued, kClientSubscribes, kRuns, kClientMonitors, kRuns}},
    {{"PUBLISH", "c", "m"},
     {kRuns, kNotAuthenticated, kIsQueued, kClientSubscribes, kRuns, kClientMonitors, kRuns}},
    {{"PING"}, {kRuns, kNotAuthenticated, kIsQueued, kRuns, kRuns, kRuns, kRuns}},
    {{"AUTH", "password"}, {kRuns, kRuns, kIsQueued, kClientSubscribes, kRuns, kRuns, kRuns}},
    {{"QUIT"}, all(kRuns)},
    {{"EXEC"}, {kRuns, kNotAuthenticated, kRuns, kClientSubscribes, kRuns, kRuns, kRuns}},
    {{"SUBSCRIBE", "c"}, {kRuns, kNotAuthenticated, kIsQueued, kRuns, kRuns, kRuns, kRuns}},
    {{"SUBSCRIBE", "c", "d"}, {kRuns, kNotAuthenticated, kSeveralNamesInMulti, kRuns, kRuns, kRuns, kRuns}},
    {{"CLIENT", "REPLY", "ON"},
     {kRuns, kNotAuthenticated, kForbiddenInMulti, kClientSubscribes, kRuns, kRuns, kRuns}},
    // What no state makes right.
    {{"NOSUCH", "k"}, all(kUnknownCommand)},
    {{"GET"}, all(kWrongArgumentCount)},
    {{"EXEC", "now"}, all(kWrongArgumentCount)},
    {{"CONFIG", "NOSUCH"}, all(kUnknownSubcommand)},
    {{"GET", kLongKey}, all(kKeyTooLong)},
    {{"DEL", "k", kLongKey}, all(kKeyTooLong)},
    {{"DEBUG", "SLEEP", "0"}, all(kDebugForbidden)},
};

struct Resolved {
  const Command* command;
  Call call;
};

Resolved resolve(const std::vector<std::string_view>& words) {
  return {resolve_subcommand(find_command(words[0]), words), Call{words}};
}

TEST(Admission, EachStateAllowsItsCommands) {
  const std::array<ClientState, kStateCount> clients = make_clients();
  for (const Row& row : kRows) {
    const auto [command, call] = resolve(row.words);
    for (std::size_t state = 0; state < kStateCount; ++state) {
      EXPECT_EQ(admit(clients[state], command, call), row.expected[state])
          << row.words[0] << " in state " << state;
    }
  }
}

// The one look that lets most requests pass never says anything but what the whole rules say.
TEST(Admission, TheShortLookAgreesWithTheRules) {
  const std::array<ClientState, kStateCount> clients = make_clients();
  for (const Row& row : kRows) {
    const auto [command, call] = resolve(row.words);
    for (const ClientState& client : clients)
      EXPECT_EQ(admit(client, command, call), admit_carefully(client, command, call)) << row.words[0];
  }
}

TEST(Admission, WhoMayDebugIsAsked) {
  ClientState client;
  client.may_debug = true;
  const std::vector<std::string_view> words{"DEBUG", "SLEEP", "0"};
  const auto [command, call] = resolve(words);
  EXPECT_EQ(admit(client, command, call), kRuns);
}

TEST(Admission, ARefusalIsToldWithItsCode) {
  const std::array<ClientState, kStateCount> clients = make_clients();
  const std::map<Admission, std::string> expected{
      {kUnknownCommand, "ERR unknown command 'NOSUCH', with args beginning with: 'k' "},
      {kDebugForbidden,
       "ERR DEBUG command not allowed; the server's option enable-debug-command says who may use it: yes, "
       "or local for clients on its machine"},
      {kUnknownSubcommand, "ERR unknown subcommand 'NOSUCH'. Try CONFIG HELP."},
      {kWrongArgumentCount, "ERR wrong number of arguments for 'get' command"},
      {kKeyTooLong, "ERR key is longer than the limit of 65536 bytes"},
      {kNotAuthenticated, "NOAUTH Authentication required."},
      {kClientSubscribes,
       "ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed "
       "in this context"},
      {kClientMonitors, "ERR Replica can't interact with the keyspace"},
      {kForbiddenInMulti, "ERR Command not allowed inside a transaction"},
      {kSeveralNamesInMulti, "ERR subscribe takes one name inside a transaction"},
  };
  std::map<Admission, std::string> told;
  for (const Row& row : kRows) {
    const auto [command, call] = resolve(row.words);
    for (const ClientState& client : clients) {
      const Admission admission = admit(client, command, call);
      if (!is_refused(admission)) continue;
      const RefusalText text = refusal_text(admission, command, call);
      told.emplace(admission, std::string(text.code) + " " + text.reason);
    }
  }
  EXPECT_EQ(told, expected);
}

class PauseTest : public ::testing::Test {
 protected:
  PauseTest()
      : segment_(std::move(*Segment::create_anonymous({"", 64 << 20, 1, 1 << 20, false}))),
        pause_(segment_->header()) {}

  bool is_held(const ClientState& client, const std::vector<std::string_view>& words) {
    const auto [command, call] = resolve(words);
    return is_held_back(pause_, client, command, call, 1000);
  }

  std::unique_ptr<Segment> segment_;
  ClientPause pause_;
};

TEST_F(PauseTest, APauseOfWritesHoldsBackWhatMayWrite) {
  std::array<ClientState, kStateCount> clients = make_clients();
  pause_.begin(2000, false, 1000);
  EXPECT_TRUE(is_held(clients[kOrdinary], {"SET", "k", "v"}));
  EXPECT_TRUE(is_held(clients[kOrdinary], {"PUBLISH", "c", "m"}));
  EXPECT_FALSE(is_held(clients[kOrdinary], {"GET", "k"}));
  EXPECT_FALSE(is_held(clients[kInMulti], {"EXEC"}));
  const std::vector<std::string_view> set{"SET", "k", "v"};
  clients[kInMulti].transaction->queue.add(*find_command("SET"), set, {});
  EXPECT_TRUE(is_held(clients[kInMulti], {"EXEC"}));
}

TEST_F(PauseTest, WhatIsRefusedIsNotHeldBack) {
  const std::array<ClientState, kStateCount> clients = make_clients();
  pause_.begin(2000, true, 1000);
  EXPECT_TRUE(is_held(clients[kOrdinary], {"GET", "k"}));
  EXPECT_FALSE(is_held(clients[kOrdinary], {"SET", "k"}));
  EXPECT_FALSE(is_held(clients[kOrdinary], {"SET", kLongKey, "v"}));
  EXPECT_FALSE(is_held(clients[kOrdinary], {"NOSUCH"}));
  EXPECT_FALSE(is_held(clients[kStranger], {"GET", "k"}));
  EXPECT_TRUE(is_held(clients[kStranger], {"AUTH", "password"}));
  EXPECT_FALSE(is_held(clients[kMonitor], {"PING"}));
}

}  // namespace
}  // namespace memento
