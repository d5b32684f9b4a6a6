// FunctionEngine: a worker's functions. The texts of libraries are in the TextStore, which all workers share,
// each with what its functions are called; a worker loads a library when it first calls one of its functions.
// One per worker.
//
// Functions have an interpreter of their own: what libraries keep in their local variables takes no memory
// from scripts. Such variables are the worker's alone, and are lost when the library is changed, the worker
// ends, or those of all libraries take more than half of the interpreter's memory: the rest is for what
// functions do.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "shm/texts/text_store.h"
#include "worker/script/function_library.h"
#include "worker/script/interpreter.h"
#include "worker/script/library_change.h"

namespace memento {

class FunctionEngine {
 public:
  explicit FunctionEngine(TextStore& texts) : texts_(texts) {}
  FunctionEngine(const FunctionEngine&) = delete;
  FunctionEngine& operator=(const FunctionEngine&) = delete;

  enum class Policy { kAppend, kReplace, kFlush };

  // Each gives an error as a client is told it; empty: done. Nothing was changed where there is one, but that
  // a restore of several libraries which runs out of room has done some of it.
  std::string load(std::string_view text, Policy policy, std::string* name);
  std::string restore(std::span<const std::string> texts, Policy policy);
  std::string erase(std::string_view name);
  std::string clear();

  /// Of all libraries, by name, as the TextStore has them.
  using Snapshot = std::map<std::string, std::string>;
  Snapshot snapshot();
  /// Adds what differs from an earlier snapshot now.
  void note_changes(const Snapshot& before, LibraryChanges* changes);
  /// As far as there is room; libraries that others have changed since stay as those left them.
  void take_back(const LibraryChanges& changes);

  struct Entry {
    FunctionLibrary library;
    std::uint64_t text_hash = 0;
    bool is_loaded = false;
  };
  using Entries = std::map<std::string, Entry, std::less<>>;
  /// As all workers know them, by name.
  const Entries& entries();
  /// A library's text; empty: it is not there any more.
  std::string text(std::string_view name);

  /// The function, loaded, valid until the next call; nullptr: there is none, or `*error` says why it cannot
  /// be loaded.
  const LibraryFunction* find(std::string_view name, std::string* error);
  /// REQUIRES: find() has found a function.
  Interpreter& interpreter() { return *interpreter_; }

  // As they were last seen: also while a function runs.
  std::size_t library_count() const { return entries_.size(); }
  std::size_t function_count() const { return by_function_.size(); }

 private:
  struct Draft {
    FunctionLibrary library;
    std::string record;  ///< for the TextStore
  };
  std::string make_draft(std::string_view text, ScriptHost& host, Draft* draft);
  std::string find_conflict(std::span<const Draft> drafts, Policy policy);
  std::string check_room(std::span<const Draft> drafts);
  std::string put(std::span<const Draft> drafts);
  void take(std::string_view name, std::string_view record, Entry* entry);
  std::string load_functions(Entry* entry);
  void unload(Entry* entry);
  void sync();
  void drop_large_state();
  bool make_interpreter();

  TextStore& texts_;
  std::unique_ptr<Interpreter> interpreter_;
  Entries entries_;
  // By a function's name in lower case: it is called in any.
  struct Place {
    std::string_view library;
    std::size_t index;  ///< among the library's functions
  };
  std::map<std::string, Place, std::less<>> by_function_;
  std::uint64_t generation_ = 0;
};

}  // namespace memento
