// ScriptEngine: a worker's interpreter with the scripts that it has compiled, and the texts that all workers
// share (shm/texts/text_store.h). One per worker; the interpreter is made with the first script.
//
// A script is named by the SHA-1 of its text. It is compiled by each worker that runs it, when it first does.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "shm/texts/text_store.h"
#include "worker/script/function_engine.h"
#include "worker/script/interpreter.h"

namespace memento {

/// What the first line of a script says, `#!lua flags=no-writes,allow-oom`.
struct ScriptFlags {
  bool has_line = false;  ///< there is such a line
  bool no_writes = false;
  bool no_cluster = false;
  bool allow_oom = false;  ///< it is run even when memory is full
  bool partial = false;    ///< ours: what was done before an error counts
};

struct Script {
  std::string sha1;
  ScriptFlags flags;
  Interpreter::Chunk chunk = LUA_NOREF;
};

class ScriptEngine {
 public:
  static constexpr std::size_t kCompiledLimit = 1000;

  explicit ScriptEngine(std::string segment_path) : texts_(std::move(segment_path)) {}

  /// Either a script, which is valid until the next call, or why there is none.
  struct Found {
    const Script* script = nullptr;
    std::string error{};  ///< without a code; empty and no script: it is not known
  };
  /// Compiles the text when that was not done yet, and lets the other workers know it.
  Found of_text(std::string_view text);
  Found of_sha1(std::string_view sha1);

  /// SCRIPT LOAD: compiles it, and keeps it until flush(). `*put`: whether the others know it.
  Found load(std::string_view text, TextStore::Put* put);
  bool exists(std::string_view sha1);
  std::optional<std::string> text(std::string_view sha1);
  /// Of all workers. False: another worker has been writing for long.
  bool flush();

  TextStore& texts() { return texts_; }
  FunctionEngine& functions() { return functions_; }
  /// Makes it when there is none. nullptr: no memory.
  Interpreter* interpreter();
  std::size_t compiled_count() const { return by_sha1_.size(); }

 private:
  const Script* find_compiled(std::string_view sha1);
  Found compile(std::string sha1, std::string_view text);
  void forget_outdated();
  void drop_oldest();

  TextStore texts_;
  FunctionEngine functions_{texts_};
  std::unique_ptr<Interpreter> interpreter_;
  std::list<Script> compiled_;  ///< the one used last in front
  std::unordered_map<std::string_view, std::list<Script>::iterator> by_sha1_;
  std::uint64_t generation_ = 0;  ///< of the texts, when the compiled ones were known to be among them
};

}  // namespace memento
