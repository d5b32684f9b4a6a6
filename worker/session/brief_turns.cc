// See brief_turns.h.
#include "worker/session/brief_turns.h"

#include "worker/clients/message_hub.h"

namespace memento {

// Nobody is shown, held back or routed, or refused for memory; nothing of this changes while only brief
// requests are executed.
bool BriefTurns::may_begin() {
  MessageHub& hub = context_.services.hub;
  look_at_disk(context_.services);
  return context_.router == nullptr && !context_.services.is_busy && !hub.has_monitors() &&
         !hub.pause().is_set() && !hub.disk().has_queue() && !hub.disk().is_restricted() &&
         !context_.keyspace.exceeds_limit();
}

bool BriefTurns::execute(Session& session, ByteBuffer& bytes, Batch& batch, ByteBuffer& output) {
  ClientState& client = session.client_;
  Tracking& tracking = context_.services.hub.tracking();
  if (!batch.is_prepared || !batch.is_brief() || batch.count == 0 || batch.input_bytes != bytes.size() ||
      session.closing_ || !client.is_ordinary() || client.is_redirect_target || client.has_pushes)
      [[unlikely]] {
    return false;
  }
  if (!meter_) {
    if (!may_begin()) return false;
    holds_ = context_.services.hub.disk().holds_replies();
    tracking.tell(nullptr);  // of a client whose turn ended without memory
    meter_.emplace(context_.services.settings, context_.services.facts.process, client);
  }
  if (meter_->times_each()) [[unlikely]]
    return false;
  if (!meter_->has_room_for(batch.count)) meter_->end_turns();
  meter_->turn_to(client);
  context_.keyspace.select(client.database);
  client.active_ms = context_.keyspace.now_ms();
  session.paused_ = session.parked_ = session.has_rest_ = batch.is_prepared = false;

  CommandContext command{
      context_.keyspace, ReplyWriter(output, client.protocol), context_.services, client, *meter_, exec_};
  BatchRun run(batch, command, output);
  std::size_t done = 0;
  try {
    const std::uint64_t tail_before = context_.services.hub.disk().tail();
    done = run.execute_plain(0, Session::kOutputPauseBytes);
    context_.services.hub.disk().note_writes(client, tail_before);
    if (holds_) [[unlikely]]
      note_slots(context_.services.hub.disk(), client, std::span(batch.requests).first(done));
    tracking.tell(&client);
  } catch (...) {  // the connection ends
    meter_->drop_turn();
    exec_ = {};
    end();
    throw;
  }
  executed_ += done;
  errors_ += command.reply.error_count();
  if (run.lacks_room()) [[unlikely]] {
    session.parked_ = true;
    context_.services.hub.disk().queue(client);
    if (done == 0) return end(), true;
  }
  const Request& last = batch.requests[done - 1];
  meter_->end_turn(Batch::words_of(last));
  client.last_command = last.command;
  bytes.consume(last.input_end);
  if (session.parked_) [[unlikely]]
    return end(), true;  // those that follow are to see that it waits
  // The rest is taken when the output is sent.
  session.paused_ = done < batch.count;
  return true;
}

void BriefTurns::end_row() {
  meter_->end_turns();
  meter_->count_executed(executed_);
  meter_.reset();
  context_.keyspace.count(Counter::kCommands, executed_);
  context_.keyspace.count(Counter::kErrors, errors_);
  executed_ = errors_ = 0;
}

}  // namespace memento
