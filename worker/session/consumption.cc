// Session::consume(): takes batch after batch of a connection's input and executes it, until the input, the
// room for replies or the turn is used up, or a request has to wait. See session.h. Runs in workers.
#include <optional>
#include <utility>

#include "worker/clients/message_hub.h"
#include "worker/dispatch/admission.h"
#include "worker/routing/cluster_router.h"
#include "worker/session/session.h"
#include "worker/stats/command_meter.h"

namespace memento {

// What the steps of one call share. What outlives the call is the session's.
class Session::Consumption {
 public:
  Consumption(Session& session, std::string_view bytes, SessionContext& context, Batch& batch,
              ByteBuffer& output)
      : session_(session),
        client_(session.client_),
        bytes_(bytes),
        context_(context),
        hub_(context.services.hub),
        batch_(batch),
        output_(output),
        meter_(context.services.settings, context.services.facts.process, session.client_),
        command_{context.keyspace, ReplyWriter(output), context.services, session.client_, meter_, exec_},
        routed_begin_(output.size()) {}

  std::size_t run();

 private:
  enum class Step {
    kGoesOn,
    kEndsBatch,  ///< what follows is for another batch, or another turn
    kParks,      ///< the request was not executed: it waits
  };

  bool take_batch();
  void prepare_batch();
  std::size_t count_runnable();
  bool is_postponed(const Request& request) const;
  bool has_to_queue(const Request& request) const;
  bool is_routed() const;
  std::size_t execute_batch(BatchRun& run);
  Step execute_one(BatchRun& run, std::size_t place);
  std::optional<Step> route_one(BatchRun& run, std::size_t place);
  bool end_batch(std::size_t done, bool is_turn_over);
  void follow_database(std::size_t done);
  void wait_for_room();
  void note_request(const Request& request);
  void show(const Request& request);
  void take_pushes();
  void finish();

  Session& session_;
  ClientState& client_;
  const std::string_view bytes_;
  SessionContext& context_;
  MessageHub& hub_;
  Batch& batch_;
  ByteBuffer& output_;
  CommandMeter meter_;
  ExecState exec_;
  CommandContext command_;
  std::size_t taken_bytes_ = 0;
  std::size_t
      routed_begin_;  // from there on the output stands behind replies that other nodes have yet to give
  std::uint64_t executed_ = 0;
  // Of the batch:
  std::size_t runnable_ = 0;  // so many of its requests may run
  bool is_shown_ = false;     // to clients in MONITOR
  bool holds_ = false;        // what replies tell of has to be on disk before they leave
  bool is_routed_ = false;    // some requests may be other nodes'
  bool was_text_ = false;     // the protocol it was parsed in
  DatabaseId database_;       // that its keys were hashed for
};

std::size_t Session::consume(std::string_view bytes, SessionContext& context, Batch& batch,
                             ByteBuffer& output) {
  return Consumption(*this, bytes, context, batch, output).run();
}

std::size_t Session::Consumption::run() {
  session_.paused_ = session_.parked_ = session_.has_rest_ = false;
  client_.active_ms = context_.keyspace.now_ms();
  context_.keyspace.select(client_.database);
  hub_.tracking().tell(nullptr);  // of a client whose turn ended without memory
  if (client_.tracking != nullptr || client_.is_redirect_target) [[unlikely]]
    hub_.catch_up();
  if (client_.has_pushes) take_pushes();
  while (!session_.closing_ && taken_bytes_ < bytes_.size()) {
    session_.paused_ = output_.size() >= kOutputPauseBytes;
    if (session_.paused_ || !take_batch()) break;
  }
  finish();
  return taken_bytes_;
}

// False: nothing more is to be taken.
bool Session::Consumption::take_batch() {
  prepare_batch();
  is_shown_ = hub_.has_monitors();
  if (is_shown_) [[unlikely]]
    meter_.time_each();
  if (!context_.services.is_busy) {
    context_.services.denies_growth = context_.keyspace.exceeds_limit();
    look_at_disk(context_.services);
  }
  runnable_ = count_runnable();
  is_routed_ = context_.router != nullptr && !context_.services.is_busy && is_routed();
  was_text_ = session_.is_text();
  command_.reply.set_protocol(client_.protocol);
  holds_ = hub_.disk().holds_replies();
  const std::uint64_t tail_before = hub_.disk().tail();
  BatchRun run(batch_, command_, output_, session_.turn_end_ticks_);
  const std::size_t done = execute_batch(run);
  hub_.disk().note_writes(client_, tail_before);
  executed_ += done;
  run.end(done);
  if (is_shown_) [[unlikely]]
    hub_.send_shown();
  return end_batch(done, run.is_over() || (is_routed_ && cpu_ticks() >= session_.turn_end_ticks_));
}

// The worker has prepared the first batch already.
void Session::Consumption::prepare_batch() {
  if (!batch_.is_prepared) {
    session_.prepare(bytes_.substr(taken_bytes_), context_.keyspace, batch_);
    prefetch_tables(batch_, context_.keyspace);
    prefetch_entries(batch_, context_.keyspace);
  }
  batch_.is_prepared = false;
  database_ = client_.database;
}

// The requests behind a SELECT are about another database than they were hashed for.
void Session::Consumption::follow_database(std::size_t done) {
  if (client_.database == database_) [[likely]]
    return;
  database_ = client_.database;
  for (std::size_t i = done; i < batch_.count; ++i)
    batch_.requests[i].key = Keyspace::in_database(database_, batch_.requests[i].key);
}

// During CLIENT PAUSE, and while somebody waits for room in the journal, requests are looked at one by one.
std::size_t Session::Consumption::count_runnable() {
  if ((!hub_.pause().is_set() && !hub_.disk().has_queue()) || batch_.count == 0) [[likely]]
    return batch_.count;
  if (is_postponed(batch_.requests[0])) {
    hub_.clients().postpone(client_);
  } else if (has_to_queue(batch_.requests[0])) {
    hub_.disk().queue(client_);
  } else {
    return 1;
  }
  session_.parked_ = true;
  return 0;
}

// For room in the journal, behind others.
bool Session::Consumption::has_to_queue(const Request& request) const {
  if (!hub_.disk().must_queue(client_) || context_.services.is_busy || request.greets) return false;
  if (context_.router != nullptr && request.has_key && !context_.router->is_own(request.key.slot))
    return false;
  const Call call{batch_.words_of(request), request.key};
  return admit(client_, request.command, call) == Admission::kRuns &&
         may_change_data(client_, *request.command);
}

bool Session::Consumption::is_postponed(const Request& request) const {
  const ClientPause& pause = hub_.pause();
  const std::int64_t now_ms = monotonic_time_ms();
  if (request.greets) return pause.holds(false, now_ms);
  return is_held_back(pause, client_, request.command, {batch_.words_of(request), request.key}, now_ms);
}

bool Session::Consumption::is_routed() const {
  const ClusterRouter& router = *context_.router;
  bool any = router.concerns_all(client_);
  for (std::size_t i = 0; i < batch_.count; ++i) {
    const Request& request = batch_.requests[i];
    any |= request.is_plain ? !router.is_own(request.key.slot)
                            : router.concerns(request.command, request.has_key, request.key);
  }
  return any;
}

// How many of its requests are done.
std::size_t Session::Consumption::execute_batch(BatchRun& run) {
  std::size_t done = 0;
  while (done < runnable_ && !session_.closing_ && output_.size() < kOutputPauseBytes &&
         session_.is_text() == was_text_) {
    if (batch_.requests[done].is_plain && !is_routed_ && !meter_.times_each() && client_.is_ordinary() &&
        runnable_ == batch_.count && !context_.services.is_busy && !context_.services.denies_growth &&
        !hub_.disk().is_restricted()) [[likely]] {
      const std::size_t begin = std::exchange(done, run.execute_plain(done, kOutputPauseBytes));
      if (holds_) [[unlikely]]
        note_slots(hub_.disk(), client_, std::span(batch_.requests).subspan(begin, done - begin));
      hub_.tracking().tell(&client_);
      if (done > 0) client_.last_command = batch_.requests[done - 1].command;
      if (run.lacks_room()) [[unlikely]] {
        wait_for_room();
        break;
      }
      if (run.is_over()) [[unlikely]]
        runnable_ = done;
      continue;
    }
    const Step step = execute_one(run, done);
    if (step == Step::kParks) [[unlikely]] {
      session_.parked_ = true;
      break;
    }
    if (holds_ && !run.was_rejected()) [[unlikely]]
      note_request(batch_.requests[done]);
    ++done;
    if (step == Step::kEndsBatch) runnable_ = done;
  }
  return done;
}

Session::Consumption::Step Session::Consumption::execute_one(BatchRun& run, std::size_t place) {
  if (is_routed_) [[unlikely]] {
    if (const std::optional<Step> step = route_one(run, place)) return *step;
  }
  const BatchRun::Outcome outcome = run.execute(place);
  if (outcome == BatchRun::Outcome::kParks) [[unlikely]]
    return Step::kParks;
  if (outcome == BatchRun::Outcome::kNoRoom) [[unlikely]] {
    wait_for_room();
    return Step::kParks;
  }
  bool ends_batch = false;
  if (outcome == BatchRun::Outcome::kRunEnded) [[unlikely]] {
    if (is_shown_ && !run.was_rejected()) show(batch_.requests[place]);
    ends_batch = std::exchange(command_.ends_batch, false) || run.is_over();
  }
  follow_database(place + 1);
  const Command* const command = batch_.requests[place].command;
  hub_.tracking().tell(&client_, command != nullptr && command->has(kEndsMulti | kScript));
  if (client_.has_pushes) [[unlikely]]
    take_pushes();
  session_.closing_ |= command_.close_after_reply;
  return ends_batch ? Step::kEndsBatch : Step::kGoesOn;
}

void Session::Consumption::note_request(const Request& request) {
  if (request.command != nullptr)
    hub_.disk().note_request(client_, *request.command, batch_.words_of(request), context_.keyspace);
}

void Session::Consumption::wait_for_room() {
  session_.parked_ = true;
  hub_.disk().queue(client_);
}

// Nothing: this node executes it.
std::optional<Session::Consumption::Step> Session::Consumption::route_one(BatchRun& run, std::size_t place) {
  const Request& request = batch_.requests[place];
  const Call call{batch_.words_of(request), request.key};
  const ReplyWriter::Mark before = command_.reply.mark();
  ClusterRouter::Route route{};
  try {
    route = context_.router->route(request.command, call, request.has_key, command_, output_, &routed_begin_);
  } catch (const JournalFull&) {  // of this node's part, which comes first: nothing was sent
    command_.reply.roll_back(before);
    command_.reply.set_protocol(client_.protocol);
    wait_for_room();
    return Step::kParks;
  }
  if (route == ClusterRouter::Route::kHere) return std::nullopt;
  if (route == ClusterRouter::Route::kWaits) return Step::kParks;
  run.end(place);
  if (is_shown_) show(request);
  return cpu_ticks() >= session_.turn_end_ticks_ ? Step::kEndsBatch : Step::kGoesOn;
}

// Counts what was taken. False: nothing more is to be taken.
bool Session::Consumption::end_batch(std::size_t done, bool is_turn_over) {
  if (done < batch_.count &&
      !session_.closing_) {  // the rest is parsed again, when the output is sent or in another protocol
    if (done > 0) taken_bytes_ += batch_.requests[done - 1].input_end;
    session_.forget_incomplete();
    session_.has_rest_ = is_turn_over && !session_.parked_;
    return !session_.parked_ && !session_.has_rest_;
  }
  const bool is_other_protocol = session_.is_text() != was_text_;
  if (is_other_protocol) session_.forget_incomplete();
  taken_bytes_ += batch_.input_bytes;
  if (session_.broken_ && !session_.closing_) {
    session_.report_broken(command_);
    session_.closing_ = true;
  }
  if (batch_.input_bytes == 0 && !is_other_protocol) return false;  // what is left is not a whole request
  session_.has_rest_ = is_turn_over && !session_.closing_ && taken_bytes_ < bytes_.size();
  return !session_.has_rest_;
}

// What was queued is shown by EXEC.
void Session::Consumption::show(const Request& request) {
  if (request.command == nullptr || (client_.transaction != nullptr && !request.command->has(kUnqueued)))
    return;
  hub_.show(client_, *request.command, batch_.words_of(request));
  for (const ScriptedLines::Line& scripted : command_.exec.scripted_lines.lines)
    hub_.show_line(scripted.text);
  command_.exec.scripted_lines.clear();
}

// Messages come behind the reply to the request that they were sent in.
void Session::Consumption::take_pushes() {
  output_.append(client_.pushes.view());
  client_.pushes = ByteBuffer();
  if (client_.must_close) session_.closing_ = true;
}

void Session::Consumption::finish() {
  if (client_.has_pending_replies()) [[unlikely]]
    client_.replies->take_behind(output_, routed_begin_);
  meter_.count_executed(executed_);
  context_.keyspace.count(Counter::kCommands, executed_);
  context_.keyspace.count(Counter::kErrors, command_.reply.error_count());
}

}  // namespace memento
