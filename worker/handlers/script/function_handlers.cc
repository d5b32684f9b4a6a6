// FCALL, FCALL_RO and FUNCTION.
#include <string>
#include <vector>

#include "conf/log_limiter.h"
#include "shm/messages/glob.h"
#include "worker/handlers/handler_support.h"
#include "worker/handlers/handlers.h"
#include "worker/handlers/script/script_run.h"
#include "worker/script/function_dump.h"
#include "worker/script/script_engine.h"
#include "worker/text/number_text.h"
#include "worker/text/words.h"

namespace memento::handlers {
namespace {

constexpr std::size_t kQuotedBytes = 128;
constexpr std::size_t kDumpLimitBytes = TextStore::kKeptLimitBytes;

FunctionEngine& functions_of(CommandContext& context) { return context.services.scripts->functions(); }

// Calls change(functions), which is to change some; EXEC may have to take that back.
template <class Change>
std::string change_libraries(CommandContext& context, Change&& change) {
  FunctionEngine& functions = functions_of(context);
  if (!context.in_exec) return change(functions);
  const FunctionEngine::Snapshot before = functions.snapshot();
  const std::string error = change(functions);
  functions.note_changes(before, &context.exec.plan.library_changes);
  return error;
}

void finish(CommandContext& context, const std::string& error) {
  if (!error.empty()) return context.reply.error(error);
  context.reply.ok();
}

const char* flags_refusal(CommandContext& context, const LibraryFunction& function, bool is_read_only) {
  if ((function.flags & LibraryFunction::kNoCluster) != 0 && context.services.cluster != nullptr)
    return "ERR Can not run script on cluster, 'no-cluster' flag is set.";
  if (is_read_only && (function.flags & LibraryFunction::kNoWrites) == 0)
    return "ERR Can not execute a script with write flag using *_ro command.";
  return nullptr;
}

void call_function(CommandContext& context, const Call& call, bool is_read_only) {
  FunctionEngine& functions = functions_of(context);
  std::string error;
  const LibraryFunction* const function = functions.find(call[1], &error);
  if (function == nullptr)
    return context.reply.error("ERR " + (error.empty() ? "Function not found" : error));
  if (!parse_integer(call[2])) return context.reply.error("ERR Bad number of keys provided");
  ScriptCall script{};
  if (!take_keys(context, call, 2, &script)) return;
  if (const char* const refusal = flags_refusal(context, *function, is_read_only))
    return context.reply.error(refusal);
  script.name = function->name;
  script.is_function = true;
  const bool is_reading = is_read_only || (function->flags & LibraryFunction::kNoWrites) != 0;
  if (!is_reading && (function->flags & LibraryFunction::kAllowOom) == 0 && refuse_without_room(context))
    return;
  run_script(
      context, functions.interpreter(), function->chunk, script,
      {RunKind::kFunction, is_reading, false, (function->flags & LibraryFunction::kAllowOom) != 0, call});
}

void show_function(ReplyWriter& reply, const LibraryFunction& function) {
  reply.begin_map(3);
  reply.field("name");
  reply.bulk(function.name);
  reply.field("description");
  function.description ? reply.bulk(*function.description) : reply.nil();
  reply.field("flags");
  std::vector<const char*> names;
  for (const FunctionFlagName& flag : kFunctionFlags) {
    if ((function.flags & flag.flag) != 0) names.push_back(flag.name);
  }
  reply.begin_set(names.size());
  for (const char* const name : names) reply.status(name);
  reply.end();
  reply.end();
}

void show_library(ReplyWriter& reply, const FunctionLibrary& library, const std::string* text) {
  reply.begin_map(text != nullptr ? 4 : 3);
  reply.field("library_name");
  reply.bulk(library.name);
  reply.field("engine");
  reply.bulk("LUA");
  reply.field("functions");
  reply.begin_array(library.functions.size());
  for (const LibraryFunction& function : library.functions) show_function(reply, function);
  reply.end();
  if (text != nullptr) {
    reply.field("library_code");
    reply.bulk(*text);
  }
  reply.end();
}

struct ListOptions {
  bool with_code = false;
  std::optional<std::string_view> pattern;
};

// False: an error was written.
bool take_list_options(CommandContext& context, const Call& call, ListOptions* options) {
  for (std::size_t i = 2; i < call.count(); ++i) {
    if (!options->with_code && is_word(call[i], "WITHCODE")) {
      options->with_code = true;
    } else if (!options->pattern && is_word(call[i], "LIBRARYNAME")) {
      if (++i == call.count()) return context.reply.error("ERR library name argument was not given"), false;
      options->pattern = call[i];
    } else {
      context.reply.error("ERR Unknown argument " + std::string(quotable(call[i], kQuotedBytes)));
      return false;
    }
  }
  return true;
}

// The function that has been running for a while in some worker.
void show_running(CommandContext& context) {
  const LiveSettings& settings = context.services.settings;
  for (std::size_t record = 0; record < settings.long_scripts.size(); ++record) {
    const std::optional<LongScript> found = long_script(settings, record);
    if (!found || ScriptWord::kind(found->word) != RunKind::kFunction || found->text.empty()) continue;
    context.reply.begin_map(3);
    context.reply.field("name");
    context.reply.bulk(found->text[0]);
    context.reply.field("command");
    context.reply.begin_array(found->text.size() - 1);
    for (std::size_t i = 1; i < found->text.size(); ++i) context.reply.bulk(found->text[i]);
    context.reply.end();
    context.reply.field("duration_ms");
    context.reply.integer(monotonic_time_ms() - static_cast<std::int64_t>(ScriptWord::begin_ms(found->word)));
    return context.reply.end();
  }
  context.reply.nil();
}

}  // namespace

void fcall(CommandContext& context, const Call& call) { call_function(context, call, false); }
void fcall_ro(CommandContext& context, const Call& call) { call_function(context, call, true); }

void function_load(CommandContext& context, const Call& call) {
  FunctionEngine::Policy policy = FunctionEngine::Policy::kAppend;
  for (const std::string_view option : call.args.subspan(2, call.count() - 3)) {
    if (!is_word(option, "REPLACE"))
      return context.reply.error("ERR Unknown option given: " + std::string(quotable(option, kQuotedBytes)));
    policy = FunctionEngine::Policy::kReplace;
  }
  std::string name;
  const std::string error = change_libraries(
      context, [&](FunctionEngine& functions) { return functions.load(call.args.back(), policy, &name); });
  if (!error.empty()) return context.reply.error(error);
  context.reply.bulk(name);
}

void function_delete(CommandContext& context, const Call& call) {
  finish(context,
         change_libraries(context, [&](FunctionEngine& functions) { return functions.erase(call[2]); }));
}

void function_flush(CommandContext& context, const Call& call) {
  if (!ends_with_flush_mode(call, 2))
    return context.reply.error("ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
  finish(context, change_libraries(context, [](FunctionEngine& functions) { return functions.clear(); }));
}

void function_list(CommandContext& context, const Call& call) {
  ListOptions options;
  if (!take_list_options(context, call, &options)) return;
  FunctionEngine& functions = functions_of(context);
  const Glob pattern(lower_case(options.pattern.value_or("")));
  std::vector<const FunctionLibrary*> shown;
  for (const auto& [name, entry] : functions.entries()) {
    if (!options.pattern || pattern.matches(lower_case(name))) shown.push_back(&entry.library);
  }
  context.reply.begin_array(shown.size());
  for (const FunctionLibrary* const library : shown) {
    const std::string text = options.with_code ? functions.text(library->name) : "";
    show_library(context.reply, *library, options.with_code ? &text : nullptr);
  }
  context.reply.end();
}

void function_stats(CommandContext& context, const Call&) {
  FunctionEngine& functions = functions_of(context);
  if (!context.services.is_busy) (void)functions.entries();  // what other workers have changed
  context.reply.begin_map(2);
  context.reply.field("running_script");
  show_running(context);
  context.reply.field("engines");
  context.reply.begin_map(1);
  context.reply.field("LUA");
  context.reply.begin_map(2);
  context.reply.field("libraries_count");
  context.reply.integer(static_cast<std::int64_t>(functions.library_count()));
  context.reply.field("functions_count");
  context.reply.integer(static_cast<std::int64_t>(functions.function_count()));
  context.reply.end();
  context.reply.end();
  context.reply.end();
}

void function_kill(CommandContext& context, const Call&) { kill_runs(context, RunKind::kFunction); }

void function_dump(CommandContext& context, const Call&) {
  FunctionEngine& functions = functions_of(context);
  FunctionDump dump;
  for (const auto& [name, entry] : functions.entries()) dump.add(functions.text(name));
  context.reply.bulk(dump.finish());
}

void function_restore(CommandContext& context, const Call& call) {
  FunctionEngine::Policy policy = FunctionEngine::Policy::kAppend;
  if (call.count() > 4)
    return context.reply.error(
        "ERR Unknown subcommand or wrong number of arguments for 'restore'. Try FUNCTION HELP.");
  if (call.count() == 4) {
    if (is_word(call[3], "REPLACE")) {
      policy = FunctionEngine::Policy::kReplace;
    } else if (is_word(call[3], "FLUSH")) {
      policy = FunctionEngine::Policy::kFlush;
    } else if (!is_word(call[3], "APPEND")) {
      return context.reply.error(
          "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.");
    }
  }
  const FunctionDump::Read read = FunctionDump::read(call[2], kDumpLimitBytes);
  switch (read.fault) {
    case FunctionDump::Fault::kChecksum:
      return context.reply.error("ERR DUMP payload version or checksum are wrong");
    case FunctionDump::Fault::kOtherType:
      return context.reply.error("ERR given type is not a function");
    case FunctionDump::Fault::kBroken:
      return context.reply.error("ERR Failed loading library data");
    case FunctionDump::Fault::kTooLong:
      return context.reply.error("OOM there is no room for the libraries' texts");
    case FunctionDump::Fault::kNone:
      break;
  }
  finish(context, change_libraries(context, [&](FunctionEngine& functions) {
           return functions.restore(read.texts, policy);
         }));
}

}  // namespace memento::handlers
