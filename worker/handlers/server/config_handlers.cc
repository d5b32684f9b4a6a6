// CONFIG: reads and changes parameters (config_parameters.h), writes changes into the configuration file, and
// lets INFO's counters begin again.
#include <algorithm>
#include <string>
#include <vector>

#include "conf/live_values.h"
#include "conf/password_source.h"
#include "conf/size_text.h"
#include "shm/messages/glob.h"
#include "worker/handlers/handler_support.h"
#include "worker/handlers/handlers.h"
#include "worker/handlers/server/config_parameters.h"
#include "worker/stats/command_meter.h"
#include "worker/text/words.h"

namespace memento::handlers {
namespace {

constexpr const char* kImmutable = "can't set immutable config";

static_assert(static_cast<std::size_t>(Counter::kCount) <= kCounterLimit);
static_assert(kProcessLimit <= kStatisticsLimit && kProcessLimit <= Password::kSetterLimit);

template <class Row>
const Row* find_row(std::span<const Row> rows, std::string_view name) {
  const auto found = std::ranges::find_if(rows, [&](const Row& row) { return is_word(name, row.name); });
  return found != rows.end() ? &*found : nullptr;
}

/// A parameter of either table; what CONFIG SET was given for it.
struct Assignment {
  const Parameter* parameter = nullptr;
  const FixedParameter* fixed = nullptr;
  std::string_view value;

  bool is_same(const Assignment& other) const { return parameter == other.parameter && fixed == other.fixed; }
};

// What is wrong, or empty; then it is set when `applies`.
std::string check_or_set(CommandContext& context, const Assignment& given, bool applies) {
  if (given.parameter != nullptr && given.parameter->set != nullptr)
    return given.parameter->set(context, given.value, applies);
  const std::string current =
      given.fixed != nullptr ? std::string(given.fixed->value) : given.parameter->get(context);
  const std::optional<std::uint64_t> size_bytes = parse_size(given.value);
  const bool same = given.value == current || (size_bytes && std::to_string(*size_bytes) == current);
  return same ? "" : kImmutable;
}

}  // namespace

void config_get(CommandContext& context, const Call& call) {
  std::vector<bool> wants(parameters().size());
  std::vector<bool> wants_fixed(fixed_parameters().size());
  for (const std::string_view pattern : call.args.subspan(2)) {
    const Glob glob(lower_case(pattern));
    for (std::size_t i = 0; i < wants.size(); ++i) wants[i] = wants[i] || glob.matches(parameters()[i].name);
    for (std::size_t i = 0; i < wants_fixed.size(); ++i)
      wants_fixed[i] = wants_fixed[i] || glob.matches(fixed_parameters()[i].name);
  }
  context.reply.begin_map(
      static_cast<std::size_t>(std::ranges::count(wants, true) + std::ranges::count(wants_fixed, true)));
  for (std::size_t i = 0; i < wants.size(); ++i) {
    if (!wants[i]) continue;
    context.reply.field(parameters()[i].name);
    context.reply.bulk(parameters()[i].get(context));
  }
  for (std::size_t i = 0; i < wants_fixed.size(); ++i) {
    if (!wants_fixed[i]) continue;
    context.reply.field(fixed_parameters()[i].name);
    context.reply.bulk(fixed_parameters()[i].value);
  }
  context.reply.end();
}

// All are checked before the first is set.
void config_set(CommandContext& context, const Call& call) {
  if (call.count() % 2 != 0) return wrong_argument_count(context, "CONFIG|SET");
  std::vector<Assignment> all;
  for (std::size_t i = 2; i < call.count(); i += 2) {
    const Assignment given{find_row(parameters(), call[i]), find_row(fixed_parameters(), call[i]),
                           call[i + 1]};
    if (given.parameter == nullptr && given.fixed == nullptr) {
      return context.reply.error("ERR Unknown option or number of arguments for CONFIG SET - '" +
                                 std::string(quotable(call[i])) + "'");
    }
    const bool is_twice =
        std::ranges::any_of(all, [&](const Assignment& before) { return before.is_same(given); });
    const std::string wrong = is_twice ? "duplicate parameter" : check_or_set(context, given, false);
    if (!wrong.empty()) {
      return context.reply.error("ERR CONFIG SET failed (possibly related to argument '" +
                                 std::string(quotable(call[i])) + "') - " + wrong);
    }
    all.push_back(given);
  }
  for (const Assignment& given : all) check_or_set(context, given, true);
  context.reply.ok();
}

// What is in use now and the file says otherwise is written into it.
void config_rewrite(CommandContext& context, const Call&) {
  const std::string& path = context.services.facts.options.config_path;
  if (path.empty()) return context.reply.error("ERR The server is running without a config file");
  const auto fail = [&](const std::string& why) {
    context.reply.error("ERR Rewriting config file: " + why.substr(0, why.find('\n')));
  };
  const ParsedCommandLine parsed = parse_command_line({"-C", path}, "/");
  if (parsed.ends) return fail(parsed.text);
  const Result<std::string> password = find_password(parsed.options);
  if (!password) return fail(password.error().message);
  const LiveValues written = LiveValues::configured(parsed.options, *password);
  const LiveSettings& settings = context.services.settings;
  LiveValues wanted = LiveValues::in_use(settings);
  if (wanted.max_clients == settings.lowered_max_clients) wanted.max_clients = written.max_clients;
  // What the command line or a file gave at the start is theirs to give: in clear it need not stand
  // elsewhere.
  const Result<std::string> started_with = find_password(context.services.facts.options);
  if (!started_with) return fail(started_with.error().message);
  if (!wanted.password.empty() && wanted.password == *started_with) wanted.password = written.password;
  const std::vector<ConfigChange> changes = wanted.lines_since(written);
  if (const Outcome done = changes.empty() ? Done{} : rewrite_config_file(path, changes); !done)
    return fail(done.error().message);
  context.reply.ok();
}

// Workers clear their own statistics when they see the new generation. The keyspace's counters count on; what
// they had is subtracted from here on.
void config_resetstat(CommandContext& context, const Call&) {
  ++context.services.settings.statistics->generation;
  for (std::size_t i = 0; i < static_cast<std::size_t>(Counter::kCount); ++i) {
    context.services.settings.statistics->counter_floors[i] =
        context.keyspace.counter_sum(static_cast<Counter>(i));
  }
  CommandMeter::begin_anew(context.services.settings,
                           context.services.settings.statistics[context.services.facts.process]);
  context.reply.ok();
}

}  // namespace memento::handlers
