// See argument_syntax.h.
#include "worker/command/argument_syntax.h"

#include <algorithm>
#include <utility>

namespace memento {
namespace {

using Arguments = std::vector<Argument>;

/// Brackets, bars and words of the line, one after the other.
class Symbols {
 public:
  explicit Symbols(std::string_view line) : rest_(line) {}

  /// Empty: the line has ended.
  std::string_view take() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(' '), rest_.size()));
    if (rest_.empty()) return rest_;
    const bool is_sign = rest_.front() == '[' || rest_.front() == ']' || rest_.front() == '|';
    const std::size_t length = is_sign ? 1 : std::min(rest_.find_first_of(" []|"), rest_.size());
    const std::string_view symbol = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return symbol;
  }

 private:
  std::string_view rest_;
};

Argument argument_of(std::string_view word) {
  const bool is_token = word.front() < 'a' || word.front() > 'z';
  return {is_token ? Argument::Kind::kToken : Argument::Kind::kValue, word, false, false, {}};
}

Argument joined(Argument::Kind kind, Arguments parts) {
  if (parts.size() == 1) return std::move(parts.front());
  return {kind, {}, false, false, std::move(parts)};
}

/// What stands between brackets, or the whole line.
struct Group {
  std::vector<Arguments> alternatives;
  bool may_repeat = false;
};

Argument one_of(Group group) {
  Arguments choices;
  for (Arguments& alternative : group.alternatives) {
    if (!alternative.empty()) choices.push_back(joined(Argument::Kind::kBlock, std::move(alternative)));
  }
  Argument argument = joined(Argument::Kind::kOneOf, std::move(choices));
  argument.may_repeat |= group.may_repeat;
  return argument;
}

// A group in brackets behind what stands in front of it. One that repeats just that makes it repeat.
void add_group(Arguments* before, Group group) {
  if (group.may_repeat && group.alternatives.size() == 1 &&
      before->size() >= group.alternatives.front().size()) {
    const auto count = static_cast<std::ptrdiff_t>(group.alternatives.front().size());
    if (std::equal(before->end() - count, before->end(), group.alternatives.front().begin())) {
      before->erase(before->end() - count, before->end());
      before->push_back(one_of(std::move(group)));
      return;
    }
  }
  before->push_back(one_of(std::move(group)));
  before->back().is_optional = true;
}

Group parse_group(Symbols* symbols) {
  Group group{{{}}};
  for (std::string_view symbol; !(symbol = symbols->take()).empty() && symbol != "]";) {
    if (symbol == "|") {
      group.alternatives.emplace_back();
    } else if (symbol == "...") {
      group.may_repeat = true;
    } else if (symbol == "[") {
      add_group(&group.alternatives.back(), parse_group(symbols));
    } else {
      group.alternatives.back().push_back(argument_of(symbol));
    }
  }
  return group;
}

}  // namespace

std::vector<Argument> parse_arguments(std::string_view line) {
  Symbols symbols(line);
  Group group = parse_group(&symbols);
  if (group.alternatives.size() == 1) return std::move(group.alternatives.front());
  return {one_of(std::move(group))};
}

}  // namespace memento
