// See peer_requests.h.
#include "worker/session/peer_requests.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "bus/core/cluster_state.h"
#include "shm/os/cpu_clock.h"
#include "worker/clients/watched_key.h"
#include "worker/command/command_table.h"
#include "worker/dispatch/admission.h"
#include "worker/wire/word_list.h"

namespace memento {
namespace {

constexpr std::uint64_t kMessageSlackBytes = 64 << 20;  // beside one value of the longest kind
constexpr std::size_t kKeptOutputBytes = 1 << 20;
constexpr double kTurnNs = 1'000'000;  // of each node's requests; then this worker's clients are served
constexpr const char* kNoRequest = "ERR what another node sent is not a request";
constexpr const char* kTooLong = "OOM the request is longer than its node takes, or has memory for";
constexpr const char* kOutcomeUnknown =
    "UNKNOWN its node's disk does not answer: whether it has changed anything that will last is not known";
constexpr std::size_t kLostReplyBytes = 256;  // of the reply in a ring
constexpr const char* kNoMemory = "OOM its node has no memory for it; if it writes, it may have run";

// About the server, not about a key.
bool is_admin(const Command& command) { return command.has(kAdmin) && command.keys.first == 0; }

bool is_for_any_node(const Command* command) {
  return command != nullptr && !command->is_for_connection() && !is_admin(*command);
}

Protocol protocol_of(const FragmentHeader& header) {
  return header.protocol > static_cast<std::uint8_t>(Protocol::kResp3)
             ? Protocol::kResp2
             : static_cast<Protocol>(header.protocol);
}

bool is_whole(const FragmentHeader& header) {
  return (header.flags & (kFirstFragment | kLastFragment)) == (kFirstFragment | kLastFragment);
}

}  // namespace

PeerRequests::PeerRequests(const Channel& channel, ClusterState& state, Keyspace& keyspace,
                           WorkerServices& services)
    : state_(state), keyspace_(keyspace), services_(services) {
  for (NodeId node; node < state.end_node(); ++node) {
    if (node == state.self) continue;
    peers_.push_back(Peer{node, channel.peer(node), channel.peer_request_reader(node),
                          channel.peer_reply_writer(node),
                          MessageAssembler(keyspace.value_limit_bytes() + kMessageSlackBytes)});
    peers_.back().client.may_debug = true;  // the client's own node has looked whether it may
  }
}

bool PeerRequests::is_idle() const {
  return std::ranges::all_of(
      peers_, [](const Peer& peer) { return !peer.requests.has_more() && !peer.waits && !peer.is_held(); });
}

bool PeerRequests::has_work() {
  return std::ranges::any_of(peers_, [](Peer& peer) {
    if (peer.is_held()) return false;
    return peer.waits ? peer.replies.reserve(fragment_bytes(kFragmentLimitBytes)) != nullptr
                      : peer.may_execute();
  });
}

bool PeerRequests::serve() {
  bool wakes = false;
  for (Peer& peer : peers_) {
    if (!peer.may_execute() && !peer.waits && peer.held.empty()) [[likely]]
      continue;
    if (peer.is_held()) continue;
    peer.held.clear();
    serve(peer);
    if (peer.is_held()) services_.hub.disk().hold(peer.client);
    wakes |= publish(peer);
    wakes |= std::exchange(wakes_, false);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    wakes |=
        peer.rings.bus_waits.load(std::memory_order_relaxed) != 0 && peer.rings.bus_waits.exchange(0) != 0;
  }
  output_.shrink(kKeptOutputBytes);
  return wakes;
}

// Replies that are held are not.
bool PeerRequests::publish(Peer& peer) { return !peer.is_held() && peer.replies.publish(); }

void PeerRequests::lose(ClientState& client) {
  for (Peer& peer : peers_) {
    if (&peer.client != &client) continue;
    peer.replies.take_back();
    peer.reply.consume(peer.reply.size());
    peer.waits = false;
    // Where replies as short as +OK have filled the ring.
    const bool is_full = peer.replies.free_bytes() < peer.held.size() * kLostReplyBytes;
    for (const FragmentHeader& header : peer.held) {
      ReplyWriter(output_, protocol_of(header)).error(is_full ? "UNKNOWN" : kOutcomeUnknown);
      answer(peer, header);
    }
  }
}

void PeerRequests::serve(Peer& peer) {
  turn_end_ticks_ = cpu_ticks() + static_cast<std::uint64_t>(kTurnNs * ticks_per_ns());
  try {
    while (put_reply(peer) && peer.may_execute()) {
      if (services_.hub.disk().holds_replies()) wakes_ |= publish(peer);
      if (!take(peer) || cpu_ticks() >= turn_end_ticks_) return;
    }
  } catch (const std::bad_alloc&) {
    batch_ = {};  // what was not answered is in the ring still, and is taken again
  }
}

// A batch, or one message that cannot be part of one. The ring keeps what was not executed. False: a reply
// waits, or a request.
bool PeerRequests::take(Peer& peer) {
  services_.denies_growth = keyspace_.exceeds_limit();
  look_at_disk(services_);
  const std::size_t batch_bytes = peer.message ? 0 : prepare(peer.requests.view());
  if (batch_bytes == 0) return take_message(peer);
  peer.rings.taken.store(peer.requests.position() + batch_bytes, std::memory_order_release);
  run_batch(peer);
  return !peer.waits && !peer.waits_for_room() && !peer.is_held();
}

bool PeerRequests::take_message(Peer& peer) {
  const std::string_view fragments = peer.requests.view();
  FragmentHeader header;
  std::memcpy(&header, fragments.data(), sizeof header);
  const std::uint64_t bytes = fragment_bytes(header.payload_bytes);
  headers_[0] = header;
  peer.rings.taken.store(peer.requests.position() + bytes, std::memory_order_release);
  if (!peer.message) {
    if (std::exchange(peer.link, header.link) != header.link) peer.assembler.clear();
    std::string_view message;
    const auto outcome =
        peer.assembler.add(header, fragments.substr(sizeof header, header.payload_bytes), &message);
    if (outcome == MessageAssembler::Outcome::kWhole) {
      peer.message = message;
    } else if (outcome == MessageAssembler::Outcome::kBroken && (header.flags & kLastFragment) != 0) {
      ReplyWriter(output_, protocol_of(header)).error(kTooLong);
      answer(peer, header);
    }
  }
  if (peer.message && !run_alone(peer, *peer.message)) {
    peer.rings.taken.store(peer.requests.position(), std::memory_order_release);
    services_.hub.disk().queue(peer.client);
    return false;
  }
  if (peer.is_held()) peer.held = {header};
  peer.message.reset();
  peer.assembler.release();
  peer.requests.advance(bytes);
  peer.requests.release();
  return !peer.waits;
}

// Parses commands that came in one fragment into the batch, from the front of `fragments` on; how many bytes
// they are.
std::size_t PeerRequests::prepare(std::string_view fragments) {
  batch_.clear();
  std::size_t taken = 0;
  for_each_fragment(fragments, [&](const FragmentHeader& header, std::string_view payload) {
    if (batch_.count == Batch::kLimit || !is_whole(header) || header.kind != FragmentKind::kCommand ||
        !keyspace_.open_database(DatabaseId(header.database)))
      return false;
    const std::size_t first = batch_.arguments.size();
    if (!take_word_list(&payload, &batch_.arguments) || batch_.arguments.size() == first) {
      batch_.arguments.resize(first);
      return false;
    }
    taken += fragment_bytes(header.payload_bytes);
    const auto words = std::span(batch_.arguments).subspan(first);
    Request& request = batch_.requests[batch_.count];
    request.command = resolve_subcommand(find_command(words[0]), words);
    request.words = nullptr;
    request.first_argument = first;
    request.argument_count = words.size();
    request.input_end = taken;
    request.greets = false;
    headers_[batch_.count++] = header;
    ++batch_.general_count;
    return true;
  });
  keyspace_.select(DatabaseId());
  settle_words(batch_, keyspace_);
  for (std::size_t i = 0; i < batch_.count; ++i) {
    Request& request = batch_.requests[i];
    request.key = Keyspace::in_database(DatabaseId(headers_[i].database), request.key);
  }
  prefetch_tables(batch_, keyspace_);
  prefetch_entries(batch_, keyspace_);
  return taken;
}

// Answers with what execute() writes. False: there was no room for it, and nothing is answered.
template <class Execute>
bool PeerRequests::answer_with(Peer& peer, const FragmentHeader& request, CommandContext& context,
                               Execute&& execute) {
  try {
    const Executed executed = execute();
    if (executed == Executed::kNoRoom) return false;
    if (executed == Executed::kNoRequest) context.reply.error(kNoRequest);
  } catch (const std::bad_alloc&) {
    output_ = {};
    context.reply.error(kNoMemory);
  }
  answer(peer, request);
  return true;
}

void PeerRequests::run_batch(Peer& peer) {
  CommandMeter meter(services_.settings, services_.facts.process, peer.client);
  ExecState exec;
  CommandContext context{keyspace_, ReplyWriter(output_), services_, peer.client, meter, exec};
  BatchRun run(batch_, context, output_, turn_end_ticks_);
  std::size_t done = 0;
  bool has_room = true;
  while (done < batch_.count && !peer.waits && !(done > 0 && run.is_over())) {
    peer.client.protocol = protocol_of(headers_[done]);
    context.reply.set_protocol(peer.client.protocol);
    select(peer, headers_[done]);
    has_room =
        answer_with(peer, headers_[done], context, [&] { return execute_one(run, done, peer.client); });
    if (!has_room) break;
    ++done;
  }
  run.end(done);
  if (done > 0) peer.requests.advance(batch_.requests[done - 1].input_end);
  peer.requests.release();
  state_.node(peer.node).executed.fetch_add(done, std::memory_order_relaxed);
  if (peer.is_held())
    peer.held.assign(headers_.begin(), headers_.begin() + static_cast<std::ptrdiff_t>(done));
  if (has_room) return;
  peer.rings.taken.store(peer.requests.position(), std::memory_order_release);
  services_.hub.disk().queue(peer.client);
}

// A request of the batch.
PeerRequests::Executed PeerRequests::execute_one(BatchRun& run, std::size_t place, ClientState& client) {
  const Command* const command = batch_.requests[place].command;
  DiskWaits& disk = services_.hub.disk();
  const std::uint64_t tail_before = disk.tail();
  BatchRun::Outcome outcome = BatchRun::Outcome::kParks;
  if (command != nullptr && disk.must_queue(client) && may_change_data(client, *command)) {
    outcome = BatchRun::Outcome::kNoRoom;
  } else if (headers_[place].kind != FragmentKind::kCommand || is_for_any_node(command)) {
    outcome = run.execute(place);
  }
  if (outcome == BatchRun::Outcome::kNoRoom) return Executed::kNoRoom;
  if (outcome != BatchRun::Outcome::kParks) {
    disk.note_writes(client, tail_before);
    if (disk.holds_replies() && command != nullptr) {
      disk.note_request(client, *command, Batch::words_of(batch_.requests[place]), keyspace_);
    }
    return Executed::kYes;
  }
  run.end(place);
  return Executed::kNoRequest;
}

// False: there was no room for it, and nothing is answered.
bool PeerRequests::run_alone(Peer& peer, std::string_view message) {
  const FragmentHeader& header = headers_[0];
  ClientState& client = peer.client;
  client.transaction.reset();  // what a message before left when it ended without memory
  client.watched.clear();
  client.protocol = protocol_of(header);
  CommandMeter meter(services_.settings, services_.facts.process, client);
  ExecState exec;
  CommandContext context{keyspace_, ReplyWriter(output_, client.protocol), services_, client, meter, exec};
  const bool is_answered = answer_with(peer, header, context, [&] {
    if (keyspace_.open_database(DatabaseId(header.database))) {
      select(peer, header);
      return execute_message(header, message, context);
    }
    context.reply.out_of_memory();
    return Executed::kYes;
  });
  client.transaction.reset();
  client.watched.clear();
  if (is_answered) state_.node(peer.node).executed.fetch_add(1, std::memory_order_relaxed);
  return is_answered;
}

// REQUIRES: its database is open.
void PeerRequests::select(Peer& peer, const FragmentHeader& header) {
  peer.client.database = DatabaseId(header.database);
  keyspace_.select(peer.client.database);
}

// kNoRequest: nothing was replied.
PeerRequests::Executed PeerRequests::execute_message(const FragmentHeader& header, std::string_view message,
                                                     CommandContext& context) {
  if (header.kind == FragmentKind::kWatch) return watch(message) ? Executed::kYes : Executed::kNoRequest;
  batch_.clear();
  Request& request = batch_.requests[0];
  request = Request{};
  request.input_end = message.size();
  if (header.kind == FragmentKind::kExec) {
    if (!begin_exec(message, context.client)) return Executed::kNoRequest;
    batch_.arguments.push_back("EXEC");
  } else if (!take_word_list(&message, &batch_.arguments) || batch_.arguments.empty()) {
    return Executed::kNoRequest;
  }
  request.command = resolve_subcommand(find_command(batch_.arguments[0]), batch_.arguments);
  request.argument_count = batch_.arguments.size();
  batch_.count = batch_.general_count = 1;
  settle_words(batch_, keyspace_);
  BatchRun run(batch_, context, output_);
  const Executed executed = execute_one(run, 0, context.client);
  if (executed == Executed::kYes) run.end(1);
  return executed;
}

// What WATCH answered, and commands. False: it is no transaction, and none of it is to be executed.
bool PeerRequests::begin_exec(std::string_view message, ClientState& client) {
  std::vector<std::string_view> watched;
  if (!take_word_list(&message, &watched) || watched.size() % 3 != 0) return false;
  for (std::size_t i = 0; i < watched.size(); i += 3) {
    const std::optional<DatabaseId> database = database_of_bytes(watched[i]);
    const std::optional<ChangeMark> mark = mark_of_bytes(watched[i + 2]);
    if (!database || !keyspace_.is_open(*database) || watched[i + 1].size() > kKeyLimitBytes || !mark)
      return false;
    client.watched.emplace(WatchedKey{*database, std::string(watched[i + 1])}, *mark);
  }
  client.transaction = std::make_unique<Transaction>();
  while (!message.empty()) {
    std::vector<std::string_view> words;
    if (!take_word_list(&message, &words) || words.empty()) return false;
    const Command* const command = resolve_subcommand(find_command(words[0]), words);
    if (!is_for_any_node(command) || command->has(kContainer | kAsksOthers)) return false;
    if (admit(client, command, Call{words}) != Admission::kIsQueued) return false;
    const std::size_t first = command->first_key(words);
    client.transaction->queue.add(*command, words, first != 0 ? keyspace_.hash(words[first]) : HashedKey{});
  }
  return true;
}

bool PeerRequests::watch(std::string_view message) {
  std::vector<std::string_view> keys;
  if (!take_word_list(&message, &keys)) return false;
  for (const std::string_view key : keys) {
    if (key.size() > kKeyLimitBytes) continue;
    const std::optional<ChangeMark> mark = keyspace_.mark(keyspace_.hash(key));
    if (mark) output_.append(bytes_of_mark(*mark));
  }
  return true;
}

// What stands in the output is the reply. Nearly all are short, and find room.
void PeerRequests::answer(Peer& peer, const FragmentHeader& request) {
  FragmentHeader header = request;
  header.kind = FragmentKind::kReply;
  header.flags = kFirstFragment | kLastFragment;
  header.payload_bytes = static_cast<std::uint32_t>(output_.size());
  char* const place =
      output_.size() <= kFragmentLimitBytes ? peer.replies.reserve(fragment_bytes(output_.size())) : nullptr;
  if (place != nullptr) [[likely]] {
    std::memcpy(place, &header, sizeof header);
    if (!output_.empty()) std::memcpy(place + sizeof header, output_.view().data(), output_.size());
    peer.replies.advance(fragment_bytes(output_.size()));
    output_.consume(output_.size());
    return;
  }
  peer.header = header;
  peer.header.flags = kFirstFragment;
  peer.reply.swap(output_);
  peer.waits = true;
  put_reply(peer);
}

// Puts what waits, as far as there is room. False: some waits still.
bool PeerRequests::put_reply(Peer& peer) {
  FragmentHeader& header = peer.header;
  while (peer.waits) {
    const std::string_view part = peer.reply.view().substr(0, kFragmentLimitBytes);
    char* const place = peer.replies.reserve(fragment_bytes(part.size()));
    if (place == nullptr) {
      peer.rings.worker_waits.store(1);
      return false;
    }
    const bool is_last = part.size() == peer.reply.size();
    header.payload_bytes = static_cast<std::uint32_t>(part.size());
    header.flags = static_cast<std::uint8_t>((header.flags & kFirstFragment) | (is_last ? kLastFragment : 0));
    std::memcpy(place, &header, sizeof header);
    if (!part.empty()) std::memcpy(place + sizeof header, part.data(), part.size());
    peer.replies.advance(fragment_bytes(part.size()));
    peer.reply.consume(part.size());
    header.flags = 0;
    peer.waits = !is_last;
    if (is_last) peer.rings.worker_waits.store(0);
  }
  peer.reply.shrink(0);
  return true;
}

}  // namespace memento
