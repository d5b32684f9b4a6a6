// See client_directory.h.
#include "worker/clients/client_directory.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "worker/clients/client_info.h"
#include "worker/clients/client_state.h"
#include "worker/clients/message_hub.h"

namespace memento {
namespace {

/// In front of a client's line in an answer.
struct AnswerHeader {
  std::uint64_t id;
  std::int64_t age_s;
  ClientType type;
  std::uint32_t line_bytes;
};
static_assert(sizeof(AnswerHeader) == 24);

}  // namespace

ClientDirectory::ClientDirectory(Segment& segment, std::uint32_t process, MessageHub& hub)
    : segment_(segment), process_(process), hub_(hub) {
  segment_.process(process_).mailbox.question.store(0);
}

void ClientDirectory::add(ClientState& client) {
  [[maybe_unused]] const bool is_new = clients_.emplace(client.id, &client).second;
  assert(client.id != 0 && is_new);
}

void ClientDirectory::remove(ClientState& client) {
  clients_.erase(client.id);
  if (!has_waiting()) return;
  for (std::vector<ClientState*>* list : {&postponed_, &ready_, &asking_, &asking_next_})
    std::erase(*list, &client);
}

std::vector<ClientFacts> ClientDirectory::own_clients(TimeMs now_ms) const {
  std::vector<ClientFacts> all;
  all.reserve(clients_.size());
  for (const auto& [id, client] : clients_) {
    if (client->must_close) continue;
    all.push_back(facts_of(*client, now_ms));
    all.back().process = process_;
  }
  return all;
}

ClientState* ClientDirectory::find(std::uint64_t id) const {
  const auto found = clients_.find(id);
  return found != clients_.end() ? found->second : nullptr;
}

void ClientDirectory::make_ready(ClientState& client) {
  assert(client.waits == ClientWait::kMigration);
  client.waits = ClientWait::kNothing;
  ready_.push_back(&client);
}

// Records of the master and the bus never answer.
std::bitset<kProcessLimit> ClientDirectory::others_alive() const {
  std::bitset<kProcessLimit> alive;
  for (std::uint32_t process = 0; process < segment_.process_count(); ++process) {
    const ProcessRecord& record = segment_.process(process);
    if (process != process_ && record.pid.load() != 0 && record.mailbox.answers.load() != 0)
      alive.set(process);
  }
  return alive;
}

bool ClientDirectory::know_others(ClientState& client) {
  if (client.others != nullptr && client.others->question == question_) return true;
  client.others.reset();
  if (others_alive().none()) {
    client.others = std::make_unique<OtherClients>();
    client.others->question = question_;
    return true;
  }
  if (std::exchange(client.waits, ClientWait::kOthers) != ClientWait::kNothing) return false;
  assert(std::ranges::find(asking_, &client) == asking_.end());
  if (question_ != 0) {
    asking_next_.push_back(&client);
  } else {
    asking_.push_back(&client);
    open_question();
  }
  return false;
}

void ClientDirectory::open_question() {
  assert(question_ == 0 && !asking_.empty());
  question_ = segment_.header().questions.fetch_add(1) + 1;
  is_complete_ = false;
  answers_.clear();
  silent_ = others_alive();
  deadline_ns_ = monotonic_time_ns() + kPatienceMs * 1'000'000ll;
  hub_.listen();
  for (std::uint32_t process = 0; process < segment_.process_count(); ++process) {
    if (silent_.test(process)) asked_pids_[process] = segment_.process(process).pid.load();
  }
  segment_.process(process_).mailbox.question.store(question_);
  hub_.wake(silent_);
}

void ClientDirectory::on_answer(std::uint32_t process, std::uint64_t question, std::string_view bytes) {
  if (question != question_ || process >= kProcessLimit || !silent_.test(process)) return;
  AnswerHeader header{};
  while (bytes.size() >= sizeof header) {
    std::memcpy(&header, bytes.data(), sizeof header);
    bytes.remove_prefix(sizeof header);
    answers_.push_back(ClientFacts{header.id, process, header.age_s, header.type,
                                   std::string(bytes.substr(0, header.line_bytes))});
    bytes.remove_prefix(std::min<std::size_t>(header.line_bytes, bytes.size()));
  }
  silent_.reset(process);
  if (silent_.none()) complete();
}

void ClientDirectory::complete() {
  assert(question_ != 0 && !is_complete_);
  is_complete_ = true;
  for (ClientState* client : std::exchange(asking_, {})) {
    client->others = std::make_unique<OtherClients>(OtherClients{question_, answers_});
    assert(client->waits == ClientWait::kOthers);
    client->waits = ClientWait::kNothing;
    ready_.push_back(client);
  }
}

void ClientDirectory::close_question() {
  if (question_ == 0 || !is_complete_ || !ready_.empty()) return;
  question_ = 0;
  answers_.clear();
  segment_.process(process_).mailbox.question.store(0);
  asking_ = std::exchange(asking_next_, {});
  if (!asking_.empty()) open_question();
}

void ClientDirectory::tick() {
  const std::int64_t now_ms = monotonic_time_ms();
  if (!postponed_.empty() && !hub_.pause().holds(true, now_ms)) {
    for (ClientState* client : std::exchange(postponed_, {})) {
      assert(client->waits == ClientWait::kPause);
      client->waits = ClientWait::kNothing;
      ready_.push_back(client);
    }
  }
  if (question_ == 0 || is_complete_) return;
  for (std::uint32_t process = 0; process < segment_.process_count(); ++process) {
    if (silent_.test(process) && segment_.process(process).pid.load() != asked_pids_[process])
      silent_.reset(process);
  }
  if (silent_.none() || monotonic_time_ns() > deadline_ns_) complete();
}

std::vector<ClientState*> ClientDirectory::take_ready() { return std::exchange(ready_, {}); }

void ClientDirectory::postpone(ClientState& client) {
  if (std::exchange(client.waits, ClientWait::kPause) != ClientWait::kNothing) return;
  postponed_.push_back(&client);
}

bool ClientDirectory::is_asked() const {
  for (std::uint32_t process = 0; process < segment_.process_count(); ++process) {
    if (process != process_ && segment_.process(process).mailbox.question.load() != 0) return true;
  }
  return false;
}

void ClientDirectory::answer(TimeMs now_ms) {
  for (std::uint32_t process = 0; process < segment_.process_count(); ++process) {
    const std::uint64_t question = segment_.process(process).mailbox.question.load();
    if (process == process_ || question == 0 || question == answered_[process]) continue;
    answered_[process] = question;
    hub_.listen();  // before the asker may think so
    std::string bytes;
    for (const ClientFacts& client : own_clients(now_ms)) {
      const AnswerHeader header{client.id, client.age_s, client.type,
                                static_cast<std::uint32_t>(client.line.size())};
      bytes.append(reinterpret_cast<const char*>(&header), sizeof header).append(client.line);
    }
    hub_.send(MessageType::kAnswer, question, bytes, WorkerMessages::only(process));
  }
}

void ClientDirectory::close(const std::vector<std::uint64_t>& ids) {
  if (ids.empty()) return;
  const std::string_view bytes{reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof ids[0]};
  if (question_ != 0) hub_.send(MessageType::kOrder, 0, bytes, others_alive());
  on_order(bytes);
}

void ClientDirectory::on_order(std::string_view ids) {
  for (; ids.size() >= sizeof(std::uint64_t); ids.remove_prefix(sizeof(std::uint64_t))) {
    std::uint64_t id = 0;
    std::memcpy(&id, ids.data(), sizeof id);
    if (const auto found = clients_.find(id); found != clients_.end()) hub_.close(*found->second);
  }
}

void ClientDirectory::wake_all() { hub_.wake(others_alive()); }

}  // namespace memento
