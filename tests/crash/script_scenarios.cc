// See script_scenarios.h.
#include "tests/crash/script_scenarios.h"

#include <algorithm>
#include <cassert>
#include <memory>
#include <optional>
#include <utility>

#include "shm/segment.h"
#include "tests/crash/aftermath.h"
#include "worker/clients/message_hub.h"
#include "worker/command/command_table.h"
#include "worker/dispatch/dispatch.h"
#include "worker/script/script_engine.h"
#include "worker/stats/command_meter.h"

namespace memento::crash {
namespace {

using Words = std::vector<std::string>;

// What of a worker runs requests, in the victim's process.
class ScriptWorker {
 public:
  /// This script will be run. It is compiled with prepare(), lest that is stepped through.
  void add(const std::string& text) { texts_.push_back(text); }
  void prepare(Segment& segment) {
    segment_ = &segment;
    for (const std::string& text : texts_) (void)scripts_.of_text(text);
  }

  std::string ask(Keyspace& keyspace, const Words& request) {
    if (!hub_) hub_.emplace(*segment_, keyspace, kVictim);
    WorkerServices services{facts_, settings_, *hub_, nullptr, &scripts_};
    CommandMeter meter(settings_, facts_.process, client_);
    ByteBuffer output;
    ExecState exec;
    CommandContext context{keyspace, ReplyWriter(output, Protocol::kResp2), services, client_, meter, exec};
    const std::vector<std::string_view> words(request.begin(), request.end());
    const Command* const command = resolve_subcommand(find_command(words[0]), words);
    const std::size_t first = command->first_key(words);
    const HashedKey key = first != 0 ? keyspace.hash(words[first]) : HashedKey{};
    dispatch(context, command, {words, key});
    return std::string(output.view());
  }

 private:
  Segment* segment_ = nullptr;
  std::vector<std::string> texts_;
  std::optional<MessageHub> hub_;
  const ServerFacts facts_{0, 1, 0, {}, kVictim};
  LiveSettings settings_;
  ScriptEngine scripts_{""};
  ClientState client_;
};
using Worker = std::shared_ptr<ScriptWorker>;

Words eval(const std::string& text, const Words& keys) {
  Words words{"EVAL", text, std::to_string(keys.size())};
  words.insert(words.end(), keys.begin(), keys.end());
  return words;
}

WriteStatus status_of(const std::string& reply) {
  return reply.starts_with("-OOM") || reply.find("EXECABORT") != std::string::npos ? WriteStatus::kOutOfMemory
                                                                                   : WriteStatus::kDone;
}

Operation script(const Worker& worker, const std::string& text, const Words& keys,
                 const std::function<void(Model&)>& apply) {
  worker->add(text);
  return {"EVAL " + text,
          [=](Keyspace& keyspace) { return status_of(worker->ask(keyspace, eval(text, keys))); }, apply,
          kStartMs, keys.empty() ? "" : keys[0]};
}

// In MULTI, behind and in front of other changes.
Operation transaction(const Worker& worker, const std::vector<Words>& requests,
                      const std::function<void(Model&)>& apply) {
  for (const Words& request : requests) {
    if (request[0] == "EVAL") worker->add(request[1]);
  }
  const auto run = [=](Keyspace& keyspace) {
    worker->ask(keyspace, {"MULTI"});
    for (const Words& request : requests) worker->ask(keyspace, request);
    return status_of(worker->ask(keyspace, {"EXEC"}));
  };
  return {"EXEC of a script", run, apply, kStartMs, "{t}a"};
}

std::string number_plus(const Model& model, const std::string& key, long added) {
  const auto found = model.find(key);
  return std::to_string((found == model.end() ? 0 : std::stol(found->second.value)) + added);
}

std::function<void(Model&)> sets(const std::string& key, const std::string& value) {
  return [=](Model& model) { model[key] = {value}; };
}

const auto kNothing = [](Model&) {};

Scenario scenario(const std::string& name, const Worker& worker, std::vector<Operation> setup,
                  std::vector<Operation> operations) {
  return {"script, " + name, std::move(setup), std::move(operations),
          [worker](Segment& segment) { worker->prepare(segment); }};
}

Scenario of_one_key() {
  const auto worker = std::make_shared<ScriptWorker>();
  return scenario(
      "one key", worker, {put("{t}a", "5")},
      {script(worker, "return redis.call('set', KEYS[1], 'x')", {"{t}a"}, sets("{t}a", "x")),
       script(
           worker,
           "redis.call('set', KEYS[1], '1') redis.call('incr', KEYS[1]) redis.call('append', KEYS[1], '0')",
           {"{t}a"}, sets("{t}a", "20")),
       script(worker, "redis.call('set', KEYS[1], 'lost') error('no')", {"{t}a"}, kNothing),
       script(worker, "redis.call('set', KEYS[1], 'y') redis.pcall('incr', KEYS[1]) return 1", {"{t}a"},
              sets("{t}a", "y")),
       script(worker, "redis.call('set', KEYS[1], 'z') redis.call('pexpireat', KEYS[1], '1800000001000')",
              {"{t}a"},
              [](Model& model) {
                model["{t}a"] = {"z", kStartMs + 1000};
              }),
       script(worker, "redis.call('set', KEYS[1], 'gone') redis.call('del', KEYS[1])", {"{t}a"},
              [](Model& model) { model.erase("{t}a"); }),
       script(worker,
              "redis.call('set', KEYS[1], ('r'):rep(400)) redis.call('setrange', KEYS[1], 100, 'part')",
              {"{t}a"}, [](Model& model) {
                std::string value(400, 'r');
                value.replace(100, 4, "part");
                model["{t}a"] = {value};
              })});
}

Scenario of_two_keys() {
  const auto worker = std::make_shared<ScriptWorker>();
  const std::string transfer =
      "local n = 7 if tonumber(redis.call('get', KEYS[1])) < n then return redis.error_reply('poor') end "
      "redis.call('decrby', KEYS[1], n) redis.call('incrby', KEYS[2], n) return n";
  const auto moves = [](Model& model) {
    model["{t}a"] = {number_plus(model, "{t}a", -7)};
    model["{u}b"] = {number_plus(model, "{u}b", 7)};
  };
  return scenario(
      "two keys", worker, {put("{t}a", "15"), put("{u}b", "1")},
      {script(worker, transfer, {"{t}a", "{u}b"}, moves), script(worker, transfer, {"{t}a", "{u}b"}, moves),
       script(worker, transfer, {"{t}a", "{u}b"}, kNothing),
       script(worker, "redis.call('rename', KEYS[1], 'undeclared') return redis.call('append', KEYS[2], '!')",
              {"{t}a", "{u}b"},
              [](Model& model) {
                model["undeclared"] = model["{t}a"];
                model.erase("{t}a");
                model["{u}b"].value += "!";
              }),
       script(worker, "redis.call('del', KEYS[2]) redis.call('set', KEYS[1], 'x') return ('x'):rep(1e9)",
              {"{t}a", "{u}b"}, kNothing)});
}

Scenario of_three_keys() {
  const auto worker = std::make_shared<ScriptWorker>();
  const std::string loop =
      "for i, key in ipairs(KEYS) do redis.call('set', key, (redis.call('get', key) or '') .. i) end "
      "return redis.call('mget', unpack(KEYS))";
  const Words keys{"{t}a", "{u}b", "{v}c"};
  const auto appends = [](Model& model) {
    model["{t}a"].value += "1";
    model["{u}b"].value += "2";
    model["{v}c"].value += "3";
  };
  const auto swaps = [](Model& model) {
    std::swap(model["{t}a"], model["{u}b"]);
    model.erase("{v}c");
  };
  return scenario(
      "three keys", worker, {put("{t}a", "one"), put("{u}b", std::string(900, 's'))},
      {script(worker, loop, keys, appends), script(worker, loop, keys, appends),
       script(
           worker,
           "local a, b = redis.call('get', KEYS[1]), redis.call('get', KEYS[2]) redis.call('mset', KEYS[1], "
           "b, KEYS[2], a) redis.call('del', KEYS[3])",
           keys, swaps),
       script(worker, "redis.call('mset', KEYS[1], 1, KEYS[2], 2, KEYS[3], 3) return redis.call('nonsense')",
              keys, kNothing),
       script(worker, "#!lua flags=partial\nredis.call('mset', KEYS[1], 1, KEYS[3], 3) error('no')", keys,
              [](Model& model) {
                model["{t}a"] = {"1"};
                model["{v}c"] = {"3"};
              }),
       script(worker, "redis.call('flushall') redis.call('set', KEYS[2], 'new')", keys, [](Model& model) {
         model.clear();
         model["{u}b"] = {"new"};
       })});
}

Scenario of_transactions() {
  const auto worker = std::make_shared<ScriptWorker>();
  const Words increments =
      eval("redis.call('incr', KEYS[1]) return redis.call('incrby', KEYS[2], 5)", {"{t}a", "{u}b"});
  const Words explodes = eval("redis.call('incr', KEYS[1]) return ('x'):rep(1e9)", {"{t}a"});
  return scenario("transactions", worker, {put("{t}a", "1")},
                  {transaction(worker, {{"SET", "{v}c", "x"}, increments, {"INCR", "{u}b"}},
                               [](Model& model) {
                                 model["{v}c"] = {"x"};
                                 model["{t}a"] = {number_plus(model, "{t}a", 1)};
                                 model["{u}b"] = {number_plus(model, "{u}b", 6)};
                               }),
                   transaction(worker, {{"DEL", "{v}c"}, explodes, {"INCR", "{u}b"}}, kNothing)});
}

}  // namespace

std::vector<Scenario> scenarios_of_scripts() {
  return {of_one_key(), of_two_keys(), of_three_keys(), of_transactions()};
}

}  // namespace memento::crash
