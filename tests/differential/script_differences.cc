// See script_differences.h.
#include "tests/differential/script_differences.h"

namespace memento::testing {
namespace {

bool is_error(const std::string& reply) { return reply.starts_with('-'); }

}  // namespace

const char* reason_to_differ(const GeneratedScript& script, const ScriptOutcome& redis,
                             const ScriptOutcome& memento) {
  if (!is_error(redis.reply) || !is_error(memento.reply)) return nullptr;
  if (redis.reply == memento.reply) return "a script that ends with an error leaves nothing of what it did";
  if (redis.reply.starts_with("- script: ") &&
      memento.reply.starts_with("-ERR the script ended with an error that has no text"))
    return "redis-server's reply to an error without a text has no code";
  if (script.text.find("\\0") != std::string::npos)
    return "redis-server ends the text of an error at its first zero byte";
  return nullptr;
}

}  // namespace memento::testing
