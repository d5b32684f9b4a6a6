// Connections' turns: those that have bytes are served together. See worker_loop.h.
#include <span>
#include <utility>

#include "worker/net/worker_loop.h"

namespace memento {
namespace {

constexpr std::size_t kBriefTurnBytes = 16 * 1024;  // of its requests, and of its replies; some hundred

}  // namespace

// One stage after the other for all connections that have bytes, not one connection after the other: their
// fetches from memory overlap, and the code of each stage, the kernel's for reading and for writing too, is
// warm. Replies in a row also find a client awake that the first woke. Only brief turns' replies are held
// back so, and only while brief ones are executed.
void Worker::take_turns() {
  const std::size_t count = taken_turns_ = std::exchange(turn_count_, 0);
  answered_turns_ = 0;
  for (std::size_t i = 0; i < count; ++i) {
    turn_waits_[i] = guard(turns_[i], [&] { return taking_turns_[i]->receive(turns_[i], keyspace_); });
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (turn_waits_[i] != Connection::Wait::kInput) continue;
    turn_waits_[i] = guard(
        turns_[i], [&] { return taking_turns_[i]->prepare(turns_[i], keyspace_), Connection::Wait::kInput; });
  }
  for (std::size_t i = 0; i < count; ++i) prefetch_tables(turns_[i].batch, keyspace_);
  for (std::size_t i = 0; i < count; ++i) prefetch_entries(turns_[i].batch, keyspace_);
  for (std::size_t i = 0; i < count; ++i) {
    next_turn_ = i;
    if (taking_turns_[i] == nullptr || turn_waits_[i] != Connection::Wait::kInput) continue;
    Turn& turn = turns_[i];
    const bool is_brief = turn.batch.is_plain() && turn.bytes->size() <= kBriefTurnBytes;
    if (!is_brief) answer_turns(i);
    next_turn_ = i + 1;
    if (taking_turns_[i] == nullptr) continue;
    turn_waits_[i] = guard(turn, [&] { return taking_turns_[i]->execute(turn, session_, brief_turns_); });
    if (!is_brief || turn.output.size() > kBriefTurnBytes) answer_turns(i + 1);
  }
  next_turn_ = count;
  answer_turns(count);
  taken_turns_ = 0;
}

// Those whose turns come later are answered now. True: the worker is to end.
bool Worker::serve_beside_script() {
  for (std::size_t i = next_turn_; i < taken_turns_; ++i) {
    Connection* const connection = std::exchange(taking_turns_[i], nullptr);
    if (connection == nullptr) continue;
    if (turn_waits_[i] == Connection::Wait::kInput)
      turn_waits_[i] = guard(turns_[i], [&] {
        return connection->execute(turns_[i], session_), connection->answer(turns_[i], session_);
      });
    settle(*connection, turn_waits_[i]);
  }
  beside_script_.serve(
      std::span(taking_turns_).subspan(answered_turns_, next_turn_ - answered_turns_),
      [this](int descriptor) {
        if (acceptor_.is_listener(descriptor)) survive([&] { acceptor_.accept(descriptor); });
        if (descriptor == signals_.get()) on_signal();
      },
      [this](Connection& connection, Connection::Wait wait) { settle(connection, wait); });
  return leaving_ || cutting_off_;
}

// Sends the replies of the turns in front of `end` that were not sent yet.
void Worker::answer_turns(std::size_t end) {
  brief_turns_.end();
  for (; answered_turns_ < end; ++answered_turns_) {
    if (taking_turns_[answered_turns_] == nullptr) continue;  // beside a script
    Connection& connection = *taking_turns_[answered_turns_];
    Turn& turn = turns_[answered_turns_];
    Connection::Wait& wait = turn_waits_[answered_turns_];
    if (wait == Connection::Wait::kInput)
      wait = guard(turn, [&] { return connection.answer(turn, session_); });
    if (wait != connection.registered || connection.drops_input()) [[unlikely]]
      settle(connection, wait);
  }
}

// Those whose request waited for other workers or for the end of a pause. Some may have to wait again.
void Worker::resume_clients() {
  ClientDirectory& clients = hub_.clients();
  clients.tick();
  for (ClientState* client : clients.take_ready()) {
    Connection& connection = *connections_.at(client->descriptor);
    if (connection.registered == Connection::Wait::kParked) resume(connection);
  }
  clients.close_question();
  if (clients.has_waiting()) set_timer(timer_, Background::kBusyTickMs);
}

// One of those whose turn ended before their requests did: behind it the others are looked at again.
void Worker::give_another_turn() {
  const int descriptor = next_turns_.front();
  next_turns_.pop_front();
  Connection* const connection = connections_.at(descriptor);
  if (connection == nullptr || connection->registered != Connection::Wait::kTurn) return;
  const Connection::Wait wait = guard(turns_[0], [&] { return connection->resume(turns_[0], session_); });
  if (wait == Connection::Wait::kTurn) next_turns_.push_back(descriptor);
  settle(*connection, wait);
}

// What its request waited for has come.
void Worker::resume(Connection& connection) {
  settle(connection, guard(turns_[0], [&] { return connection.resume(turns_[0], session_); }));
}

// What its replies tell of is on disk.
void Worker::release(Connection& connection) {
  settle(connection, guard(turns_[0], [&] { return connection.on_durable(turns_[0], session_); }));
}

void Worker::lose(Connection& connection) {
  ClientState& client = connection.session().client();
  if (router_ != nullptr) router_->forget(client);
  client.replies.reset();
  hub_.disk().remove(client);
  settle(connection, guard(turns_[0], [&] { return connection.on_lost(turns_[0], session_); }));
}

}  // namespace memento
