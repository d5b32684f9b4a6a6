// See script_engine.h.
#include "worker/script/script_engine.h"

#include <array>

#include "worker/script/sandbox.h"
#include "worker/script/sha1.h"
#include "worker/text/words.h"

namespace memento {
namespace {

constexpr const char* kChunkName = "@user_script";
constexpr const char* kNoMemory = "there is no memory for an interpreter";

// Splits at `separator`; the rest stays in `*rest`.
std::string_view take_part(std::string_view* rest, char separator) {
  const std::size_t end = rest->find(separator);
  const std::string_view part = rest->substr(0, end);
  rest->remove_prefix(end == std::string_view::npos ? rest->size() : end + 1);
  return part;
}

// False: *error says which flag there is none of.
bool set_flag(std::string_view flag, ScriptFlags* flags, std::string* error) {
  if (flag == "no-writes") {
    flags->no_writes = true;
  } else if (flag == "no-cluster") {
    flags->no_cluster = true;
  } else if (flag == "allow-oom") {
    flags->allow_oom = true;
  } else if (flag == "partial") {
    flags->partial = true;
  } else if (flag != "allow-stale" && flag != "allow-cross-slot-keys") {
    *error = "Unexpected flag in script shebang: " + std::string(flag);
    return false;
  }
  return true;
}

// Takes the first line, but not its end, so that lines keep their numbers. Not empty: what is wrong with it.
std::string take_first_line(std::string_view* text, ScriptFlags* flags) {
  if (!text->starts_with("#!")) return "";
  flags->has_line = true;
  const std::size_t end = text->find('\n');
  if (end == std::string_view::npos) return "Invalid script shebang";
  std::string_view line = text->substr(2, end - 2);
  text->remove_prefix(end);
  while (line.ends_with('\r') || line.ends_with(' ')) line.remove_suffix(1);
  const std::string_view engine = take_part(&line, ' ');
  if (engine != "lua") return "Unexpected engine in script shebang: " + std::string(engine);
  std::string error;
  while (!line.empty()) {
    std::string_view option = take_part(&line, ' ');
    if (option.empty()) continue;
    if (!option.starts_with("flags=")) return "Unknown lua shebang option: " + std::string(option);
    option.remove_prefix(6);
    while (!option.empty()) {
      const std::string_view flag = take_part(&option, ',');
      if (!flag.empty() && !set_flag(flag, flags, &error)) return error;
    }
  }
  return "";
}

std::string sha1_text(std::string_view bytes) {
  const std::array<char, kSha1Digits> digits = sha1_digits(bytes);
  return {digits.data(), digits.size()};
}

}  // namespace

Interpreter* ScriptEngine::interpreter() {
  if (interpreter_ == nullptr) interpreter_ = std::make_unique<Interpreter>();
  if (!interpreter_->is_usable()) interpreter_.reset();
  return interpreter_.get();
}

// A worker has removed the texts: what was compiled of them is not to be found any more.
void ScriptEngine::forget_outdated() {
  const std::uint64_t generation = texts_.generation(TextGroup::kScript);
  if (generation == generation_) return;
  generation_ = generation;
  for (const Script& script : compiled_) interpreter_->forget(script.chunk);
  by_sha1_.clear();
  compiled_.clear();
}

void ScriptEngine::drop_oldest() {
  interpreter_->forget(compiled_.back().chunk);
  by_sha1_.erase(compiled_.back().sha1);
  compiled_.pop_back();
}

const Script* ScriptEngine::find_compiled(std::string_view sha1) {
  forget_outdated();
  const auto found = by_sha1_.find(sha1);
  if (found == by_sha1_.end()) return nullptr;
  compiled_.splice(compiled_.begin(), compiled_, found->second);
  return &compiled_.front();
}

// REQUIRES: find_compiled() has just not found it.
ScriptEngine::Found ScriptEngine::compile(std::string sha1, std::string_view text) {
  if (interpreter() == nullptr) return {nullptr, kNoMemory};
  // What is compiled takes of the memory that scripts have while they run.
  interpreter_->collect();
  while (!compiled_.empty() && interpreter_->memory_used_bytes() > Interpreter::kMemoryLimitBytes / 2) {
    drop_oldest();
    interpreter_->collect();
  }
  Script script{std::move(sha1), {}, LUA_NOREF};
  std::string error = take_first_line(&text, &script.flags);
  if (error.empty()) {
    Interpreter::Compiled compiled = interpreter_->compile(text, kChunkName);
    script.chunk = compiled.chunk;
    if (!compiled.error.empty()) error = "Error compiling script (new function): " + compiled.error;
  }
  if (!error.empty()) return {nullptr, std::move(error)};
  if (compiled_.size() >= kCompiledLimit) drop_oldest();
  compiled_.push_front(std::move(script));
  by_sha1_.emplace(compiled_.front().sha1, compiled_.begin());
  return {&compiled_.front()};
}

// What the others cannot be told now is told them with the next EVAL that this worker has to compile.
ScriptEngine::Found ScriptEngine::of_text(std::string_view text) {
  std::string sha1 = sha1_text(text);
  if (const Script* const script = find_compiled(sha1)) return {script};
  Found found = compile(std::move(sha1), text);
  if (found.script != nullptr)
    texts_.put(TextGroup::kScript, found.script->sha1, text, TextStore::Keep::kEvaluated);
  return found;
}

ScriptEngine::Found ScriptEngine::of_sha1(std::string_view sha1) {
  // Nobody writes it in capitals.
  if (const Script* const script = find_compiled(sha1)) [[likely]]
    return {script};
  std::string lower = lower_case(sha1);
  if (const Script* const script = find_compiled(lower)) return {script};
  const std::optional<std::string_view> text = texts_.find(TextGroup::kScript, lower);
  return text ? compile(std::move(lower), *text) : Found{};
}

ScriptEngine::Found ScriptEngine::load(std::string_view text, TextStore::Put* put) {
  std::string sha1 = sha1_text(text);
  Found found{find_compiled(sha1)};
  if (found.script == nullptr) found = compile(std::move(sha1), text);
  if (found.script != nullptr)
    *put = texts_.put(TextGroup::kScript, found.script->sha1, text, TextStore::Keep::kKept);
  return found;
}

bool ScriptEngine::exists(std::string_view sha1) {
  forget_outdated();
  const std::string lower = lower_case(sha1);
  return by_sha1_.contains(lower) || texts_.find(TextGroup::kScript, lower).has_value();
}

std::optional<std::string> ScriptEngine::text(std::string_view sha1) {
  const std::optional<std::string_view> text = texts_.find(TextGroup::kScript, lower_case(sha1));
  if (!text) return std::nullopt;
  return std::string(*text);
}

bool ScriptEngine::flush() { return texts_.clear(TextGroup::kScript) != TextStore::Put::kBusy; }

}  // namespace memento
