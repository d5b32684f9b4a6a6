// EVAL, EVALSHA, their read-only forms, and SCRIPT.
#include <string>

#include "worker/handlers/handler_support.h"
#include "worker/handlers/handlers.h"
#include "worker/handlers/script/script_run.h"
#include "worker/script/script_engine.h"
#include "worker/script/sha1.h"
#include "worker/text/words.h"

namespace memento::handlers {
namespace {

constexpr const char* kNoScriptError = "NOSCRIPT No matching script. Please use EVAL.";
constexpr const char* kTextsAreBusy = "BUSY another worker is keeping a script; try again";

enum class Names { kText, kSha1 };

ScriptEngine::Found find_script(ScriptEngine& engine, Names names, std::string_view word) {
  if (names == Names::kText) return engine.of_text(word);
  return word.size() == kSha1Digits ? engine.of_sha1(word) : ScriptEngine::Found{};
}

// What the script's first line does not allow; nullptr: nothing.
const char* first_line_refusal(CommandContext& context, const ScriptFlags& flags, bool is_read_only) {
  if (flags.no_cluster && context.services.cluster != nullptr)
    return "ERR Can not run script on cluster, 'no-cluster' flag is set.";
  if (is_read_only && flags.has_line && !flags.no_writes)
    return "ERR Can not execute a script with write flag using *_ro command.";
  return nullptr;
}

void evaluate(CommandContext& context, const Call& call, Names names, bool is_read_only) {
  ScriptCall script{};
  if (!take_keys(context, call, 2, &script)) return;
  ScriptEngine& engine = *context.services.scripts;
  const ScriptEngine::Found found = find_script(engine, names, call[1]);
  if (found.script == nullptr)
    return context.reply.error(found.error.empty() ? std::string(kNoScriptError) : "ERR " + found.error);
  const ScriptFlags& flags = found.script->flags;
  if (const char* const refusal = first_line_refusal(context, flags, is_read_only))
    return context.reply.error(refusal);
  const bool is_reading = is_read_only || flags.no_writes;
  if (flags.has_line && !is_reading && !flags.allow_oom && refuse_without_room(context)) return;
  script.name = found.script->sha1;
  run_script(context, *engine.interpreter(), found.script->chunk, script,
             {RunKind::kScript, is_reading, flags.partial, flags.allow_oom, call});
}

}  // namespace

void eval(CommandContext& context, const Call& call) { evaluate(context, call, Names::kText, false); }
void evalsha(CommandContext& context, const Call& call) { evaluate(context, call, Names::kSha1, false); }
void eval_ro(CommandContext& context, const Call& call) { evaluate(context, call, Names::kText, true); }
void evalsha_ro(CommandContext& context, const Call& call) { evaluate(context, call, Names::kSha1, true); }

void script_load(CommandContext& context, const Call& call) {
  TextStore::Put put = TextStore::Put::kDone;
  const ScriptEngine::Found found = context.services.scripts->load(call[2], &put);
  if (found.script == nullptr) return context.reply.error("ERR " + found.error);
  if (put == TextStore::Put::kBusy) return context.reply.error(kTextsAreBusy);
  if (put == TextStore::Put::kTooLong) return context.reply.error(TextStore::kIsTooLong);
  if (put == TextStore::Put::kNoRoom)
    return context.reply.error("OOM scripts that were loaded, and libraries, may take " +
                               std::to_string(TextStore::kKeptLimitBytes) + " bytes together");
  context.reply.bulk(found.script->sha1);
}

void script_debug(CommandContext& context, const Call& call) {
  if (is_word(call[2], "NO")) return context.reply.ok();
  context.reply.error("ERR memento has no debugger of scripts");
}

void script_exists(CommandContext& context, const Call& call) {
  context.reply.begin_array(call.count() - 2);
  for (const std::string_view sha1 : call.args.subspan(2))
    context.reply.integer(context.services.scripts->exists(sha1) ? 1 : 0);
  context.reply.end();
}

void script_show(CommandContext& context, const Call& call) {
  const std::optional<std::string> text = context.services.scripts->text(call[2]);
  if (!text) return context.reply.error(kNoScriptError);
  context.reply.bulk(*text);
}

void script_flush(CommandContext& context, const Call& call) {
  if (!ends_with_flush_mode(call, 2))
    return context.reply.error("ERR SCRIPT FLUSH only support SYNC|ASYNC option");
  if (!context.services.scripts->flush()) return context.reply.error(kTextsAreBusy);
  context.reply.ok();
}

void script_kill(CommandContext& context, const Call&) { kill_runs(context, RunKind::kScript); }

}  // namespace memento::handlers
