// COMMAND: the command table as clients ask for it. All of it derives from the rows.
#include <algorithm>
#include <string>
#include <vector>

#include "shm/messages/glob.h"
#include "worker/command/argument_syntax.h"
#include "worker/command/command_table.h"
#include "worker/handlers/handler_support.h"
#include "worker/handlers/handlers.h"
#include "worker/handlers/server/catalog.h"
#include "worker/text/words.h"

namespace memento::handlers {
namespace {

struct FlagName {
  CommandFlag flag;
  const char* name;
};
constexpr FlagName kFlagNames[] = {
    {kWrite, "write"},       {kReadonly, "readonly"}, {kDenyOom, "denyoom"}, {kAdmin, "admin"},
    {kPubSubFlag, "pubsub"}, {kNoScript, "noscript"}, {kLoading, "loading"}, {kStale, "stale"},
    {kFast, "fast"},         {kNoAuth, "no_auth"},
};

std::vector<std::string> flag_names(const Command& command) {
  std::vector<std::string> names;
  for (const FlagName& row : kFlagNames) {
    if (command.has(row.flag)) names.emplace_back(row.name);
  }
  if (command.keys.is_movable()) names.emplace_back("movablekeys");  // clients ask COMMAND GETKEYS then
  return names;
}

// What it is about; nothing for containers, and for what only administrators need.
std::string category_of(const Command& command) {
  const std::string_view group = group_name(command.group);
  if ((command.has(kContainer) && command.name != "COMMAND") || group == "server") return "";
  if (group == "pubsub") return command.has(kPubSubFlag) ? "pubsub" : "";
  if (group == "generic") return command.name.ends_with("HELP") ? "" : "keyspace";
  return std::string(group == "transactions" ? "transaction" : group);
}

// As ACL would group it.
std::vector<std::string> categories(const Command& command) {
  std::vector<std::string> names;
  if (command.has(kWrite)) names.emplace_back("@write");
  if (command.has(kReadonly)) names.emplace_back("@read");
  const std::string category = category_of(command);
  if (!category.empty()) names.push_back("@" + category);
  if (command.has(kAdmin)) names.emplace_back("@admin");
  if (command.has(kAdmin) || command.has(kDangerous)) names.emplace_back("@dangerous");
  names.emplace_back(command.has(kFast) ? "@fast" : "@slow");
  return names;
}

void answer_words(ReplyWriter& reply, const std::vector<std::string>& words) {
  reply.begin_set(words.size());
  for (const std::string& word : words) reply.status(word);
  reply.end();
}

void answer_pair(ReplyWriter& reply, std::string_view name, std::int64_t value) {
  reply.field(name);
  reply.integer(value);
}

// A shard channel is found where keys are, and lies in a slot like them.
std::vector<std::string> key_flags(const Command& command) {
  if (command.has(kPubSubFlag)) return {"not_key"};
  return command.has(kWrite) ? std::vector<std::string>{"RW", "access", "update"}
                             : std::vector<std::string>{"RO", "access"};
}

// How a client finds the keys: from where on it looks (begin_search), and what it takes there (find_keys).
struct Search {
  std::string_view name;
  std::string_view type;
  std::vector<std::pair<std::string_view, std::int64_t>> numbers;
  std::string_view keyword = {};
};

void answer_search(ReplyWriter& reply, const Search& search) {
  reply.field(search.name);
  reply.begin_map(2);
  reply.field("type");
  reply.bulk(search.type);
  reply.field("spec");
  reply.begin_map(search.numbers.size() + (search.keyword.empty() ? 0 : 1));
  if (!search.keyword.empty()) {
    reply.field("keyword");
    reply.bulk(search.keyword);
  }
  for (const auto& [name, number] : search.numbers) answer_pair(reply, name, number);
  reply.end();
  reply.end();
}

std::pair<Search, Search> searches_of(const KeySpec& keys) {
  switch (keys.kind) {
    case KeySpec::Kind::kRange:
      break;
    case KeySpec::Kind::kCounted:
      return {{"begin_search", "index", {{"index", keys.count_at}}},
              {"find_keys", "keynum", {{"keynumidx", 0}, {"firstkey", 1}, {"keystep", 1}}}};
    case KeySpec::Kind::kBehindWord:
      return {{"begin_search", "keyword", {{"startfrom", 1}}, keys.word},
              {"find_keys", "range", {{"lastkey", -1}, {"keystep", 1}, {"limit", 2}}}};
    case KeySpec::Kind::kMigrated:  // the one of its two places that is told by an index
      return {{"begin_search", "index", {{"index", keys.count_at}}},
              {"find_keys", "range", {{"lastkey", 0}, {"keystep", 1}, {"limit", 0}}}};
  }
  const int last = keys.last < 0 ? keys.last : keys.last - keys.first;
  return {{"begin_search", "index", {{"index", keys.first}}},
          {"find_keys", "range", {{"lastkey", last}, {"keystep", keys.step}, {"limit", 0}}}};
}

// Where the keys are, in the form that clients since Redis 7 read.
void answer_key_specification(ReplyWriter& reply, const Command& command) {
  if (command.keys.first == 0) {
    reply.begin_set(0);
    return reply.end();
  }
  reply.begin_set(1);
  reply.begin_map(3);
  reply.field("flags");
  answer_words(reply, key_flags(command));
  const auto [begin_search, find_keys] = searches_of(command.keys);
  answer_search(reply, begin_search);
  answer_search(reply, find_keys);
  reply.end();
  reply.end();
}

// As it was told before Redis 7: only what stands at fixed places.
void answer_key_places(ReplyWriter& reply, const KeySpec& keys) {
  reply.integer(keys.is_movable() ? 0 : keys.first);
  reply.integer(keys.is_movable() ? 0 : keys.last);
  reply.integer(keys.is_movable() ? 0 : keys.step);
}

}  // namespace

void answer_command(ReplyWriter& reply, const Command& command) {
  reply.begin_array(10);
  reply.bulk(lower_case(command.name));
  reply.integer(command.arity);
  answer_words(reply, flag_names(command));
  answer_key_places(reply, command.keys);
  answer_words(reply, categories(command));
  reply.begin_set(0);  // tips
  reply.end();
  answer_key_specification(reply, command);
  const std::span<const Command> rows =
      command.has(kContainer) ? subcommands_of(command) : std::span<const Command>();
  reply.begin_array(rows.size());
  for (const Command& row : rows) answer_command(reply, row);
  reply.end();
  reply.end();
}

namespace {

std::string_view type_of(const Argument& argument) {
  switch (argument.kind) {
    case Argument::Kind::kToken:
      return "pure-token";
    case Argument::Kind::kOneOf:
      return "oneof";
    case Argument::Kind::kBlock:
      return "block";
    case Argument::Kind::kValue:
      break;
  }
  return argument.word == "key" ? "key" : "string";
}

// In the form from which redis-cli makes its hints and its help.
void answer_arguments(ReplyWriter& reply, const std::vector<Argument>& arguments) {
  reply.field("arguments");
  reply.begin_array(arguments.size());
  for (const Argument& argument : arguments) {
    const bool is_token = argument.kind == Argument::Kind::kToken;
    const bool has_flags = argument.is_optional || argument.may_repeat;
    reply.begin_map(2u + is_token + has_flags + !argument.parts.empty());
    reply.field("name");
    reply.bulk(lower_case(argument.name()));
    reply.field("type");
    reply.bulk(type_of(argument));
    if (is_token) {
      reply.field("token");
      reply.bulk(argument.word);
    }
    if (has_flags) {
      std::vector<std::string> flags;
      if (argument.is_optional) flags.emplace_back("optional");
      if (argument.may_repeat) flags.emplace_back("multiple");
      reply.field("flags");
      answer_words(reply, flags);
    }
    if (!argument.parts.empty()) answer_arguments(reply, argument.parts);
    reply.end();
  }
  reply.end();
}

void answer_documents(ReplyWriter& reply, const Command& command) {
  const std::span<const Command> rows =
      command.has(kContainer) ? subcommands_of(command) : std::span<const Command>();
  reply.field(lower_case(command.name));
  reply.begin_map(4u + !rows.empty() + !command.arguments.empty());
  reply.field("summary");
  reply.bulk(command.summary);
  reply.field("since");
  reply.bulk(command.since);
  reply.field("group");
  reply.bulk(group_name(command.group));
  reply.field("syntax");
  reply.bulk(command.arguments);
  if (!command.arguments.empty()) answer_arguments(reply, parse_arguments(command.arguments));
  if (!rows.empty()) {
    reply.field("subcommands");
    reply.begin_map(rows.size());
    for (const Command& row : rows) answer_documents(reply, row);
    reply.end();
  }
  reply.end();
}

// A command, or a subcommand written as container|name.
const Command* find_by_full_name(std::string_view name) {
  const std::size_t bar = name.find('|');
  if (bar == name.npos) return find_command(name);
  const std::string_view words[] = {name.substr(0, bar), name.substr(bar + 1)};
  const Command* const container = find_command(words[0]);
  const Command* const found = resolve_subcommand(container, words);
  return found == container ? nullptr : found;
}

bool matches_filter(const Command& command, std::string_view filter, std::string_view wanted,
                    const Glob& glob) {
  if (is_word(filter, "PATTERN")) return glob.matches(lower_case(command.name));
  if (!is_word(filter, "ACLCAT")) return false;  // there are no modules
  const std::vector<std::string> names = categories(command);
  return std::ranges::find(names, "@" + lower_case(wanted)) != names.end();
}

}  // namespace

void command_all(CommandContext& context, const Call&) {
  context.reply.begin_array(all_commands().size());
  for (const Command& command : all_commands()) answer_command(context.reply, command);
  context.reply.end();
}

void command_count(CommandContext& context, const Call&) {
  context.reply.integer(static_cast<std::int64_t>(all_commands().size()));
}

void command_info(CommandContext& context, const Call& call) {
  if (call.count() == 2) return command_all(context, call);
  context.reply.begin_array(call.count() - 2);
  for (std::size_t i = 2; i < call.count(); ++i) {
    if (const Command* command = find_by_full_name(call[i])) {
      answer_command(context.reply, *command);
    } else {
      context.reply.nil_array();
    }
  }
  context.reply.end();
}

void command_docs(CommandContext& context, const Call& call) {
  std::vector<const Command*> wanted;
  for (std::size_t i = 2; i < call.count(); ++i) {
    if (const Command* command = find_by_full_name(call[i])) wanted.push_back(command);
  }
  if (call.count() == 2) {
    for (const Command& command : all_commands()) wanted.push_back(&command);
  }
  context.reply.begin_map(wanted.size());
  for (const Command* command : wanted) answer_documents(context.reply, *command);
  context.reply.end();
}

void command_list(CommandContext& context, const Call& call) {
  const bool filters =
      call.count() == 5 && is_word(call[2], "FILTERBY") &&
      (is_word(call[3], "PATTERN") || is_word(call[3], "ACLCAT") || is_word(call[3], "MODULE"));
  if (call.count() != 2 && !filters) return context.reply.error(kSyntaxError);
  const Glob glob(filters ? lower_case(call[4]) : std::string());
  const std::size_t begin = context.reply.begin_list();
  std::size_t count = 0;
  const auto list = [&](const Command& command) {
    if (filters && !matches_filter(command, call[3], call[4], glob)) return;
    context.reply.bulk(lower_case(command.name));
    ++count;
  };
  for (const Command& command : all_commands()) {
    list(command);
    if (!command.has(kContainer)) continue;
    for (const Command& row : subcommands_of(command)) list(row);
  }
  context.reply.end_list(begin, count);
}

namespace {

// Calls answer(command, key) for each key of the request that call[2] begins; answers nothing when an error
// was written.
template <class Answer>
void answer_keys(CommandContext& context, const Call& call, Answer&& answer) {
  const std::span<const std::string_view> words = call.args.subspan(2);
  const Command* const command = resolve_subcommand(find_command(words[0]), words);
  if (command == nullptr) return context.reply.error("ERR Invalid command specified");
  if (command->keys.first == 0 || command->has(kPubSubFlag))
    return context.reply.error("ERR The command has no key arguments");
  if (!command->accepts(words.size()))
    return context.reply.error("ERR Invalid number of arguments specified for command");
  const std::size_t begin = context.reply.begin_list();
  std::size_t count = 0;
  command->each_key(words, [&](std::string_view key) {
    answer(*command, key);
    ++count;
  });
  context.reply.end_list(begin, count);
}

}  // namespace

void command_getkeys(CommandContext& context, const Call& call) {
  answer_keys(context, call, [&](const Command&, std::string_view key) { context.reply.bulk(key); });
}

void command_getkeysandflags(CommandContext& context, const Call& call) {
  answer_keys(context, call, [&](const Command& command, std::string_view key) {
    context.reply.begin_array(2);
    context.reply.bulk(key);
    answer_words(context.reply, key_flags(command));
    context.reply.end();
  });
}

}  // namespace memento::handlers
