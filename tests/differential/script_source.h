// ScriptSource: random scripts from a grammar of Lua: statements, expressions, conversions, errors and what
// catches them, commands, and the libraries that scripts have. Most make sense. The same seed gives the same
// scripts.
//
// Left out is what has no one right reply: the addresses of tables, the order of pairs(), random numbers,
// times; and `error` of a table without a text, which ends redis-server 7.0.15 (redis#14163).
#pragma once

#include <string>
#include <vector>

#include "tests/differential/random_choice.h"

namespace memento::testing {

struct GeneratedScript {
  std::string text;
  std::vector<std::string> keys;
  std::vector<std::string> arguments;
  bool is_read_only = false;

  /// EVAL or EVAL_RO.
  std::vector<std::string> request() const;
};

class ScriptSource : private RandomChoice {
 public:
  explicit ScriptSource(std::uint64_t seed) : RandomChoice(seed) {}

  GeneratedScript next();

  /// The keys that scripts work on.
  static const std::vector<std::string>& keys();

 private:
  // script_source.cc: statements.
  std::string block(int depth);
  std::string statement(int depth);
  std::string compound(int depth);
  std::string throwing(int depth);
  std::string returning(int depth);
  std::string new_local();
  std::string name();

  // script_expressions.cc
  std::string value(int depth);
  std::string number(int depth);
  std::string text(int depth);
  std::string condition(int depth);
  std::string table(int depth);
  std::string library(int depth);
  std::string caught(int depth);
  std::string command();
  std::string word();
  std::string key();
  std::string integer_word();

  std::size_t local_count_ = 0;  ///< v1 to so many are in sight
};

}  // namespace memento::testing
